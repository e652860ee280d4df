//! What the deployer does, as specifications: a worker between a cluster and a parent that are played.

mod contents;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{
    apps::DescriptionPhase,
    names::{apps::annotations::OWNED_BY_DESCRIPTION, deployer::annotations},
};
use meta::{Status, StatusCause, StatusDetails};
use runtime::Tasks;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    Options,
    child::Child,
    cluster::Cluster,
    counters::Counters,
    fake::{CONFIG_MAPS, DEPLOYMENTS, FakeChild, FakeParent, NAMESPACES, description},
    trouble::Trouble,
    worker,
};

const SECRETS: &str = "/api/v1/secrets";
const WIDGETS: &str = "/apis/demo.io/v1/widgets";

struct World {
    child: Arc<FakeChild>,
    parent: Arc<FakeParent>,
    cluster: Arc<Cluster>,
    tasks: Tasks,
}

impl World {
    fn new() -> Self {
        Self::with(&FakeChild::new(), &Arc::default(), Options::default())
    }

    fn with(child: &Arc<FakeChild>, parent: &Arc<FakeParent>, options: Options) -> Self {
        let tasks = Tasks::new();
        let api = Child::new(child.clone(), options.parallelism);
        let cluster =
            Cluster::new("c1".into(), "n".into(), api, parent.clone(), options, Counters::default());
        tasks.spawn("worker", worker::work(cluster.clone(), parent.follow(), tasks.clone(), None));
        Self { child: child.clone(), parent: parent.clone(), cluster, tasks }
    }

    /// Kills the worker.
    async fn kill(&self) {
        self.tasks.cancel();
        // A task that is told to end does so when it is polled the next time.
        sleep(Duration::from_millis(1)).await;
    }

    /// Kills the worker, and begins with another one.
    async fn restart(self) -> Self {
        self.kill().await;
        Self::with(&self.child, &self.parent, Options::default())
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while !holds(self) {
            assert!(Instant::now() < deadline, "{what} did not come true: {:?}", self.parent.get("d"));
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_phase(&self, name: &str, phase: DescriptionPhase) {
        let of = |world: &Self| {
            let found = world.parent.get(name)?;
            let generation = found.metadata.generation;
            let status = found.status?;
            let applied = api::conditions::find(&status.conditions, "Applied")?;
            (applied.observed_generation == generation).then_some(status.phase)?
        };
        self.until(&format!("{name} {phase:?}"), |world| of(world) == Some(phase)).await;
    }

    /// Long enough for whatever would happen by itself.
    async fn rest(&self) {
        sleep(Duration::from_secs(120)).await;
    }

    fn names(&self, of: &str) -> BTreeSet<String> {
        self.child.server.names(of)
    }
}

fn map(name: &str, value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "qux" },
            "data": { "a": value } })
}

fn maps(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|n| map(&format!("m{n:03}"), "1")).collect()
}

fn web(spec: &Value) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "qux" },
            "spec": spec })
}

fn refused(code: u16, field: &str, message: &str) -> Status {
    let cause =
        StatusCause { reason: "FieldValueInvalid".into(), message: message.into(), field: field.into() };
    let details = StatusDetails { causes: vec![cause], ..StatusDetails::default() };
    Status { details: Some(Box::new(details)), ..Status::new(code, "Invalid", message) }
}

