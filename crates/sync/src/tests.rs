//! Clusters and a store, whole: from a PediaCluster to rows and conditions.

mod faults;
mod load;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use api::pedia::{PediaClusterSpec, PediaClusterStatus, SecretData, SyncRule, SyncState};
use kubeio::Transport;
use runtime::Tasks;
use serde_json::json;
use store::{ClusterName, ObjectName, Query, Resource, SqliteOptions, SqliteStore, Store};
use testkit::apiserver::{ApiServer, Ask, Fault, NODES, PODS, SECRETS, Trouble};
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    access::Policy,
    cluster::{self, Cluster, Shared, Wanted},
    counters::Counters,
    fake::{FakeParent, FlakyStore, To, Tunnelled},
    limits::Budget,
    rules::{Gates, Rules},
};

const WIDGETS: &str = "/apis/demo.io/v1/widgets";

/// A hub with a store, and clusters by their ids.
struct Hub {
    store: Arc<SqliteStore>,
    clusters: HashMap<String, Arc<dyn Transport>>,
    lists: usize,
    /// Bytes that may wait for the store.
    budget: usize,
    /// Resources of a cluster.
    most_resources: usize,
    _directory: tempfile::TempDir,
}

/// One PediaCluster that is looked after.
struct Synced {
    parent: Arc<FakeParent>,
    wanted: watch::Sender<Wanted>,
    tasks: Tasks,
    task: JoinHandle<()>,
}

impl Hub {
    async fn new(clusters: &[(&str, &Arc<ApiServer>)]) -> Self {
        let to = |(id, cluster): &(&str, &Arc<ApiServer>)| {
            ((*id).to_owned(), Arc::new(To(Arc::clone(cluster))) as Arc<dyn Transport>)
        };
        Self::over(clusters.iter().map(to).collect()).await
    }

    /// With ways to clusters of one's own.
    async fn over(clusters: HashMap<String, Arc<dyn Transport>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(directory.path().join("s.db"))).await.unwrap();
        Self {
            store: Arc::new(store),
            clusters,
            lists: 8,
            budget: 64 << 20,
            most_resources: 100,
            _directory: directory,
        }
    }

    /// Synchronises the cluster `id` under the same name.
    fn sync(&self, id: &str, rules: Vec<SyncRule>) -> Synced {
        self.sync_into(self.store.clone(), id, rules)
    }

    fn sync_into(&self, store: Arc<dyn Store>, id: &str, rules: Vec<SyncRule>) -> Synced {
        let parent = Arc::new(FakeParent::default());
        let clusters = self.clusters.clone();
        let shared = Arc::new(Shared {
            parent: parent.clone(),
            store,
            tunnel: Box::new(move |id: &str| clusters[id].clone()),
            lists: Arc::new(Semaphore::new(self.lists)),
            lists_per_cluster: 2,
            budget: Budget::new(self.budget),
            policy: Policy { secrets: true, insecure_without_ca: false },
            gates: Gates::default(),
            most_resources: self.most_resources,
            sharding_name: String::new(),
            takeover_after: Duration::from_mins(10),
            counters: Counters::default(),
        });
        let (wanted, receiver) = watch::channel(of(id, rules));
        let tasks = Tasks::new();
        let status = PediaClusterStatus::default();
        let supervising = cluster::supervise(shared, id.to_owned(), status, receiver, tasks.child());
        let task = tasks.spawn_draining("supervisor", supervising);
        Synced { parent, wanted, tasks, task }
    }

    /// Namespaces and names that are stored.
    async fn names(&self, cluster: &str, resource: &Resource) -> BTreeSet<String> {
        let name = ClusterName::new(cluster);
        let versions = self.store.versions(&name, resource, None, 10_000).await.unwrap();
        versions.into_iter().map(|stored| format!("{}/{}", stored.name.namespace, stored.name.name)).collect()
    }

    async fn until_names(&self, cluster: &str, resource: &Resource, expected: &BTreeSet<String>) {
        for _ in 0..2_000 {
            if self.names(cluster, resource).await == *expected {
                return;
            }
            moment().await;
        }
        panic!("stored {:?}, expected {expected:?}", self.names(cluster, resource).await);
    }

    /// The number of the last change of each object.
    async fn changes(&self, resource: &Resource) -> BTreeMap<String, u64> {
        let mut rows = self.store.select(Query::of(resource.clone())).await.unwrap();
        let mut changes = BTreeMap::new();
        while let Some(row) = rows.next().await.unwrap() {
            changes.insert(row.position.name, row.position.sequence);
        }
        changes
    }

    async fn json(&self, cluster: &str, resource: &Resource, namespace: &str, name: &str) -> String {
        let name = ObjectName::new(namespace, name);
        let row = self.store.get(&ClusterName::new(cluster), resource, &name).await.unwrap();
        row.map(|row| String::from_utf8(row.json.to_vec()).unwrap()).unwrap_or_default()
    }
}

