//! Objects that are not in the Description itself.

use api::apps::{ContentReference, Description, DescriptionPhase};
use k8s_openapi::ByteString;
use serde_json::Value;

use super::{World, map, maps};
use crate::fake::{CONFIG_MAPS, description};

/// A Description whose first object is in the Content `large`.
fn apart(objects: &[Value]) -> Description {
    let mut description = description("d", 0, objects);
    description.spec.raw[0] = ByteString(b" ".to_vec());
    let (namespace, name) = (String::from("reserved"), String::from("large"));
    description.spec.contents = vec![ContentReference { index: 0, namespace, name }];
    description
}

#[tokio::test(start_paused = true)]
async fn what_is_in_a_content_is_applied_and_read_once() {
    let world = World::new();
    world.parent.contents.lock().insert("large".into(), map("a", "1"));
    world.parent.put(apart(&[map("a", "1"), map("b", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    assert_eq!(world.child.get(CONFIG_MAPS, "a").unwrap()["data"]["a"], "1");
    world.child.store(CONFIG_MAPS, &map("a", "2"));
    world.until("drift", |world| world.child.get(CONFIG_MAPS, "a").unwrap()["data"]["a"] == "1").await;
    world.parent.annotate("d", "note", "mine");
    world.rest().await;
    assert_eq!(*world.parent.read.lock(), 1, "neither drift nor a status is a reason to read it again");
    let world = world.restart().await;
    world.child.take_writes();
    world.rest().await;
    assert_eq!(world.child.take_writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_keeps_nothing_from_the_others_and_comes_later() {
    let world = World::new();
    world.parent.put(apart(&[map("a", "1"), map("b", "1")]));
    world.until("b", |world| world.child.get(CONFIG_MAPS, "b").is_some()).await;
    world.until_phase("d", DescriptionPhase::Failure).await;
    let (_, reason, _) = world.parent.condition("d", "Applied");
    assert_eq!(reason, "ContentMissing");
    world.parent.contents.lock().insert("large".into(), map("a", "1"));
    world.until_phase("d", DescriptionPhase::Success).await;
    assert!(world.child.get(CONFIG_MAPS, "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_while_a_content_cannot_be_read() {
    let world = World::new();
    world.parent.put(description("d", 0, &maps(0..5)));
    world.until_phase("d", DescriptionPhase::Success).await;
    // What it holds now might be any of those that are there.
    world.parent.put(apart(&maps(0..3)));
    world.until_phase("d", DescriptionPhase::Failure).await;
    let world = world.restart().await;
    world.rest().await;
    assert_eq!(world.names(CONFIG_MAPS).len(), 5);
    world.parent.contents.lock().insert("large".into(), maps(0..1).remove(0));
    world.until("the rest goes", |world| world.names(CONFIG_MAPS).len() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_description_that_is_deleted_needs_no_content() {
    let world = World::new();
    world.parent.contents.lock().insert("large".into(), map("a", "1"));
    world.parent.put(apart(&[map("a", "1"), map("b", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.parent.contents.lock().clear();
    let world = world.restart().await;
    world.parent.delete("d");
    world.until("its end", |world| world.parent.get("d").is_none()).await;
    assert!(world.names(CONFIG_MAPS).is_empty());
}