#[tokio::test(start_paused = true)]
async fn the_objects_of_a_description_come_into_the_cluster_and_it_says_so() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1"), web(&json!({ "replicas": 1 }))]));
    world.until_phase("d", DescriptionPhase::Success).await;
    let found = world.child.get(DEPLOYMENTS, "web").unwrap();
    assert_eq!(found["metadata"]["annotations"][OWNED_BY_DESCRIPTION], "n.d");
    let status = world.parent.get("d").unwrap().status.unwrap();
    let keys: Vec<String> = status.manifest_statuses.iter().map(|one| one.feed.key()).collect();
    assert_eq!(keys, ["v1/ConfigMap/qux/a", "apps/v1/Deployment/qux/web"]);
    assert_eq!(world.parent.condition("d", "Applied").1, "SuccessfullyDeployed");
    assert_eq!(world.parent.take_told()[0].reason, "SuccessfullyDeployed");
    assert!(world.parent.get("d").unwrap().metadata.finalizers.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_another_deployer_has_just_taken_away_is_not_brought_back() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    let world = world.restart().await;
    // It has listed the Description; since then the other one has ended its deletion.
    world.parent.lose("d");
    world.child.server.delete(CONFIG_MAPS, "qux", "a");
    world.rest().await;
    assert!(world.names(CONFIG_MAPS).is_empty());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_again_neither_later_nor_after_a_restart() {
    let world = World::new();
    let odd = web(&json!({ "timeout": "60s", "replicas": 1 }));
    world.parent.put(description("d", 0, &[map("a", "1"), odd]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.rest().await;
    world.child.take_writes();
    world.parent.take_writes();
    world.rest().await;
    let world = world.restart().await;
    world.rest().await;
    // What the server writes in another way is only asked about, once.
    assert_eq!(world.child.take_writes(), ["ask web"]);
    assert_eq!(world.parent.take_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn only_what_has_changed_is_applied_again() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1"), map("b", "1"), map("c", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.child.take_writes();
    world.parent.put(description("d", 0, &[map("a", "1"), map("b", "2"), map("c", "1")]));
    world.until("b", |world| world.child.get(CONFIG_MAPS, "b").unwrap()["data"]["a"] == "2").await;
    world.until_phase("d", DescriptionPhase::Success).await;
    assert_eq!(world.child.take_writes(), ["apply b"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_was_there_is_taken_over() {
    let world = World::new();
    world.child.store(DEPLOYMENTS, &web(&json!({ "replicas": 5, "mine": true })));
    world.parent.put(description("d", 0, &[web(&json!({ "replicas": 1 }))]));
    world.until_phase("d", DescriptionPhase::Success).await;
    let found = world.child.get(DEPLOYMENTS, "web").unwrap();
    assert_eq!((&found["spec"]["replicas"], &found["spec"]["mine"]), (&json!(1), &json!(true)));
}

#[tokio::test(start_paused = true)]
async fn a_missing_namespace_is_made() {
    let world = World::new();
    let mut object = map("a", "1");
    object["metadata"]["namespace"] = json!("elsewhere");
    world.parent.put(description("d", 0, &[object]));
    world.until_phase("d", DescriptionPhase::Success).await;
    assert!(world.names(NAMESPACES).contains("/elsewhere"));
}

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

#[tokio::test(start_paused = true)]
async fn a_change_in_the_cluster_is_taken_back_within_five_seconds_and_told() {
    let world = World::new();
    world.parent.put(description("d", 0, &[web(&json!({ "replicas": 1 })), map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.rest().await;
    world.parent.take_told();
    let begin = Instant::now();
    world.child.change(DEPLOYMENTS, "web", |web| web["spec"]["replicas"] = json!(9));
    world.child.server.delete(CONFIG_MAPS, "qux", "a");
    let back = |world: &World| {
        world.child.get(DEPLOYMENTS, "web").unwrap()["spec"]["replicas"] == 1
            && world.child.get(CONFIG_MAPS, "a").is_some()
    };
    world.until("it is taken back", back).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    world.rest().await;
    let told = world.parent.take_told();
    let notes: BTreeSet<&str> = told.iter().map(|told| told.note.as_str()).collect();
    assert_eq!(
        notes,
        [
            "In c1, ConfigMap qux/a had been deleted and is made again",
            "In c1, Deployment qux/web had been changed: /spec/replicas is as it was deployed again",
        ]
        .into()
    );
    assert!(told.iter().all(|told| told.reason == "DriftCorrected"));
}

#[tokio::test(start_paused = true)]
async fn with_recovery_off_a_change_stays_and_the_status_is_still_told() {
    let world =
        World::with(&FakeChild::new(), &Arc::default(), Options { recovery: false, ..Options::default() });
    world.parent.put(description("d", 0, &[web(&json!({ "replicas": 1 }))]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.rest().await;
    world.child.change(DEPLOYMENTS, "web", |web| {
        web["spec"]["replicas"] = json!(9);
        web["status"] = json!({ "replicas": 9 });
    });
    let told = |world: &World| {
        let status = world.parent.get("d").unwrap().status.unwrap();
        status.manifest_statuses[0].observed_status == Some(json!({ "replicas": 9 }))
    };
    world.until("the status is told", told).await;
    world.rest().await;
    assert_eq!(world.child.get(DEPLOYMENTS, "web").unwrap()["spec"]["replicas"], 9);
}

#[tokio::test(start_paused = true)]
async fn whoever_changes_an_object_for_ever_is_not_fought_for_ever() {
    let world = World::new();
    world.parent.put(description("d", 0, &[map("a", "1")]));
    world.until_phase("d", DescriptionPhase::Success).await;
    world.rest().await;
    world.child.take_writes();
    for n in 0..200 {
        world.child.change(CONFIG_MAPS, "a", |map| map["data"]["a"] = json!(format!("theirs-{n}")));
        sleep(Duration::from_millis(500)).await;
    }
    let applied = world.child.take_writes().iter().filter(|write| *write == "apply a").count();
    assert!(applied <= 15, "{applied} times within 100 s");
    world.until_phase("d", DescriptionPhase::Success).await;
    assert_eq!(world.child.get(CONFIG_MAPS, "a").unwrap()["data"]["a"], "1");
}

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