impl Synced {
    fn change(&self, id: &str, rules: Vec<SyncRule>) {
        self.wanted.send_replace(of(id, rules));
    }

    async fn until(&self, condition: &str) {
        for _ in 0..5_000 {
            if self.parent.conditions().iter().any(|found| found == condition) {
                return;
            }
            moment().await;
        }
        panic!("{condition}: {:?}", self.parent.conditions());
    }

    /// State, reason and message of each resource, by its plural name.
    fn resources(&self) -> BTreeMap<String, (SyncState, String, String)> {
        let statuses = self.parent.statuses.lock();
        let groups = statuses.last().map(|status| status.sync_resources.clone()).unwrap_or_default();
        let mut found = BTreeMap::new();
        for of in groups.into_iter().flat_map(|group| group.resources) {
            let state = of.sync_conditions[0].clone();
            let texts = (state.reason.unwrap_or_default(), state.message.unwrap_or_default());
            found.insert(of.name, (state.status, texts.0, texts.1));
        }
        found
    }

    async fn until_resource(&self, name: &str, state: SyncState) -> (String, String) {
        for _ in 0..5_000 {
            if let Some((found, reason, message)) = self.resources().remove(name)
                && found == state
            {
                return (reason, message);
            }
            moment().await;
        }
        panic!("{name} {state:?}: {:?}", self.resources());
    }

    /// The process ends, as it does at any moment.
    async fn stop(self) {
        self.tasks.cancel();
        self.task.await.unwrap();
    }
}

/// Time for the store, whose threads know nothing of the clock of the test, and then for the clock.
#[expect(clippy::disallowed_methods, reason = "on a thread that may be blocked")]
async fn moment() {
    let wait = || std::thread::sleep(Duration::from_millis(1));
    tokio::task::spawn_blocking(wait).await.unwrap();
    sleep(Duration::from_millis(100)).await;
}

fn of(id: &str, rules: Vec<SyncRule>) -> Wanted {
    let spec = PediaClusterSpec { cluster_id: Some(id.into()), ..PediaClusterSpec::default() };
    let rules = Rules { rules, all_custom: false };
    Wanted::Synced(Box::new(Cluster {
        spec,
        generation: Some(1),
        rules,
        note: String::new(),
        has_finalizer: false,
    }))
}

fn rule(group: &str, resources: &[&str]) -> SyncRule {
    SyncRule {
        group: group.into(),
        resources: resources.iter().map(|&name| name.into()).collect(),
        ..SyncRule::default()
    }
}

fn pods() -> Resource {
    Resource::new("", "v1", "pods")
}

