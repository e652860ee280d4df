//! Puts Clusterway into a fleet: builds it, applies `deploy/`, runs hub and agents as processes.
//!
//! What is shipped is what runs: every program has a kubeconfig of the ServiceAccount that `deploy/` gives it. Only the
//! Deployments are left out, and the hub's Service leads to the process.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use kube::{
    Api,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};

use crate::{
    cargo::cargo,
    cluster::Cluster,
    fleet::{Fleet, ready_or_log},
    free_port, paths,
    process::{Process, Spec},
    wait,
};

/// The bootstrap token of `manifests/samples`.
pub const SAMPLE_TOKEN: &str = "07401b.f395accd246ae52d";
/// The hub's process.
pub const HUB: &str = "hub";
/// Registration takes seconds; a machine under load may need more.
const DEADLINE: Duration = Duration::from_secs(120);
const SYSTEM: &str = "clusternet-system";

/// How to install.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cargo profile of the programs, `release` or `dev`.
    pub profile: String,
    /// Whether the children are registered under their fleet names; else the agent makes names up.
    pub named: bool,
    /// Whether to start the agents.
    pub agents: bool,
    /// The hub's `--storage-config`; without it, its store is a SQLite file in a directory of its own.
    pub storage: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { profile: "release".into(), named: true, agents: true, storage: None }
    }
}

/// Where a child is in the parent.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The cluster id: the UID of the agent's Lease.
    pub id: String,
    /// The dedicated namespace.
    pub namespace: String,
    /// The name of the ManagedCluster.
    pub name: String,
}

impl Fleet {
    /// Builds and installs Clusterway, and waits until every child is registered and Ready. Safe to repeat.
    pub async fn install(&self, options: &Options) -> anyhow::Result<()> {
        self.build(&options.profile).await?;
        // Programs of an earlier installation make room for what was just built.
        for child in self.children() {
            self.stop(&Self::agent_name(&child)).await?;
        }
        self.install_parent().await?;
        self.use_storage(options.storage.clone()).await?;
        if !options.agents {
            return Ok(());
        }
        for child in self.children() {
            self.install_child(&child).await?;
            let mut extra = vec![];
            if options.named {
                extra.push(format!("--cluster-reg-name={}", child.name));
            }
            let agent = self.start_agent(&child, &extra)?;
            let step = self.progress().begin(format_args!("{}: registered and Ready", child.name));
            ready_or_log(&agent, async { self.until_ready(&child, DEADLINE).await.map(drop) }).await?;
            step.done();
        }
        self.until_all_visitable().await
    }

    /// Waits until every child can be visited: after a hub that was started often, agents take a while to come back.
    pub async fn until_all_visitable(&self) -> anyhow::Result<()> {
        for child in self.children() {
            let step =
                self.progress().begin(format_args!("{}: can be visited through the parent", child.name));
            self.until_visitable(&child, DEADLINE).await?;
            step.done();
        }
        Ok(())
    }

    /// Starts the hub anew, with a storage configuration or with a directory of its own.
    pub async fn use_storage(&self, file: Option<PathBuf>) -> anyhow::Result<()> {
        let step = self.progress().begin("hub serves the parent's aggregated API");
        self.stop(HUB).await?;
        self.set_storage(file)?;
        self.start_hub().await?;
        step.done();
        Ok(())
    }

