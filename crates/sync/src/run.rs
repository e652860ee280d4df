//! Follows the parent's PediaClusters and ClusterSyncResources, and keeps a supervisor for each cluster, while there is
//! a store to write to.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use api::{
    names::search::finalizers,
    pedia::{ClusterSyncResources, PediaCluster, PediaClusterStatus, SyncRule},
};
use futures_util::{Stream, StreamExt as _, stream};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use runtime::Tasks;
use serde::de::DeserializeOwned;
use store::Store;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    cluster::{self, Cluster, Shared, Wanted},
    rules::Rules,
};

/// Works whenever there is a store to write to; what it needs besides is made by `shared`.
pub(crate) async fn work(
    tasks: Tasks,
    client: Client,
    mut stores: watch::Receiver<Option<Arc<dyn Store>>>,
    shared: impl Fn(Arc<dyn Store>) -> Arc<Shared>,
) {
    loop {
        let Ok(Some(store)) = stores.wait_for(Option::is_some).await.map(|store| store.clone()) else {
            return;
        };
        tracing::info!("synchronisation begins");
        let mut governor = Governor::new(shared(store), tasks.child());
        let ended = tokio::select! {
            () = governor.govern(&client) => false,
            withdrawn = stores.wait_for(Option::is_none) => withdrawn.is_err(),
        };
        governor.resign().await;
        tracing::info!("synchronisation ends");
        if ended {
            return;
        }
    }
}

/// What has changed in the parent.
#[expect(clippy::large_enum_variant, reason = "one at a time")]
enum News {
    Cluster(Event<PediaCluster>),
    Rules(Event<ClusterSyncResources>),
}

/// One term with a store.
struct Governor {
    shared: Arc<Shared>,
    term: Tasks,
    /// Whether both lists have been read once: before that, absence means nothing.
    complete: (bool, bool),
    clusters: BTreeMap<String, PediaCluster>,
    rules: BTreeMap<String, Vec<SyncRule>>,
    /// The lists being received.
    incoming_clusters: Option<BTreeMap<String, PediaCluster>>,
    incoming_rules: Option<BTreeMap<String, Vec<SyncRule>>>,
    supervisors: HashMap<String, Supervisor>,
    /// Those of deleted clusters, which have yet to remove what is stored.
    leaving: HashMap<String, JoinHandle<()>>,
}

struct Supervisor {
    uid: Option<String>,
    wanted: watch::Sender<Wanted>,
    task: JoinHandle<()>,
}

impl Governor {
    fn new(shared: Arc<Shared>, term: Tasks) -> Self {
        Self {
            shared,
            term,
            complete: (false, false),
            clusters: BTreeMap::new(),
            rules: BTreeMap::new(),
            incoming_clusters: None,
            incoming_rules: None,
            supervisors: HashMap::new(),
            leaving: HashMap::new(),
        }
    }

    async fn govern(&mut self, client: &Client) {
        let clusters = readable::<PediaCluster>(client).map(News::Cluster);
        let rules = readable::<ClusterSyncResources>(client).map(News::Rules);
        let mut news = stream::select(clusters.boxed(), rules.boxed());
        while let Some(news) = news.next().await {
            self.take(news).await;
        }
    }

    async fn take(&mut self, news: News) {
        match news {
            News::Cluster(Event::Init) => self.incoming_clusters = Some(BTreeMap::new()),
            News::Cluster(Event::InitApply(cluster)) => {
                if let Some(incoming) = &mut self.incoming_clusters {
                    incoming.insert(cluster.name_any(), pruned(cluster));
                }
            }
            News::Cluster(Event::InitDone) => {
                self.clusters = self.incoming_clusters.take().unwrap_or_default();
                self.complete.0 = true;
                self.settle().await;
            }
            News::Cluster(Event::Apply(cluster)) => {
                let name = cluster.name_any();
                self.clusters.insert(name.clone(), pruned(cluster));
                self.settle_one(&name);
            }
            News::Cluster(Event::Delete(cluster)) => {
                let name = cluster.name_any();
                self.clusters.remove(&name);
                self.settle_one(&name);
            }
            News::Rules(Event::Init) => self.incoming_rules = Some(BTreeMap::new()),
            News::Rules(Event::InitApply(rules)) => {
                if let Some(incoming) = &mut self.incoming_rules {
                    incoming.insert(rules.name_any(), rules.spec.sync_resources);
                }
            }
            News::Rules(Event::InitDone) => {
                self.rules = self.incoming_rules.take().unwrap_or_default();
                self.complete.1 = true;
                self.settle().await;
            }
            News::Rules(Event::Apply(rules)) => {
                let name = rules.name_any();
                self.rules.insert(name.clone(), rules.spec.sync_resources);
                self.settle_referrers(&name);
            }
            News::Rules(Event::Delete(rules)) => {
                self.rules.remove(&rules.name_any());
                self.settle_referrers(&rules.name_any());
            }
        }
        self.leaving.retain(|_, task| !task.is_finished());
        self.shared.counters.clusters(self.supervisors.len());
    }

    /// Brings everything in step with complete lists.
    async fn settle(&mut self) {
        if self.complete != (true, true) {
            return;
        }
        let mut names: Vec<String> = self.clusters.keys().chain(self.supervisors.keys()).cloned().collect();
        // What was deleted while nobody led.
        match self.shared.store.clusters().await {
            Ok(stored) => names.extend(stored.iter().map(|name| name.as_str().to_owned())),
            Err(error) => tracing::warn!(%error, "the store does not say which clusters it has"),
        }
        names.sort();
        names.dedup();
        for name in names {
            self.settle_one(&name);
        }
    }

