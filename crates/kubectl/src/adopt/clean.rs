//! From a live object to a template of it: without what its server, its controllers and its nodes have put there. Pure.
//!
//! What is left out is not taken from the live object when the template is applied: a server-side apply changes only what it
//! names. Everything else is kept word for word, a pod template among it, so that nothing restarts.

use api::{
    apps::Feed,
    names::{
        apps::annotations::{KUBECTL_LAST_APPLIED, LAST_APPLIED, OWNED_BY_DESCRIPTION},
        deployer::{annotations::APPLIED, labels::DEPLOYED},
    },
};
use serde_json::{Map, Value};

/// Kinds that controllers and nodes make, each for a cluster of its own.
const OF_A_CLUSTER: [(&str, &str); 9] = [
    ("", "Endpoints"),
    ("", "Event"),
    ("", "Node"),
    ("", "PersistentVolume"),
    ("coordination.k8s.io", "Lease"),
    ("discovery.k8s.io", "EndpointSlice"),
    ("events.k8s.io", "Event"),
    ("metrics.k8s.io", "PodMetrics"),
    ("storage.k8s.io", "VolumeAttachment"),
];
/// Annotations that say how an object stands in one cluster.
const ANNOTATIONS: [&str; 9] = [
    KUBECTL_LAST_APPLIED,
    LAST_APPLIED,
    OWNED_BY_DESCRIPTION,
    APPLIED,
    "deployment.kubernetes.io/revision",
    "deprecated.daemonset.template.generation",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.kubernetes.io/selected-node",
];

/// Why an object cannot be taken over, in a sentence; none where it can.
pub(super) fn refusal(object: &Value) -> Option<String> {
    let Some(feed) = Feed::of(object) else {
        return Some(String::from("It has no apiVersion, kind or name."));
    };
    let metadata = &object["metadata"];
    let owners = metadata["ownerReferences"].as_array();
    if let Some(owner) = owners.into_iter().flatten().find(|owner| owner["controller"] == true) {
        let text = |key: &str| owner[key].as_str().unwrap_or_default().to_owned();
        return Some(format!("It belongs to {} {}, which makes it: adopt that.", text("kind"), text("name")));
    }
    if let Some(owner) = metadata["annotations"][OWNED_BY_DESCRIPTION].as_str() {
        return Some(format!("It is deployed from this parent already, by the Description {owner}."));
    }
    if metadata["labels"][DEPLOYED] == "true" {
        return Some(String::from("It is deployed from a parent already."));
    }
    if !metadata["deletionTimestamp"].is_null() {
        return Some(String::from("It is being deleted."));
    }
    let group = group(object);
    let of_a_cluster = OF_A_CLUSTER.contains(&(group, feed.kind.as_str()))
        || group.ends_with(".clusternet.io")
        || group.ends_with(".clusterway.io")
        || (feed.kind == "ConfigMap" && feed.name == "kube-root-ca.crt")
        || (feed.kind == "ServiceAccount" && feed.name == "default")
        || (feed.kind == "Secret" && object["type"] == "kubernetes.io/service-account-token")
        || (feed.kind == "Pod" && metadata["annotations"].get("kubernetes.io/config.mirror").is_some());
    of_a_cluster.then(|| String::from("The cluster makes it for itself."))
}

/// The template of a live object.
pub(super) fn template(live: &Value) -> Value {
    let mut object = live.clone();
    let metadata = metadata(&live["metadata"]);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
        fields.insert(String::from("metadata"), metadata);
    }
    match (group(live), live["kind"].as_str().unwrap_or_default()) {
        ("", "Service") => service(&mut object),
        ("", "Namespace") => {
            remove(&mut object, "/spec", "finalizers");
            remove(&mut object, "/metadata/labels", "kubernetes.io/metadata.name");
            remove_empty(&mut object, "spec");
        }
        ("", "ServiceAccount") => remove(&mut object, "", "secrets"),
        ("", "PersistentVolumeClaim") => remove(&mut object, "/spec", "volumeName"),
        ("", "Pod") => remove(&mut object, "/spec", "nodeName"),
        ("batch", "Job") => job(&mut object),
        _ => {}
    }
    object
}

