//! The command line and the environment of Helm.

use std::{ffi::OsStr, path::Path};

use tokio::process::Command;

use crate::{limits::Limits, workspace::Workspace};

/// What Helm may know of our own environment: how to get out of here, and whom to trust.
const PASSED_ON: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// A command of Helm that sees this directory and nothing else of the machine. `read` are flags and their values, which
/// are never secret.
pub(crate) fn command(
    program: &Path,
    workspace: &Workspace,
    limits: &Limits,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(workspace.path()).env_clear();
    for name in PASSED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    let at = |name: &str| workspace.join(name);
    command
        .env("HOME", workspace.path())
        .env("TMPDIR", at("tmp"))
        // Nobody's commands but its own.
        .env("PATH", at("no-programs"))
        .env("HELM_PLUGINS", at("no-plugins"))
        .env("HELM_CONFIG_HOME", at("config"))
        .env("HELM_CACHE_HOME", at("cache"))
        .env("HELM_DATA_HOME", at("data"))
        .env("HELM_REPOSITORY_CONFIG", at(REPOSITORIES))
        .env("HELM_REPOSITORY_CACHE", at("index"))
        .env("HELM_REGISTRY_CONFIG", at(REGISTRIES))
        // Where a registry's credentials would be looked for besides.
        .env("DOCKER_CONFIG", at("no-docker"))
        .env("HELM_DRIVER", "secret")
        .env("KUBECONFIG", at(KUBECONFIG))
        .env("KUBECACHEDIR", at("cache"))
        // Its garbage is collected in earnest before the bound is reached.
        .env("GOMEMLIMIT", format!("{}B", limits.memory / 10 * 7))
        .env("GOTRACEBACK", "none");
    command
}

/// The file with the repository and its credentials.
pub(crate) const REPOSITORIES: &str = "repositories.yaml";
/// The file with the credentials of a registry.
pub(crate) const REGISTRIES: &str = "registries.json";
/// The file with the cluster and its credential.
pub(crate) const KUBECONFIG: &str = "kubeconfig";
