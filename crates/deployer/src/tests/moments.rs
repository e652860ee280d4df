//! What happens while something else is under way, and whatever dies or is away meanwhile.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{apps::DescriptionPhase, names::deployer::annotations};
use serde_json::json;
use tokio::time::sleep;

use super::{World, map, maps, web};
use crate::{
    Options,
    fake::{CONFIG_MAPS, DEPLOYMENTS, FakeChild, FakeParent, description},
    trouble::Trouble,
};

#[tokio::test(start_paused = true)]
async fn while_the_cluster_is_away_nothing_is_lost_and_afterwards_everything_is_done() {
    let world = World::new();
    world.child.server.set_down(true);
    world.parent.put(description("d", 0, &[map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    assert_eq!(world.parent.condition("d", "Applied").1, "ClusterUnreachable");
    world.child.server.set_down(false);
    world.until_phase("d", DescriptionPhase::Success).await;
    world.child.server.set_down(true);
    world.parent.delete("d");
    world.rest().await;
    assert!(world.parent.get("d").is_some());
    world.child.server.set_down(false);
    world.until("it is gone", |world| world.parent.get("d").is_none()).await;
    assert!(world.names(CONFIG_MAPS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_an_object_before_the_answer_to_its_apply_is_not_lost() {
    let world = World::new();
    world.parent.put(description("first", 0, &[web(&json!({ "replicas": 1 }))]));
    world.until_phase("first", DescriptionPhase::Success).await;
    world.rest().await;
    let mut other = web(&json!({ "replicas": 1 }));
    other["metadata"]["name"] = json!("other");
    *world.child.lag.lock() = Duration::from_secs(1);
    world.parent.put(description("d", 0, &[other]));
    world.until("it is there", |world| world.child.get(DEPLOYMENTS, "other").is_some()).await;
    world.child.change(DEPLOYMENTS, "other", |it| {
        it["status"] = json!({ "replicas": 1 });
        it["spec"]["replicas"] = json!(5);
    });
    world.until_phase("d", DescriptionPhase::Success).await;
    world
        .until("it is taken back", |world| {
            world.child.get(DEPLOYMENTS, "other").unwrap()["spec"]["replicas"] == 1
        })
        .await;
    world.rest().await;
    let status = world.parent.get("d").unwrap().status.unwrap();
    assert_eq!(status.manifest_statuses[0].observed_status, Some(json!({ "replicas": 1 })));
}

#[tokio::test(start_paused = true)]
async fn what_passes_soon_is_not_told_of_what_is_deployed_and_what_lasts_is() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.rest().await;
    world.parent.take_writes();
    world.child.server.set_down(true);
    let world = world.restart().await;
    sleep(Duration::from_secs(10)).await;
    world.child.server.set_down(false);
    world.cluster.try_now();
    world.rest().await;
    assert_eq!(world.parent.take_writes(), 0);
    world.child.server.set_down(true);
    let world = world.restart().await;
    world.until_phase("d", DescriptionPhase::Failure).await;
    assert_eq!(world.parent.condition("d", "Applied").1, "ClusterUnreachable");
    world.child.server.set_down(false);
    world.until_phase("d", DescriptionPhase::Success).await;
}

#[tokio::test(start_paused = true)]
async fn paused_or_frozen_nothing_is_changed_and_afterwards_everything_is_as_it_should_be() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1"), map("b", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.rest().await;
    world.cluster.halt(Some(Trouble::of_description("Frozen", "frozen")));
    world.child.take_writes();
    world.parent.put(description("d", 0, &[map("a", "2")]));
    world.child.server.delete(CONFIG_MAPS, "qux", "b");
    world.rest().await;
    assert_eq!(world.child.take_writes(), Vec::<String>::new());
    assert_eq!(world.parent.condition("d", "Applied").1, "Frozen");
    assert_eq!(world.parent.get("d").unwrap().status.unwrap().phase, Some(DescriptionPhase::Success));
    world.cluster.halt(None);
    world.until("it goes on", |world| world.child.get(CONFIG_MAPS, "a").unwrap()["data"]["a"] == "2").await;
    world.parent.annotate("d", annotations::PAUSED, "true");
    world.until("it is paused", |world| world.parent.condition("d", "Applied").1 == "Paused").await;
    world.child.change(CONFIG_MAPS, "a", |map| map["data"]["a"] = json!("theirs"));
    world.rest().await;
    assert_eq!(world.child.get(CONFIG_MAPS, "a").unwrap()["data"]["a"], "theirs");
    world.parent.annotate("d", annotations::PAUSED, "false");
    world
        .until("it is taken back", |world| world.child.get(CONFIG_MAPS, "a").unwrap()["data"]["a"] == "2")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_moment_leaves_no_orphan_and_nothing_is_written_twice() {
    for kill_after in (0..400).step_by(23) {
        let child = FakeChild::new();
        let parent = Arc::<FakeParent>::default();
        parent.put(description("d", 0, &maps(0..60)));
        let world = World::with(&child, &parent, Options::default());
        // So many steps of the scheduler, wherever that is.
        for _ in 0..kill_after {
            tokio::task::yield_now().await;
        }
        world.kill().await;
        let record = parent.get("d").unwrap().status.unwrap_or_default().manifest_statuses;
        let recorded: BTreeSet<String> = record.iter().map(|one| format!("qux/{}", one.feed.name)).collect();
        assert!(world.names(CONFIG_MAPS).is_subset(&recorded), "what is there is recorded ({kill_after})");
        let world = World::with(&child, &parent, Options::default());
        world.until_phase("d", DescriptionPhase::Success).await;
        world.rest().await;
        let writes = child.take_writes();
        let once: BTreeSet<&String> = writes.iter().collect();
        assert_eq!((writes.len(), once.len()), (60, 60), "killed after {kill_after}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_being_deleted_in_the_cluster_is_made_again_when_it_is_gone() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.rest().await;
    world.child.change(CONFIG_MAPS, "a", |map| {
        map["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    world.until("it says so", |world| world.parent.condition("d", "Applied").1 == "Terminating").await;
    world.child.server.delete(CONFIG_MAPS, "qux", "a");
    world.until("it is there again", |world| world.child.get(CONFIG_MAPS, "a").is_some()).await;
    world.until_phase("d", DescriptionPhase::Success).await;
}

#[tokio::test(start_paused = true)]
async fn watches_that_break_or_miss_something_are_made_up_for() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1"), map("b", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.rest().await;
    world.child.server.set_down(true);
    world.child.server.delete(CONFIG_MAPS, "qux", "a");
    world.child.change(CONFIG_MAPS, "b", |map| map["data"]["a"] = json!("theirs"));
    world.child.server.forget();
    world.child.server.set_down(false);
    let back = |world: &World| {
        world.child.get(CONFIG_MAPS, "a").is_some()
            && world.child.get(CONFIG_MAPS, "b").unwrap()["data"]["a"] == "1"
    };
    world.until("both are back", back).await;
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_may_not_be_watched_is_looked_at_now_and_then() {
    let world = World::new();
    world.child.server.forbid(CONFIG_MAPS);
    world.parent.put(description("d", 0, &[map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.rest().await;
    world.child.change(CONFIG_MAPS, "a", |map| map["data"]["a"] = json!("theirs"));
    sleep(Duration::from_mins(13)).await;
    assert_eq!(world.child.get(CONFIG_MAPS, "a").unwrap()["data"]["a"], "1");
}
