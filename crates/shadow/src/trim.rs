//! What is not stored of an object: what belongs to one cluster and would be wrong in another (contract 4.8).

use api::names::{
    apps::{annotations::FEED_PROTECTION, labels::CREATED_BY_HUB},
    labels::CREATED_BY,
};
use serde_json::{Value, json};

use crate::object;

/// What a server writes into `metadata`.
const OF_A_SERVER: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Takes away what no template has, and labels the object as one that came this way.
pub(crate) fn trim(object: &mut Value) {
    for key in OF_A_SERVER {
        object::remove(object, &["metadata", key]);
    }
    object::remove(object, &["metadata", "annotations", FEED_PROTECTION]);
    object::remove(object, &["status"]);
    let labels = object::entry(object::entry(object, "metadata"), "labels");
    *object::entry(labels, CREATED_BY) = json!(CREATED_BY_HUB);
    if is(object, "batch", "Job") {
        job(object);
    }
    if is(object, "", "Service") {
        service(object);
    }
}

/// Takes away what the parent has chosen for itself in a dry run, and that the object did not ask for: another cluster has
/// other storage, ingress controllers and networks.
pub(crate) fn forget_choices(object: &mut Value, sent: &Value) {
    let choices: &[&[&str]] = match (object::group_version(object).0, object["kind"].as_str()) {
        ("", Some("PersistentVolumeClaim")) => &[&["spec", "storageClassName"]],
        ("", Some("Service")) => &[&["spec", "ipFamilies"], &["spec", "ipFamilyPolicy"]],
        ("networking.k8s.io", Some("Ingress")) => &[&["spec", "ingressClassName"]],
        _ => &[],
    };
    for path in choices {
        let asked_for = path.iter().try_fold(sent, |value, step| value.get(*step)).is_some();
        if !asked_for {
            object::remove(object, path);
        }
    }
}

fn is(object: &Value, group: &str, kind: &str) -> bool {
    object::group_version(object).0 == group && object["kind"] == kind
}

/// Labels that a server gives to the Pods of one Job.
fn job(job: &mut Value) {
    const UIDS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
    const NAMES: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
    let generated = job["spec"]["manualSelector"] != true;
    for key in UIDS {
        object::remove(job, &["spec", "selector", "matchLabels", key]);
        object::remove(job, &["spec", "template", "metadata", "labels", key]);
    }
    for key in NAMES {
        object::remove(job, &["spec", "template", "metadata", "labels", key]);
    }
    // What is left of a selector that a server made.
    let left = &job["spec"]["selector"];
    if generated && (left == &json!({ "matchLabels": {} }) || left == &json!({})) {
        object::remove(job, &["spec", "selector"]);
    }
    object::remove(job, &["spec", "template", "metadata", "creationTimestamp"]);
}

/// Addresses and ports that the parent has allocated. A headless Service stays one.
fn service(service: &mut Value) {
    if service["spec"]["clusterIP"] != "None" {
        object::remove(service, &["spec", "clusterIP"]);
        object::remove(service, &["spec", "clusterIPs"]);
    }
    if ["NodePort", "LoadBalancer"].iter().any(|kind| service["spec"]["type"] == *kind) {
        object::remove(service, &["spec", "healthCheckNodePort"]);
        let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
        for port in ports.into_iter().flatten() {
            object::remove(port, &["nodePort"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(mut object: Value) -> Value {
        trim(&mut object);
        object
    }

    #[test]
    fn h11_a_service_loses_what_the_parent_allocated_and_a_headless_one_stays_headless() {
        let service = |spec: Value| {
            trimmed(json!({ "apiVersion": "v1", "kind": "Service", "spec": spec }))["spec"].clone()
        };
        let ports = json!([{ "port": 80, "nodePort": 30080 }]);
        assert_eq!(
            service(
                json!({ "type": "NodePort", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": ports })
            ),
            json!({ "type": "NodePort", "ports": [{ "port": 80 }] })
        );
        let headless = json!({ "clusterIP": "None", "clusterIPs": ["None"] });
        assert_eq!(service(headless.clone()), headless);
    }

    #[test]
    fn a_job_loses_the_labels_of_its_run_and_keeps_a_selector_of_its_own() {
        let labels = json!({ "controller-uid": "u", "batch.kubernetes.io/controller-uid": "u", "job-name": "j", "a": "b",
                             "batch.kubernetes.io/job-name": "j" });
        let job = trimmed(json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": {
            "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": "u" } },
            "template": { "metadata": { "creationTimestamp": null, "labels": labels } } } }));
        assert_eq!(job["spec"], json!({ "template": { "metadata": { "labels": { "a": "b" } } } }));
        let own = json!({ "matchLabels": { "a": "b" } });
        let job = trimmed(
            json!({ "apiVersion": "batch/v1", "kind": "Job", "spec": { "manualSelector": true, "selector": own } }),
        );
        assert_eq!(job["spec"]["selector"], own);
    }

    #[test]
    fn what_a_server_writes_is_gone_and_the_origin_is_labelled() {
        let object = trimmed(
            json!({ "metadata": { "name": "a", "uid": "u", "resourceVersion": "1", "managedFields": [],
            "creationTimestamp": null, "annotations": { "k": "v" } }, "status": {}, "spec": {} }),
        );
        assert_eq!(
            object,
            json!({ "metadata": { "name": "a", "annotations": { "k": "v" },
                    "labels": { "clusternet.io/created-by": "clusternet-hub" } }, "spec": {} })
        );
    }

    #[test]
    fn what_the_parent_chose_is_forgotten_and_what_was_asked_for_stays() {
        let claim =
            |spec: Value| json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "spec": spec });
        let tried = claim(json!({ "storageClassName": "fast", "volumeMode": "Filesystem" }));
        let mut forgotten = tried.clone();
        forget_choices(&mut forgotten, &claim(json!({})));
        assert_eq!(forgotten, claim(json!({ "volumeMode": "Filesystem" })));
        let mut kept = tried.clone();
        forget_choices(&mut kept, &claim(json!({ "storageClassName": "fast" })));
        assert_eq!(kept, tried);
    }
}
