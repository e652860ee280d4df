//! What the server says it has.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::state::State;

/// The content type of aggregated discovery.
pub(super) const MEDIA: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// Group, version and plural name of the resource at a path.
fn parts(path: &str) -> Option<(&str, &str, &str)> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts[..] {
        ["api", version, plural] => Some(("", version, plural)),
        ["apis", group, version, plural] => Some((group, version, plural)),
        _ => None,
    }
}

/// The `apiVersion` of the objects at a path.
pub(super) fn api_version(path: &str) -> String {
    match parts(path) {
        Some(("", version, _)) => version.to_owned(),
        Some((group, version, _)) => format!("{group}/{version}"),
        None => String::new(),
    }
}

/// The document of `/api` or `/apis`.
pub(super) fn document(state: &State, root: &str) -> Value {
    let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<Value>>> = BTreeMap::new();
    for (path, (kind, namespaced)) in &state.apis {
        let Some((group, version, plural)) = parts(path) else { continue };
        if group.is_empty() != (root == "/api") {
            continue;
        }
        let entry = json!({
            "resource": plural,
            "responseKind": { "group": group, "version": version, "kind": kind },
            "scope": if *namespaced { "Namespaced" } else { "Cluster" },
            "singularResource": kind.to_lowercase(),
            "verbs": ["get", "list", "patch", "watch"],
        });
        groups.entry(group).or_default().entry(version).or_default().push(entry);
    }
    let group = |(group, versions): (&str, BTreeMap<&str, Vec<Value>>)| {
        let version = |(version, resources)| json!({ "version": version, "resources": resources });
        let versions: Vec<Value> = versions.into_iter().map(version).collect();
        json!({ "metadata": { "name": group }, "versions": versions })
    };
    let items: Vec<Value> = groups.into_iter().map(group).collect();
    json!({ "kind": "APIGroupDiscoveryList", "items": items })
}
