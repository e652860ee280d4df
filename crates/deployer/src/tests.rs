//! What the deployer does, as specifications: a worker between a cluster and a parent that are played.

mod contents;
mod deleting;
mod moments;
mod refused;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{apps::DescriptionPhase, names::apps::annotations::OWNED_BY_DESCRIPTION};
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
    worker,
};

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
