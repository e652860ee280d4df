use std::time::Duration;

use api::pedia::{ClusterSyncResourcesSpec, PediaClusterSpec};
use kubeio::Transport;
use store::{ClusterName, SqliteOptions, SqliteStore};
use testkit::apiserver::ApiServer;
use tokio::sync::Semaphore;

use super::*;
use crate::{
    access::Policy,
    counters::Counters,
    fake::{FakeParent, To},
    limits::Budget,
    rules::Gates,
};

/// A term over one cluster, which has the id `one`.
struct Scene {
    governor: Governor,
    shared: Arc<Shared>,
    _directory: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(directory.path().join("s.db"))).await.unwrap();
        let cluster = ApiServer::new();
        cluster.pod("a", "p");
        let shared = Arc::new(Shared {
            parent: Arc::new(FakeParent::default()),
            store: Arc::new(store),
            tunnel: Box::new(move |_: &str| Arc::new(To(cluster.clone())) as Arc<dyn Transport>),
            lists: Arc::new(Semaphore::new(8)),
            lists_per_cluster: 2,
            budget: Budget::new(64 << 20),
            policy: Policy { secrets: true, insecure_without_ca: false },
            gates: Gates::default(),
            most_resources: 100,
            sharding_name: String::new(),
            takeover_after: Duration::from_mins(10),
            counters: Counters::default(),
        });
        let governor = Governor::new(Arc::clone(&shared), Tasks::new());
        Self { governor, shared, _directory: directory }
    }

    /// A new term: both lists, read to their ends.
    async fn term(&mut self, clusters: Vec<PediaCluster>) {
        let next = Governor::new(Arc::clone(&self.shared), Tasks::new());
        std::mem::replace(&mut self.governor, next).resign().await;
        self.governor.take(News::Rules(Event::Init)).await;
        self.governor.take(News::Rules(Event::InitDone)).await;
        self.list(clusters).await;
    }

    async fn list(&mut self, clusters: Vec<PediaCluster>) {
        self.governor.take(News::Cluster(Event::Init)).await;
        for cluster in clusters {
            self.governor.take(News::Cluster(Event::InitApply(cluster))).await;
        }
        self.governor.take(News::Cluster(Event::InitDone)).await;
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.governor.supervisors.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    fn wanted(&self, name: &str) -> watch::Receiver<Wanted> {
        self.governor.supervisors[name].wanted.subscribe()
    }

    async fn until_stored(&self, wanted: &[&str]) {
        let stored = async || -> Vec<String> {
            let clusters = self.shared.store.clusters().await.unwrap();
            clusters.iter().map(|cluster| cluster.as_str().to_owned()).collect()
        };
        for _ in 0..2_000 {
            if stored().await == wanted {
                return;
            }
            // The store works in threads, which the paused clock does not wait for.
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("stored {:?}, expected {wanted:?}", stored().await);
    }
}

fn cluster(name: &str, uid: &str) -> PediaCluster {
    let pods = SyncRule { resources: vec!["pods".into()], ..SyncRule::default() };
    let spec = PediaClusterSpec {
        cluster_id: Some("one".into()),
        sync_resources: vec![pods],
        ..PediaClusterSpec::default()
    };
    let mut cluster = PediaCluster::new(name, spec);
    cluster.metadata.uid = Some(uid.into());
    cluster
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_before_both_lists_have_been_read() {
    let mut scene = Scene::set().await;
    scene.list(vec![cluster("a", "1")]).await;
    scene.governor.take(News::Cluster(Event::Apply(cluster("b", "2")))).await;
    assert!(scene.names().is_empty());
    scene.governor.take(News::Rules(Event::Init)).await;
    assert!(scene.names().is_empty());
    scene.governor.take(News::Rules(Event::InitDone)).await;
    assert_eq!(scene.names(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_deleted_while_nobody_led_is_removed_and_the_rest_stays() {
    let mut scene = Scene::set().await;
    scene.term(vec![cluster("a", "1"), cluster("b", "2")]).await;
    scene.until_stored(&["a", "b"]).await;
    scene.term(vec![cluster("b", "2")]).await;
    scene.until_stored(&["b"]).await;
    assert_eq!(scene.names(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_term_that_ends_takes_nothing_along() {
    let mut scene = Scene::set().await;
    scene.term(vec![cluster("a", "1")]).await;
    scene.until_stored(&["a"]).await;
    scene.governor.resign().await;
    let stored = scene.shared.store.clusters().await.unwrap();
    assert_eq!(stored.into_iter().collect::<Vec<_>>(), [ClusterName::new("a")]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_read_again_counts_when_it_is_complete() {
    let mut scene = Scene::set().await;
    scene.term(vec![cluster("a", "1"), cluster("b", "2")]).await;
    scene.governor.take(News::Cluster(Event::Init)).await;
    scene.governor.take(News::Cluster(Event::InitApply(cluster("a", "1")))).await;
    assert_eq!(scene.names(), ["a", "b"], "half a list deletes nothing");
    scene.governor.take(News::Cluster(Event::InitDone)).await;
    assert_eq!(scene.names(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_made_again_begins_when_the_one_before_is_gone() {
    let mut scene = Scene::set().await;
    scene.term(vec![cluster("a", "1")]).await;
    scene.until_stored(&["a"]).await;
    let before = scene.wanted("a");
    scene.governor.take(News::Cluster(Event::Apply(cluster("a", "2")))).await;
    assert_eq!(*before.borrow(), Wanted::Gone);
    assert_eq!(scene.governor.supervisors["a"].uid.as_deref(), Some("2"));
    scene.until_stored(&["a"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_reaches_the_clusters_it_is_about_and_no_others() {
    let mut scene = Scene::set().await;
    let mut refers = cluster("a", "1");
    refers.spec.sync_resources_ref_name = Some("usual".into());
    scene.term(vec![refers, cluster("b", "2")]).await;
    let (mut a, mut b) = (scene.wanted("a"), scene.wanted("b"));
    let note = |wanted: &watch::Receiver<Wanted>| match &*wanted.borrow() {
        Wanted::Synced(cluster) => (cluster.note.clone(), cluster.rules.rules.len()),
        other => panic!("{other:?}"),
    };
    assert!(note(&a).0.contains("usual") && note(&a).1 == 1, "{:?}", note(&a));
    let usual = ClusterSyncResourcesSpec { sync_resources: vec![SyncRule::default()] };
    let usual = ClusterSyncResources::new("usual", usual);
    a.mark_unchanged();
    b.mark_unchanged();
    scene.governor.take(News::Rules(Event::Apply(usual.clone()))).await;
    assert_eq!((note(&a), a.has_changed().unwrap()), ((String::new(), 2), true));
    a.mark_unchanged();
    scene.governor.take(News::Rules(Event::Apply(usual.clone()))).await;
    scene.governor.take(News::Cluster(Event::Apply(cluster("b", "2")))).await;
    assert_eq!((a.has_changed().unwrap(), b.has_changed().unwrap()), (false, false), "nothing is new");
    scene.governor.take(News::Rules(Event::Delete(usual))).await;
    assert_eq!(note(&a).1, 1);
}

#[test]
fn number_25_a_cluster_goes_to_another_shard_once_the_one_before_has_let_it_go() {
    let meant = |spec: Option<&str>, status: Option<&str>| {
        let spec = PediaClusterSpec { sharding_name: spec.map(Into::into), ..PediaClusterSpec::default() };
        let mut cluster = PediaCluster::new("c1", spec);
        let sharding_name = status.map(str::to_owned);
        cluster.status = Some(PediaClusterStatus { sharding_name, ..PediaClusterStatus::default() });
        move |shard| wanted(&cluster, &BTreeMap::new(), shard)
    };
    let moving = meant(Some("b"), Some("a"));
    assert_eq!(moving("a"), Wanted::Elsewhere { held: true });
    assert_eq!(moving("b"), Wanted::Awaited { shard: "a".into() });
    assert_eq!(moving(""), Wanted::Elsewhere { held: false });
    let free = meant(Some("b"), None);
    assert!(matches!((free("a"), free("b")), (Wanted::Elsewhere { held: false }, Wanted::Synced(_))));
    assert!(matches!(meant(None, Some(""))(""), Wanted::Synced(_)));
    assert_eq!(meant(None, Some("a"))(""), Wanted::Awaited { shard: "a".into() });
}
