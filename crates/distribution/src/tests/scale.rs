//! A thousand clusters.

use serde_json::json;

use super::scene::{Scene, feeds, qux, web};

#[tokio::test(start_paused = true)]
async fn the_status_of_a_thousand_clusters_is_bounded_and_names_those_that_are_not_fine() {
    let mut scene = Scene::new(1_000);
    scene.manifest(&qux());
    scene.manifest(&web(1));
    scene.subscribe(&feeds(), json!({}));
    scene.deploys = false;
    scene.settle().await;
    let details = |scene: &Scene| {
        let status = scene.status();
        status["aggregatedStatuses"][1]["feedStatusDetails"].as_array().map_or(0, Vec::len)
    };
    assert!(scene.status().to_string().len() < 200_000, "{}", scene.status().to_string().len());
    assert_eq!(details(&scene), 250);
    scene.deploys = true;
    scene.settle().await;
    assert_eq!(details(&scene), 0);
    assert!(scene.status().to_string().len() < 40_000);
    assert!(scene.condition("Ready").starts_with("True Ready: 1000 of 1000"));
    scene.parent.take_writes();
    scene.deploys = false;
    scene.parent.change(
        &scene.only("descriptions", "n7"),
        &json!({ "status": { "conditions": [{ "type": "Applied", "status": "False", "reason": "Forbidden",
            "message": "Grant it.", "lastTransitionTime": "2026-11-21T00:00:00Z" }] } }),
    );
    scene.settle().await;
    assert_eq!(details(&scene), 1);
    assert_eq!(scene.condition("Degraded"), "True ClustersFailed: n7/c7: Grant it.");
    assert_eq!(scene.parent.take_writes(), ["status subscriptions/s"], "nothing else is touched");
}

#[tokio::test(start_paused = true)]
async fn reports_that_come_together_are_summed_together() {
    let scene = Scene::new(50);
    scene.manifest(&qux());
    scene.manifest(&web(1));
    scene.subscribe(&feeds(), json!({}));
    scene.settle().await;
    let writes = scene.parent.take_writes();
    let sums = writes.iter().filter(|write| *write == "status subscriptions/s").count();
    assert!(sums < 8, "{sums}");
    assert_eq!(
        writes.len() - sums,
        50 * 3 + 1 + 2,
        "Base, its mark, Description; the Subscription's and feeds' marks"
    );
}
