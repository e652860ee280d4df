use proptest::prelude::*;
use serde_json::{from_value, json};

use super::*;

/// A cluster with labels `a=1,b` and taints `k=v:Effect`.
fn cluster(name: &str, labels: &str, taints: &str) -> Cluster {
    let split = |text: &str| -> Vec<(String, String)> {
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        pairs.map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
    };
    let taints = split(taints).into_iter().map(|(key, rest)| {
        let (value, effect) = rest.split_once(':').unwrap();
        from_value(json!({ "key": key, "value": value, "effect": effect })).unwrap()
    });
    Cluster {
        key: ClusterKey::new(&format!("n-{name}"), name),
        name: name.to_owned(),
        id: format!("id-{name}"),
        labels: split(labels).into_iter().collect(),
        annotations: std::collections::BTreeMap::new(),
        taints: taints.collect(),
        deleting: false,
    }
}

fn spec(value: &serde_json::Value) -> SubscriptionSpec {
    let mut whole =
        json!({ "subscribers": [{ "clusterAffinity": { "matchLabels": { "env": "t" } } }], "feeds": [] });
    whole.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
    from_value(whole).unwrap()
}

fn decide(spec: &SubscriptionSpec, clusters: &[Cluster], bound: &[&str]) -> Decision {
    let bound = bound.iter().map(|name| ClusterKey::new(&format!("n-{name}"), name)).collect();
    let request = Request { spec, clusters, bound: &bound };
    scheduler(spec, "default").unwrap().unwrap().schedule(&request).unwrap()
}

#[test]
fn selected_clusters_are_bound_in_ascending_order() {
    // D1: the order is that of the texts, in which a hyphen is before a slash.
    let mut clusters = [cluster("c2", "env=t", ""), cluster("c1", "env=t", ""), cluster("c3", "env=p", "")];
    clusters[0].key = ClusterKey::new("n-c1-x", "c2");
    let decision = decide(&spec(&json!({})), &clusters, &[]);
    assert_eq!(decision.binding(), ["n-c1-x/c2", "n-c1/c1"]);
    assert_eq!((decision.outcome, decision.unselected), (Outcome::Scheduled, 1));
    assert_eq!(decision.message(), "2 clusters are chosen: n-c1-x/c2, n-c1/c1.");
}

#[test]
fn an_empty_selector_is_every_cluster_and_subscribers_are_added_up() {
    let clusters = [cluster("c1", "env=t", ""), cluster("c2", "env=p", "")];
    let all = spec(&json!({ "subscribers": [{ "clusterAffinity": {} }, { "clusterAffinity": {} }] }));
    assert_eq!(decide(&all, &clusters, &[]).binding().len(), 2);
}

#[test]
fn a_label_that_goes_takes_the_cluster_with_it() {
    // D6
    let clusters = [cluster("c1", "env=t", ""), cluster("c2", "", "")];
    assert_eq!(decide(&spec(&json!({})), &clusters, &["c1", "c2"]).binding(), ["n-c1/c1"]);
}

#[test]
fn a_taint_takes_a_bound_cluster_away_unless_it_is_tolerated() {
    // D7
    let clusters = [cluster("c1", "env=t", ""), cluster("c2", "env=t", "k=v:NoSchedule")];
    let decision = decide(&spec(&json!({})), &clusters, &["c1", "c2"]);
    assert_eq!(decision.binding(), ["n-c1/c1"]);
    assert_eq!(
        decision.message(),
        "1 cluster is chosen: n-c1/c1. 1 has the taint k=v:NoSchedule, which spec.clusterTolerations does not tolerate \
         (n-c2/c2)."
    );
    let tolerant = spec(&json!({ "clusterTolerations": [{ "key": "k", "value": "v" }] }));
    assert_eq!(decide(&tolerant, &clusters, &[]).binding().len(), 2);
}

