//! From rendered text to a PediaCluster, and what of one that exists has to change. Pure.

use std::collections::BTreeMap;

use api::{pedia::PediaClusterSpec, policy::GROUP};
use serde_json::{Map, Value, json};

/// What a PediaCluster is made of besides its name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rendered {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    /// Fits [`PediaClusterSpec`].
    spec: Map<String, Value>,
}

/// What is kept in step with the source after the PediaCluster was made. Everything else is its users'. The contract (8.3)
/// has six of these; the first is ours, for clusters that are read through their tunnel.
const KEPT: [&str; 7] =
    ["clusterId", "apiserver", "kubeconfig", "caData", "tokenData", "certData", "keyData"];
/// One of them is needed to get anywhere.
const WAYS: [&str; 3] = ["clusterId", "apiserver", "kubeconfig"];
/// Fields that hold what nobody is to read.
const CREDENTIALS: [&str; 5] = ["kubeconfig", "caData", "tokenData", "certData", "keyData"];
const API_VERSION: &str = "cluster.clusterpedia.io/v1alpha2";
const KIND: &str = "PediaCluster";

/// Reads what a template was rendered to. The error is a sentence that repeats nothing of it.
pub(crate) fn decode(text: &str) -> Result<Rendered, String> {
    let rendered: Value = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location().map(|at| format!(", line {}, column {} of it", at.line(), at.column()));
        format!("what it renders to is not YAML{}", place.unwrap_or_default())
    })?;
    let Value::Object(mut object) = rendered else {
        return Err(String::from("what it renders to is no object with a spec"));
    };
    for (field, expected) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        if object.get(field).is_some_and(|given| !is_blank(given) && given != expected) {
            return Err(format!("it renders to another {field} than {expected}"));
        }
    }
    let labels = texts(&object, "labels")?;
    let annotations = texts(&object, "annotations")?;
    let Some(Value::Object(mut spec)) = object.remove("spec") else {
        return Err(String::from("what it renders to has no spec"));
    };
    // The hub would read it for the PediaCluster with rights that were not given for policies, past `usable`.
    if spec.get("authenticationFrom").is_some_and(|from| !from.is_null()) {
        return Err(String::from(
            "it renders to a spec.authenticationFrom, which policies may not use: name the Secret in spec.references, \
             and put what it holds into kubeconfig, caData, tokenData, certData or keyData",
        ));
    }
    spec.retain(|field, value| !(value.is_null() || KEPT.contains(&field.as_str()) && is_blank(value)));
    if !spec.contains_key("syncResources") {
        return Err(String::from("what it renders to has no spec.syncResources; [] is enough"));
    }
    for (field, value) in &spec {
        let alone = json!({ "syncResources": [], field: value });
        if serde_json::from_value::<PediaClusterSpec>(alone).is_err() {
            let expected = if CREDENTIALS.contains(&field.as_str()) { ": it has to be base64" } else { "" };
            return Err(format!(
                "what it renders to has a spec.{field} that does not fit a PediaCluster{expected}"
            ));
        }
    }
    if !WAYS.iter().any(|field| spec.contains_key(*field)) {
        return Err(String::from(
            "it renders to neither a clusterId nor a kubeconfig nor an apiserver: the fields it takes them from are \
             missing or empty",
        ));
    }
    Ok(Rendered { labels, annotations, spec })
}

fn texts(object: &Map<String, Value>, field: &str) -> Result<BTreeMap<String, String>, String> {
    let value = object.get("metadata").and_then(|metadata| metadata.get(field));
    let value = value.filter(|value| !value.is_null());
    value.map_or_else(|| Ok(BTreeMap::new()), |value| serde_json::from_value(value.clone())).map_err(|_| {
        format!(
            "what it renders to has metadata.{field} that are not all text: numbers and booleans need quotes"
        )
    })
}

fn is_blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