fn widgets() -> Resource {
    Resource::new("demo.io", "v1", "widgets")
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_cluster_becomes_ready_and_its_objects_are_stored_and_followed() {
    let cluster = ApiServer::new();
    (0..1_000).for_each(|number| cluster.pod("a", &format!("p{number}")));
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    hub.until_names("one", &pods(), &cluster.names(PODS)).await;
    synced.until("Ready Ready").await;
    assert_eq!(*synced.parent.finalizers.lock(), [true]);
    cluster.pod("b", "new");
    cluster.delete(PODS, "a", "p7");
    hub.until_names("one", &pods(), &cluster.names(PODS)).await;
    let status = synced.parent.statuses.lock().last().cloned().unwrap();
    assert_eq!(status.version.as_deref(), Some("v1.33.1"));
    synced.until_resource("pods", SyncState::Syncing).await;
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_nothing_is_listed_again_and_nothing_is_missed() {
    let cluster = ApiServer::new();
    cluster.pod("a", "old");
    cluster.pod("a", "gone");
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    synced.until_resource("pods", SyncState::Syncing).await;
    synced.stop().await;
    assert_eq!(cluster.asked(Ask::List, PODS), 1);
    cluster.pod("a", "new");
    cluster.delete(PODS, "a", "gone");
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    hub.until_names("one", &pods(), &set(&["a/new", "a/old"])).await;
    synced.until("Ready Ready").await;
    assert_eq!(cluster.asked(Ask::List, PODS), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_while_the_history_was_lost_is_swept() {
    let cluster = ApiServer::new();
    for name in ["a", "b", "c"] {
        cluster.pod("x", name);
    }
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    hub.until_names("one", &pods(), &cluster.names(PODS)).await;
    synced.until_resource("pods", SyncState::Syncing).await;
    synced.stop().await;
    cluster.delete(PODS, "x", "b");
    cluster.forget();
    let _synced = hub.sync("one", vec![rule("", &["pods"])]);
    hub.until_names("one", &pods(), &set(&["x/a", "x/c"])).await;
    assert_eq!(cluster.asked(Ask::List, PODS), 2);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_killed_at_any_moment_loses_and_doubles_nothing() {
    let cluster = ApiServer::new();
    let hub = Hub::new(&[("one", &cluster)]).await;
    for round in 0..20_u64 {
        for number in 0..50 {
            cluster.pod("a", &format!("p{}", (round * 17 + number) % 300));
        }
        cluster.delete(PODS, "a", &format!("p{}", round * 13));
        let synced = hub.sync("one", vec![rule("", &["pods"])]);
        sleep(Duration::from_millis(round * 20)).await;
        synced.stop().await;
        if round % 7 == 0 {
            cluster.forget();
        }
    }
    let _synced = hub.sync("one", vec![rule("", &["pods"])]);
    hub.until_names("one", &pods(), &cluster.names(PODS)).await;
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_goes_takes_its_rows_along_and_leaves_the_others_undisturbed() {
    let cluster = ApiServer::new();
    cluster.pod("a", "p");
    cluster.put(NODES, "", "n", &json!({}), &json!({}));
    let nodes = Resource::new("", "v1", "nodes");
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["pods"]), rule("", &["nodes"])]);
    hub.until_names("one", &nodes, &set(&["/n"])).await;
    synced.until_resource("pods", SyncState::Syncing).await;
    synced.change("one", vec![rule("", &["pods"])]);
    hub.until_names("one", &nodes, &set(&[])).await;
    assert!(
        hub.store.checkpoints(&ClusterName::new("one")).await.unwrap().iter().all(|c| c.resource == pods())
    );
    cluster.pod("a", "q");
    hub.until_names("one", &pods(), &cluster.names(PODS)).await;
    assert_eq!(cluster.asked(Ask::List, PODS), 1);
    synced.change("one", vec![rule("", &["*"])]);
    hub.until_names("one", &nodes, &set(&["/n"])).await;
    for _ in 0..100 {
        moment().await;
    }
    assert!(synced.resources().contains_key("nodes"));
}

#[tokio::test(start_paused = true)]
async fn values_of_secrets_are_never_stored_unless_the_rule_says_so() {
    let cluster = ApiServer::new();
    let secrets = Resource::new("", "v1", "secrets");
    let value = json!({ "data": { "key": "hunter2" } });
    cluster.put(SECRETS, "a", "s", &json!({}), &value);
    let hub = Hub::new(&[("one", &cluster)]).await;
    let keep = SyncRule { secret_data: Some(SecretData::Keep), ..rule("", &["secrets"]) };
    let synced = hub.sync("one", vec![rule("", &["secrets"])]);
    synced.until_resource("secrets", SyncState::Syncing).await;
    let stored = hub.json("one", &secrets, "a", "s").await;
    assert!(stored.contains("key") && !stored.contains("hunter2"), "{stored}");
    // Neither the object nor its version has changed: what is stored in the wrong form has to go first.
    for (rules, kept) in [(keep, true), (rule("", &["secrets"]), false)] {
        synced.change("one", vec![rules]);
        let mut stored = String::new();
        for _ in 0..200 {
            moment().await;
            stored = hub.json("one", &secrets, "a", "s").await;
            if !stored.is_empty() && stored.contains("hunter2") == kept {
                break;
            }
        }
        assert!(stored.contains("key") && stored.contains("hunter2") == kept, "{stored}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_list_that_a_kill_has_cut_off_is_gone_on_with_and_writes_nothing_twice() {
    for (path, plural) in [(PODS, "pods"), (SECRETS, "secrets")] {
        let cluster = ApiServer::new();
        (0..1_000).for_each(|n| cluster.put(path, "a", &format!("o{n:04}"), &json!({}), &json!({})));
        let resource = Resource::new("", "v1", plural);
        let hub = Hub::new(&[("one", &cluster)]).await;
        // The second page does not come.
        cluster.plant(Trouble::new(&[Ask::Page], path, Fault::Stalls(0)));
        let synced = hub.sync("one", vec![rule("", &[plural])]);
        while hub.names("one", &resource).await.len() < 500 {
            moment().await;
        }
        synced.stop().await;
        cluster.heal();
        let before = hub.changes(&resource).await;
        let _synced = hub.sync("one", vec![rule("", &[plural])]);
        hub.until_names("one", &resource, &cluster.names(path)).await;
        let after = hub.changes(&resource).await;
        assert!(
            before.iter().all(|(name, change)| after.get(name) == Some(change)),
            "{plural} were written again"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_answer_keeps_its_rows_and_comes_back_by_itself() {
    let cluster = ApiServer::new();
    cluster.pod("a", "p");
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    synced.until("Ready Ready").await;
    synced.until_resource("pods", SyncState::Syncing).await;
    cluster.set_down(true);
    synced.until("ClusterHealthy NotReachable").await;
    let (reason, _) = synced.until_resource("pods", SyncState::Stop).await;
    assert_eq!(reason, "Pause");
    assert_eq!(hub.names("one", &pods()).await, set(&["a/p"]));
    cluster.pod("a", "q");
    cluster.set_down(false);
    hub.until_names("one", &pods(), &set(&["a/p", "a/q"])).await;
    synced.until("Ready Ready").await;
    assert_eq!(cluster.asked(Ask::List, PODS), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_tunnel_opens_after_an_hour_is_synchronised_within_seconds() {
    let cluster = ApiServer::new();
    cluster.pod("a", "p");
    cluster.set_down(true);
    let opened = Arc::new(Notify::new());
    let tunnel = Tunnelled(To(Arc::clone(&cluster)), Arc::clone(&opened));
    let hub = Hub::over([("one".to_owned(), Arc::new(tunnel) as Arc<dyn Transport>)].into()).await;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    synced.until("ClusterHealthy NotReachable").await;
    sleep(Duration::from_secs(3_600)).await;
    cluster.set_down(false);
    opened.notify_waiters();
    let began = Instant::now();
    hub.until_names("one", &pods(), &set(&["a/p"])).await;
    synced.until("Ready Ready").await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_goes_while_the_store_is_away_takes_its_rows_along_soon_after() {
    let cluster = ApiServer::new();
    cluster.pod("a", "p");
    cluster.put(NODES, "", "n", &json!({}), &json!({}));
    let nodes = Resource::new("", "v1", "nodes");
    let hub = Hub::new(&[("one", &cluster)]).await;
    let store = FlakyStore::new(hub.store.clone());
    let synced = hub.sync_into(store.clone(), "one", vec![rule("", &["pods", "nodes"])]);
    hub.until_names("one", &nodes, &set(&["/n"])).await;
    synced.until_resource("nodes", SyncState::Syncing).await;
    store.fail(true);
    synced.change("one", vec![rule("", &["pods"])]);
    // For the first attempt and perhaps a second.
    sleep(Duration::from_millis(200)).await;
    store.fail(false);
    let began = Instant::now();
    hub.until_names("one", &nodes, &set(&[])).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn rules_that_select_too_much_are_told_and_followed_as_far_as_it_goes() {
    let cluster = ApiServer::new();
    cluster.pod("a", "p");
    let mut hub = Hub::new(&[("one", &cluster)]).await;
    hub.most_resources = 1;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    synced.until("Ready Ready").await;
    // Nodes come first in order, and take nobody's place.
    synced.change("one", vec![rule("", &["nodes", "pods"])]);
    synced.until("Validated InvalidSyncResources").await;
    let told = synced.parent.statuses.lock().last().cloned().unwrap().conditions.remove(0).message;
    assert!(told.contains("select 2 resources") && told.contains("--max-resources-per-cluster"), "{told}");
    cluster.pod("a", "q");
    hub.until_names("one", &pods(), &set(&["a/p", "a/q"])).await;
    assert!(!synced.resources().contains_key("nodes"));
    synced.change("one", vec![rule("", &["nodes"])]);
    synced.until("Ready Ready").await;
    synced.until_resource("nodes", SyncState::Syncing).await;
}

#[tokio::test(start_paused = true)]
async fn the_events_of_what_a_rule_selects_are_followed_without_naming_them() {
    const EVENTS: &str = "/api/v1/events";
    let cluster = ApiServer::new();
    cluster.serve(EVENTS, "Event", true);
    let event = |name: &str, kind: &str| {
        cluster.put(EVENTS, "a", name, &json!({}), &json!({ "involvedObject": { "kind": kind } }));
    };
    event("pulled", "Pod");
    event("rebooted", "Node");
    let events = Resource::new("", "v1", "events");
    let hub = Hub::new(&[("one", &cluster)]).await;
    let of = |names: &[&str]| {
        let events_involved_resources = names.iter().map(|&name| name.to_owned()).collect();
        SyncRule { events_involved_resources, ..rule("", &["pods", "nodes"]) }
    };
    let synced = hub.sync("one", vec![of(&["pods"])]);
    hub.until_names("one", &events, &set(&["a/pulled"])).await;
    synced.until_resource("events", SyncState::Syncing).await;
    event("started", "Pod");
    hub.until_names("one", &events, &set(&["a/pulled", "a/started"])).await;
    synced.change("one", vec![of(&["*"])]);
    hub.until_names("one", &events, &set(&["a/pulled", "a/rebooted", "a/started"])).await;
    cluster.delete(EVENTS, "a", "pulled");
    hub.until_names("one", &events, &set(&["a/rebooted", "a/started"])).await;
    synced.change("one", vec![of(&[])]);
    hub.until_names("one", &events, &set(&[])).await;
}

#[tokio::test(start_paused = true)]
async fn number_25_a_cluster_that_goes_to_another_shard_is_let_go_and_keeps_its_rows() {
    let cluster = ApiServer::new();
    cluster.pod("a", "p");
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    synced.until("Ready Ready").await;
    hub.until_names("one", &pods(), &set(&["a/p"])).await;
    synced.wanted.send_replace(Wanted::Elsewhere { held: true });
    synced.until("SynchroRunning Shutdown").await;
    let last = synced.parent.statuses.lock().last().cloned().unwrap();
    assert_eq!(last.sharding_name, None);
    assert_eq!(last.sync_resources[0].resources[0].name, "pods");
    cluster.pod("a", "q");
    assert_eq!(hub.names("one", &pods()).await, set(&["a/p"]));
    synced.change("one", vec![rule("", &["pods"])]);
    hub.until_names("one", &pods(), &set(&["a/p", "a/q"])).await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_taken_from_a_shard_whose_hub_gives_no_sign_of_life_for_ten_minutes() {
    let hub = Hub::new(&[("one", &ApiServer::new())]).await;
    let synced = hub.sync("one", Vec::new());
    synced.wanted.send_replace(Wanted::Awaited { shard: "east".into() });
    for minute in 0..60 {
        synced.parent.leases.lock().insert("east".into(), format!("minute {minute}"));
        sleep(Duration::from_secs(60)).await;
    }
    assert!(synced.parent.taken.lock().is_empty(), "a hub that is alive lets go by itself");
    sleep(Duration::from_secs(8 * 60)).await;
    assert!(synced.parent.taken.lock().is_empty(), "ten minutes have not passed");
    sleep(Duration::from_secs(4 * 60)).await;
    assert_eq!(*synced.parent.taken.lock(), ["east"]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_down_at_first_begins_when_it_is_there() {
    let cluster = ApiServer::new();
    cluster.pod("a", "p");
    cluster.set_down(true);
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    synced.until("SynchroRunning InitialFailed").await;
    cluster.set_down(false);
    synced.until("Ready Ready").await;
    hub.until_names("one", &pods(), &set(&["a/p"])).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_custom_resource_is_followed_without_anybody_touching_the_rules() {
    let cluster = ApiServer::new();
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("demo.io", &["*"])]);
    synced.until("Ready Ready").await;
    cluster.serve(WIDGETS, "Widget", true);
    cluster.put(WIDGETS, "a", "w", &json!({}), &json!({}));
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    cluster.put(definitions, "", "widgets.demo.io", &json!({}), &json!({}));
    let began = tokio::time::Instant::now();
    hub.until_names("one", &widgets(), &set(&["a/w"])).await;
    assert!(began.elapsed() < Duration::from_secs(60), "it was found by chance only");
}

#[tokio::test(start_paused = true)]
async fn a_custom_resource_that_goes_takes_its_rows_along_after_a_while() {
    let cluster = ApiServer::new();
    cluster.serve(WIDGETS, "Widget", true);
    cluster.put(WIDGETS, "a", "w", &json!({}), &json!({}));
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("demo.io", &["*"])]);
    synced.until_resource("widgets", SyncState::Syncing).await;
    cluster.unserve(WIDGETS);
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    cluster.put(definitions, "", "another", &json!({}), &json!({}));
    sleep(Duration::from_secs(20)).await;
    assert_eq!(hub.names("one", &widgets()).await, set(&["a/w"]));
    hub.until_names("one", &widgets(), &set(&[])).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_cluster_leaves_no_rows_and_loses_its_finalizer() {
    let cluster = ApiServer::new();
    cluster.pod("a", "p");
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    hub.until_names("one", &pods(), &set(&["a/p"])).await;
    synced.wanted.send_replace(Wanted::Deleted);
    synced.task.await.unwrap();
    assert!(hub.store.clusters().await.unwrap().is_empty());
    assert_eq!(*synced.parent.finalizers.lock(), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_a_condition_with_the_command_that_grants_it() {
    let cluster = ApiServer::new();
    cluster.forbid(PODS);
    cluster.put(NODES, "", "n", &json!({}), &json!({}));
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["*"])]);
    let (reason, message) = synced.until_resource("pods", SyncState::Error).await;
    assert_eq!(reason, "ResourceWatchFailed");
    assert!(message.contains("kubectl label clusterrole clusterway-search-pods"), "{message}");
    synced.until_resource("nodes", SyncState::Syncing).await;
}

#[tokio::test(start_paused = true)]
async fn namespaces_are_followed_each_for_itself_and_resumed_together() {
    let cluster = ApiServer::new();
    for namespace in ["a", "b", "c"] {
        cluster.pod(namespace, "p");
    }
    let hub = Hub::new(&[("one", &cluster)]).await;
    let two = SyncRule { namespaces: vec!["a".into(), "b".into()], ..rule("", &["pods"]) };
    let synced = hub.sync("one", vec![two.clone()]);
    hub.until_names("one", &pods(), &set(&["a/p", "b/p"])).await;
    synced.until_resource("pods", SyncState::Syncing).await;
    cluster.pod("b", "q");
    cluster.delete(PODS, "a", "p");
    hub.until_names("one", &pods(), &set(&["b/p", "b/q"])).await;
    synced.stop().await;
    cluster.delete(PODS, "b", "p");
    let synced = hub.sync("one", vec![two]);
    hub.until_names("one", &pods(), &set(&["b/q"])).await;
    // Other namespaces: what is no longer selected goes, what is new comes.
    let others = SyncRule { namespaces: vec!["c".into()], ..rule("", &["pods"]) };
    synced.change("one", vec![others]);
    hub.until_names("one", &pods(), &set(&["c/p"])).await;
}

#[tokio::test(start_paused = true)]
async fn an_object_that_two_rules_select_stays_while_one_of_them_does() {
    let cluster = ApiServer::new();
    cluster.put(PODS, "a", "both", &json!({ "app": "web" }), &json!({}));
    cluster.put(PODS, "b", "labelled", &json!({ "app": "web" }), &json!({}));
    let hub = Hub::new(&[("one", &cluster)]).await;
    let here = SyncRule { namespaces: vec!["a".into()], ..rule("", &["pods"]) };
    let labelled = SyncRule { label_selector: Some("app=web".into()), ..rule("", &["pods"]) };
    let synced = hub.sync("one", vec![here, labelled]);
    hub.until_names("one", &pods(), &set(&["a/both", "b/labelled"])).await;
    synced.until_resource("pods", SyncState::Syncing).await;
    for name in [("a", "both"), ("b", "labelled")] {
        cluster.put(PODS, name.0, name.1, &json!({ "app": "other" }), &json!({}));
    }
    hub.until_names("one", &pods(), &set(&["a/both"])).await;
    cluster.delete(PODS, "a", "both");
    hub.until_names("one", &pods(), &set(&[])).await;
}

#[tokio::test(start_paused = true)]
async fn a_sick_cluster_does_not_hold_up_a_healthy_one() {
    let (sick, healthy) = (ApiServer::new(), ApiServer::new());
    sick.plant(Trouble::new(&[Ask::List], PODS, Fault::Stalls(0)));
    healthy.pod("a", "p");
    let mut hub = Hub::new(&[("sick", &sick), ("healthy", &healthy)]).await;
    hub.lists = 1;
    let first = hub.sync("sick", vec![rule("", &["pods"])]);
    first.until("SynchroRunning Running").await;
    let began = tokio::time::Instant::now();
    let _second = hub.sync("healthy", vec![rule("", &["pods"])]);
    hub.until_names("healthy", &pods(), &set(&["a/p"])).await;
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_status_is_written_on_a_difference_only() {
    let cluster = ApiServer::new();
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["*"])]);
    synced.until("Ready Ready").await;
    for name in ["nodes", "pods", "secrets"] {
        synced.until_resource(name, SyncState::Syncing).await;
    }
    sleep(Duration::from_secs(30)).await;
    let written = synced.parent.statuses.lock().len();
    cluster.pod("a", "p");
    hub.until_names("one", &pods(), &cluster.names(PODS)).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(synced.parent.statuses.lock().len(), written);
    assert!(written < 8, "{written} writes until it was ready");
    assert_eq!(hub.store.count(Query::of(pods())).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_is_told_and_loses_nothing() {
    let cluster = ApiServer::new();
    let hub = Hub::new(&[("one", &cluster)]).await;
    let store = FlakyStore::new(hub.store.clone());
    let synced = hub.sync_into(store.clone(), "one", vec![rule("", &["pods"])]);
    synced.until_resource("pods", SyncState::Syncing).await;
    store.fail(true);
    (0..700).for_each(|number| cluster.pod("a", &format!("p{number}")));
    cluster.delete(PODS, "a", "p3");
    let (reason, message) = synced.until_resource("pods", SyncState::Stop).await;
    assert_eq!((reason.as_str(), message.contains("disk full")), ("StorageExpection", true));
    cluster.pod("a", "late");
    store.fail(false);
    hub.until_names("one", &pods(), &cluster.names(PODS)).await;
    synced.until_resource("pods", SyncState::Syncing).await;
    assert_eq!(cluster.asked(Ask::List, PODS), 1);
}