#[test]
fn a_preference_against_a_cluster_does_not_refuse_it() {
    // D8
    let clusters = [cluster("c2", "env=t", "k=v:PreferNoSchedule")];
    assert_eq!(decide(&spec(&json!({})), &clusters, &[]).binding(), ["n-c2/c2"]);
}

#[test]
fn another_scheduler_s_subscription_is_left_alone() {
    // D11
    let other = spec(&json!({ "schedulerName": "other" }));
    assert!(scheduler(&other, "default").unwrap().is_none());
    assert!(scheduler(&other, "other").unwrap().is_some());
    let dividing = spec(&json!({ "schedulingStrategy": "Dividing" }));
    assert_eq!(scheduler(&dividing, "default").unwrap_err(), ScheduleError::StrategyUnsupported);
}

#[test]
fn a_group_gets_as_many_clusters_as_it_needs_and_keeps_them() {
    // D18
    let groups = spec(&json!({ "schedulingBySubGroup": true, "subscribers": [{
        "clusterAffinity": { "matchLabels": { "env": "t" } }, "subGroupStrategy": { "minClusters": 1 } }] }));
    let mut clusters = vec![cluster("c1", "env=t", ""), cluster("c2", "env=t", "")];
    let decision = decide(&groups, &clusters, &[]);
    assert_eq!(decision.binding(), ["n-c1/c1"]);
    assert_eq!(decision.refused[0].because, Refusal::NotNeeded);
    assert_eq!(decide(&groups, &clusters, &["c2"]).binding(), ["n-c2/c2"], "nothing moves without a cause");
    clusters[0] = cluster("c1", "env=t", "k=v:PreferNoSchedule");
    assert_eq!(decide(&groups, &clusters, &[]).binding(), ["n-c2/c2"]);
    let none = spec(&json!({ "schedulingBySubGroup": true, "subscribers": [{
        "clusterAffinity": {}, "subGroupStrategy": {} }] }));
    assert_eq!(decide(&none, &clusters, &[]).outcome, Outcome::Unschedulable);
}

#[test]
fn a_cluster_that_is_lost_keeps_what_it_has_and_gets_nothing_new() {
    let lost = "clusters.clusternet.io/unschedulable=ClusterStatusUnknown:NoSchedule";
    let clusters = [cluster("c1", "env=t", ""), cluster("c2", "env=t", lost)];
    let decision = decide(&spec(&json!({})), &clusters, &["c1", "c2"]);
    assert_eq!(decision.binding(), ["n-c1/c1", "n-c2/c2"]);
    assert!(matches!(&decision.chosen[1].because, Choice::KeptInSpiteOf(taint) if taint == lost));
    assert!(decision.message().contains("Kept in spite of the taint"), "{}", decision.message());
    assert_eq!(decide(&spec(&json!({})), &clusters, &["c1"]).binding(), ["n-c1/c1"]);
}

#[test]
fn nothing_is_withdrawn_because_nothing_fits() {
    // D21
    let clusters = [cluster("c1", "env=t", "k=v:NoSchedule"), cluster("c2", "env=t", "k=v:NoExecute")];
    let decision = decide(&spec(&json!({})), &clusters, &["c1", "c2"]);
    assert_eq!((decision.outcome, decision.binding().len()), (Outcome::Kept, 2));
    let message = decision.message();
    assert!(message.starts_with("0/2 clusters are available."), "{message}");
    assert!(message.ends_with(
        "What runs stays where it runs: n-c1/c1, n-c2/c2. Delete the Subscription to withdraw it."
    ));
    let decision = decide(&spec(&json!({})), &clusters, &[]);
    assert_eq!((decision.outcome, decision.reason()), (Outcome::Unschedulable, "NothingFits"));
}

#[test]
fn no_cluster_at_all_is_no_reason_to_withdraw_anything() {
    let decision = decide(&spec(&json!({})), &[], &["c1"]);
    assert_eq!((decision.outcome, decision.binding()), (Outcome::Kept, vec![String::from("n-c1/c1")]));
}

