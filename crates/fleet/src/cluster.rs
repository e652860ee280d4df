//! One cluster of a fleet: who may talk to it, and how.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::{
    http,
    kubeconfig::{self, Credential},
    paths,
    pki::Authority,
    wait,
};

/// What is settled when a cluster is made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ports {
    /// Of the API server.
    pub apiserver: u16,
    /// Of the play kubelet.
    pub kubelet: u16,
}

/// One cluster: an API server, a controller manager, nodes and pods.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// `parent`, `child1`, `child2`, …
    pub name: String,
    /// 0 is the parent.
    pub ordinal: u8,
    /// Where its servers listen.
    pub ports: Ports,
    /// Where its files are.
    pub directory: PathBuf,
    pub(crate) kubectl: PathBuf,
}

/// What a command printed, and whether it succeeded.
#[derive(Debug, Clone)]
pub struct Output {
    /// Exit code 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Cluster {
    /// Every cluster has an address of its own: 127.0.0.1 is the parent's, 127.0.0.2 the first child's.
    pub fn address(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, self.ordinal + 1))
    }

    /// The API server's URL.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.address(), self.ports.apiserver)
    }

    /// The range of Service addresses.
    pub fn service_cidr(&self) -> String {
        format!("10.{}.0.0/16", 96 + u16::from(self.ordinal))
    }

    /// The range of Pod addresses.
    pub fn pod_cidr(&self) -> String {
        format!("10.{}.0.0/16", 144 + u16::from(self.ordinal))
    }

    /// The CA of the API server and of client certificates.
    pub fn authority(&self) -> anyhow::Result<Authority> {
        Authority::ensure(&self.directory.join("pki"), "ca")
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    /// The kubeconfig of a user with a client certificate, made on first use.
    pub fn kubeconfig_of(&self, user: &str, groups: &[&str]) -> anyhow::Result<PathBuf> {
        let mut file = user.replace([':', '/'], "-");
        for group in groups {
            file = format!("{file}+{}", group.replace([':', '/'], "-"));
        }
        let path = self.directory.join("users").join(file);
        if !path.is_file() {
            let pair = self.authority()?.client(user, groups)?;
            self.write_kubeconfig(&path, user, &Credential::Certificate(pair))?;
        }
        Ok(path)
    }

    /// Writes a kubeconfig for this cluster.
    pub fn write_kubeconfig(
        &self,
        path: &std::path::Path,
        user: &str,
        credential: &Credential,
    ) -> anyhow::Result<()> {
        let authority = self.authority()?.certificate()?;
        paths::write(path, kubeconfig::render(&self.name, &self.url(), &authority, user, credential))
    }

    /// A typed client as the administrator.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        client_of(&self.kubeconfig()).await
    }

    /// A typed client as a user with a client certificate.
    pub async fn client_as(&self, user: &str, groups: &[&str]) -> anyhow::Result<kube::Client> {
        client_of(&self.kubeconfig_of(user, groups)?).await
    }

    /// A raw HTTP client as nobody; requests may bring tokens of their own.
    pub fn http(&self) -> anyhow::Result<http::Client> {
        http::Client::new(&self.url(), &self.authority()?.certificate()?, None)
    }

    /// A raw HTTP client with a client certificate.
    pub fn http_as(&self, user: &str, groups: &[&str]) -> anyhow::Result<http::Client> {
        let authority = self.authority()?;
        http::Client::new(&self.url(), &authority.certificate()?, Some(&authority.client(user, groups)?))
    }

    /// Runs kubectl as the administrator.
    pub async fn kubectl(&self, args: &[&str]) -> anyhow::Result<Output> {
        run(self.kubectl_command(&self.kubeconfig()).args(args)).await
    }

    /// Runs kubectl as the administrator and wants it to succeed; gives its standard output.
    pub async fn kubectl_ok(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.kubectl(args).await?;
        if !output.success {
            bail!("kubectl {} failed in {}: {}", args.join(" "), self.name, output.stderr.trim());
        }
        Ok(output.stdout)
    }

    /// Applies manifests as the administrator.
    pub async fn apply(&self, manifests: &str) -> anyhow::Result<()> {
        self.apply_with(manifests, &[]).await
    }

    /// Applies manifests on the server's side: no object carries what was applied in an annotation.
    pub async fn apply_on_the_server(&self, manifests: &str) -> anyhow::Result<()> {
        self.apply_with(manifests, &["--server-side", "--force-conflicts"]).await
    }

    async fn apply_with(&self, manifests: &str, flags: &[&str]) -> anyhow::Result<()> {
        let file = self.directory.join(format!("apply-{:x}.yaml", rand::random::<u32>()));
        paths::write(&file, manifests)?;
        let result = self.kubectl_ok(&[&["apply", "-f", &file.to_string_lossy()], flags].concat()).await;
        let _ = std::fs::remove_file(&file);
        result.map(drop)
    }

    /// A kubectl command with a kubeconfig, its caches inside the fleet.
    pub fn kubectl_command(&self, kubeconfig: &std::path::Path) -> Command {
        let mut command = Command::new(&self.kubectl);
        command
            .env("KUBECONFIG", kubeconfig)
            .env("KUBECACHEDIR", self.directory.join("kubectl-cache"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Waits until the API server says it is ready.
    pub(crate) async fn ready(&self, deadline: Duration) -> anyhow::Result<()> {
        let client = self.http()?;
        wait::until_true(format_args!("{} to be ready", self.name), deadline, || async {
            Ok(client.get("/readyz").await?.status().is_success())
        })
        .await
    }

    /// A ServiceAccount token that outlives the fleet.
    pub async fn token_of(&self, namespace: &str, account: &str) -> anyhow::Result<String> {
        let token =
            self.kubectl_ok(&["create", "token", account, "-n", namespace, "--duration=8760h"]).await?;
        Ok(token.trim().to_owned())
    }

    /// Writes a kubeconfig of a ServiceAccount, as its Pod would have it.
    pub async fn kubeconfig_of_account(&self, namespace: &str, account: &str) -> anyhow::Result<PathBuf> {
        let path = self.directory.join("accounts").join(format!("{namespace}-{account}"));
        let token = self.token_of(namespace, account).await?;
        self.write_kubeconfig(&path, account, &Credential::Token(token))?;
        Ok(path)
    }
}

/// Runs a command to its end.
pub async fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command
        .output()
        .await
        .with_context(|| format!("cannot run {}", command.as_std().get_program().display()))?;
    Ok(Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// A typed client from a kubeconfig file.
pub async fn client_of(kubeconfig: &std::path::Path) -> anyhow::Result<kube::Client> {
    let parsed =
        Kubeconfig::read_from(kubeconfig).with_context(|| format!("cannot read {}", kubeconfig.display()))?;
    let config = kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}
