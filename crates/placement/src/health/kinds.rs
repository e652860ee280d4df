//! The rules of Kubernetes' own kinds.

use serde_json::Value;

use super::{Health, Object};

/// How an object of one of Kubernetes' own kinds stands; none for other kinds.
pub(super) fn health(group: &str, kind: &str, object: Object<'_>) -> Option<Health> {
    Some(match (group, kind) {
        ("apps" | "extensions", "Deployment") => unless_unseen(object, deployment),
        ("apps" | "extensions", "ReplicaSet") => unless_unseen(object, replica_set),
        ("apps" | "extensions", "DaemonSet") => unless_unseen(object, daemon_set),
        ("apps", "StatefulSet") => unless_unseen(object, stateful_set),
        ("policy", "PodDisruptionBudget") => unless_unseen(object, pod_disruption_budget),
        ("batch", "Job") => job(object),
        ("", "Pod") => pod(object),
        ("", "PersistentVolumeClaim") => persistent_volume_claim(object),
        ("", "Service") => service(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => return None,
    })
}

/// The first of what is waited for.
fn first(waits: impl IntoIterator<Item = (bool, String)>) -> Option<Health> {
    waits.into_iter().find(|(waits, _)| *waits).map(|(_, message)| Health::in_progress(message))
}

/// A workload whose controller has not written which generation it has seen has not been seen at all.
fn unless_unseen(object: Object<'_>, rule: fn(Object<'_>) -> Health) -> Health {
    if object.0["status"]["observedGeneration"].as_i64().is_none() {
        return Health::in_progress("Its controller has not seen the object yet.");
    }
    rule(object)
}

fn deployment(object: Object<'_>) -> Health {
    let progressing = object.condition("Progressing");
    if let Some(progressing) = progressing.filter(|it| it.reason == "ProgressDeadlineExceeded") {
        return Health::failed(progressing.say("The progress deadline is exceeded."));
    }
    let wanted = object.number("/spec/replicas", 1);
    let status = |field: &str| object.number(&format!("/status/{field}"), 0);
    let (replicas, updated) = (status("replicas"), status("updatedReplicas"));
    let (ready, available) = (status("readyReplicas"), status("availableReplicas"));
    // Without a deadline the condition is never written.
    let deadline = object.number("/spec/progressDeadlineSeconds", 0) != i64::from(i32::MAX);
    let rolled_out =
        !deadline || progressing.is_some_and(|it| it.is_true() && it.reason == "NewReplicaSetAvailable");
    let is_available = object.condition("Available").is_some_and(|it| it.is_true());
    first([
        (replicas < wanted, format!("Replicas: {replicas} of {wanted}.")),
        (updated < wanted, format!("Updated replicas: {updated} of {wanted}.")),
        (replicas > wanted, format!("Replicas that have yet to go: {}.", replicas - wanted)),
        (available < updated, format!("Available replicas: {available} of {updated}.")),
        (ready < wanted, format!("Ready replicas: {ready} of {wanted}.")),
        (!rolled_out, String::from("The new ReplicaSet is not available.")),
        (!is_available, String::from("The Deployment is not available.")),
    ])
    .unwrap_or_else(|| Health::current(format!("The Deployment is available. Replicas: {replicas}.")))
}

fn replica_set(object: Object<'_>) -> Health {
    if let Some(failure) = object.condition("ReplicaFailure").filter(super::Condition::is_true) {
        return Health::in_progress(failure.say("Replicas cannot be made."));
    }
    let wanted = object.number("/spec/replicas", 1);
    let status = |field: &str| object.number(&format!("/status/{field}"), 0);
    let (replicas, labelled) = (status("replicas"), status("fullyLabeledReplicas"));
    let (ready, available) = (status("readyReplicas"), status("availableReplicas"));
    first([
        (labelled < wanted, format!("Labelled replicas: {labelled} of {wanted}.")),
        (available < wanted, format!("Available replicas: {available} of {wanted}.")),
        (ready < wanted, format!("Ready replicas: {ready} of {wanted}.")),
        (replicas > wanted, format!("Replicas that have yet to go: {}.", replicas - wanted)),
    ])
    .unwrap_or_else(|| Health::current(format!("The ReplicaSet is available. Replicas: {replicas}.")))
}

fn daemon_set(object: Object<'_>) -> Health {
    let status = |field: &str| object.number(&format!("/status/{field}"), 0);
    let Some(wanted) = object.0["status"]["desiredNumberScheduled"].as_i64() else {
        return Health::in_progress("The number of pods is not known yet.");
    };
    let on_delete = object.text("/spec/updateStrategy/type") == "OnDelete";
    let (scheduled, updated) = (status("currentNumberScheduled"), status("updatedNumberScheduled"));
    let (available, ready) = (status("numberAvailable"), status("numberReady"));
    first([
        (scheduled < wanted, format!("Scheduled pods: {scheduled} of {wanted}.")),
        (updated < wanted && !on_delete, format!("Updated pods: {updated} of {wanted}.")),
        (available < wanted, format!("Available pods: {available} of {wanted}.")),
        (ready < wanted, format!("Ready pods: {ready} of {wanted}.")),
    ])
    .unwrap_or_else(|| Health::current(format!("All pods are there. Pods: {wanted}.")))
}