    /// Builds hub, agent and plug-in, and copies them into the fleet, where no later build disturbs them.
    pub async fn build(&self, profile: &str) -> anyhow::Result<()> {
        let step = self.progress().begin(format_args!("built hub, agent and kubectl plug-in ({profile})"));
        let build = ["build", "--profile", profile, "-p", "hub", "-p", "agent", "-p", "kubectl", "--bins"];
        let output = cargo(&build)
            .args(["--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit())
            .output()
            .await
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!("the build failed");
        }
        let mut programs = Vec::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            if let Some(executable) = message.get("executable").and_then(serde_json::Value::as_str) {
                programs.push(executable.to_owned());
            }
        }
        std::fs::create_dir_all(self.bin())?;
        for program in &programs {
            let source = Path::new(program);
            let name = source.file_name().context("a program without a name")?;
            let target = self.bin().join(name);
            // A running program cannot be overwritten, but its directory entry can.
            let fresh = target.with_extension("new");
            std::fs::copy(source, &fresh)?;
            std::fs::rename(&fresh, &target)?;
        }
        let alias = self.bin().join("kubectl-clusternet");
        let _ = std::fs::remove_file(&alias);
        std::os::unix::fs::symlink("kubectl-clusterway", alias)?;
        let kubectl = self.bin().join("kubectl");
        let _ = std::fs::remove_file(&kubectl);
        std::os::unix::fs::symlink(&self.tools().kubectl, kubectl)?;
        step.done();
        Ok(())
    }

    /// Applies what belongs into the parent.
    pub async fn install_parent(&self) -> anyhow::Result<()> {
        let parent = self.parent()?;
        let step = self.progress().begin("parent: deploy/hub applied");
        parent.apply(&self.manifests("deploy/crds")?).await?;
        for crd in [
            "clusterregistrationrequests.clusters.clusternet.io",
            "managedclusters.clusters.clusternet.io",
            "pediaclusters.cluster.clusterpedia.io",
            "clustersyncresources.cluster.clusterpedia.io",
            "clusterimportpolicies.policy.clusterpedia.io",
            "pediaclusterlifecycles.policy.clusterpedia.io",
            "descriptions.apps.clusternet.io",
        ] {
            let name = format!("crd/{crd}");
            parent.kubectl_ok(&["wait", &name, "--for=condition=Established", "--timeout=60s"]).await?;
        }
        parent.apply(&self.manifests("deploy/hub")?).await?;
        parent.apply(&self.manifests("manifests/samples")?).await?;
        parent.kubeconfig_of_account(SYSTEM, "clusternet-hub").await?;
        step.done();
        Ok(())
    }

    /// Applies what belongs into a child.
    pub async fn install_child(&self, child: &Cluster) -> anyhow::Result<()> {
        let step = self.progress().begin(format_args!("{}: deploy/agent applied", child.name));
        child.apply(&self.manifests("deploy/agent")?).await?;
        child.kubeconfig_of_account(SYSTEM, "clusternet-agent").await?;
        step.done();
        Ok(())
    }

    /// The manifests of a directory in one text, without Deployments, the hub's Service leading to its process.
    pub fn manifests(&self, directory: &str) -> anyhow::Result<String> {
        let directory = paths::workspace().join(directory);
        let mut files: Vec<_> = std::fs::read_dir(&directory)
            .with_context(|| format!("cannot read {}", directory.display()))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
            .collect();
        files.sort();
        let mut all = String::new();
        for file in files {
            let text = std::fs::read_to_string(&file)?;
            for document in text.split("\n---\n") {
                if let Some(document) = self.fitted(document) {
                    all.push_str("---\n");
                    all.push_str(&document);
                    all.push('\n');
                }
            }
        }
        Ok(all)
    }

    /// A manifest as the fleet applies it; `None` if it does not.
    fn fitted(&self, document: &str) -> Option<String> {
        let says = |line: &str| document.lines().any(|text| text == line);
        if says("kind: Deployment") || !document.lines().any(|line| line.starts_with("kind:")) {
            return None;
        }
        if says("kind: Service") && says("  name: clusternet-hub") {
            // Endpoints may not be loopback addresses, but a name may lead to one.
            return Some(format!(
                "apiVersion: v1\nkind: Service\nmetadata:\n  name: clusternet-hub\n  namespace: {SYSTEM}\nspec:\n  \
                 type: ExternalName\n  externalName: localhost\n  ports:\n    - name: https\n      port: {}\n",
                self.hub_port()
            ));
        }
        if says("kind: APIService") {
            return Some(document.replace("port: 443", &format!("port: {}", self.hub_port())));
        }
        Some(document.to_owned())
    }