impl Rendered {
    /// The PediaCluster to make. It goes with the lifecycle that owns it.
    pub(crate) fn object(&self, name: &str, lifecycle_uid: Option<&str>) -> Value {
        let mut metadata = json!({ "name": name });
        for (field, texts) in [("labels", &self.labels), ("annotations", &self.annotations)] {
            if !texts.is_empty() {
                metadata[field] = json!(texts);
            }
        }
        if let Some(uid) = lifecycle_uid {
            metadata["ownerReferences"] = json!([{
                "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "PediaClusterLifecycle", "name": name, "uid": uid,
            }]);
        }
        json!({ "apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": self.spec })
    }

    /// What has to be merged into an existing PediaCluster; nothing if it is in step.
    pub(crate) fn changes(&self, existing: &Value) -> Option<Value> {
        let spec = &existing["spec"];
        let differs = |field: &&str| {
            let have = spec.get(*field).filter(|value| !is_blank(value));
            have != self.spec.get(*field)
        };
        KEPT.iter().any(differs).then(|| {
            // What is absent has to be said, or the old value would stay.
            let all =
                KEPT.map(|field| (field.to_owned(), self.spec.get(field).cloned().unwrap_or(Value::Null)));
            json!({ "spec": Map::from_iter(all) })
        })
    }
}

/// Why a PediaCluster that was not made for the lifecycle is not brought in step with what it renders to: it would lead
/// to another cluster, or take credentials that somebody chose to a place that somebody else chose. Whoever may name a
/// source object, a child that registers for one, would else take over a PediaCluster by its name.
pub(crate) fn conflict(existing: &Value, rendered: &Rendered) -> Option<&'static str> {
    let said = |field: &str| existing["spec"].get(field).filter(|value| !is_blank(value));
    let has_address = ["apiserver", "kubeconfig"].iter().any(|field| said(field).is_some());
    match (said("clusterId"), rendered.spec.get("clusterId")) {
        (Some(theirs), Some(ours)) if theirs != ours => Some("it leads to another registered cluster"),
        (Some(_), None) => Some("it leads through a tunnel and not to an address"),
        (None, Some(_)) if has_address => Some("it leads to an address and not through a tunnel"),
        _ if said("authenticationFrom").is_some() => Some("it takes its credentials from Secrets"),
        _ => None,
    }
}

/// Takes the credentials out of a PediaCluster that is shown to people; what is left of each is its size.
pub(crate) fn masked(mut cluster: Value) -> Value {
    for field in CREDENTIALS {
        if let Some(value) = cluster["spec"].get_mut(field) {
            let size = value.as_str().map_or(0, |text| text.len() / 4 * 3);
            *value = json!(format!("<about {size} bytes; --show-credentials prints them>"));
        }
    }
    cluster
}

/// Whether a PediaCluster was made for this lifecycle.
pub(crate) fn is_owned(cluster: &Value, lifecycle_uid: &str) -> bool {
    owners(cluster).any(|uid| uid == lifecycle_uid)
}

/// Whether nobody but this lifecycle owns a PediaCluster.
pub(crate) fn is_owned_alone(cluster: &Value, lifecycle_uid: &str) -> bool {
    is_owned(cluster, lifecycle_uid) && owners(cluster).all(|uid| uid == lifecycle_uid)
}

