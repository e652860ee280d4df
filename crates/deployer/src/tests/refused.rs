//! What a cluster does not take, and what it has no right to.

use api::apps::DescriptionPhase;
use meta::Status;
use serde_json::{Value, json};

use super::{World, map, refused, web};
use crate::fake::{CONFIG_MAPS, DEPLOYMENTS, description};

const SECRETS: &str = "/api/v1/secrets";
const WIDGETS: &str = "/apis/demo.io/v1/widgets";

#[tokio::test(start_paused = true)]
async fn one_object_that_is_refused_does_not_hold_up_the_others_and_no_value_is_told() {
    let world = World::new();
    world.child.refuse(
        "/web",
        Some(refused(422, "spec.selector", "Invalid value: \"hunter2\": field is immutable")),
    );
    world.parent.put(description("d", 0, &[web(&json!({})), map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    assert!(world.child.get(CONFIG_MAPS, "a").is_some());
    let (_, reason, message) = world.parent.condition("d", "Applied");
    assert_eq!(reason, "Refused");
    assert!(
        message.starts_with("Deployment qux/web: c1 refuses it: spec.selector cannot be changed"),
        "{message}"
    );
    let told = world.parent.take_told();
    assert_eq!((told[0].reason, told[0].warning), ("UnSuccessfullyDeployed", true));
    assert!(!format!("{told:?}{:?}", world.parent.get("d").unwrap().status).contains("hunter2"));
    world.child.refuse("/web", None);
    world.until_phase("d", DescriptionPhase::Success).await;
}

fn secret(value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s", "namespace": "qux" },
            "data": { "token": value } })
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_not_base64_is_told_of_and_not_tried_again_and_what_runs_of_it_stays() {
    let world = World::new();
    world.child.server.serve(SECRETS, "Secret", true);
    world.parent.put(description("d", 0, &[secret("hunter2!"), map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    assert!(world.child.get(CONFIG_MAPS, "a").is_some(), "the others go on");
    let (_, reason, message) = world.parent.condition("d", "Applied");
    assert_eq!(reason, "InvalidObject");
    assert!(message.starts_with("Secret qux/s: data.token is not base64; encode it"), "{message}");
    let statuses = world.parent.get("d").unwrap().status.unwrap().manifest_statuses;
    assert_eq!(statuses.iter().map(|one| one.never_applied).collect::<Vec<_>>(), [Some(true), None]);
    world.child.take_writes();
    world.parent.take_writes();
    world.rest().await;
    assert_eq!((world.child.take_writes().len(), world.parent.take_writes()), (0, 0));
    world.parent.put(description("d", 0, &[secret("aGk="), map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.parent.put(description("d", 0, &[secret("hunter2!"), map("a", "2")]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    assert_eq!(world.child.get(SECRETS, "s").unwrap()["data"]["token"], "aGk=");
    assert_eq!(world.child.get(CONFIG_MAPS, "a").unwrap()["data"]["a"], "2");
    assert!(
        !format!("{:?}{:?}", world.parent.take_told(), world.parent.get("d").unwrap().status)
            .contains("hunter2")
    );
    world.parent.delete("d");
    world.until("d is gone", |world| world.parent.get("d").is_none()).await;
    assert!(world.names(SECRETS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_never_there_as_it_is_not_base64_keeps_no_description_from_being_deleted() {
    let world = World::new();
    world.child.server.serve(SECRETS, "Secret", true);
    world.child.refuse("/s", Some(no_right()));
    world.parent.put(description("d", 0, &[secret("hunter2!")]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    world.parent.delete("d");
    world.until("d is gone", |world| world.parent.get("d").is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_shows_the_command_that_grants_it() {
    let world = World::new();
    let message = r#"deployments.apps "web" is forbidden: User "x" cannot patch resource "deployments""#;
    world.child.refuse("/web", Some(Status::forbidden(message)));
    world.parent.put(description("d", 0, &[web(&json!({}))]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    let (_, reason, message) = world.parent.condition("d", "Applied");
    assert_eq!(reason, "Forbidden");
    assert!(message.contains("kubectl create clusterrole clusterway-deploy-deployments.apps"), "{message}");
    world.child.refuse("/web", None);
    world.until_phase("d", DescriptionPhase::Success).await;
}

fn no_right() -> Status {
    Status::forbidden(r#"deployments.apps "web" is forbidden: User "x" cannot get resource "deployments""#)
}

fn never_applied(world: &World) -> Option<bool> {
    let statuses = world.parent.get("d").unwrap().status.unwrap_or_default().manifest_statuses;
    statuses.iter().find(|one| one.feed.name == "web").unwrap().never_applied
}

#[tokio::test(start_paused = true)]
async fn what_was_never_applied_for_want_of_a_right_keeps_no_description_from_being_deleted() {
    let world = World::new();
    world.child.refuse("/web", Some(no_right()));
    world.parent.put(description("d", 0, &[web(&json!({})), map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    assert_eq!(never_applied(&world), Some(true));
    // While nothing changes nothing is written, and a restart changes nothing about that.
    world.rest().await;
    world.parent.take_writes();
    world.rest().await;
    let world = world.restart().await;
    world.rest().await;
    assert_eq!((world.parent.take_writes(), never_applied(&world)), (0, Some(true)));
    world.parent.delete("d");
    world.until("d is gone", |world| world.parent.get("d").is_none()).await;
    assert!(world.names(CONFIG_MAPS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_applied_before_a_right_was_taken_away_keeps_its_description_until_it_is_back() {
    let world = World::new();
    world.child.refuse("/web", Some(no_right()));
    world.parent.put(description("d", 0, &[web(&json!({}))]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    world.child.refuse("/web", None);
    world.until_phase("d", DescriptionPhase::Success).await;
    assert_eq!(never_applied(&world), None);
    world.child.refuse("/web", Some(no_right()));
    let world = world.restart().await;
    world.until_phase("d", DescriptionPhase::Failure).await;
    assert_eq!(never_applied(&world), None);
    world.parent.delete("d");
    world.rest().await;
    assert!(world.parent.get("d").is_some(), "the Deployment is there");
    world.child.refuse("/web", None);
    world.until("d is gone", |world| world.parent.get("d").is_none()).await;
    assert!(world.names(DEPLOYMENTS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_kill_at_any_moment_after_a_right_was_granted_leaves_no_orphan() {
    for kill_after in 0..120 {
        let world = World::new();
        world.child.refuse("/web", Some(no_right()));
        world.parent.put(description("d", 0, &[web(&json!({}))]));
        world.until_phase("d", DescriptionPhase::Failure).await;
        world.child.refuse("/web", None);
        world.cluster.try_now();
        for _ in 0..kill_after {
            tokio::task::yield_now().await;
        }
        world.kill().await;
        assert!(
            never_applied(&world).is_none() || world.names(DEPLOYMENTS).is_empty(),
            "nothing is there that is said never to have been ({kill_after})"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_custom_resource_comes_when_its_definition_has_come() {
    let world = World::new();
    let widget = json!({ "apiVersion": "demo.io/v1", "kind": "Widget", "metadata": { "name": "w", "namespace": "qux" } });
    world.parent.put(description("d", 0, &[widget, map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Failure).await;
    assert_eq!(world.parent.condition("d", "Applied").1, "UnknownKind");
    world.child.server.serve(WIDGETS, "Widget", true);
    world.until_phase("d", DescriptionPhase::Success).await;
    assert!(world.child.get(WIDGETS, "w").is_some());
}
