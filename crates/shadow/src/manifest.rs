//! An object in its Manifest, and out again.

use api::{
    apps::{GROUP, Manifest, VERSION},
    names::{
        apps::{
            annotations::FEED_PROTECTION,
            label_value,
            labels::{
                CONFIG_GROUP, CONFIG_KIND, CONFIG_NAME, CONFIG_NAMESPACE, CONFIG_VERSION, CREATED_BY_HUB,
            },
        },
        labels::CREATED_BY,
    },
};
use meta::Status;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{identity::Identity, object};

/// A Manifest as the parent has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Stored {
    /// Its own metadata, not the object's.
    pub(crate) metadata: Map<String, Value>,
    /// The object.
    pub(crate) template: Value,
}

impl Stored {
    /// Reads a Manifest.
    ///
    /// # Errors
    /// 500 for what is none.
    pub(crate) fn read(json: &[u8]) -> Result<Self, Status> {
        serde_json::from_slice(json)
            .map_err(|_| Status::internal("The parent answered with something that is no Manifest."))
    }

    /// One field of the Manifest's metadata; empty where there is none.
    pub(crate) fn own(&self, key: &str) -> &str {
        self.metadata.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it wraps this object. Names of Manifests can be taken by anybody who may write Manifests, so what is inside
    /// decides.
    pub(crate) fn wraps(&self, identity: &Identity) -> bool {
        let template = &self.template;
        object::group_version(template).0 == identity.group
            && template["kind"] == identity.kind.as_str()
            && object::metadata(template, "name") == identity.name
            && object::metadata(template, "namespace") == identity.namespace.as_deref().unwrap_or_default()
    }

    /// The object as a reader sees it: identity and versions are the Manifest's.
    pub(crate) fn view(&self) -> Value {
        let mut view = self.template.clone();
        for key in Manifest::SHOWN {
            match self.metadata.get(key) {
                Some(value) => *object::entry(object::entry(&mut view, "metadata"), key) = value.clone(),
                None => drop(object::remove(&mut view, &["metadata", key])),
            }
        }
        let protection = self.metadata.get("annotations").and_then(|all| all.get(FEED_PROTECTION));
        if let Some(why) = protection {
            let metadata = object::entry(&mut view, "metadata");
            *object::entry(object::entry(metadata, "annotations"), FEED_PROTECTION) = why.clone();
        }
        view
    }
}

/// The Manifest of an object; `before` is what there is already. Its labels are those of the object, those by which feeds are
/// found, and whatever others had put there.
pub(crate) fn wrap(
    identity: &Identity,
    object: Value,
    name: &str,
    namespace: &str,
    before: Option<&Stored>,
) -> Value {
    let mut metadata = before.map(|stored| stored.metadata.clone()).unwrap_or_default();
    metadata.remove("managedFields");
    let mut labels = metadata.get("labels").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(stored) = before {
        for key in labels_of(&stored.template).keys() {
            labels.remove(key);
        }
    }
    labels.extend(labels_for(identity, &object));
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(namespace));
    metadata.insert("labels".to_owned(), Value::Object(labels));
    manifest(metadata, object)
}

/// The Manifest for a server-side apply: of its labels only those that come with the object.
pub(crate) fn wrap_to_apply(identity: &Identity, object: Value, name: &str, namespace: &str) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(namespace));
    metadata.insert("labels".to_owned(), Value::Object(labels_for(identity, &object)));
    manifest(metadata, object)
}

