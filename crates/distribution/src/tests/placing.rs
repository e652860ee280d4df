//! Which clusters, which Bases, which Descriptions.

use serde_json::{Value, json};

use super::scene::{Scene, feed, feeds, id, objects, qux, subscription, web};
use crate::parent::Refusal;

/// A Subscription of a Namespace and a Deployment on two clusters, deployed.
pub(super) async fn deployed() -> Scene {
    let scene = Scene::new(2);
    scene.manifest(&qux());
    scene.manifest(&web(1));
    scene.subscribe(&feeds(), json!({}));
    scene.settle().await;
    scene
}

#[tokio::test(start_paused = true)]
async fn d1_a_subscription_is_bound_to_the_clusters_it_selects() {
    let scene = deployed().await;
    let status = scene.status();
    assert_eq!(status["bindingClusters"], json!(["n1/c1", "n2/c2"]));
    assert_eq!(status["desiredReleases"], 2);
    assert!(status["specHash"].is_i64());
    assert_eq!(scene.condition("Scheduled"), "True Scheduled: 2 clusters are chosen: n1/c1, n2/c2.");
    let notes = scene.parent.take_notes();
    assert_eq!(notes.iter().map(|(what, _)| what.as_str()).collect::<Vec<_>>(), ["s Scheduled"]);
}

#[tokio::test(start_paused = true)]
async fn d2_each_bound_cluster_has_one_base_and_one_description() {
    let scene = deployed().await;
    let subscription = scene.parent.get(&subscription("s")).unwrap();
    let base = scene.parent.get(&scene.only("bases", "n1")).unwrap();
    let name = base["metadata"]["name"].as_str().unwrap();
    assert!(name.strip_prefix("s-").is_some_and(|suffix| suffix.len() == 5), "{name}");
    let labels = &base["metadata"]["labels"];
    assert_eq!(labels["apps.clusternet.io/subs.uid"], subscription["metadata"]["uid"]);
    assert_eq!(labels["clusters.clusternet.io/cluster-id"], id(1));
    assert_eq!(labels["clusternet.io/created-by"], "clusternet-controller-manager");
    assert_eq!(labels[base["metadata"]["uid"].as_str().unwrap()], "Base");
    assert_eq!(base["spec"]["feeds"], feeds());
    assert_eq!(base["metadata"]["finalizers"], json!(["apps.clusternet.io/finalizer"]));

    let description = scene.parent.get(&scene.only("descriptions", "n1")).unwrap();
    assert_eq!(description["metadata"]["name"], format!("{name}-generic"));
    assert_eq!(description["spec"]["deployer"], "Generic");
    assert_eq!(objects(&description), [qux(), web(1)]);
    assert_eq!(description["metadata"]["ownerReferences"][0]["uid"], base["metadata"]["uid"]);
    assert_eq!(description["metadata"]["finalizers"], json!(["apps.clusternet.io/finalizer"]));
}

#[tokio::test(start_paused = true)]
async fn d4_a_changed_template_is_rendered_where_it_is_used_and_nowhere_else() {
    let scene = deployed().await;
    scene.manifest(&web(7));
    let other = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": "qux", "name": "other" } });
    scene.manifest(&other);
    scene.subscribe_as("other", &json!([feed(&other)]), json!({}));
    scene.settle().await;
    scene.parent.take_writes();
    scene.manifest(&web(9));
    scene.settle().await;
    assert_eq!(scene.gets("n2")[1]["spec"]["replicas"], 9);
    let writes = scene.parent.take_writes();
    let (descriptions, others): (Vec<_>, Vec<_>) =
        writes.iter().partition(|write| write.contains("descriptions/s-"));
    assert_eq!(descriptions.len(), 2, "{writes:?}");
    assert!(others.iter().all(|write| *write == "status subscriptions/s"), "{others:?}");
}

#[tokio::test(start_paused = true)]
async fn d5_a_feed_that_is_taken_away_is_taken_from_every_description() {
    let scene = deployed().await;
    scene.subscribe(&json!([feed(&qux())]), json!({}));
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [qux()]);
    assert!(scene.condition("Ready").starts_with("True Ready: 2 of 2"));
}

#[tokio::test(start_paused = true)]
async fn d6_a_cluster_that_is_no_longer_selected_loses_its_base_and_the_other_is_untouched() {
    let scene = deployed().await;
    let kept = scene.parent.get(&scene.only("descriptions", "n1"));
    scene.cluster(2, &json!({}), &json!([]));
    scene.settle().await;
    assert_eq!(scene.status()["bindingClusters"], json!(["n1/c1"]));
    assert_eq!(scene.parent.paths("bases").len(), 1);
    assert_eq!(scene.parent.get(&scene.only("descriptions", "n1")), kept);
}

