//! The Kubernetes programs of the fleet: found, or built once from the pinned Go modules in `tools/`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::{paths, progress::Progress};

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Tools {
    /// `etcd`
    pub etcd: PathBuf,
    /// `kube-apiserver`
    pub apiserver: PathBuf,
    /// `kube-controller-manager`
    pub controller_manager: PathBuf,
    /// `kubectl`
    pub kubectl: PathBuf,
    /// `kwok`
    pub kwok: PathBuf,
    /// kwok's stages: how its nodes and pods come to life.
    pub stages: PathBuf,
    /// `helm`
    pub helm: PathBuf,
}

/// One Go module under `tools/`, and the programs it pins: (name, package).
struct Module {
    directory: &'static str,
    version_of: &'static str,
    programs: &'static [(&'static str, &'static str)],
}

const KUBERNETES: Module = Module {
    directory: "kubernetes",
    version_of: "k8s.io/kubernetes",
    programs: &[
        ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
        ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
        ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ],
};

const COMPANIONS: Module = Module {
    directory: "companions",
    version_of: "sigs.k8s.io/kwok",
    programs: &[
        ("etcd", "go.etcd.io/etcd/server/v3"),
        ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
        ("helm", "helm.sh/helm/v3/cmd/helm"),
    ],
};

/// The stages of kwok's module that the fleet uses.
const STAGES: [&str; 5] = [
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
];

/// kwok 0.8 never closes the standard input of a command it runs, so `kubectl cp` to a pod and `exec -i` would never
/// end. (file in the module, what stands there, what shall)
const KWOK_FIX: (&str, &str, &str) = (
    "pkg/utils/exec/exec.go",
    "_, _ = io.Copy(inPipe, opt.In)",
    "_, _ = io.Copy(inPipe, opt.In); _ = inPipe.Close()",
);

impl Tools {
    /// Finds the programs in `KUBEBUILDER_ASSETS` or the cache, and builds what is missing.
    pub async fn ensure(progress: Progress) -> anyhow::Result<Self> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let kubernetes = Source::new(&KUBERNETES, assets.clone())?;
        let companions = Source::new(&COMPANIONS, assets)?;
        let etcd = companions.program("etcd", progress).await?;
        Ok(Self {
            etcd,
            apiserver: kubernetes.program("kube-apiserver", progress).await?,
            controller_manager: kubernetes.program("kube-controller-manager", progress).await?,
            kubectl: kubernetes.program("kubectl", progress).await?,
            kwok: companions.program("kwok", progress).await?,
            stages: companions.stages().await?,
            helm: companions.program("helm", progress).await?,
        })
    }

    /// Each program with the version it reports.
    pub async fn versions(&self) -> anyhow::Result<Vec<(&Path, String)>> {
        let mut found = Vec::new();
        for (program, args) in [
            (&self.apiserver, &["--version"][..]),
            (&self.controller_manager, &["--version"]),
            (&self.kubectl, &["version", "--client"]),
            (&self.etcd, &["--version"]),
            (&self.kwok, &["--version"]),
            (&self.helm, &["version", "--short"]),
        ] {
            let output = Command::new(program).args(args).output().await?;
            let text = String::from_utf8_lossy(&output.stdout);
            found.push((program.as_path(), text.lines().next().unwrap_or_default().trim().to_owned()));
        }
        Ok(found)
    }
}

/// Where the programs of one module come from.
struct Source {
    module: &'static Module,
    sources: PathBuf,
    version: String,
    cache: PathBuf,
    assets: Option<PathBuf>,
}

