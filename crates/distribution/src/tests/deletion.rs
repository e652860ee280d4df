//! What goes when, and what stays.

use serde_json::{Value, json};

use super::{
    placing::deployed,
    scene::{Scene, feed, feeds, manifest, qux, subscription, web},
};

fn labels(scene: &Scene, object: &Value) -> Vec<String> {
    let manifest = scene.parent.get(&manifest(object)).unwrap();
    let labels = manifest["metadata"]["labels"].as_object().cloned().unwrap_or_default();
    labels.values().map(|value| value.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn d12_a_subscription_goes_after_everything_that_was_made_for_it_and_its_feeds_stay_unmarked() {
    let mut scene = deployed().await;
    assert_eq!(labels(&scene, &web(1)), ["Subscription"]);
    scene.deploys = false;
    scene.parent.delete(&subscription("s"));
    scene.settle().await;
    assert!(scene.parent.get(&subscription("s")).is_some(), "it waits for the clusters");
    assert_eq!(scene.parent.paths("descriptions").len(), 2);
    scene.deploys = true;
    scene.settle().await;
    for plural in ["subscriptions", "bases", "descriptions"] {
        assert!(scene.parent.paths(plural).is_empty(), "{plural}");
    }
    assert_eq!(labels(&scene, &web(1)), [""; 0]);
    assert_eq!(scene.parent.get(&manifest(&web(1))).unwrap()["metadata"]["finalizers"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_cannot_go_says_which_cluster_holds_on_and_why() {
    let mut scene = deployed().await;
    scene.deploys = false;
    let held = json!({ "type": "DeletionHeld", "status": "True", "reason": "MassDeletion", "message": "Confirm it.",
                       "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let path = scene.only("descriptions", "n1");
    scene.parent.change(&path, &json!({ "status": { "conditions": [held] } }));
    scene.parent.delete(&subscription("s"));
    scene.settle().await;
    assert_eq!(
        scene.condition("Progressing"),
        "True Withdrawing: It goes when every cluster has let go of what it got. n1/c1: Confirm it."
    );
    scene.parent.take_writes();
    scene.settle().await;
    assert_eq!(scene.parent.take_writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn y10_what_was_made_for_a_lost_cluster_goes_without_it() {
    let scene = deployed().await;
    scene.set_ready(1, "Unknown");
    scene.parent.delete(&subscription("s"));
    scene.settle().await;
    assert!(scene.parent.paths("descriptions").is_empty() && scene.parent.paths("subscriptions").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_cluster_goes_when_the_cluster_is_lost() {
    let mut scene = deployed().await;
    scene.deploys = false;
    scene.parent.delete(&subscription("s"));
    scene.settle().await;
    scene.set_ready(1, "False");
    scene.settle().await;
    assert_eq!(scene.parent.paths("descriptions").len(), 1);
    scene.parent.delete("/apis/clusters.clusternet.io/v1beta1/namespaces/n2/managedclusters/c2");
    scene.settle().await;
    assert!(scene.parent.paths("subscriptions").is_empty());
}

#[tokio::test(start_paused = true)]
async fn y8_a_feed_that_is_deployed_is_kept_from_deletion_and_says_why() {
    let scene = deployed().await;
    let path = manifest(&web(1));
    scene.parent.delete(&path);
    scene.settle().await;
    let kept = scene.parent.get(&path).unwrap();
    let why = kept["metadata"]["annotations"]["apps.clusternet.io/feed-protection"].as_str().unwrap();
    assert!(why.contains("default/s"), "{why}");
    assert_eq!(scene.gets("n1"), [qux(), web(1)], "and is still deployed");
    scene.subscribe(&json!([feed(&qux())]), json!({}));
    scene.settle().await;
    assert!(scene.parent.get(&path).is_none());
}

#[tokio::test(start_paused = true)]
async fn of_two_subscriptions_with_a_feed_each_marks_it() {
    let scene = deployed().await;
    scene.subscribe_as("t", &feeds(), json!({}));
    scene.settle().await;
    assert_eq!(labels(&scene, &web(1)).len(), 2);
    scene.parent.delete(&subscription("t"));
    scene.settle().await;
    assert_eq!(labels(&scene, &web(1)).len(), 1);
    assert_eq!(scene.gets("n1"), [qux(), web(1)]);
}

#[tokio::test(start_paused = true)]
async fn what_runs_stays_when_its_manifest_is_gone_although_it_is_asked_for() {
    let scene = deployed().await;
    let path = manifest(&web(1));
    scene.parent.delete(&path);
    scene.parent.change(&path, &json!({ "metadata": { "finalizers": [] } }));
    scene.manifest(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "qux", "labels": { "a": "b" } } }));
    scene.settle().await;
    let gets = scene.gets("n1");
    assert_eq!((&gets[0]["metadata"]["labels"]["a"], &gets[1]), (&json!("b"), &web(1)));
    assert!(scene.condition("FeedsFound").contains("What runs of it stays as it is."));
    scene.manifest(&web(3));
    scene.settle().await;
    assert_eq!(scene.gets("n1")[1], web(3));
}

#[tokio::test(start_paused = true)]
async fn a_label_that_only_looks_like_ours_stays() {
    let scene = deployed().await;
    let path = manifest(&web(1));
    let other = "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a";
    scene.parent.change(&path, &json!({ "metadata": { "labels": { other: "Base", "app": "web" } } }));
    scene.settle().await;
    let labels = scene.parent.get(&path).unwrap()["metadata"]["labels"].clone();
    assert_eq!((&labels[other], &labels["app"]), (&json!("Base"), &json!("web")));
}

#[tokio::test(start_paused = true)]
async fn y9_without_protection_a_feed_that_is_deleted_is_taken_from_its_subscriptions() {
    let mut scene = deployed().await;
    scene.options.protect_feeds = false;
    scene.restart();
    scene.settle().await;
    let path = manifest(&web(1));
    let finalizers = scene.parent.get(&path).unwrap()["metadata"]["finalizers"].clone();
    assert_eq!(finalizers, json!(["apps.clusternet.io/finalizer"]));
    scene.parent.delete(&path);
    scene.settle().await;
    assert!(scene.parent.get(&path).is_none());
    let feeds = scene.parent.get(&subscription("s")).unwrap()["spec"]["feeds"].clone();
    assert_eq!(feeds, json!([feed(&qux())]));
    assert_eq!(scene.gets("n1"), [qux()]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_has_stopped_reporting_is_told_of_and_keeps_what_it_has() {
    let scene = deployed().await;
    let gets = scene.gets("n1");
    let taint = json!([{ "key": "clusters.clusternet.io/unschedulable", "effect": "NoSchedule" }]);
    scene.cluster(1, &json!({ "env": "t" }), &taint);
    scene.set_ready(1, "Unknown");
    scene.settle().await;
    assert_eq!(scene.gets("n1"), gets);
    assert!(
        scene
            .condition("Scheduled")
            .contains("Kept in spite of the taint clusters.clusternet.io/unschedulable")
    );
    assert!(scene.condition("Degraded").starts_with("True ClustersFailed: n1/c1: the cluster is not ready"));
}

#[tokio::test(start_paused = true)]
async fn that_a_subscription_is_paused_every_description_of_it_says_until_it_is_resumed() {
    const PAUSED: &str = "apps.clusterway.io/subscription-paused";
    let mut scene = deployed().await;
    let pause =
        |value: Value| json!({ "metadata": { "annotations": { "apps.clusterway.io/paused": value } } });
    let says = |scene: &Scene, namespace: &str| {
        let there = scene.parent.get(&scene.only("descriptions", namespace)).unwrap();
        there["metadata"]["annotations"][PAUSED].clone()
    };
    scene.cluster(3, &json!({}), &json!([]));
    scene.parent.change(&subscription("s"), &pause(json!("true")));
    scene.settle().await;
    scene.cluster(3, &json!({ "env": "t" }), &json!([]));
    scene.settle().await;
    let all = ["n1", "n2", "n3"];
    assert!(all.iter().all(|namespace| says(&scene, namespace) == "true"), "one that is new, too");
    // What is withdrawn waits for it, too, and can go on.
    scene.deploys = false;
    scene.parent.delete(&subscription("s"));
    scene.settle().await;
    scene.parent.change(&subscription("s"), &pause(Value::Null));
    scene.settle().await;
    assert!(all.iter().all(|namespace| says(&scene, namespace).is_null()));
}
