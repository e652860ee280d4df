//! Kubeconfigs, written by hand: their form is stable and small.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::pki::Pair;

/// How a kubeconfig proves who its user is.
#[derive(Debug, Clone)]
pub enum Credential {
    /// Not at all.
    Anonymous,
    /// With a client certificate.
    Certificate(Pair),
    /// With a bearer token.
    Token(String),
}

/// A kubeconfig with one context. Written as JSON, which is YAML.
pub fn render(cluster: &str, server: &str, authority: &str, user: &str, credential: &Credential) -> String {
    let user_fields = match credential {
        Credential::Anonymous => json!({}),
        Credential::Certificate(pair) => json!({
            "client-certificate-data": STANDARD.encode(&pair.certificate),
            "client-key-data": STANDARD.encode(&pair.key),
        }),
        Credential::Token(token) => json!({ "token": token }),
    };
    let value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": cluster, "cluster": cluster_fields(server, authority) }],
        "users": [{ "name": user, "user": user_fields }],
        "contexts": [{ "name": cluster, "context": { "cluster": cluster, "user": user } }],
        "current-context": cluster,
    });
    format!("{value:#}\n")
}

/// What kubeadm puts into the ConfigMap `cluster-info`: where the cluster is, and its CA.
pub fn cluster_info(server: &str, authority: &str) -> String {
    let value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "", "cluster": cluster_fields(server, authority) }],
        "contexts": null,
        "current-context": "",
        "users": null,
    });
    format!("{value:#}\n")
}

fn cluster_fields(server: &str, authority: &str) -> Value {
    json!({ "server": server, "certificate-authority-data": STANDARD.encode(authority) })
}
