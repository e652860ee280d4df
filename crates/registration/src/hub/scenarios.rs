//! Whole registrations against a parent in memory: what a crash at any call leaves behind is finished by the next hub.

use std::{sync::Arc, time::Duration};

use api::{
    clusters::{ClusterRegistrationRequest, ManagedCluster},
    conditions::find,
    names::{self, annotations, approval, conditions, finalizers, labels, taints},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::{Namespace, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Resource as _, ResourceExt as _};
use serde_json::json;

use super::{
    Options, approver,
    context::Context,
    counters::Counters,
    fake::{Break, Parent},
    io::Error,
    lifecycle,
};
use crate::seal::PrivateKey;

const ID: &str = "0fd3cbbb-8a0f-4a5b-9e1c-1d2e3f405162";

/// A hub that has just started.
fn hub(parent: &Parent) -> Arc<Context> {
    hub_with(parent, Options::default())
}

fn hub_with(parent: &Parent, options: Options) -> Arc<Context> {
    let mut hub = Context::new(parent.client(), options, Counters::default());
    hub.memory = lifecycle::Memory::watching(Timestamp::UNIX_EPOCH);
    Arc::new(hub)
}

fn ask(parent: &Parent, id: &str, key: &PrivateKey, spec: &serde_json::Value) {
    let mut request: ClusterRegistrationRequest = serde_json::from_value(json!({
        "apiVersion": "clusters.clusternet.io/v1beta1",
        "kind": "ClusterRegistrationRequest",
        "metadata": {
            "name": names::of_cluster(id),
            "annotations": { annotations::REQUESTER: "system:bootstrap:07401b" },
        },
        "spec": { "clusterId": id },
    }))
    .unwrap();
    if let Some(name) = spec["clusterName"].as_str() {
        request.spec.cluster_name = Some(name.to_owned());
    }
    request.annotations_mut().insert(annotations::PUBLIC_KEY.to_owned(), key.public().to_base64());
    parent.store(&request);
}

fn request(parent: &Parent, id: &str) -> ClusterRegistrationRequest {
    parent.get(None, &names::of_cluster(id)).unwrap()
}

fn reason(request: &ClusterRegistrationRequest) -> String {
    let all = &request.status.as_ref().unwrap().conditions;
    find(all, conditions::APPROVED).unwrap().reason.clone()
}

/// One look at the request of a cluster.
async fn look(hub: &Context, parent: &Parent, id: &str) -> Result<Duration, Error> {
    approver::examine(hub, &request(parent, id)).await
}

fn cluster(parent: &Parent, id: &str) -> ManagedCluster {
    let status = request(parent, id).status.unwrap();
    let (namespace, name) = (status.dedicated_namespace.unwrap(), status.managed_cluster_name.unwrap());
    parent.get(Some(&namespace), &name).unwrap()
}

/// Everything that belongs to children, without what differs from run to run.
fn inventory(parent: &Parent) -> Vec<String> {
    let kinds = [
        "clusterregistrationrequests",
        "managedclusters",
        "namespaces",
        "serviceaccounts",
        "rolebindings",
        "clusterroles",
        "clusterrolebindings",
    ];
    kinds.iter().flat_map(|kind| parent.all(kind)).collect()
}

#[tokio::test]
async fn a_cluster_is_registered_with_everything_that_belongs_to_it() {
    let (parent, key) = (Parent::installed(), PrivateKey::generate());
    ask(&parent, ID, &key, &json!({}));
    look(&hub(&parent), &parent, ID).await.unwrap();

    let status = request(&parent, ID).status.unwrap();
    assert_eq!(status.result.as_deref(), Some("Approved"));
    let token = key.open(&status.sealed_token.unwrap().0).unwrap();
    assert!(token.starts_with(b"token-"));
    assert_eq!((status.token, status.ca_certificate.unwrap().0), (None, b"PEM".to_vec()));

    let cluster = cluster(&parent, ID);
    let namespace = cluster.namespace().unwrap();
    assert_eq!(cluster.annotations()[annotations::PINNED_KEY], key.public().to_base64());
    assert_eq!(cluster.finalizers(), [finalizers::DEREGISTER]);
    let made: Namespace = parent.get(None, &namespace).unwrap();
    assert_eq!(made.labels()[labels::CLUSTER_ID], ID);
    assert_eq!(made.labels()[labels::CLUSTER_NAME], cluster.name_any());
    let name = names::of_cluster(ID);
    assert!(parent.get::<ClusterRole>(None, &name).is_some());
    assert!(parent.get::<ClusterRoleBinding>(None, &name).is_some());
    for binding in [names::HUB_NAMESPACE_ROLE, names::CHILD_ROLE] {
        assert!(parent.get::<RoleBinding>(Some(&namespace), binding).is_some());
    }
    assert!(parent.get::<ServiceAccount>(Some(&namespace), names::CHILD_SERVICE_ACCOUNT).is_some());
}

#[tokio::test]
async fn a_second_look_writes_nothing() {
    let (parent, key) = (Parent::installed(), PrivateKey::generate());
    ask(&parent, ID, &key, &json!({}));
    look(&hub(&parent), &parent, ID).await.unwrap();
    parent.take_writes();
    look(&hub(&parent), &parent, ID).await.unwrap();
    assert!(parent.take_writes().is_empty());
}

#[tokio::test]
async fn a_hub_killed_at_any_call_of_a_registration_leaves_nothing_that_the_next_does_not_finish() {
    let (undisturbed, key) = (Parent::installed(), PrivateKey::generate());
    ask(&undisturbed, ID, &key, &json!({}));
    undisturbed.break_at(None);
    look(&hub(&undisturbed), &undisturbed, ID).await.unwrap();
    let (calls, expected) = (undisturbed.calls(), inventory(&undisturbed));
    assert!(calls > 20, "{calls} calls");

    for call in 0..calls {
        for after_effect in [false, true] {
            let parent = Parent::installed();
            ask(&parent, ID, &key, &json!({}));
            parent.break_at(Some(Break { call, after_effect }));
            look(&hub(&parent), &parent, ID).await.unwrap_err();
            parent.break_at(None);
            look(&hub(&parent), &parent, ID).await.unwrap();
            assert_eq!(
                inventory(&parent),
                expected,
                "killed at call {call}, after its effect: {after_effect}"
            );
            let status = request(&parent, ID).status.unwrap();
            assert!(key.open(&status.sealed_token.unwrap().0).is_ok());
        }
    }
}

#[tokio::test]
async fn two_hubs_at_once_double_nothing() {
    let (parent, key) = (Parent::installed(), PrivateKey::generate());
    ask(&parent, ID, &key, &json!({}));
    let (one, two) = (hub(&parent), hub(&parent));
    loop {
        let (first, second) = tokio::join!(look(&one, &parent, ID), look(&two, &parent, ID));
        if first.is_ok() && second.is_ok() {
            break;
        }
    }
    let everything = inventory(&parent);
    assert_eq!(everything.len(), 8, "{everything:#?}");
    assert_eq!(reason(&request(&parent, ID)), approval::APPROVED);
}

#[tokio::test]
async fn a_cluster_id_belongs_to_its_first_key_before_and_after_its_request_is_deleted() {
    let parent = Parent::installed();
    let hub = hub(&parent);
    let (ours, theirs) = (PrivateKey::generate(), PrivateKey::generate());
    ask(&parent, ID, &ours, &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    let before = cluster(&parent, ID);

    parent.remove::<ClusterRegistrationRequest>(None, &names::of_cluster(ID));
    ask(&parent, ID, &theirs, &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    let denied = request(&parent, ID);
    assert_eq!(reason(&denied), approval::KEY_MISMATCH);
    let status = denied.status.unwrap();
    assert_eq!((status.sealed_token, status.token, status.dedicated_namespace), (None, None, None));

    parent.remove::<ClusterRegistrationRequest>(None, &names::of_cluster(ID));
    ask(&parent, ID, &ours, &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    assert_eq!(cluster(&parent, ID).uid(), before.uid());
    assert!(ours.open(&request(&parent, ID).status.unwrap().sealed_token.unwrap().0).is_ok());
}

#[tokio::test]
async fn the_pin_holds_even_when_the_labels_of_the_cluster_were_taken_away() {
    let parent = Parent::installed();
    let hub = hub(&parent);
    ask(&parent, ID, &PrivateKey::generate(), &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    let mut stripped = cluster(&parent, ID);
    stripped.labels_mut().clear();
    parent.store(&stripped);
    parent.remove::<ClusterRegistrationRequest>(None, &names::of_cluster(ID));
    ask(&parent, ID, &PrivateKey::generate(), &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    assert_eq!(reason(&request(&parent, ID)), approval::KEY_MISMATCH);
    assert_eq!(parent.all("managedclusters").len(), 1);
}

#[tokio::test]
async fn a_name_goes_to_the_first_and_the_second_gets_it_when_it_is_free() {
    let parent = Parent::installed();
    let hub = hub(&parent);
    let other = ID.replace('0', "1");
    ask(&parent, ID, &PrivateKey::generate(), &json!({ "clusterName": "bar" }));
    ask(&parent, &other, &PrivateKey::generate(), &json!({ "clusterName": "bar" }));
    look(&hub, &parent, ID).await.unwrap();
    look(&hub, &parent, &other).await.unwrap();
    assert_eq!(reason(&request(&parent, &other)), approval::CLUSTER_NAME_TAKEN);
    let first = cluster(&parent, ID);
    parent.remove::<ManagedCluster>(first.namespace().as_deref(), "bar");
    look(&hub, &parent, &other).await.unwrap();
    assert_eq!(reason(&request(&parent, &other)), approval::APPROVED);
}

#[tokio::test]
async fn of_two_that_want_a_name_at_once_one_gets_it() {
    let parent = Parent::installed();
    let hub = hub(&parent);
    let other = ID.replace('0', "1");
    ask(&parent, ID, &PrivateKey::generate(), &json!({ "clusterName": "bar" }));
    ask(&parent, &other, &PrivateKey::generate(), &json!({ "clusterName": "bar" }));
    loop {
        let (first, second) = tokio::join!(look(&hub, &parent, ID), look(&hub, &parent, &other));
        if first.is_ok() && second.is_ok() {
            break;
        }
    }
    let mut reasons = [reason(&request(&parent, ID)), reason(&request(&parent, &other))];
    reasons.sort();
    assert_eq!(reasons, [approval::APPROVED, approval::CLUSTER_NAME_TAKEN]);
    assert_eq!(parent.all("managedclusters").len(), 1);
    assert_eq!(parent.all("namespaces").len(), 1, "nothing is made for the one that is denied");
}

#[tokio::test]
async fn derived_names_that_are_taken_are_passed_over() {
    let parent = Parent::installed();
    let taken = super::naming::candidates(names::NAMESPACE_PREFIX, ID).next().unwrap();
    let foreign = json!({ "metadata": { "name": taken } });
    parent.put("/api/v1/namespaces", foreign);
    ask(&parent, ID, &PrivateKey::generate(), &json!({}));
    look(&hub(&parent), &parent, ID).await.unwrap();
    let namespace = request(&parent, ID).status.unwrap().dedicated_namespace.unwrap();
    assert_ne!(namespace, taken);
    assert!(namespace.starts_with("clusternet-"));
}

#[tokio::test]
async fn nothing_is_granted_while_the_policy_is_missing_and_nobody_loses_what_they_have() {
    let parent = Parent::installed();
    ask(&parent, ID, &PrivateKey::generate(), &json!({}));
    look(&hub(&parent), &parent, ID).await.unwrap();
    let binding =
        k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding::url_path(&(), None);
    parent.put(
        &binding,
        json!({
            "metadata": { "name": names::HUB_POLICY },
            "spec": { "policyName": names::HUB_POLICY, "validationActions": ["Audit"] },
        }),
    );
    let other = ID.replace('0', "1");
    ask(&parent, &other, &PrivateKey::generate(), &json!({}));
    let hub = hub(&parent);
    parent.take_writes();
    look(&hub, &parent, ID).await.unwrap();
    assert!(parent.take_writes().is_empty());
    look(&hub, &parent, &other).await.unwrap();
    assert_eq!(parent.take_writes().len(), 1, "only the answer");
    let waiting = request(&parent, &other);
    assert_eq!(reason(&waiting), approval::POLICY_MISSING);
    assert_eq!(waiting.status.unwrap().result, None);
}

#[tokio::test]
async fn a_request_without_a_key_gets_a_clear_token_only_where_that_is_allowed() {
    let parent = Parent::installed();
    let keyless = json!({
        "apiVersion": "clusters.clusternet.io/v1beta1",
        "kind": "ClusterRegistrationRequest",
        "metadata": { "name": names::of_cluster(ID) },
        "spec": { "clusterId": ID },
    });
    parent.store(&serde_json::from_value::<ClusterRegistrationRequest>(keyless).unwrap());
    look(&hub(&parent), &parent, ID).await.unwrap();
    assert_eq!(reason(&request(&parent, ID)), approval::KEY_MISSING);
    assert!(parent.all("namespaces").is_empty());
    let allowing = Options { allow_clear_tokens: true, ..Options::default() };
    look(&hub_with(&parent, allowing), &parent, ID).await.unwrap();
    let status = request(&parent, ID).status.unwrap();
    assert!(status.token.unwrap().0.starts_with(b"token-"));
    assert_eq!(status.sealed_token, None);
    assert_eq!(cluster(&parent, ID).annotations()[annotations::PINNED_KEY], "");
}

#[tokio::test]
async fn rights_that_were_changed_come_back_unless_a_user_keeps_them() {
    let parent = Parent::installed();
    let hub = hub(&parent);
    ask(&parent, ID, &PrivateKey::generate(), &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    let name = names::of_cluster(ID);
    let mut role: ClusterRole = parent.get(None, &name).unwrap();
    let original = role.rules.clone();
    role.rules.as_mut().unwrap().pop();
    parent.store(&role);
    parent.remove::<ClusterRoleBinding>(None, &name);
    look(&hub, &parent, ID).await.unwrap();
    assert_eq!(parent.get::<ClusterRole>(None, &name).unwrap().rules, original);
    assert!(parent.get::<ClusterRoleBinding>(None, &name).is_some());
    role.annotations_mut().insert(annotations::AUTOUPDATE.to_owned(), "false".to_owned());
    parent.store(&role);
    look(&hub, &parent, ID).await.unwrap();
    assert_ne!(parent.get::<ClusterRole>(None, &name).unwrap().rules, original);
}

#[tokio::test]
async fn a_deleted_service_account_comes_back_with_a_fresh_token() {
    let (parent, key) = (Parent::installed(), PrivateKey::generate());
    let hub = hub(&parent);
    ask(&parent, ID, &key, &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    let token =
        |parent: &Parent| key.open(&request(parent, ID).status.unwrap().sealed_token.unwrap().0).unwrap();
    let before = token(&parent);
    let namespace = cluster(&parent, ID).namespace();
    parent.remove::<ServiceAccount>(namespace.as_deref(), names::CHILD_SERVICE_ACCOUNT);
    look(&hub, &parent, ID).await.unwrap();
    assert_ne!(token(&parent), before);
}

/// The cluster, created so long ago and never heard of since.
fn aged(parent: &Parent, age: i64) -> ManagedCluster {
    let mut cluster = cluster(parent, ID);
    cluster.metadata.creation_timestamp =
        Some(Time(Timestamp::from_second(Timestamp::now().as_second() - age).unwrap()));
    parent.store(&cluster);
    parent.get(cluster.namespace().as_deref(), &cluster.name_any()).unwrap()
}

#[tokio::test]
async fn a_lost_cluster_is_tainted_once_and_then_left_in_peace() {
    let parent = Parent::installed();
    let hub = hub(&parent);
    ask(&parent, ID, &PrivateKey::generate(), &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    lifecycle::examine(&hub, &aged(&parent, 1000)).await.unwrap();
    let lost = cluster(&parent, ID);
    let status = lost.status.clone().unwrap();
    let ready = find(&status.conditions, conditions::READY).unwrap();
    assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("Unknown", conditions::STATUS_NEVER_UPDATED));
    assert_eq!(ready.observed_generation, lost.metadata.generation);
    assert_eq!(lost.spec.taints[0].key, taints::UNSCHEDULABLE);
    parent.take_writes();
    lifecycle::examine(&hub, &lost).await.unwrap();
    assert!(parent.take_writes().is_empty());
}

#[tokio::test]
async fn a_cluster_that_does_not_report_finds_a_fresh_token_when_it_comes_back() {
    let (parent, key) = (Parent::installed(), PrivateKey::generate());
    let hub = hub(&parent);
    ask(&parent, ID, &key, &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    let silent = aged(&parent, 1000);
    let wait = lifecycle::examine(&hub, &silent).await.unwrap();
    assert!(wait > Duration::from_mins(30), "the token is still young");

    let mut old = request(&parent, ID);
    let status = old.status.as_mut().unwrap();
    let sealed = status.sealed_token.clone();
    let soon = Timestamp::from_second(Timestamp::now().as_second() + 7 * 3600).unwrap();
    status.token_expiration_timestamp = Some(Time(soon));
    parent.store(&old);
    lifecycle::examine(&hub, &cluster(&parent, ID)).await.unwrap();
    let fresh = request(&parent, ID).status.unwrap();
    assert_ne!(fresh.sealed_token, sealed);
    assert!(fresh.token_expiration_timestamp.unwrap().0 > soon);
    assert!(key.open(&fresh.sealed_token.unwrap().0).is_ok());
}

#[tokio::test]
async fn a_fresh_token_is_never_sealed_to_a_key_that_is_not_pinned() {
    let parent = Parent::installed();
    let hub = hub(&parent);
    ask(&parent, ID, &PrivateKey::generate(), &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    let silent = aged(&parent, 1000);
    let mut forged = request(&parent, ID);
    forged.status.as_mut().unwrap().token_expiration_timestamp = None;
    let other = PrivateKey::generate().public().to_base64();
    forged.annotations_mut().insert(annotations::PUBLIC_KEY.to_owned(), other);
    let sealed = forged.status.clone().unwrap().sealed_token;
    parent.store(&forged);
    lifecycle::examine(&hub, &silent).await.unwrap();
    assert_eq!(request(&parent, ID).status.unwrap().sealed_token, sealed);
}

async fn leave(parent: &Parent) -> ManagedCluster {
    let hub = hub(parent);
    ask(parent, ID, &PrivateKey::generate(), &json!({}));
    look(&hub, parent, ID).await.unwrap();
    let mut cluster = cluster(parent, ID);
    cluster.metadata.deletion_timestamp = Some(Time(Timestamp::now()));
    parent.store(&cluster);
    parent.get(cluster.namespace().as_deref(), &cluster.name_any()).unwrap()
}

/// What is left of a cluster once its namespace is gone too.
fn left_over(parent: &Parent) -> Vec<String> {
    let kinds = ["clusterregistrationrequests", "managedclusters", "clusterroles", "clusterrolebindings"];
    let mut left: Vec<_> = kinds.iter().flat_map(|kind| parent.all(kind)).collect();
    let standing = |name: &String| {
        let name = name.rsplit('/').next().unwrap();
        parent.get::<Namespace>(None, name).unwrap().metadata.deletion_timestamp.is_none()
    };
    left.extend(parent.all("namespaces").into_iter().filter(standing));
    left
}

#[tokio::test]
async fn a_hub_killed_at_any_call_of_a_deregistration_leaves_nothing_that_the_next_does_not_finish() {
    let undisturbed = Parent::installed();
    let leaving = leave(&undisturbed).await;
    undisturbed.break_at(None);
    lifecycle::examine(&hub(&undisturbed), &leaving).await.unwrap();
    assert!(left_over(&undisturbed).is_empty(), "{:#?}", left_over(&undisturbed));
    for call in 0..undisturbed.calls() {
        for after_effect in [false, true] {
            let parent = Parent::installed();
            let leaving = leave(&parent).await;
            parent.break_at(Some(Break { call, after_effect }));
            lifecycle::examine(&hub(&parent), &leaving).await.unwrap_err();
            parent.break_at(None);
            let again: Option<ManagedCluster> =
                parent.get(leaving.namespace().as_deref(), &leaving.name_any());
            if let Some(again) = again {
                lifecycle::examine(&hub(&parent), &again).await.unwrap();
            }
            assert!(left_over(&parent).is_empty(), "killed at call {call}, after its effect: {after_effect}");
        }
    }
}

#[tokio::test]
async fn a_cluster_that_merely_claims_an_id_takes_nothing_from_its_owner() {
    let parent = Parent::installed();
    let hub = hub(&parent);
    ask(&parent, ID, &PrivateKey::generate(), &json!({}));
    look(&hub, &parent, ID).await.unwrap();
    let before = inventory(&parent);
    parent.put("/api/v1/namespaces", json!({ "metadata": { "name": "elsewhere" } }));
    let mut claim = ManagedCluster::new("claim", cluster(&parent, ID).spec);
    claim.metadata.namespace = Some("elsewhere".to_owned());
    claim.metadata.finalizers = Some(vec![finalizers::DEREGISTER.to_owned()]);
    claim.metadata.deletion_timestamp = Some(Time(Timestamp::now()));
    parent.store(&claim);
    let claim: ManagedCluster = parent.get(Some("elsewhere"), "claim").unwrap();
    lifecycle::examine(&hub, &claim).await.unwrap();
    let mut expected = before;
    expected.push("/api/v1/namespaces/elsewhere".to_owned());
    let mut after = inventory(&parent);
    expected.sort();
    after.sort();
    assert_eq!(after, expected);
}

#[tokio::test]
async fn a_new_request_waits_until_the_old_cluster_is_gone() {
    let parent = Parent::installed();
    let leaving = leave(&parent).await;
    let key = leaving.annotations()[annotations::PINNED_KEY].clone();
    let mut again = request(&parent, ID);
    again.status = None;
    assert_eq!(again.annotations()[annotations::PUBLIC_KEY], key);
    parent.store(&again);
    look(&hub(&parent), &parent, ID).await.unwrap();
    assert_eq!(reason(&request(&parent, ID)), approval::CLUSTER_BEING_DELETED);
}
