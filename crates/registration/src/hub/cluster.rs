//! The ManagedCluster of an approved request, as it should be.

use std::collections::BTreeSet;

use api::{
    clusters::{ClusterRegistrationRequest, ManagedCluster, ManagedClusterSpec},
    names::{annotations, finalizers},
};
use kube::ResourceExt as _;
use serde_json::{Map, Value, json};

use super::{
    labels::{self, Taken},
    objects::{Child, identity_labels},
};

/// A new ManagedCluster, with the key that its cluster id belongs to from now on.
pub(crate) fn new(
    request: &ClusterRegistrationRequest,
    child: &Child,
    pin: String,
) -> (ManagedCluster, BTreeSet<String>) {
    let taken = labels::all(&request.spec.cluster_labels);
    let spec = ManagedClusterSpec {
        cluster_id: child.id.clone(),
        cluster_type: request.spec.cluster_type.clone(),
        sync_mode: request.spec.sync_mode,
        ..ManagedClusterSpec::default()
    };
    let mut cluster = ManagedCluster::new(&child.name, spec);
    cluster.metadata.namespace = Some(child.namespace.clone());
    cluster.metadata.finalizers = Some(vec![finalizers::DEREGISTER.to_owned()]);
    cluster.annotations_mut().insert(annotations::PINNED_KEY.to_owned(), pin);
    if let Some(keys) = written(&taken) {
        cluster.annotations_mut().insert(annotations::AGENT_LABELS.to_owned(), keys);
    }
    cluster.labels_mut().extend(taken.labels);
    cluster.labels_mut().extend(identity_labels(&child.id, &child.name));
    (cluster, taken.refused)
}

fn written(taken: &Taken) -> Option<String> {
    (!taken.beyond.is_empty()).then(|| taken.beyond.iter().map(String::as_str).collect::<Vec<_>>().join(","))
}

/// What must change in a ManagedCluster.
#[derive(Debug, PartialEq)]
pub(crate) struct Changes {
    /// A merge patch that fails if the object has changed meanwhile.
    pub(crate) patch: Value,
    /// Whether the key is pinned by it.
    pub(crate) pins: bool,
    /// Labels the agent wanted in vain.
    pub(crate) refused: BTreeSet<String>,
}

/// The changes from what there is to what the request asks for; none if it is as it should be.
pub(crate) fn changes(
    request: &ClusterRegistrationRequest,
    cluster: &ManagedCluster,
    pin: &str,
    trust: bool,
) -> Option<Changes> {
    let taken = if trust {
        labels::all(&request.spec.cluster_labels)
    } else {
        labels::free(&request.spec.cluster_labels)
    };
    let before: BTreeSet<String> = cluster
        .annotations()
        .get(annotations::AGENT_LABELS)
        .map(|keys| keys.split(',').map(str::to_owned).collect())
        .unwrap_or_default();
    let mut metadata = Map::new();
    let mut label_changes = labels::changes(cluster.labels(), &taken, &before, trust);
    for (key, value) in identity_labels(&cluster.spec.cluster_id, &cluster.name_any()) {
        if cluster.labels().get(&key) != Some(&value) {
            label_changes.insert(key, Some(value));
        }
    }
    if !label_changes.is_empty() {
        metadata.insert("labels".to_owned(), json!(label_changes));
    }
    let pins = !cluster.annotations().contains_key(annotations::PINNED_KEY);
    let mut annotation_changes = Map::new();
    if pins {
        annotation_changes.insert(annotations::PINNED_KEY.to_owned(), json!(pin));
    }
    let keys = written(&taken);
    if trust && cluster.annotations().get(annotations::AGENT_LABELS) != keys.as_ref() {
        annotation_changes.insert(annotations::AGENT_LABELS.to_owned(), json!(keys));
    }
    if !annotation_changes.is_empty() {
        metadata.insert("annotations".to_owned(), Value::Object(annotation_changes));
    }
    if !cluster.finalizers().iter().any(|it| it == finalizers::DEREGISTER) {
        let mut all = cluster.finalizers().to_vec();
        all.push(finalizers::DEREGISTER.to_owned());
        metadata.insert("finalizers".to_owned(), json!(all));
    }
    let mut spec = Map::new();
    if cluster.spec.cluster_type != request.spec.cluster_type {
        spec.insert("clusterType".to_owned(), json!(request.spec.cluster_type));
    }
    if cluster.spec.sync_mode != request.spec.sync_mode {
        spec.insert("syncMode".to_owned(), json!(request.spec.sync_mode));
    }
    if metadata.is_empty() && spec.is_empty() {
        return None;
    }
    metadata.insert("resourceVersion".to_owned(), json!(cluster.resource_version()));
    let mut patch = json!({ "metadata": metadata });
    if !spec.is_empty() {
        patch["spec"] = Value::Object(spec);
    }
    Some(Changes { patch, pins, refused: taken.refused })
}