fn stateful_set(object: Object<'_>) -> Health {
    if object.text("/spec/updateStrategy/type") == "OnDelete" {
        return Health::current("The StatefulSet is updated when its pods are deleted.");
    }
    let wanted = object.number("/spec/replicas", 1);
    let status = |field: &str| object.number(&format!("/status/{field}"), 0);
    let (replicas, ready) = (status("replicas"), status("readyReplicas"));
    let (current, updated) = (status("currentReplicas"), status("updatedReplicas"));
    if let Some(waits) = first([
        (replicas < wanted, format!("Replicas: {replicas} of {wanted}.")),
        (ready < wanted, format!("Ready replicas: {ready} of {wanted}.")),
        (replicas > wanted, format!("Replicas that have yet to go: {}.", replicas - wanted)),
    ]) {
        return waits;
    }
    let partition = object.number("/spec/updateStrategy/rollingUpdate/partition", 0);
    if partition > 0 {
        let part = (wanted - partition).max(0);
        return first([(updated < part, format!("Updated replicas: {updated} of {part}."))]).unwrap_or_else(
            || Health::current(format!("The part is rolled out. Updated replicas: {updated}.")),
        );
    }
    let revisions = (object.text("/status/currentRevision"), object.text("/status/updateRevision"));
    first([
        (current < wanted, format!("Current replicas: {current} of {wanted}.")),
        (revisions.0 != revisions.1, String::from("The new revision is not everywhere yet.")),
    ])
    .unwrap_or_else(|| Health::current(format!("All replicas are there. Replicas: {replicas}.")))
}

fn pod_disruption_budget(object: Object<'_>) -> Health {
    let allowed = object.number("/status/disruptionsAllowed", 0);
    Health::current(format!("The budget is computed. Allowed disruptions: {allowed}."))
}

fn job(object: Object<'_>) -> Health {
    let status = |field: &str| object.number(&format!("/status/{field}"), 0);
    let (succeeded, failed, active) = (status("succeeded"), status("failed"), status("active"));
    if let Some(failure) = object.condition("Failed").filter(super::Condition::is_true) {
        return Health::failed(failure.say("The Job has failed."));
    }
    if object.condition("Complete").is_some_and(|it| it.is_true()) {
        return Health::current(format!("The Job is complete. Succeeded: {succeeded}."));
    }
    if object.condition("Suspended").is_some_and(|it| it.is_true()) {
        return Health::current("The Job is suspended.");
    }
    if object.text("/status/startTime").is_empty() {
        return Health::in_progress("The Job has not started.");
    }
    Health::current(format!("The Job runs. Succeeded: {succeeded}, active: {active}, failed: {failed}."))
}

fn pod(object: Object<'_>) -> Health {
    let ready = object.condition("Ready");
    match object.text("/status/phase") {
        "Succeeded" => Health::current("The pod has completed."),
        "Failed" => Health::failed(format!(
            "The pod has failed. {}{}",
            object.text("/status/reason"),
            object.text("/status/message")
        )),
        "Running" if ready.is_some_and(|it| it.is_true()) => Health::current("The pod is ready."),
        "Running" => match crashing(object) {
            Some(container) => Health::failed(format!("The container {container} crashes again and again.")),
            None => Health::in_progress("The pod runs and is not ready."),
        },
        "Pending" => match object.condition("PodScheduled").filter(super::Condition::is_false) {
            Some(scheduled) => Health::in_progress(scheduled.say("The pod is not scheduled.")),
            None => Health::in_progress("The pod is pending."),
        },
        _ => Health::in_progress("The phase of the pod is not known."),
    }
}

/// A container that is in a crash loop.
fn crashing(object: Object<'_>) -> Option<&str> {
    let all = ["containerStatuses", "initContainerStatuses"];
    let mut containers = all.iter().filter_map(|list| object.0["status"][list].as_array()).flatten();
    let crashes = |container: &&Value| container["state"]["waiting"]["reason"] == "CrashLoopBackOff";
    containers.find(crashes).map(|container| container["name"].as_str().unwrap_or_default())
}

fn persistent_volume_claim(object: Object<'_>) -> Health {
    match object.text("/status/phase") {
        "Bound" => Health::current("The claim is bound."),
        phase => Health::in_progress(format!("The claim is not bound. Phase: {phase}.")),
    }
}

fn service(object: Object<'_>) -> Health {
    if object.text("/spec/type") == "LoadBalancer" && object.text("/spec/clusterIP").is_empty() {
        return Health::in_progress("The Service has no clusterIP yet.");
    }
    Health::current("The Service is there.")
}

fn definition(object: Object<'_>) -> Health {
    if let Some(names) = object.condition("NamesAccepted").filter(super::Condition::is_false) {
        return Health::failed(names.say("The names are not accepted."));
    }
    match object.condition("Established") {
        Some(established) if established.is_true() => Health::current("The definition is established."),
        Some(established) if established.is_false() && established.reason != "Installing" => {
            Health::failed(established.say("The definition cannot be established."))
        }
        _ => Health::in_progress("The definition is being installed."),
    }
}
