use proptest::prelude::*;
use serde_json::json;

use super::*;

fn state(object: &Value) -> State {
    let health = health(object);
    assert!(health.message.ends_with('.') || health.message.ends_with(')') || health.state != State::Current);
    assert!(health.message.len() <= MESSAGE && !health.message.is_empty());
    health.state
}

/// An object with a generation that its controller has seen.
fn seen(api_version: &str, kind: &str, spec: &Value, status: &Value) -> Value {
    let mut status = status.clone();
    status["observedGeneration"] = json!(2);
    json!({ "apiVersion": api_version, "kind": kind, "metadata": { "generation": 2 }, "spec": spec, "status": status })
}

#[test]
fn what_holds_for_every_kind_comes_first() {
    let condition = |type_: &str| json!({ "conditions": [{ "type": type_, "status": "True", "message": "It says so." }] });
    for (expected, metadata, status) in [
        (State::Current, json!({}), json!(null)),
        (State::Current, json!({ "generation": 2 }), json!({ "observedGeneration": 2 })),
        (State::InProgress, json!({ "generation": 2 }), json!({ "observedGeneration": 1 })),
        (State::Terminating, json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" }), json!({})),
        (State::InProgress, json!({}), condition("Reconciling")),
        (State::Failed, json!({}), condition("Stalled")),
        (State::Current, json!({}), condition("Ready")),
        (State::InProgress, json!({}), json!({ "conditions": [{ "type": "Ready", "status": "False" }] })),
        (State::InProgress, json!({}), json!({ "conditions": [{ "type": "Ready", "status": "Unknown" }] })),
        (State::Unknown, json!({}), json!("broken")),
        (State::Current, json!({}), json!({ "conditions": "broken" })),
    ] {
        let object = json!({ "apiVersion": "example.com/v1", "kind": "Widget", "metadata": metadata, "status": status });
        assert_eq!(state(&object), expected, "{object}");
    }
    for no_object in [json!(null), json!({}), json!([]), json!({ "kind": "Pod" })] {
        assert_eq!(state(&no_object), State::Unknown);
    }
    assert_eq!(state(&json!({ "apiVersion": "v1", "kind": "ConfigMap" })), State::Current);
}

#[test]
fn a_deployment_is_current_when_its_new_replicas_are_available() {
    let conditions = |progressing: &str| {
        json!([{ "type": "Progressing", "status": "True", "reason": progressing },
               { "type": "Available", "status": "True" }])
    };
    let status = |change: Value| {
        let mut status = json!({ "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
                                 "conditions": conditions("NewReplicaSetAvailable") });
        status.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        status
    };
    for (expected, change) in [
        (State::Current, json!({})),
        (State::InProgress, json!({ "replicas": 1 })),
        (State::InProgress, json!({ "replicas": 3 })),
        (State::InProgress, json!({ "updatedReplicas": 1 })),
        (State::InProgress, json!({ "availableReplicas": 1 })),
        (State::InProgress, json!({ "readyReplicas": 1 })),
        (State::InProgress, json!({ "conditions": conditions("ReplicaSetUpdated") })),
        (State::InProgress, json!({ "conditions": [] })),
        (State::Failed, json!({ "conditions": conditions("ProgressDeadlineExceeded") })),
    ] {
        let object = seen("apps/v1", "Deployment", &json!({ "replicas": 2 }), &status(change.clone()));
        assert_eq!(state(&object), expected, "{change}");
    }
    let no_deadline = json!({ "replicas": 2, "progressDeadlineSeconds": i32::MAX });
    let available = status(json!({ "conditions": [{ "type": "Available", "status": "True" }] }));
    assert_eq!(state(&seen("apps/v1", "Deployment", &no_deadline, &available)), State::Current);
    let unseen = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "generation": 1 },
                         "spec": { "replicas": 0 } });
    assert_eq!(state(&unseen), State::InProgress);
    assert_eq!(health(&seen("apps/v1", "Deployment", &json!({}), &json!({}))).message, "Replicas: 0 of 1.");
}