impl Source {
    fn new(module: &'static Module, assets: Option<PathBuf>) -> anyhow::Result<Self> {
        let sources = paths::workspace().join("tools").join(module.directory);
        let read = |file: &str| {
            let path = sources.join(file);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let (manifest, sums) = (read("go.mod")?, read("go.sum")?);
        let version = required(&manifest, module.version_of)
            .with_context(|| {
                format!("tools/{}/go.mod does not require {}", module.directory, module.version_of)
            })?
            .to_owned();
        let digest = Sha256::digest(format!("{manifest}{sums}{}", KWOK_FIX.2));
        let key = digest.iter().take(4).fold(0u32, |key, byte| key << 8 | u32::from(*byte));
        let cache = paths::cache()?.join("tools").join(format!("{}-{version}-{key:08x}", module.directory));
        Ok(Self { module, sources, version, cache, assets })
    }

    /// The path of one program, built if need be.
    async fn program(&self, name: &str, progress: Progress) -> anyhow::Result<PathBuf> {
        let found = self.assets.iter().map(|assets| assets.join(name)).find(|path| path.is_file());
        if let Some(path) = found {
            return Ok(path);
        }
        let path = self.cache.join(name);
        if !path.is_file() {
            let package = self.module.programs.iter().find(|(program, _)| *program == name);
            let (_, package) = package.with_context(|| format!("no module pins {name}"))?;
            let step = progress.begin(format_args!("built {name}"));
            progress.note(format_args!("building {name} from {package} (minutes the first time)"));
            self.build(package, &path).await?;
            step.done();
        }
        Ok(path)
    }

    async fn build(&self, package: &str, path: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.cache)?;
        // A build that is interrupted leaves no half program under the final name.
        let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
        let mut command = Command::new("go");
        command.current_dir(&self.sources).args(["build", "-ldflags", &self.linker_flags()]);
        if package.starts_with(COMPANIONS.version_of) {
            command.arg("-modfile").arg(self.fixed_kwok().await?);
        }
        let output =
            command.arg("-o").arg(&unfinished).arg(package).kill_on_drop(true).output().await.context(
                "cannot run go: the fleet's programs are built with Go 1.26 or newer, see https://go.dev/dl",
            )?;
        if !output.status.success() {
            bail!("go build {package} failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        std::fs::rename(&unfinished, path)?;
        Ok(())
    }

    /// Where the sources of kwok are.
    async fn kwok_module(&self) -> anyhow::Result<PathBuf> {
        let download = Command::new("go").current_dir(&self.sources).args(["mod", "download"]).status().await;
        download.context("cannot run go")?;
        let output = Command::new("go")
            .current_dir(&self.sources)
            .args(["list", "-m", "-f", "{{.Dir}}", COMPANIONS.version_of])
            .output()
            .await
            .context("cannot run go")?;
        Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
    }

    /// A go.mod by which kwok is built from a copy of its sources with [`KWOK_FIX`].
    async fn fixed_kwok(&self) -> anyhow::Result<PathBuf> {
        let (file, old, new) = KWOK_FIX;
        let copy = self.cache.join("kwok-source");
        let _ = std::fs::remove_dir_all(&copy);
        // The module cache is read-only; the copy must not be.
        let status = Command::new("cp")
            .args(["-r", "--no-preserve=mode"])
            .arg(self.kwok_module().await?)
            .arg(&copy)
            .status()
            .await?;
        if !status.success() {
            bail!("cannot copy the sources of kwok");
        }
        let text = std::fs::read_to_string(copy.join(file)).with_context(|| format!("kwok has no {file}"))?;
        paths::write(&copy.join(file), text.replace(old, new))?;
        let mut manifest = std::fs::read_to_string(self.sources.join("go.mod"))?;
        manifest.extend(["\nreplace ", COMPANIONS.version_of, " => ", &copy.to_string_lossy(), "\n"]);
        let path = self.cache.join("kwok.mod");
        paths::write(&path, manifest)?;
        std::fs::copy(self.sources.join("go.sum"), self.cache.join("kwok.sum"))?;
        Ok(path)
    }

    /// Kubernetes programs built without these report a version that no client can parse.
    fn linker_flags(&self) -> String {
        let mut flags = String::from("-s -w");
        if self.module.directory == KUBERNETES.directory {
            let mut parts = self.version.trim_start_matches('v').split('.');
            let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            for package in ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"] {
                for (key, value) in
                    [("gitVersion", self.version.as_str()), ("gitMajor", major), ("gitMinor", minor)]
                {
                    flags.extend([" -X ", package, ".", key, "=", value]);
                }
            }
        }
        flags
    }

    /// kwok's stages in one file, taken from its module.
    async fn stages(&self) -> anyhow::Result<PathBuf> {
        let path = self.cache.join("stages.yaml");
        if path.is_file() {
            return Ok(path);
        }
        let module = self.kwok_module().await?;
        let mut all = String::new();
        for stage in STAGES {
            let text = std::fs::read_to_string(module.join(stage))
                .with_context(|| format!("kwok has no {stage}"))?;
            all.push_str(&text);
            all.push_str("\n---\n");
        }
        paths::write(&path, all)?;
        Ok(path)
    }
}

/// The version that a go.mod requires of a module.
fn required<'a>(manifest: &'a str, module: &str) -> Option<&'a str> {
    manifest.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module)).then(|| words.next()).flatten().filter(|word| word.starts_with('v'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_required_one_not_a_tool_line_of_the_same_prefix() {
        let manifest = "tool (\n\tk8s.io/kubernetes/cmd/kubectl\n)\nrequire (\n\tk8s.io/kubernetes v1.37.0 // indirect\n)\n";
        assert_eq!(required(manifest, "k8s.io/kubernetes"), Some("v1.37.0"));
        assert_eq!(required("require k8s.io/kubernetes v1.2.3", "k8s.io/kubernetes"), Some("v1.2.3"));
        assert_eq!(required(manifest, "k8s.io/api"), None);
    }
}