#[tokio::test(start_paused = true)]
async fn d7_a_taint_keeps_a_subscription_away_that_does_not_tolerate_it() {
    let scene = deployed().await;
    let taint = json!([{ "key": "k", "value": "v", "effect": "NoSchedule" }]);
    scene.cluster(2, &json!({ "env": "t" }), &taint);
    scene.settle().await;
    assert_eq!(scene.status()["bindingClusters"], json!(["n1/c1"]));
    assert!(
        scene.condition("Scheduled").contains("taint k=v:NoSchedule"),
        "{}",
        scene.condition("Scheduled")
    );
    scene.subscribe(
        &feeds(),
        json!({ "clusterTolerations": [{ "key": "k", "value": "v", "effect": "NoSchedule" }] }),
    );
    scene.settle().await;
    assert_eq!(scene.status()["bindingClusters"], json!(["n1/c1", "n2/c2"]));
}

#[tokio::test(start_paused = true)]
async fn d9_a_feed_that_is_missing_is_told_of_and_keeps_nothing_from_the_others() {
    let scene = Scene::new(1);
    scene.subscribe(&feeds(), json!({}));
    scene.settle().await;
    assert!(scene.parent.paths("descriptions").is_empty());
    let notes = scene.parent.take_notes();
    assert!(notes.iter().any(|(what, _)| what == "s NonexistentDeployment"), "{notes:?}");
    assert!(notes.iter().any(|(what, _)| what == "s NonexistentNamespace"), "{notes:?}");
    scene.manifest(&qux());
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [qux()]);
    let found = scene.condition("FeedsFound");
    assert!(
        found.starts_with("False NonexistentDeployment: There is no Deployment qux/web of apps/v1"),
        "{found}"
    );
    assert!(scene.condition("Degraded").starts_with("True ClustersFailed: n1/c1: NonexistentDeployment"));
}

#[tokio::test(start_paused = true)]
async fn d10_a_feed_that_comes_later_is_deployed_at_once() {
    let scene = Scene::new(1);
    scene.subscribe(&feeds(), json!({}));
    scene.settle().await;
    scene.manifest(&web(1));
    scene.manifest(&qux());
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [qux(), web(1)]);
    assert_eq!(scene.condition("FeedsFound"), "True Found: Every feed can be deployed.");
}

#[tokio::test(start_paused = true)]
async fn a_feed_with_another_api_version_is_told_which_one_there_is() {
    let scene = Scene::new(1);
    let service =
        json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": "foo", "name": "a" } });
    scene.manifest(&service);
    scene.subscribe(
        &json!([{ "apiVersion": "apps/v1", "kind": "Service", "namespace": "foo", "name": "a" }]),
        json!({}),
    );
    scene.settle().await;
    assert!(scene.condition("FeedsFound").contains("there is one of v1; correct apiVersion"));
}

#[tokio::test(start_paused = true)]
async fn d11_a_subscription_of_another_scheduler_is_left_alone() {
    let scene = Scene::new(1);
    scene.manifest(&qux());
    scene.subscribe(&json!([feed(&qux())]), json!({ "schedulerName": "other" }));
    scene.settle().await;
    assert_eq!(scene.status(), Value::Null);
    assert_eq!(scene.parent.take_writes(), [""; 0]);
    scene.subscribe(&json!([feed(&qux())]), json!({ "schedulerName": "default" }));
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [qux()]);
}

#[tokio::test(start_paused = true)]
async fn what_another_scheduler_binds_is_deployed() {
    let scene = Scene::new(2);
    scene.manifest(&qux());
    scene.subscribe(&json!([feed(&qux())]), json!({ "schedulerName": "other" }));
    scene.settle().await;
    scene.parent.change(&subscription("s"), &json!({ "status": { "bindingClusters": ["n2/c2"] } }));
    scene.settle().await;
    assert_eq!(scene.gets("n2"), [qux()]);
    assert_eq!(scene.status()["bindingClusters"], json!(["n2/c2"]));
    assert!(scene.gets("n1").is_empty());
}

