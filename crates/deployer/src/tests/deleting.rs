//! What is not wanted any more, and the brake on mass deletion.

use std::time::Duration;

use api::{
    apps::DescriptionPhase,
    names::{apps::annotations::OWNED_BY_DESCRIPTION, deployer::annotations},
};
use serde_json::json;
use tokio::time::sleep;

use super::{World, map, maps};
use crate::{
    Options,
    fake::{CONFIG_MAPS, description},
};

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_in_the_description_is_deleted() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1"), map("b", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.parent.take_told();
    world.parent.put(description("d", 0, &[map("a", "1")]));
    world.until("b is gone", |world| world.child.get(CONFIG_MAPS, "b").is_none()).await;
    world.until_phase("d", DescriptionPhase::Success).await;
    world
        .until("the record is short", |world| {
            world.parent.get("d").unwrap().status.unwrap().manifest_statuses.len() == 1
        })
        .await;
    let told = world.parent.take_told();
    assert_eq!(
        (told[0].reason, told[0].note.as_str()),
        ("SuccessfullyPruningFeed", "Deleted in c1: ConfigMap qux/b.")
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_description_takes_its_objects_along_and_nothing_else() {
    let world = World::new();
    world.child.store(CONFIG_MAPS, &map("foreign", "1"));
    world.parent.put(description("d", 0, &[map("a", "1"), map("b", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    // Somebody else has taken this one over.
    world.kill().await;
    world.child.change(CONFIG_MAPS, "b", |map| {
        map["metadata"]["annotations"][OWNED_BY_DESCRIPTION] = json!("other.d");
    });
    world.parent.delete("d");
    let world = World::with(&world.child, &world.parent, Options { recovery: false, ..Options::default() });
    world.until("the Description is gone", |world| world.parent.get("d").is_none()).await;
    assert_eq!(world.names(CONFIG_MAPS), ["qux/b".to_owned(), "qux/foreign".to_owned()].into());
}

#[tokio::test(start_paused = true)]
async fn what_two_descriptions_want_goes_with_the_last_of_them() {
    let world = World::new();
    world.parent.put(description("old", 10, &[map("a", "1")]));
    world.parent.put(description("new", 0, &[map("a", "1"), map("b", "1")]));
    world.until_phase("old", DescriptionPhase::Success).await;
    world.until_phase("new", DescriptionPhase::Success).await;
    let owner = |world: &World| {
        world.child.get(CONFIG_MAPS, "a").unwrap()["metadata"]["annotations"][OWNED_BY_DESCRIPTION].clone()
    };
    assert_eq!(owner(&world), "n.old");
    world.parent.delete("old");
    world.until("old is gone", |world| world.parent.get("old").is_none()).await;
    world.until("new looks after it", |world| owner(world) == "n.new").await;
    world.parent.delete("new");
    world.until("new is gone", |world| world.parent.get("new").is_none()).await;
    assert!(world.names(CONFIG_MAPS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_descriptions_that_want_an_object_otherwise_do_not_fight_and_the_newer_one_says_so() {
    let world = World::new();
    world.parent.put(description("old", 10, &[map("a", "1")]));
    world.until_phase("old", DescriptionPhase::Success).await;
    world.parent.put(description("new", 0, &[map("a", "2")]));
    world.until_phase("new", DescriptionPhase::Failure).await;
    world.child.take_writes();
    world.rest().await;
    assert_eq!(world.child.take_writes(), Vec::<String>::new());
    assert_eq!(world.child.get(CONFIG_MAPS, "a").unwrap()["data"]["a"], "1");
    let (_, reason, message) = world.parent.condition("new", "Applied");
    assert_eq!(reason, "Conflict");
    assert!(message.contains("the Description old, which is older"), "{message}");
    world.parent.put(description("old", 10, &[map("a", "2")]));
    world.until_phase("new", DescriptionPhase::Success).await;
}

#[tokio::test(start_paused = true)]
async fn mass_deletion_waits_until_it_is_confirmed_also_over_a_restart() {
    let world = World::new();
    world.parent.put(description("d", 0, &maps(0..30)));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.parent.delete("d");
    world.until("it is held", |world| world.parent.condition("d", "DeletionHeld").0 == "True").await;
    let world = world.restart().await;
    world.rest().await;
    assert_eq!(world.names(CONFIG_MAPS).len(), 30);
    let (_, reason, message) = world.parent.condition("d", "DeletionHeld");
    assert_eq!(reason, "MassDeletion");
    let generation = message.rsplit_once('=').unwrap().1.to_owned();
    world.parent.annotate("d", annotations::CONFIRM_DELETION, &generation);
    world.until("it is gone", |world| world.parent.get("d").is_none()).await;
    assert!(world.names(CONFIG_MAPS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn many_descriptions_deleted_together_are_a_mass_deletion_and_few_objects_are_none() {
    let world = World::new();
    for n in 0..40 {
        world.parent.put(description(&format!("d{n:02}"), 0, &maps(n..n + 1)));
    }
    world.until("all are there", |world| world.names(CONFIG_MAPS).len() == 40).await;
    world.rest().await;
    for n in 0..9 {
        world.parent.delete(&format!("d{n:02}"));
    }
    world.until("few go", |world| world.names(CONFIG_MAPS).len() == 31).await;
    for n in 9..40 {
        world.parent.delete(&format!("d{n:02}"));
    }
    world.rest().await;
    let left = world.names(CONFIG_MAPS).len();
    assert!(left >= 20, "{left} are left");
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_release_what_waits_because_of_what_was_deleted_before() {
    let world = World::new();
    for n in 0..20 {
        world.parent.put(description(&format!("d{n}"), n, &[map(&format!("m{n:03}"), "1")]));
    }
    world.until("all are there", |world| world.names(CONFIG_MAPS).len() == 20).await;
    // One after the other, each gone before the next is asked for, until the brake holds one.
    let mut held = None;
    for n in 0..20 {
        let name = format!("d{n}");
        world.parent.delete(&name);
        let is_held = |world: &World| world.parent.condition(&name, "DeletionHeld").0 == "True";
        world.until("gone or held", |world| world.parent.get(&name).is_none() || is_held(world)).await;
        if is_held(&world) {
            held = Some(name);
            break;
        }
    }
    let held = held.expect("more than half of what there was is held");
    let told = world.parent.condition(&held, "DeletionHeld");
    let left = world.names(CONFIG_MAPS).len();
    let world = world.restart().await;
    world.parent.take_writes();
    sleep(Duration::from_secs(50)).await;
    assert_eq!((world.names(CONFIG_MAPS).len(), world.parent.take_writes()), (left, 0));
    assert_eq!(world.parent.condition(&held, "DeletionHeld"), told);
    world.until("it is gone afterwards", |world| world.parent.get(&held).is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_description_that_cannot_be_read_as_a_whole_deletes_nothing() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1"), map("b", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.parent.put(description("d", 0, &[map("a", "1"), json!("no object")]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    world.rest().await;
    assert!(world.child.get(CONFIG_MAPS, "b").is_some());
    assert_eq!(world.parent.get("d").unwrap().status.unwrap().manifest_statuses.len(), 2);
}