    /// The hub under its usual name and port, with more flags if wanted.
    pub fn hub_spec(&self, extra: &[String]) -> anyhow::Result<Spec> {
        self.another_hub_spec(HUB, self.hub_port(), extra)
    }

    /// A hub under any name and port.
    pub fn another_hub_spec(&self, name: &str, port: u16, extra: &[String]) -> anyhow::Result<Spec> {
        let kubeconfig = self.parent()?.directory.join(format!("accounts/{SYSTEM}-clusternet-hub"));
        let mut args = vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            String::from("--bind-address=127.0.0.1"),
            format!("--secure-port={port}"),
            String::from("--service-name=clusternet-hub"),
            format!("--namespace={SYSTEM}"),
            format!("--helm={}", self.tools().helm.display()),
            match self.storage() {
                Some(file) => format!("--storage-config={}", file.display()),
                // Each hub has a store of its own.
                None => format!("--data-dir={}", self.directory().join("data").join(name).display()),
            },
        ];
        args.extend(extra.iter().cloned());
        Ok(self.spec(name, &self.bin().join("clusterway-hub"), args))
    }

    /// Starts the hub, if it does not run, and waits until the parent reaches it.
    pub async fn start_hub(&self) -> anyhow::Result<Process> {
        let hub = self.start(self.hub_spec(&[])?)?;
        ready_or_log(&hub, self.until_available(DEADLINE)).await?;
        Ok(hub)
    }

    /// Waits until the parent's aggregation reaches the hub.
    pub async fn until_available(&self, deadline: Duration) -> anyhow::Result<()> {
        let parent = self.parent()?;
        let client = parent.http_as("fleet-administrator", &["system:masters"])?;
        wait::until_true("the hub's API to be served by the parent", deadline, || async {
            let answer = client.get("/apis/proxies.clusternet.io/v1alpha1").await?;
            if !answer.status().is_success() {
                bail!("{} {}", answer.status(), String::from_utf8_lossy(answer.body()).trim());
            }
            Ok(true)
        })
        .await
    }

    /// The name of a child's agent process.
    pub fn agent_name(child: &Cluster) -> String {
        format!("{}/agent", child.name)
    }

    /// A child's agent, with more flags if wanted; later flags do not replace earlier ones.
    pub fn agent_spec(&self, child: &Cluster, extra: &[String]) -> anyhow::Result<Spec> {
        let kubeconfig = child.directory.join(format!("accounts/{SYSTEM}-clusternet-agent"));
        let given = |flag: &str| extra.iter().any(|argument| argument.split('=').next() == Some(flag));
        let mut args = vec![format!("--kubeconfig={}", kubeconfig.display())];
        for (flag, value) in [
            ("--cluster-reg-parent-url", self.parent()?.url()),
            ("--cluster-reg-token", SAMPLE_TOKEN.to_owned()),
            ("--cluster-status-update-frequency", String::from("10s")),
            ("--cluster-status-collect-frequency", String::from("5s")),
            ("--cluster-sync-mode", String::from("Dual")),
            ("--helm", self.tools().helm.display().to_string()),
            ("--health-address", format!("{}:{}", child.address(), free_port(child.address())?)),
        ] {
            if !given(flag) {
                args.push(format!("{flag}={value}"));
            }
        }
        args.extend(extra.iter().cloned());
        let mut spec = self.spec(&Self::agent_name(child), &self.bin().join("clusterway-agent"), args);
        if child.ordinal > 1 {
            // A child without kubeadm's pods cannot tell its address ranges by itself.
            spec.env.insert("SERVICE_CIDR".into(), child.service_cidr());
            spec.env.insert("CLUSTER_CIDR".into(), child.pod_cidr());
        }
        Ok(spec)
    }

    /// Starts a child's agent, if it does not run.
    pub fn start_agent(&self, child: &Cluster, extra: &[String]) -> anyhow::Result<Process> {
        self.start(self.agent_spec(child, extra)?)
    }

    /// Where a child is in the parent; `None` until it is registered.
    pub async fn registered(&self, child: &Cluster) -> anyhow::Result<Option<Registered>> {
        let lease = child
            .kubectl(&["get", "lease", "clusternet-agent", "-n", SYSTEM, "-o", "jsonpath={.metadata.uid}"])
            .await?;
        if !lease.success || lease.stdout.is_empty() {
            return Ok(None);
        }
        let clusters = managed_clusters(&self.parent()?.client().await?).await?;
        Ok(clusters
            .into_iter()
            .map(|(registered, _)| registered)
            .find(|registered| registered.id == lease.stdout))
    }

    /// Waits until a child's condition Ready is True.
    pub async fn until_ready(&self, child: &Cluster, deadline: Duration) -> anyhow::Result<Registered> {
        let parent = self.parent()?.client().await?;
        wait::until(format_args!("{} to be registered and Ready", child.name), deadline, || async {
            let Some(registered) = self.registered(child).await? else { bail!("it is not registered") };
            let clusters = managed_clusters(&parent).await?;
            let ready = clusters.iter().any(|(other, ready)| other.id == registered.id && ready == "True");
            Ok(ready.then_some(registered))
        })
        .await
    }

    /// Waits until the child answers visits; right after a start its first tunnel may still be on its way.
    pub async fn until_visitable(&self, child: &Cluster, deadline: Duration) -> anyhow::Result<()> {
        let client = self.parent()?.http_as("fleet-administrator", &["system:masters"])?;
        let registered = self.registered(child).await?.context("it is not registered")?;
        let path = format!("{}/version", visit_path(&registered.id));
        wait::until_true(format_args!("a visit of {} to be answered", child.name), deadline, || async {
            let answer = client.get(&path).await?;
            if !answer.status().is_success() {
                bail!("{} {}", answer.status(), String::from_utf8_lossy(answer.body()).trim());
            }
            Ok(true)
        })
        .await
    }
}