/// Of the metadata, what people write.
fn metadata(live: &Value) -> Value {
    let mut kept = Map::new();
    for key in ["name", "namespace", "labels"] {
        kept.extend(live.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    let annotations = live["annotations"].as_object().into_iter().flatten();
    let annotations: Map<String, Value> = annotations
        .filter(|(key, _)| !ANNOTATIONS.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !annotations.is_empty() {
        kept.insert(String::from("annotations"), Value::Object(annotations));
    }
    Value::Object(kept)
}

fn service(object: &mut Value) {
    if object["spec"]["clusterIP"] != "None" {
        remove(object, "/spec", "clusterIP");
        remove(object, "/spec", "clusterIPs");
    }
    for key in ["healthCheckNodePort", "ipFamilies", "ipFamilyPolicy"] {
        remove(object, "/spec", key);
    }
    let ports = object.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        port.remove("nodePort");
    }
}

/// The server chooses what tells its pods from others', unless it is told not to.
fn job(object: &mut Value) {
    if object["spec"]["manualSelector"] == true {
        return;
    }
    remove(object, "/spec", "selector");
    for parent in ["/metadata/labels", "/spec/template/metadata/labels"] {
        for key in [
            "controller-uid",
            "job-name",
            "batch.kubernetes.io/controller-uid",
            "batch.kubernetes.io/job-name",
        ] {
            remove(object, parent, key);
        }
    }
}

fn remove(object: &mut Value, parent: &str, key: &str) {
    if let Some(fields) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
        fields.remove(key);
    }
}

fn remove_empty(object: &mut Value, key: &str) {
    if object[key].as_object().is_some_and(Map::is_empty) {
        remove(object, "", key);
    }
}

fn group(object: &Value) -> &str {
    object["apiVersion"].as_str().and_then(|version| version.split_once('/')).map_or("", |(group, _)| group)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live(version: &str, kind: &str, metadata: Value, spec: Value) -> Value {
        let mut object = json!({ "apiVersion": version, "kind": kind, "status": { "a": 1 } });
        object["metadata"] = metadata;
        object["metadata"]["name"] = json!("web");
        object["spec"] = spec;
        object
    }

    #[test]
    fn what_the_server_set_goes_and_the_pod_template_stays_word_for_word() {
        let pods = json!({ "metadata": { "creationTimestamp": null, "labels": { "app": "web" },
                                         "annotations": { "kubectl.kubernetes.io/restartedAt": "now" } },
                           "spec": { "nodeName": "n", "containers": [{ "name": "a", "terminationMessagePath": "/dev/x" }] } });
        let metadata = json!({
            "namespace": "qux", "uid": "u", "resourceVersion": "1", "generation": 3, "creationTimestamp": "t",
            "managedFields": [], "finalizers": ["f"], "ownerReferences": [{ "kind": "App", "name": "a" }],
            "labels": { "app": "web" },
            "annotations": { "deployment.kubernetes.io/revision": "3", KUBECTL_LAST_APPLIED: "{}", "team": "a" },
        });
        let object = live("apps/v1", "Deployment", metadata, json!({ "replicas": 2, "template": pods }));
        assert_eq!(refusal(&object), None);
        assert_eq!(
            template(&object),
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": "web", "namespace": "qux", "labels": { "app": "web" }, "annotations": { "team": "a" } },
                "spec": { "replicas": 2, "template": pods },
            })
        );
    }

    #[test]
    fn addresses_of_one_cluster_are_not_taken_along_and_headless_stays_headless() {
        let spec = json!({ "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"],
                           "ports": [{ "port": 80, "nodePort": 30001 }], "type": "NodePort" });
        let service = live("v1", "Service", json!({}), spec);
        assert_eq!(template(&service)["spec"], json!({ "ports": [{ "port": 80 }], "type": "NodePort" }));
        let headless =
            live("v1", "Service", json!({}), json!({ "clusterIP": "None", "clusterIPs": ["None"] }));
        assert_eq!(template(&headless)["spec"]["clusterIP"], "None");
        let namespace = json!({ "labels": { "kubernetes.io/metadata.name": "web", "a": "b" } });
        let namespace =
            template(&live("v1", "Namespace", namespace, json!({ "finalizers": ["kubernetes"] })));
        assert_eq!((&namespace["metadata"]["labels"], namespace.get("spec")), (&json!({ "a": "b" }), None));
    }

    #[test]
    fn a_job_lets_the_server_choose_its_selector() {
        let labels = json!({ "batch.kubernetes.io/job-name": "web", "app": "web" });
        let spec =
            json!({ "selector": { "matchLabels": {} }, "template": { "metadata": { "labels": labels } } });
        let job = template(&live("batch/v1", "Job", json!({}), spec));
        assert_eq!(job["spec"], json!({ "template": { "metadata": { "labels": { "app": "web" } } } }));
    }

    #[test]
    fn what_others_own_or_make_is_refused_with_a_reason() {
        let owner =
            json!({ "ownerReferences": [{ "kind": "Deployment", "name": "web", "controller": true }] });
        for (object, reason) in [
            (live("apps/v1", "ReplicaSet", owner, json!({})), "belongs to Deployment web"),
            (
                live("v1", "ConfigMap", json!({ "annotations": { OWNED_BY_DESCRIPTION: "n.d" } }), json!({})),
                "Description n.d",
            ),
            (live("v1", "ConfigMap", json!({ "labels": { DEPLOYED: "true" } }), json!({})), "already"),
            (live("v1", "ConfigMap", json!({ "deletionTimestamp": "t" }), json!({})), "being deleted"),
            (live("discovery.k8s.io/v1", "EndpointSlice", json!({}), json!({})), "for itself"),
            (live("apps.clusternet.io/v1alpha1", "Base", json!({}), json!({})), "for itself"),
        ] {
            assert!(refusal(&object).is_some_and(|why| why.contains(reason)), "{reason}");
        }
    }
}
