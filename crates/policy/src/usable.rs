//! Which Secrets are not for policies. Pure.
//!
//! Whoever may write a policy can send what it reads to a server of their choice. The hub reads no Secret it was not given;
//! but who gives it those of all namespaces does not mean its own, nor those that let somebody into the parent.

use serde_json::Value;

use crate::recipe::kubectl_resource;

/// Types of Secrets that let somebody into the parent.
const KEYS_TO_THE_PARENT: [&str; 2] =
    ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"];

/// Whether objects of a resource are Secrets.
pub(crate) fn are_secrets(group: &str, plural: &str) -> bool {
    kubectl_resource(group, plural) == "secrets"
}

/// Why an object is not for policies, if it is not.
pub(crate) fn refused(group: &str, plural: &str, object: &Value, hub_namespace: &str) -> Option<String> {
    if !are_secrets(group, plural) {
        return None;
    }
    if object["metadata"]["namespace"] == hub_namespace {
        return Some(format!("Secrets of the hub's own namespace {hub_namespace} are not for policies"));
    }
    let kind = object["type"].as_str().unwrap_or_default();
    KEYS_TO_THE_PARENT
        .contains(&kind)
        .then(|| format!("Secrets of type {kind} let somebody into the parent and are not for policies"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lets_somebody_into_the_parent_is_not_for_policies() {
        let of = |namespace: &str, kind: &str| {
            let secret = json!({ "metadata": { "namespace": namespace }, "type": kind });
            refused("", "secrets", &secret, "clusternet-system").is_some()
        };
        assert!(of("default", "kubernetes.io/service-account-token"));
        assert!(of("kube-system", "bootstrap.kubernetes.io/token"));
        assert!(of("clusternet-system", "Opaque"));
        assert!(!of("default", "Opaque") && !of("default", "cluster.x-k8s.io/secret"));
        assert_eq!(refused("x.io", "secrets", &json!({ "type": KEYS_TO_THE_PARENT[0] }), "h"), None);
    }
}