#[tokio::test(start_paused = true)]
async fn d16_a_base_that_is_deleted_by_hand_comes_back_and_what_runs_is_not_disturbed() {
    let scene = deployed().await;
    let before = scene.parent.get(&scene.only("descriptions", "n1")).unwrap();
    let base = scene.only("bases", "n1");
    let uid = scene.parent.get(&base).unwrap()["metadata"]["uid"].clone();
    scene.parent.delete(&base);
    scene.settle().await;
    let base = scene.parent.get(&scene.only("bases", "n1")).unwrap();
    assert_ne!(base["metadata"]["uid"], uid);
    let after = scene.parent.get(&scene.only("descriptions", "n1")).unwrap();
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"], "the Description is the same");
    assert_eq!(after["metadata"]["generation"], before["metadata"]["generation"]);
    assert_eq!(after["metadata"]["ownerReferences"][0]["uid"], base["metadata"]["uid"]);
    assert_eq!(after["metadata"]["labels"]["apps.clusternet.io/config.uid"], base["metadata"]["uid"]);
}

#[tokio::test(start_paused = true)]
async fn a_description_that_is_deleted_by_hand_comes_back() {
    let scene = deployed().await;
    scene.parent.delete(&scene.only("descriptions", "n1"));
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [qux(), web(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_description_that_was_changed_by_hand_is_corrected() {
    let scene = deployed().await;
    scene.parent.change(&scene.only("descriptions", "n1"), &json!({ "spec": { "raw": [] } }));
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [qux(), web(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_base_that_another_made_is_taken_over() {
    let mut scene = deployed().await;
    let base = scene.parent.get(&scene.only("bases", "n1")).unwrap();
    // As a reference would have called it.
    let other = scene.only("bases", "n1").replace("/s-", "/s-x");
    let mut copy = base.clone();
    copy["metadata"]["name"] = json!(other.rsplit('/').next().unwrap());
    copy["metadata"]["creationTimestamp"] = json!("2027-01-01T00:00:00Z");
    scene.deploys = true;
    scene.parent.put(&other, &copy);
    scene.parent.change(&other, &json!({ "metadata": { "creationTimestamp": "2027-01-01T00:00:00Z" } }));
    scene.settle().await;
    assert_eq!(scene.parent.paths("bases").iter().filter(|path| path.contains("/n1/")).count(), 1);
    assert_eq!(scene.gets("n1"), [qux(), web(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_base_made_by_hand_is_rendered_and_goes_with_its_description() {
    let scene = Scene::new(1);
    scene.manifest(&qux());
    let path = "/apis/apps.clusternet.io/v1alpha1/namespaces/n1/bases/mine";
    scene.parent.put(
        path,
        &json!({ "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Base",
        "metadata": { "namespace": "n1", "name": "mine" }, "spec": { "feeds": [feed(&qux())] } }),
    );
    scene.settle().await;
    assert_eq!(objects(&scene.parent.get(&scene.only("descriptions", "n1")).unwrap()), [qux()]);
    scene.parent.delete(path);
    scene.settle().await;
    assert!(scene.parent.paths("descriptions").is_empty() && scene.parent.paths("bases").is_empty());
}

#[tokio::test(start_paused = true)]
async fn d17_the_subscription_with_the_higher_priority_is_first() {
    let scene = Scene::new(1);
    scene.manifest(&qux());
    for number in 0..20 {
        scene.subscribe_as(&format!("s{number}"), &json!([feed(&qux())]), json!({}));
    }
    scene.subscribe_as("urgent", &json!([feed(&qux())]), json!({ "priority": 10 }));
    scene.settle().await;
    let writes = scene.parent.take_writes();
    let bound: Vec<_> = writes.iter().filter(|write| write.starts_with("status subscriptions/")).collect();
    assert!(bound.iter().take(3).any(|write| write.ends_with("/urgent")), "{bound:?}");
}

#[tokio::test(start_paused = true)]
async fn d18_of_a_group_as_many_clusters_are_chosen_as_are_wanted() {
    let scene = Scene::new(2);
    scene.manifest(&qux());
    let group = json!([{ "clusterAffinity": { "matchLabels": { "env": "t" } }, "subGroupStrategy": { "minClusters": 1 } }]);
    scene.subscribe(&json!([feed(&qux())]), json!({ "schedulingBySubGroup": true, "subscribers": group }));
    scene.settle().await;
    assert_eq!(scene.status()["bindingClusters"], json!(["n1/c1"]));
    assert!(scene.condition("Scheduled").contains("not needed"));
}

#[tokio::test(start_paused = true)]
async fn d21_what_runs_stays_when_nothing_fits() {
    let scene = deployed().await;
    for number in [1, 2] {
        scene.cluster(number, &json!({ "env": "other" }), &json!([]));
    }
    scene.settle().await;
    assert_eq!(scene.status()["bindingClusters"], json!(["n1/c1", "n2/c2"]));
    assert!(scene.condition("Scheduled").starts_with("False NothingFitsKept: 0/2 clusters are available."));
    assert_eq!(scene.gets("n1"), [qux(), web(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_is_not_supported_is_said_and_nothing_is_deployed() {
    let scene = Scene::new(1);
    scene.subscribe(
        &feeds(),
        json!({ "schedulingStrategy": "Dividing", "dividingScheduling": { "type": "Static" } }),
    );
    scene.settle().await;
    assert!(scene.condition("Scheduled").starts_with("False StrategyUnsupported: spec.schedulingStrategy"));
    assert!(scene.parent.paths("bases").is_empty());
    assert!(scene.condition("Ready").starts_with("False NotScheduled"));
}

#[tokio::test(start_paused = true)]
async fn d20_what_the_clusters_report_is_summed() {
    let scene = deployed().await;
    let status = scene.status();
    assert_eq!(status["completedReleases"], 2);
    let web = &status["aggregatedStatuses"][1];
    assert_eq!((&web["kind"], &web["name"]), (&json!("Deployment"), &json!("web")));
    assert_eq!(web["feedStatusSummary"]["available"], true);
    assert_eq!(web["feedStatusSummary"]["replicaStatus"]["readyReplicas"], 2);
    let details = web["feedStatusDetails"].as_array().unwrap();
    assert_eq!(details.iter().map(|one| &one["clusterName"]).collect::<Vec<_>>(), ["c1", "c2"]);
    assert_eq!(details[0]["clusterId"], id(1));
    assert_eq!(scene.condition("Ready"), "True Ready: 2 of 2 clusters have everything, and it is ready.");
    assert!(
        scene.condition("Progressing").starts_with("False")
            && scene.condition("Degraded").starts_with("False")
    );
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_base_is_refused_is_named_and_the_others_are_deployed() {
    let scene = Scene::new(2);
    scene.manifest(&qux());
    scene
        .parent
        .refuse(Some(("/namespaces/n1/bases", Refusal::Refused(String::from("the parent forbids it")))));
    scene.subscribe(&json!([feed(&qux())]), json!({}));
    scene.settle().await;
    assert_eq!(scene.gets("n2"), [qux()]);
    assert!(scene.condition("Degraded").contains("n1/c1: its Base cannot be written: the parent forbids it"));
    scene.parent.refuse(None);
    tokio::time::advance(std::time::Duration::from_secs(120)).await;
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [qux()]);
    assert!(scene.condition("Degraded").starts_with("False"));
}

#[tokio::test(start_paused = true)]
async fn what_a_cluster_refuses_is_told_although_a_feed_is_missing_too() {
    let mut scene = deployed().await;
    scene.deploys = false;
    scene.subscribe(
        &json!([feed(&qux()), feed(&web(1)), { "apiVersion": "v1", "kind": "ConfigMap", "name": "none",
                                                        "namespace": "qux" }]),
        json!({}),
    );
    scene.settle().await;
    let refused = json!({ "type": "Applied", "status": "False", "reason": "Forbidden", "message": "Grant it.",
                          "lastTransitionTime": "2026-01-01T00:00:00Z" });
    let path = scene.only("descriptions", "n1");
    scene.parent.change(&path, &json!({ "status": { "conditions": [refused] } }));
    scene.settle().await;
    assert!(
        scene.condition("FeedsFound").starts_with("False NonexistentConfigMap"),
        "{}",
        scene.condition("FeedsFound")
    );
    let degraded = scene.condition("Degraded");
    assert!(
        degraded.contains("n1/c1: Grant it") && degraded.contains("n2/c2: NonexistentConfigMap"),
        "{degraded}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_says_anything_is_told_of_in_a_status_that_can_be_written() {
    let scene = Scene::new(1);
    let feed = |kind: &str, name: &str| json!({ "apiVersion": "v1", "kind": kind, "namespace": "qux", "name": name });
    for (odd, reason) in [
        (feed(&"K".repeat(100_000), "a"), "NonexistentFeed"),
        (feed("no kind", "a"), "NonexistentFeed"),
        (feed("ConfigMap", &"x".repeat(100_000)), "NonexistentConfigMap"),
    ] {
        scene.subscribe(&json!([odd]), json!({}));
        scene.settle().await;
        let told = scene.condition("FeedsFound");
        assert!(told.starts_with(&format!("False {reason}: ")) && told.len() < 2_000, "{told}");
    }
}