fn manifest(metadata: Map<String, Value>, template: Value) -> Value {
    let mut manifest = json!({ "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "Manifest" });
    manifest["metadata"] = Value::Object(metadata);
    manifest["template"] = template;
    manifest
}

/// The labels of the Manifest: the object's, and the names of the object on top.
fn labels_for(identity: &Identity, object: &Value) -> Map<String, Value> {
    let mut labels = labels_of(object);
    let version = object::group_version(object).1;
    for (key, value) in [
        (CREATED_BY, CREATED_BY_HUB),
        (CONFIG_GROUP, &identity.group),
        (CONFIG_VERSION, version),
        (CONFIG_KIND, &identity.kind),
        (CONFIG_NAME, &identity.name),
        (CONFIG_NAMESPACE, identity.namespace.as_deref().unwrap_or_default()),
    ] {
        labels.insert(key.to_owned(), json!(label_value(value)));
    }
    labels
}

/// The labels of an object that its Manifest has, too. Those by which controllers find Manifests are never taken from an
/// object: whoever writes an object would otherwise make it another's feed.
fn labels_of(object: &Value) -> Map<String, Value> {
    let labels = object["metadata"]["labels"].as_object();
    labels
        .into_iter()
        .flatten()
        .filter(|(key, _)| !is_reserved(key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// UIDs of Bases and Subscriptions are keys of labels (contract 2.1).
fn is_reserved(key: &str) -> bool {
    key.starts_with("apps.clusternet.io/") || (key.len() == 36 && !key.contains('/'))
}

/// The label selector of all Manifests of one kind, in one namespace and of one name where they are given, that `wanted`
/// selects besides.
pub(crate) fn selector(group: &str, kind: &str, namespace: Option<&str>, wanted: &str) -> String {
    let mut parts = vec![
        format!("{CONFIG_GROUP}={}", label_value(group)),
        format!("{CONFIG_KIND}={}", label_value(kind)),
    ];
    parts.extend(namespace.map(|namespace| format!("{CONFIG_NAMESPACE}={}", label_value(namespace))));
    parts.extend((!wanted.trim().is_empty()).then(|| wanted.to_owned()));
    parts.join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalogue::Kind;

    fn deployment() -> Identity {
        let kind = Kind {
            group: "apps".into(),
            kind: "Deployment".into(),
            plural: "deployments".into(),
            plain: true,
            ..Kind::default()
        };
        Identity::new(&kind, Some("qux"), "web")
    }

    fn web(labels: Value) -> Value {
        let mut web = json!({ "apiVersion": "apps/v1", "kind": "Deployment",
                              "metadata": { "name": "web", "namespace": "qux" } });
        web["metadata"]["labels"] = labels;
        web
    }

    fn stored(manifest: Value) -> Stored {
        serde_json::from_value(manifest).unwrap()
    }

    #[test]
    fn h1_a_manifest_names_its_object_in_labels() {
        let manifest =
            wrap(&deployment(), web(json!({ "app": "a" })), "deployments.qux.web", "reserved", None);
        assert_eq!(
            manifest["metadata"]["labels"],
            json!({
                "app": "a",
                "clusternet.io/created-by": "clusternet-hub",
                "apps.clusternet.io/config.group": "apps",
                "apps.clusternet.io/config.version": "v1",
                "apps.clusternet.io/config.kind": "Deployment",
                "apps.clusternet.io/config.name": "web",
                "apps.clusternet.io/config.namespace": "qux",
            })
        );
        assert_eq!(manifest["template"]["kind"], "Deployment");
    }

    #[test]
    fn h10_labels_come_and_go_with_the_object_and_those_of_others_stay() {
        let before = json!({ "metadata": { "name": "deployments.qux.web", "resourceVersion": "7",
            "finalizers": ["f"], "labels": { "old": "1", "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a": "Base" } },
            "template": web(json!({ "old": "1" })) });
        let after = wrap(
            &deployment(),
            web(json!({ "new": "2" })),
            "deployments.qux.web",
            "r",
            Some(&stored(before)),
        );
        let labels = &after["metadata"]["labels"];
        assert_eq!((&labels["old"], &labels["new"]), (&Value::Null, &json!("2")));
        assert_eq!(labels["0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a"], "Base");
        assert_eq!(
            (&after["metadata"]["finalizers"], &after["metadata"]["resourceVersion"]),
            (&json!(["f"]), &json!("7"))
        );
    }

    #[test]
    fn an_object_cannot_label_its_manifest_as_the_feed_of_somebody() {
        let uid = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";
        let labels = json!({ uid: "Subscription", "apps.clusternet.io/config.name": "other", "clusternet.io/created-by": "me" });
        let made = wrap(&deployment(), web(labels), "deployments.qux.web", "r", None);
        let labels = &made["metadata"]["labels"];
        assert_eq!((&labels[uid], &labels["apps.clusternet.io/config.name"]), (&Value::Null, &json!("web")));
        assert_eq!(labels["clusternet.io/created-by"], "clusternet-hub");
    }

    #[test]
    fn a_reader_sees_the_manifests_uid_and_version_and_nothing_stale() {
        let mut template = web(json!({}));
        template["metadata"]["uid"] = json!("stale");
        template["metadata"]["deletionTimestamp"] = json!("stale");
        let stored = stored(json!({ "template": template, "metadata": {
            "uid": "u", "resourceVersion": "7", "annotations": { FEED_PROTECTION: "s needs it", "x": "y" } } }));
        let view = stored.view();
        let metadata = &view["metadata"];
        assert_eq!((&metadata["uid"], &metadata["resourceVersion"]), (&json!("u"), &json!("7")));
        assert_eq!(metadata["deletionTimestamp"], Value::Null);
        assert_eq!(metadata["annotations"], json!({ FEED_PROTECTION: "s needs it" }));
    }

    #[test]
    fn a_manifest_of_the_right_name_around_another_object_is_not_taken() {
        let mut other = web(json!({}));
        assert!(stored(json!({ "metadata": {}, "template": other })).wraps(&deployment()));
        other["apiVersion"] = json!("example.io/v1");
        assert!(!stored(json!({ "metadata": {}, "template": other })).wraps(&deployment()));
        assert!(!stored(json!({ "metadata": {}, "template": [] })).wraps(&deployment()));
    }

    #[test]
    fn a_list_selects_by_group_kind_and_namespace() {
        assert_eq!(
            selector("", "Service", Some("qux"), "a in (b,c)"),
            "apps.clusternet.io/config.group=,apps.clusternet.io/config.kind=Service,\
             apps.clusternet.io/config.namespace=qux,a in (b,c)"
        );
    }

    proptest! {
        /// Wrapping is undone by viewing, but for what the Manifest itself knows.
        #[test]
        fn what_goes_in_comes_out(labels in proptest::collection::btree_map("[a-z]{1,4}", "[a-z]{0,4}", 0..4)) {
            let object = web(json!(labels));
            let manifest = wrap(&deployment(), object.clone(), "deployments.qux.web", "r", None);
            let stored = stored(manifest);
            prop_assert!(stored.wraps(&deployment()));
            prop_assert_eq!(stored.view(), object);
        }
    }
}
