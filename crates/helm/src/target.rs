//! Where a release is.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use crate::{command::KUBECONFIG, error::Error, workspace::Workspace};

/// A cluster, and as whom it is talked to.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The URL of its API server.
    pub server: String,
    /// Whom its certificate is to come from (PEM).
    pub authority: String,
    /// The name in its certificate, where it is not the one in the URL.
    pub server_name: Option<String>,
    /// A bearer token.
    pub token: SecretString,
}

/// A release in a cluster.
#[derive(Debug, Clone)]
pub struct Target {
    /// The cluster.
    pub cluster: Cluster,
    /// The namespace.
    pub namespace: String,
    /// The name of the release.
    pub name: String,
}

impl Target {
    /// Writes the kubeconfig.
    pub(crate) fn write(&self, workspace: &Workspace) -> Result<(), Error> {
        for (what, name) in [("namespace", &self.namespace), ("name of the release", &self.name)] {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            if name.is_empty() || !name.chars().all(plain) || name.starts_with(['-', '.']) {
                return Err(Error::Unusable(format!("{name:?} cannot be the {what}")));
            }
        }
        let cluster = &self.cluster;
        let mut server = json!({
            "server": cluster.server,
            "certificate-authority-data": STANDARD.encode(&cluster.authority),
        });
        if let Some(name) = &cluster.server_name {
            server["tls-server-name"] = json!(name);
        }
        let file = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "child", "cluster": server }],
            "users": [{ "name": "deployer", "user": { "token": cluster.token.expose_secret() } }],
            "contexts": [{ "name": "child", "context": { "cluster": "child", "user": "deployer" } }],
            "current-context": "child",
        });
        workspace.write(KUBECONFIG, file.to_string().as_bytes()).map(drop)
    }
}