    fn settle_referrers(&mut self, rules: &str) {
        let refers = |cluster: &&PediaCluster| cluster.spec.sync_resources_ref_name.as_deref() == Some(rules);
        let names: Vec<String> = self.clusters.values().filter(refers).map(PediaCluster::name_any).collect();
        for name in names {
            self.settle_one(&name);
        }
    }

    fn settle_one(&mut self, name: &str) {
        if self.complete != (true, true) {
            return;
        }
        let uid = self.clusters.get(name).and_then(PediaCluster::uid);
        let same = self.supervisors.get(name).is_some_and(|supervisor| supervisor.uid == uid);
        let Some(cluster) = self.clusters.get(name) else { return self.dismiss(name) };
        let wanted = wanted(cluster, &self.rules, &self.shared.sharding_name);
        if same && let Some(supervisor) = self.supervisors.get(name) {
            supervisor.wanted.send_if_modified(|before| {
                let changed = *before != wanted;
                *before = wanted;
                changed
            });
            return;
        }
        let status = cluster.status.clone().unwrap_or_default();
        if self.supervisors.contains_key(name) {
            // Deleted and made again, and nobody told.
            self.dismiss(name);
        }
        self.appoint(name, uid, wanted, status);
    }

    fn appoint(&mut self, name: &str, uid: Option<String>, wanted: Wanted, status: PediaClusterStatus) {
        let (sender, receiver) = watch::channel(wanted);
        let tasks = self.term.child();
        let before = self.leaving.remove(name);
        let supervising =
            cluster::supervise(Arc::clone(&self.shared), name.to_owned(), status, receiver, tasks);
        let task = self.term.spawn_draining(format!("PediaCluster {name}"), async move {
            if let Some(before) = before {
                // What belongs to the one before has to be gone first.
                let _ = before.await;
            }
            supervising.await;
        });
        self.supervisors.insert(name.to_owned(), Supervisor { uid, wanted: sender, task });
    }

    /// A cluster is gone: whoever looks after it removes what is stored, and somebody does if nobody did.
    fn dismiss(&mut self, name: &str) {
        if let Some(supervisor) = self.supervisors.remove(name) {
            supervisor.wanted.send_replace(Wanted::Gone);
            self.leaving.insert(name.to_owned(), supervisor.task);
        } else if !self.leaving.contains_key(name) {
            self.appoint(name, None, Wanted::Gone, PediaClusterStatus::default());
            if let Some(supervisor) = self.supervisors.remove(name) {
                self.leaving.insert(name.to_owned(), supervisor.task);
            }
        }
    }

    /// Ends the term; afterwards nothing of it writes any more.
    async fn resign(self) {
        self.term.cancel();
        for (_, supervisor) in self.supervisors {
            let _ = supervisor.task.await;
        }
        for (_, task) in self.leaving {
            let _ = task.await;
        }
        self.shared.counters.clusters(0);
    }
}

/// What should be with a cluster.
fn wanted(cluster: &PediaCluster, shared: &BTreeMap<String, Vec<SyncRule>>, shard: &str) -> Wanted {
    let has_it = cluster.status.as_ref().and_then(|status| status.sharding_name.as_deref());
    if cluster.spec.sharding_name.as_deref().unwrap_or_default() != shard {
        return Wanted::Elsewhere { held: has_it == Some(shard) };
    }
    if let Some(other) = has_it.filter(|has_it| *has_it != shard) {
        return Wanted::Awaited { shard: other.to_owned() };
    }
    if cluster.metadata.deletion_timestamp.is_some() {
        return Wanted::Deleted;
    }
    let spec = cluster.spec.clone();
    let mut rules = spec.sync_resources.clone();
    let mut note = String::new();
    if let Some(name) = spec.sync_resources_ref_name.as_deref().filter(|name| !name.is_empty()) {
        match shared.get(name) {
            Some(shared) => rules.extend(shared.iter().cloned()),
            None => note = format!("there is no ClusterSyncResources {name:?}; the cluster's own rules hold"),
        }
    }
    Wanted::Synced(Box::new(Cluster {
        rules: Rules { rules, all_custom: spec.sync_all_custom_resources },
        generation: cluster.metadata.generation,
        note,
        has_finalizer: cluster.finalizers().iter().any(|finalizer| finalizer == finalizers::SYNC),
        spec,
    }))
}

/// What is kept of a PediaCluster: nobody looks at the rest.
fn pruned(mut cluster: PediaCluster) -> PediaCluster {
    cluster.metadata.managed_fields = None;
    cluster.metadata.annotations = None;
    cluster
}

/// Events of a kind, for ever, without objects that do not fit it: those stored before our CRD was applied were never
/// checked against its schema.
fn readable<K>(client: &Client) -> impl Stream<Item = Event<K>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let objects: Api<DeserializeGuard<K>> = Api::all(client.clone());
    watcher(objects, watcher::Config::default()).default_backoff().filter_map(|event| async move {
        let object = |guard: DeserializeGuard<K>| {
            let name = guard.name_any();
            let unreadable = |error: &_| {
                tracing::warn!(kind = %K::kind(&()), %name, %error, "an object does not fit its kind's schema");
            };
            guard.0.inspect_err(unreadable).ok()
        };
        match event {
            Ok(Event::Init) => Some(Event::Init),
            Ok(Event::InitDone) => Some(Event::InitDone),
            Ok(Event::InitApply(guard)) => object(guard).map(Event::InitApply),
            Ok(Event::Apply(guard)) => object(guard).map(Event::Apply),
            Ok(Event::Delete(guard)) => object(guard).map(Event::Delete),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), %error, "watch failed, trying again");
                None
            }
        }
    })
}

#[cfg(test)]
mod tests;