#[cfg(test)]
mod tests {
    use api::{clusters::SyncMode, names::labels as keys};

    use super::*;

    fn request(labels: &[(&str, &str)]) -> ClusterRegistrationRequest {
        let mut request: ClusterRegistrationRequest = serde_json::from_value(json!({
            "apiVersion": "clusters.clusternet.io/v1beta1",
            "kind": "ClusterRegistrationRequest",
            "metadata": { "name": "clusternet-id" },
            "spec": { "clusterId": "id", "clusterType": "EdgeCluster", "syncMode": "Dual" },
        }))
        .unwrap();
        request.spec.cluster_labels =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        request
    }

    fn child() -> Child {
        Child { id: "id".into(), name: "bar".into(), namespace: "foo".into() }
    }

    #[test]
    fn a_new_cluster_carries_its_labels_its_pin_and_the_hubs_finalizer() {
        let wanted = request(&[("env", "prod"), ("clusters.clusternet.io/cluster-id", "stolen")]);
        let (cluster, refused) = new(&wanted, &child(), "key".into());
        assert_eq!((cluster.name_any().as_str(), cluster.namespace().as_deref()), ("bar", Some("foo")));
        assert_eq!(cluster.spec.sync_mode, SyncMode::Dual);
        assert_eq!(cluster.spec.cluster_type.as_deref(), Some("EdgeCluster"));
        assert_eq!(cluster.labels()[keys::CLUSTER_ID], "id");
        assert_eq!(cluster.labels()["env"], "prod");
        assert_eq!(cluster.annotations()[annotations::PINNED_KEY], "key");
        assert_eq!(cluster.annotations()[annotations::AGENT_LABELS], "env");
        assert_eq!(cluster.finalizers(), [finalizers::DEREGISTER]);
        assert_eq!(refused.len(), 1);
    }

    #[test]
    fn a_cluster_that_is_as_it_should_be_is_not_written() {
        let wanted = request(&[("env", "prod"), ("node.clusternet.io/zone", "a")]);
        let (cluster, _) = new(&wanted, &child(), "key".into());
        assert_eq!(changes(&wanted, &cluster, "key", false), None);
        assert_eq!(changes(&wanted, &cluster, "key", true), None);
    }

    #[test]
    fn the_request_is_followed_in_mode_type_and_free_labels() {
        let (mut cluster, _) = new(&request(&[("node.clusternet.io/zone", "a")]), &child(), "key".into());
        cluster.labels_mut().insert("team".into(), "x".into());
        cluster.metadata.resource_version = Some("7".into());
        let mut next = request(&[("agent.clusterway.io/site", "b"), ("env", "prod")]);
        next.spec.sync_mode = SyncMode::Push;
        next.spec.cluster_type = None;
        let changed = changes(&next, &cluster, "key", false).unwrap();
        let expected = json!({
            "metadata": {
                "resourceVersion": "7",
                "labels": { "node.clusternet.io/zone": null, "agent.clusterway.io/site": "b" },
            },
            "spec": { "syncMode": "Push", "clusterType": null },
        });
        assert_eq!((changed.patch, changed.pins), (expected, false));
    }

    #[test]
    fn a_trusted_agent_may_change_all_its_labels() {
        let (mut cluster, _) = new(&request(&[("env", "prod")]), &child(), "key".into());
        cluster.labels_mut().insert("team".into(), "x".into());
        let changed = changes(&request(&[("tier", "gold")]), &cluster, "key", true).unwrap();
        assert_eq!(changed.patch["metadata"]["labels"], json!({ "env": null, "tier": "gold" }));
        assert_eq!(changed.patch["metadata"]["annotations"], json!({ annotations::AGENT_LABELS: "tier" }));
    }

    #[test]
    fn what_was_taken_away_by_hand_comes_back() {
        let wanted = request(&[]);
        let (mut cluster, _) = new(&wanted, &child(), "key".into());
        cluster.labels_mut().remove(keys::CLUSTER_ID);
        cluster.annotations_mut().clear();
        cluster.metadata.finalizers = Some(vec!["theirs".into()]);
        let changed = changes(&wanted, &cluster, "new key", false).unwrap();
        assert!(changed.pins);
        let metadata = &changed.patch["metadata"];
        assert_eq!(metadata["labels"], json!({ keys::CLUSTER_ID: "id" }));
        assert_eq!(metadata["annotations"], json!({ annotations::PINNED_KEY: "new key" }));
        assert_eq!(metadata["finalizers"], json!(["theirs", finalizers::DEREGISTER]));
    }
}