#[test]
fn other_workloads_are_current_when_all_their_pods_are() {
    for (expected, kind, spec, status) in [
        (State::Current, "ReplicaSet", json!({ "replicas": 0 }), json!({ "replicas": 0 })),
        (
            State::InProgress,
            "ReplicaSet",
            json!({}),
            json!({ "fullyLabeledReplicas": 1, "availableReplicas": 0 }),
        ),
        (
            State::InProgress,
            "ReplicaSet",
            json!({ "replicas": 0 }),
            json!({ "conditions": [{ "type": "ReplicaFailure", "status": "True" }] }),
        ),
        (State::InProgress, "DaemonSet", json!({}), json!({})),
        (State::Current, "DaemonSet", json!({}), json!({ "desiredNumberScheduled": 0 })),
        (
            State::Current,
            "DaemonSet",
            json!({}),
            json!({ "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 1,
                    "numberAvailable": 1, "numberReady": 1 }),
        ),
        (
            State::InProgress,
            "DaemonSet",
            json!({}),
            json!({ "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 0,
                    "numberAvailable": 1, "numberReady": 1 }),
        ),
        (
            State::Current,
            "StatefulSet",
            json!({ "replicas": 1 }),
            json!({ "replicas": 1, "readyReplicas": 1, "currentReplicas": 1, "currentRevision": "a", "updateRevision": "a" }),
        ),
        (
            State::InProgress,
            "StatefulSet",
            json!({ "replicas": 1 }),
            json!({ "replicas": 1, "readyReplicas": 1, "currentReplicas": 1, "currentRevision": "a", "updateRevision": "b" }),
        ),
        (
            State::Current,
            "StatefulSet",
            json!({ "replicas": 2, "updateStrategy": { "rollingUpdate": { "partition": 1 } } }),
            json!({ "replicas": 2, "readyReplicas": 2, "updatedReplicas": 1, "currentRevision": "a", "updateRevision": "b" }),
        ),
        (State::Current, "StatefulSet", json!({ "updateStrategy": { "type": "OnDelete" } }), json!({})),
        (State::InProgress, "StatefulSet", json!({}), json!({ "replicas": 2, "readyReplicas": 2 })),
    ] {
        assert_eq!(state(&seen("apps/v1", kind, &spec, &status)), expected, "{kind} {status}");
    }
    let budget = seen("policy/v1", "PodDisruptionBudget", &json!({}), &json!({ "disruptionsAllowed": 1 }));
    assert_eq!(state(&budget), State::Current);
}

#[test]
fn a_job_is_current_as_soon_as_it_runs_and_failed_when_it_says_so() {
    let of = |status: Value| state(&json!({ "apiVersion": "batch/v1", "kind": "Job", "status": status }));
    let condition = |type_: &str| json!({ "conditions": [{ "type": type_, "status": "True" }] });
    assert_eq!(of(json!({})), State::InProgress);
    assert_eq!(of(json!({ "startTime": "2026-01-01T00:00:00Z", "active": 1 })), State::Current);
    assert_eq!(of(condition("Complete")), State::Current);
    assert_eq!(of(condition("Suspended")), State::Current);
    assert_eq!(of(condition("Failed")), State::Failed);
}

#[test]
fn pods_claims_services_and_definitions_have_rules_of_their_own() {
    let condition = |type_: &str, status: &str, reason: &str| json!([{ "type": type_, "status": status, "reason": reason, "message": "It says so." }]);
    let crashing = json!([{ "name": "web", "state": { "waiting": { "reason": "CrashLoopBackOff" } } }]);
    for (expected, api_version, kind, spec, status) in [
        (State::Current, "v1", "Pod", json!({}), json!({ "phase": "Succeeded" })),
        (State::Failed, "v1", "Pod", json!({}), json!({ "phase": "Failed" })),
        (
            State::Current,
            "v1",
            "Pod",
            json!({}),
            json!({ "phase": "Running", "conditions": condition("Ready", "True", "") }),
        ),
        (State::InProgress, "v1", "Pod", json!({}), json!({ "phase": "Running" })),
        (State::Failed, "v1", "Pod", json!({}), json!({ "phase": "Running", "containerStatuses": crashing })),
        (
            State::InProgress,
            "v1",
            "Pod",
            json!({}),
            json!({ "phase": "Pending", "conditions": condition("PodScheduled", "False", "Unschedulable") }),
        ),
        (State::InProgress, "v1", "Pod", json!({}), json!({})),
        (State::Current, "v1", "PersistentVolumeClaim", json!({}), json!({ "phase": "Bound" })),
        (State::InProgress, "v1", "PersistentVolumeClaim", json!({}), json!({})),
        (State::Current, "v1", "Service", json!({}), json!({})),
        (State::InProgress, "v1", "Service", json!({ "type": "LoadBalancer" }), json!({})),
        (
            State::Current,
            "v1",
            "Service",
            json!({ "type": "LoadBalancer", "clusterIP": "10.0.0.1" }),
            json!({}),
        ),
    ] {
        let object = json!({ "apiVersion": api_version, "kind": kind, "spec": spec, "status": status });
        assert_eq!(state(&object), expected, "{object}");
    }
    for (expected, conditions) in [
        (State::InProgress, json!([])),
        (State::Current, condition("Established", "True", "InitialNamesAccepted")),
        (State::InProgress, condition("Established", "False", "Installing")),
        (State::Failed, condition("Established", "False", "NotAccepted")),
        (State::Failed, condition("NamesAccepted", "False", "PluralConflict")),
    ] {
        let object = json!({ "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                             "status": { "conditions": conditions } });
        assert_eq!(state(&object), expected, "{object}");
    }
}

proptest! {
    #[test]
    fn a_message_is_bounded_whatever_a_controller_writes(message in "\\PC{0,2000}", status in "(True|False|Unknown|\\PC)") {
        let object = json!({ "apiVersion": "example.com/v1", "kind": "Widget", "status": { "conditions": [
            { "type": "Ready", "status": status, "message": message }] } });
        prop_assert!(health(&object).message.len() <= MESSAGE);
    }
}
