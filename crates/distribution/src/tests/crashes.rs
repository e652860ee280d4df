//! A hub that dies at any write leaves nothing that the next one does not bring to its end.

use serde_json::json;

use super::{
    placing::deployed,
    scene::{Scene, feed, feeds, qux, subscription, web},
};

#[tokio::test(start_paused = true)]
async fn a_restart_to_the_same_state_writes_nothing() {
    let mut scene = deployed().await;
    scene.rule(
        None,
        "g",
        &json!({ "overridePolicy": "ApplyNow", "priority": 1, "feed": feed(&web(1)),
        "overrides": [{ "type": "MergePatch", "value": "spec: {replicas: 2}" }] }),
    );
    scene.settle().await;
    scene.parent.take_writes();
    scene.parent.take_notes();
    scene.restart();
    scene.settle().await;
    assert_eq!(scene.parent.take_writes(), [""; 0]);
    assert!(scene.parent.take_notes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn whatever_write_the_hub_dies_at_everything_is_deployed_once() {
    for after in [false, true] {
        for at in 0..14 {
            let mut scene = Scene::new(2);
            scene.manifest(&qux());
            scene.manifest(&web(1));
            scene.subscribe(&feeds(), json!({}));
            scene.parent.die_at(Some((at, after)));
            scene.settle().await;
            scene.restart();
            scene.settle().await;
            let story = format!("death at write {at}, after its effect: {after}");
            assert_eq!(scene.parent.paths("bases").len(), 2, "{story}");
            assert_eq!(scene.parent.paths("descriptions").len(), 2, "{story}");
            assert_eq!(scene.gets("n2"), [qux(), web(1)], "{story}");
            assert!(scene.condition("Ready").starts_with("True"), "{story}");
            scene.parent.take_writes();
            scene.restart();
            scene.settle().await;
            assert_eq!(scene.parent.take_writes(), [""; 0], "{story}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_write_the_hub_dies_at_a_deletion_comes_to_its_end() {
    for after in [false, true] {
        for at in 0..12 {
            let mut scene = deployed().await;
            scene.parent.delete(&subscription("s"));
            scene.parent.die_at(Some((at, after)));
            scene.settle().await;
            scene.restart();
            scene.settle().await;
            for plural in ["subscriptions", "bases", "descriptions"] {
                assert!(scene.parent.paths(plural).is_empty(), "{plural}, death at write {at}, {after}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_write_the_hub_dies_at_a_deleted_base_comes_back_with_its_description() {
    for after in [false, true] {
        for at in 0..8 {
            let mut scene = deployed().await;
            let uid = |scene: &Scene| {
                scene.parent.get(&scene.only("descriptions", "n1")).unwrap()["metadata"]["uid"].clone()
            };
            let before = uid(&scene);
            scene.parent.delete(&scene.only("bases", "n1"));
            scene.parent.die_at(Some((at, after)));
            scene.settle().await;
            scene.restart();
            scene.settle().await;
            assert_eq!(uid(&scene), before, "death at write {at}, {after}");
            assert_eq!(scene.parent.paths("bases").len(), 2);
        }
    }
}