/// Every ManagedCluster, with the status of its condition Ready.
async fn managed_clusters(client: &kube::Client) -> anyhow::Result<Vec<(Registered, String)>> {
    let kind = GroupVersionKind::gvk("clusters.clusternet.io", "v1beta1", "ManagedCluster");
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let text = |value: Option<&serde_json::Value>| {
        value.and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let found = api.list(&kube::api::ListParams::default()).await?;
    Ok(found
        .items
        .iter()
        .map(|object| {
            let registered = Registered {
                id: text(object.data.pointer("/spec/clusterId")),
                namespace: object.metadata.namespace.clone().unwrap_or_default(),
                name: object.metadata.name.clone().unwrap_or_default(),
            };
            let conditions = object.data.pointer("/status/conditions").and_then(|value| value.as_array());
            let ready = conditions.and_then(|all| all.iter().find(|condition| condition["type"] == "Ready"));
            (registered, text(ready.and_then(|condition| condition.get("status"))))
        })
        .collect())
}

/// A client of the hub itself, as an administrator of the parent.
pub async fn hub_client(fleet: &Fleet) -> anyhow::Result<crate::http::Client> {
    let url = format!("https://127.0.0.1:{}", fleet.hub_port());
    hub_client_as(&fleet.parent()?, &url, "fleet-administrator", &["system:masters"]).await
}

/// A client of the hub at `url`, as a user of the parent.
pub async fn hub_client_as(
    parent: &Cluster,
    url: &str,
    user: &str,
    groups: &[&str],
) -> anyhow::Result<crate::http::Client> {
    let template = "go-template={{index .data \"ca.crt\" | base64decode}}";
    let secret = ["get", "secret", "clusternet-hub-serving-ca", "-n", SYSTEM, "-o", template];
    let authority = parent.kubectl_ok(&secret).await?;
    crate::http::Client::new(url, &authority, Some(&parent.authority()?.client(user, groups)?))
}

/// Where a child's API server is visited: its path under the parent.
pub fn visit_path(id: &str) -> String {
    format!("/apis/proxies.clusternet.io/v1alpha1/sockets/{id}/proxy/direct")
}
