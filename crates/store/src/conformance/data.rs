//! Objects for the cases.

use std::sync::Arc;

use meta::{ObjectKey, Owner, RawObject};
use serde_json::{Value, json};

use crate::{Batch, Change, Checkpoint, ClusterName, Resource, Store};

/// An object to be described step by step.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) key: ObjectKey,
    /// Everything beside `apiVersion`, `kind` and `metadata`.
    pub(super) rest: Value,
}

/// An object of version 1 whose uid is made of its namespace and name.
pub(super) fn draft(namespace: &str, name: &str) -> Draft {
    let key = ObjectKey {
        api_version: "v1".into(),
        kind: "Thing".into(),
        namespace: namespace.into(),
        name: name.into(),
        uid: format!("uid-{namespace}-{name}"),
        resource_version: "1".into(),
        created: 1000,
        ..ObjectKey::default()
    };
    Draft { key, rest: json!({}) }
}

impl Draft {
    pub(super) fn version(mut self, version: &str) -> Self {
        self.key.resource_version = version.into();
        self
    }

    pub(super) fn created(mut self, created: i64) -> Self {
        self.key.created = created;
        self
    }

    pub(super) fn label(mut self, key: &str, value: &str) -> Self {
        self.key.labels.insert(key.into(), value.into());
        self
    }

    pub(super) fn owned_by(mut self, uid: &str) -> Self {
        self.key.owner = Some(Owner {
            api_version: "v1".into(),
            kind: "Owner".into(),
            name: "owner".into(),
            uid: uid.into(),
        });
        self
    }

    pub(super) fn with(mut self, rest: Value) -> Self {
        self.rest = rest;
        self
    }

    pub(super) fn object(&self) -> RawObject {
        let ObjectKey { api_version, kind, namespace, name, uid, resource_version, labels, .. } = &self.key;
        let mut json = self.rest.clone();
        json["apiVersion"] = json!(api_version);
        json["kind"] = json!(kind);
        json["metadata"] = json!({
            "namespace": namespace, "name": name, "uid": uid, "resourceVersion": resource_version, "labels": labels
        });
        RawObject { key: self.key.clone(), json: json.to_string().into_bytes().into() }
    }

    pub(super) fn upsert(&self) -> Change {
        Change::Upsert(self.object())
    }
}

pub(super) fn cluster(name: &str) -> ClusterName {
    ClusterName::new(name)
}

pub(super) fn things() -> Resource {
    Resource::new("", "v1", "things")
}

pub(super) fn gadgets() -> Resource {
    Resource::new("gadgets.example.com", "v1beta1", "gadgets")
}

pub(super) fn batch(cluster: &str, resource: &Resource, changes: Vec<Change>) -> Batch {
    Batch { cluster: ClusterName::new(cluster), resource: resource.clone(), changes, checkpoint: None }
}

/// Stores things in a cluster.
pub(super) async fn put(store: &Arc<dyn Store>, cluster: &str, drafts: &[Draft]) {
    let changes = drafts.iter().map(Draft::upsert).collect();
    store.apply(batch(cluster, &things(), changes)).await.unwrap();
}

/// The checkpoint of the things of a cluster.
pub(super) async fn checkpoint(store: &Arc<dyn Store>, of: &str) -> Option<Checkpoint> {
    let all = store.checkpoints(&cluster(of)).await.unwrap();
    all.into_iter().find(|checkpoint| checkpoint.resource == things())
}