fn owners(cluster: &Value) -> impl Iterator<Item = &str> {
    cluster["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|owner| owner["uid"].as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = r#"
metadata: { labels: { team: a } }
spec:
  apiserver: "https://10.0.0.1"
  caData: ""
  tokenData: "dA=="
  syncResources: [{ group: "", resources: [pods] }]
"#;

    #[test]
    fn what_is_empty_is_not_said_and_the_rest_is_kept() {
        let object = decode(FULL).unwrap().object("one", Some("u"));
        assert_eq!(object["metadata"]["labels"], json!({ "team": "a" }));
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "u");
        assert_eq!(
            object["spec"].as_object().unwrap().keys().collect::<Vec<_>>(),
            ["apiserver", "syncResources", "tokenData"]
        );
        assert!(serde_json::from_value::<api::pedia::PediaCluster>(object).is_ok());
    }

    #[test]
    fn only_address_and_credentials_are_brought_in_step_and_all_of_them_at_once() {
        let rendered = decode(FULL).unwrap();
        let mut existing = rendered.object("one", None);
        existing["spec"]["syncResources"] = json!([]);
        existing["spec"]["caData"] = json!("");
        assert_eq!(rendered.changes(&existing), None, "what users edited is theirs");
        existing["spec"]["keyData"] = json!("aw==");
        let changes = rendered.changes(&existing).unwrap();
        assert_eq!(changes["spec"].as_object().unwrap().len(), 7);
        assert_eq!(
            (&changes["spec"]["keyData"], &changes["spec"]["tokenData"]),
            (&Value::Null, &json!("dA=="))
        );
    }

    #[test]
    fn what_does_not_fit_is_named_and_never_repeated() {
        for (text, why) in [
            ("a: [hunter2", "is not YAML"),
            ("hunter2", "no object"),
            ("kind: hunter2\nspec: {}", "another kind than PediaCluster"),
            ("metadata: {labels: {a: 1}}\nspec: {}", "metadata.labels"),
            ("a: hunter2", "no spec"),
            ("spec: {apiserver: hunter2}", "no spec.syncResources"),
            ("spec: {syncResources: []}", "neither a clusterId nor"),
            (
                "spec: {syncResources: [], apiserver: a, authenticationFrom: {token: {name: hunter2, key: k}}}",
                "name the Secret in spec.references",
            ),
            ("spec: {syncResources: [], apiserver: '', kubeconfig: null}", "neither a clusterId nor"),
            ("spec: {syncResources: hunter2, apiserver: a}", "spec.syncResources that does not fit"),
            (
                "spec: {syncResources: [], apiserver: a, tokenData: 'hunter2!'}",
                "spec.tokenData that does not fit a PediaCluster: it has to be base64",
            ),
        ] {
            let told = decode(text).unwrap_err();
            assert!(told.contains(why) && !told.contains("hunter2"), "{text}: {told}");
        }
    }

    #[test]
    fn a_cluster_of_somebody_else_is_led_nowhere_else() {
        let (address, tunnel) = (
            "spec: { apiserver: a, tokenData: dA==, syncResources: [] }",
            "spec: { clusterId: one, syncResources: [] }",
        );
        for (existing, rendered, in_conflict) in [
            (json!({}), address, false),
            (json!({}), tunnel, false),
            (json!({ "apiserver": "b", "clusterId": "" }), address, false),
            (json!({ "clusterId": "one" }), tunnel, false),
            (json!({ "clusterId": "two" }), tunnel, true),
            (json!({ "clusterId": "one" }), address, true),
            (json!({ "apiserver": "b" }), tunnel, true),
            (json!({ "kubeconfig": "Yg==" }), tunnel, true),
            (json!({ "apiserver": "b", "authenticationFrom": { "token": {} } }), address, true),
        ] {
            let conflict = conflict(&json!({ "spec": existing }), &decode(rendered).unwrap());
            assert_eq!(conflict.is_some(), in_conflict, "{existing}: {rendered}: {conflict:?}");
        }
    }

    #[test]
    fn people_are_shown_no_credentials() {
        let shown = masked(decode(FULL).unwrap().object("one", None)).to_string();
        assert!(!shown.contains("dA==") && shown.contains("https://10.0.0.1"), "{shown}");
    }

    #[test]
    fn a_cluster_that_somebody_else_owns_too_is_not_ours_alone() {
        let mut cluster = decode(FULL).unwrap().object("one", Some("u"));
        assert!(is_owned_alone(&cluster, "u") && !is_owned(&cluster, "v"));
        cluster["metadata"]["ownerReferences"].as_array_mut().unwrap().push(json!({ "uid": "v" }));
        assert!(is_owned(&cluster, "u") && !is_owned_alone(&cluster, "u"));
    }
}
