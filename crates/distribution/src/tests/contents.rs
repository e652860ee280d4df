//! Large objects stand once in the parent, however many clusters get them.

use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{Scene, feed, feeds, manifest, objects, qux, web};

const READS: [&str; 1] = ["DescriptionContents"];

fn large(text: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "namespace": "qux", "name": "large" },
            "data": { "text": text.repeat(5_000) } })
}

/// A small and a large feed on clusters that read Contents.
async fn deployed(clusters: usize) -> Scene {
    let scene = Scene::new(clusters);
    for number in 1..=clusters {
        scene.set_features(number, &json!(READS));
    }
    scene.manifest(&qux());
    scene.manifest(&large("a"));
    scene.subscribe(&json!([feed(&large("a")), feed(&qux())]), json!({}));
    scene.settle().await;
    scene
}

fn count(scene: &Scene) -> usize {
    scene.parent.paths("contents").len()
}

/// Lets everything happen that happens after a while.
async fn later(scene: &Scene) {
    tokio::time::advance(Duration::from_mins(5)).await;
    scene.settle().await;
}

#[tokio::test(start_paused = true)]
async fn what_many_clusters_get_is_stored_once_and_what_is_small_stays_where_people_see_it() {
    let scene = deployed(40).await;
    assert_eq!(count(&scene), 1);
    assert_eq!(scene.gets("n7"), [large("a"), qux()]);
    let description = scene.parent.get(&scene.only("descriptions", "n7")).unwrap();
    assert_eq!(description["spec"]["contents"].as_array().unwrap().len(), 1);
    assert!(description.to_string().len() < 3_000, "{description}");
    later(&scene).await;
    assert_eq!(count(&scene), 1, "it is in use");
}

#[tokio::test(start_paused = true)]
async fn what_is_alike_after_overrides_is_stored_once_and_the_rest_for_itself() {
    let scene = deployed(3).await;
    scene.rule(
        Some("n2"),
        "mine",
        &json!({ "overridePolicy": "ApplyNow", "feed": feed(&large("a")),
                 "overrides": [{ "type": "MergePatch", "value": "data: {mine: 'yes'}" }] }),
    );
    scene.settle().await;
    assert_eq!(count(&scene), 2);
    assert_eq!(scene.gets("n2")[0]["data"]["mine"], "yes");
    assert_eq!(scene.gets("n3")[0], large("a"));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_refers_to_goes_after_a_while_and_not_at_once() {
    let scene = deployed(2).await;
    scene.manifest(&large("b"));
    scene.settle().await;
    assert_eq!((count(&scene), &scene.gets("n1")[0]), (2, &large("b")));
    scene.manifest(&large("a"));
    scene.settle().await;
    assert_eq!(count(&scene), 2, "what was there is taken again");
    later(&scene).await;
    assert_eq!(count(&scene), 1);
    assert_eq!(scene.gets("n2")[0], large("a"));
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_say_to_read_contents_gets_everything_in_the_description() {
    let scene = deployed(2).await;
    scene.set_features(1, &json!([]));
    scene.settle().await;
    let description = scene.parent.get(&scene.only("descriptions", "n1")).unwrap();
    assert!(description["spec"].get("contents").is_none());
    assert_eq!(objects(&description), [large("a"), qux()]);
    scene.parent.take_writes();
    scene.set_features(1, &json!(READS));
    scene.settle().await;
    let description = scene.parent.get(&scene.only("descriptions", "n1")).unwrap();
    assert!(description["spec"].get("contents").is_none(), "what it can read need not move");
    assert_eq!(scene.gets("n2"), [large("a"), qux()]);
}

#[tokio::test(start_paused = true)]
async fn a_content_that_was_deleted_by_hand_is_made_again() {
    let scene = deployed(2).await;
    let before = scene.parent.paths("contents");
    scene.parent.delete(&before[0]);
    scene.settle().await;
    let after = scene.parent.paths("contents");
    assert_eq!(after.len(), 1);
    assert_ne!(after, before);
    assert_eq!(scene.gets("n1"), [large("a"), qux()]);
    assert_eq!(scene.gets("n2"), [large("a"), qux()]);
}

#[tokio::test(start_paused = true)]
async fn what_a_cluster_has_of_a_feed_without_manifest_stays_although_it_is_apart() {
    let scene = deployed(1).await;
    scene.manifest(&web(1));
    scene.parent.delete(&manifest(&large("a")));
    let more = json!([feed(&large("a")), feed(&qux()), feeds()[1]]);
    scene.subscribe(&more, json!({}));
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [large("a"), qux(), web(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_writes_nothing_and_whatever_write_the_hub_dies_at_nothing_is_left_over() {
    for after in [false, true] {
        for at in 0..14 {
            let mut scene = deployed(2).await;
            scene.manifest(&large("b"));
            scene.parent.die_at(Some((at, after)));
            scene.settle().await;
            scene.restart();
            scene.settle().await;
            assert_eq!(scene.gets("n1")[0], large("b"), "death at write {at}, after its effect: {after}");
            assert_eq!(scene.gets("n2")[0], large("b"));
            later(&scene).await;
            assert_eq!(count(&scene), 1, "death at write {at}, after its effect: {after}");
            scene.parent.take_writes();
            scene.restart();
            later(&scene).await;
            assert_eq!(scene.parent.take_writes(), [""; 0]);
        }
    }
}