#[test]
fn a_cluster_that_is_going_is_not_kept() {
    let mut clusters = [cluster("c1", "env=t", "")];
    clusters[0].deleting = true;
    let decision = decide(&spec(&json!({})), &clusters, &["c1"]);
    assert_eq!(
        (decision.outcome, decision.refused[0].because.clone()),
        (Outcome::Unschedulable, Refusal::BeingDeleted)
    );
}

#[test]
fn mistakes_name_their_subscriber() {
    let bound = BTreeSet::new();
    let wrong = spec(&json!({ "subscribers": [{ "clusterAffinity": {} },
        { "clusterAffinity": { "matchExpressions": [{ "key": "a", "operator": "Like" }] } }] }));
    let error = Replication.schedule(&Request { spec: &wrong, clusters: &[], bound: &bound }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "spec.subscribers[1].clusterAffinity.matchExpressions[0].operator: expected one of In, NotIn, Exists, DoesNotExist"
    );
    let wrong = spec(&json!({ "schedulingBySubGroup": true }));
    let error = Replication.schedule(&Request { spec: &wrong, clusters: &[], bound: &bound }).unwrap_err();
    assert_eq!(error.reason(), "SubGroupMissing");
}

#[test]
fn a_message_about_a_thousand_clusters_is_short() {
    let clusters: Vec<_> = (0..1_000)
        .map(|n| {
            cluster(
                &format!("cluster-with-a-long-name-{n:04}"),
                "env=t",
                &format!("key-{}=v:NoSchedule", n % 40),
            )
        })
        .collect();
    let names: Vec<&str> = clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    for bound in [&[][..], &names] {
        let decision = decide(&spec(&json!({})), &clusters, bound);
        assert_eq!(decision.refused.len(), 1_000);
        assert!(decision.message().len() <= 1_024);
    }
}

fn fleet() -> impl Strategy<Value = Vec<Cluster>> {
    let one = (
        "[a-c]{1,2}",
        "(env=t|env=p)",
        "(|k=v:NoSchedule|k=v:PreferNoSchedule|clusters\\.clusternet\\.io/unschedulable=x:NoSchedule)",
    );
    prop::collection::btree_map("[a-c]{1,2}", one, 0..6).prop_map(|all| {
        all.into_iter().map(|(name, (_, labels, taints))| cluster(&name, &labels, &taints)).collect()
    })
}

proptest! {
    #[test]
    fn the_order_of_clusters_does_not_matter_and_deciding_again_changes_nothing(
        clusters in fleet(), bound in prop::collection::btree_set("[a-c]{1,2}", 0..4), groups in any::<bool>(), size in 0..3,
    ) {
        let spec = spec(&json!({ "schedulingBySubGroup": groups, "subscribers": [
            { "clusterAffinity": { "matchLabels": { "env": "t" } }, "subGroupStrategy": { "minClusters": size } }] }));
        let bound: Vec<&str> = bound.iter().map(String::as_str).collect();
        let decision = decide(&spec, &clusters, &bound);
        let reversed: Vec<_> = clusters.iter().rev().cloned().collect();
        prop_assert_eq!(&decide(&spec, &reversed, &bound), &decision);
        let binding = decision.binding();
        prop_assert!(binding.is_sorted());
        let names: Vec<&str> = binding.iter().map(|key| key.split_once('/').unwrap().1).collect();
        prop_assert_eq!(decide(&spec, &clusters, &names).binding(), binding);
        // Every cluster is chosen, refused or not selected.
        if decision.scheduled() {
            prop_assert_eq!(decision.chosen.len() + decision.refused.len() + decision.unselected, clusters.len());
        }
        // What was bound somewhere is bound somewhere, unless its clusters are gone.
        if clusters.iter().any(|cluster| bound.contains(&cluster.name.as_str())) {
            prop_assert!(!decision.chosen.is_empty());
        }
    }
}
