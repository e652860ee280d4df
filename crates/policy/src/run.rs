//! Runs the controllers while this hub leads.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use api::{
    pedia::PediaCluster,
    policy::{ClusterImportPolicy, PediaClusterLifecycle},
};
use futures_util::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        controller::{self, Action, ReconcileRequest, applier, trigger_self},
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event, watcher},
    },
};
use parking_lot::Mutex;
use rand::RngExt as _;
use runtime::{
    Backoff, OnError, Tasks,
    lease::{self, Leadership},
    watch::readable,
};
use tokio::sync::{mpsc, watch};

use crate::{
    Options,
    examine::{Shared, examine, policy_of},
    parent::{KubeParent, Refusal, over},
    registry::Registry,
    renderers::Renderers,
    worker,
};

/// The first wait after a failure, and the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_mins(1)];
/// From this many failures in a row on, a failure is worth a line in the log.
const WORTH_SAYING: u32 = 4;

/// Starts the import of clusters in this process. It works while `leadership` is held; everything it does is safe should
/// two processes believe to lead.
pub fn start(tasks: &Tasks, client: Client, leadership: watch::Receiver<Leadership>, options: Options) {
    lease::while_held(tasks, "import policies", leadership, move |term| {
        let (group, client, options) = (term.clone(), client.clone(), options.clone());
        term.supervise("import of clusters", OnError::Restart, move || {
            work(group.child(), client.clone(), options.clone())
        });
    });
}

/// Both controllers, until one of them fails.
async fn work(tasks: Tasks, client: Client, options: Options) -> anyhow::Result<()> {
    let (registry, wakes) = Registry::new();
    let parent = Arc::new(KubeParent(over(client.clone())));
    let shared = Arc::new(Shared { parent, registry, renderers: Renderers::default(), options });
    let (store, writer) = reflector::store();
    let registry = Arc::clone(&shared.registry);
    let mut digests = Digests::default();
    let lifecycles = readable(Api::<_>::all(client.clone()), watch_config())
        .default_backoff()
        .modify(|lifecycle: &mut PediaClusterLifecycle| lifecycle.metadata.managed_fields = None)
        .reflect(writer)
        .try_filter_map(move |event| {
            if let Event::Apply(lifecycle) | Event::InitApply(lifecycle) | Event::Delete(lifecycle) = &event
                && let Some(policy) = policy_of(lifecycle)
            {
                registry.lifecycle_changed(policy);
            }
            let News { changed, gone } = digests.take(event, |lifecycle| &lifecycle.metadata);
            for name in &gone {
                registry.depends_only(name, &[]);
            }
            if !gone.is_empty() {
                // Nobody says any more whose they were.
                registry.lifecycles_gone();
            }
            std::future::ready(Ok(changed))
        });
    let queue = stream::select_all([
        trigger_self(lifecycles, ()).boxed(),
        woken(wakes).boxed(),
        changed_clusters(&client).boxed(),
    ]);
    let ended = tokio::select! {
        () = examine_lifecycles(&shared, store.clone(), queue) => "the controller of lifecycles ended",
        () = govern(&tasks, &client, &shared, &store) => "the watch of policies ended",
    };
    tasks.cancel();
    anyhow::bail!(ended)
}

/// How watches are run: shorter than the idle time-outs of load balancers.
fn watch_config() -> watcher::Config {
    watcher::Config::default().timeout(240)
}

type Wake = Result<ReconcileRequest<PediaClusterLifecycle>, watcher::Error>;

fn lifecycle(name: &str) -> ReconcileRequest<PediaClusterLifecycle> {
    ObjectRef::new(name).into()
}

fn woken(wakes: mpsc::Receiver<String>) -> impl Stream<Item = Wake> + Send {
    stream::unfold(wakes, |mut wakes| async move { Some((Ok(lifecycle(&wakes.recv().await?)), wakes)) })
}

/// Tells what has changed from what only has another status, by digests, and what is gone, even if a watch that broke off
/// has missed it.
#[derive(Default)]
struct Digests {
    known: HashMap<String, u64>,
    /// The names a list has shown so far.
    listed: Option<HashSet<String>>,
}

/// What an event tells.
struct News<K> {
    /// An object that is new or has changed in anything but its status.
    changed: Option<K>,
    gone: Vec<String>,
}

impl Digests {
    fn take<K>(&mut self, event: Event<K>, meta: impl Fn(&K) -> &ObjectMeta) -> News<K> {
        let mut news = News { changed: None, gone: Vec::new() };
        match event {
            Event::Init => self.listed = Some(HashSet::new()),
            Event::InitApply(object) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(meta(&object).name.clone().unwrap_or_default());
                }
                news.changed = self.changed(meta(&object)).then_some(object);
            }
            Event::Apply(object) => news.changed = self.changed(meta(&object)).then_some(object),
            Event::Delete(object) => news.gone.extend(meta(&object).name.clone()),
            Event::InitDone => {
                let listed = self.listed.take().unwrap_or_default();
                news.gone.extend(self.known.keys().filter(|name| !listed.contains(*name)).cloned());
            }
        }
        for name in &news.gone {
            self.known.remove(name);
        }
        news
    }

    fn changed(&mut self, meta: &ObjectMeta) -> bool {
        let mut hasher = DefaultHasher::new();
        let owners = meta.owner_references.iter().flatten().map(|owner| &owner.uid);
        (&meta.uid, meta.generation, &meta.finalizers, meta.deletion_timestamp.is_some()).hash(&mut hasher);
        owners.for_each(|uid| uid.hash(&mut hasher));
        let digest = hasher.finish();
        self.known.insert(meta.name.clone().unwrap_or_default(), digest) != Some(digest)
    }

    fn knows(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }
}

/// The lifecycles of PediaClusters that somebody has changed, or that are gone.
fn changed_clusters(client: &Client) -> impl Stream<Item = Wake> + Send + use<> {
    let clusters: Api<PartialObjectMeta<PediaCluster>> = Api::all(client.clone());
    let mut digests = Digests::default();
    let wakes = watcher(clusters, watch_config()).default_backoff().map_ok(move |event| {
        // The first sight of one in a list is no change: all lifecycles are looked at when the hub starts.
        let first_sight = matches!(&event, Event::InitApply(cluster) if !digests.knows(&cluster.name_any()));
        let News { changed, gone } = digests.take(event, |cluster| &cluster.metadata);
        let changed = changed.filter(|_| !first_sight).map(|cluster| cluster.name_any());
        stream::iter(changed.into_iter().chain(gone)).map(|name| Ok(lifecycle(&name)))
    });
    wakes.try_flatten()
}

async fn examine_lifecycles(
    shared: &Arc<Shared>,
    store: Store<PediaClusterLifecycle>,
    queue: impl Stream<Item = Wake> + Send,
) {
    let config = controller::Config::default().concurrency(shared.options.concurrency.max(1));
    let failures: Arc<Mutex<HashMap<String, Backoff>>> = Arc::default();
    let succeeded = Arc::clone(&failures);
    let round = move |lifecycle: Arc<PediaClusterLifecycle>, shared: Arc<Shared>| {
        let succeeded = Arc::clone(&succeeded);
        async move {
            let next = examine(&shared, &lifecycle).await?;
            succeeded.lock().remove(&lifecycle.name_any());
            Ok::<_, Refusal>(Action::requeue(next.mul_f64(rand::rng().random_range(0.8..=1.2))))
        }
        .boxed()
    };
    let after_failure = move |lifecycle: Arc<PediaClusterLifecycle>, error: &Refusal, _| {
        let name = lifecycle.name_any();
        let [first, longest] = WAITS;
        let mut failures = failures.lock();
        let backoff = failures.entry(name.clone()).or_insert_with(|| Backoff::new(first, longest));
        let wait = backoff.next();
        if backoff.failures() >= WORTH_SAYING {
            tracing::warn!(lifecycle = name, %error, "a cluster could not be brought in step, trying again");
        } else {
            tracing::debug!(lifecycle = name, %error, "a cluster could not be brought in step, trying again");
        }
        Action::requeue(wait)
    };
    applier(round, after_failure, Arc::clone(shared), store, queue.boxed(), config)
        .for_each(|result| async move {
            if let Err(controller::Error::QueueError(error)) = result {
                tracing::warn!(%error, "a watch failed, trying again");
            }
        })
        .await;
}

/// Keeps a worker for each policy.
async fn govern(
    tasks: &Tasks,
    client: &Client,
    shared: &Arc<Shared>,
    lifecycles: &Store<PediaClusterLifecycle>,
) {
    let mut governor = Governor {
        tasks: tasks.clone(),
        client: client.clone(),
        shared: Arc::clone(shared),
        lifecycles: lifecycles.clone(),
        workers: HashMap::new(),
        policies: Digests::default(),
    };
    let policies = readable(Api::<_>::all(client.clone()), watch_config()).default_backoff();
    let mut policies = std::pin::pin!(policies);
    while let Some(event) = policies.next().await {
        match event {
            Ok(event) => governor.take(event),
            Err(error) => tracing::warn!(%error, "the watch of ClusterImportPolicies failed, trying again"),
        }
    }
}

struct Governor {
    tasks: Tasks,
    client: Client,
    shared: Arc<Shared>,
    lifecycles: Store<PediaClusterLifecycle>,
    workers: HashMap<String, Worker>,
    policies: Digests,
}

struct Worker {
    uid: Option<String>,
    policy: watch::Sender<Arc<ClusterImportPolicy>>,
    tasks: Tasks,
}

impl Governor {
    fn take(&mut self, event: Event<ClusterImportPolicy>) {
        let News { changed, gone } = self.policies.take(event, |policy| &policy.metadata);
        for name in &gone {
            self.dismiss(name);
        }
        if let Some(policy) = changed {
            self.appoint(policy);
        }
    }

    /// Its worker begins anew with the policy as it is now.
    fn appoint(&mut self, mut policy: ClusterImportPolicy) {
        policy.metadata.managed_fields = None;
        let name = policy.name_any();
        if self.workers.get(&name).is_some_and(|worker| worker.uid != policy.uid()) {
            self.dismiss(&name);
        }
        let policy = Arc::new(policy);
        if let Some(worker) = self.workers.get(&name) {
            worker.policy.send_replace(policy);
            return;
        }
        let tasks = self.tasks.child();
        let uid = policy.uid();
        let (sender, receiver) = watch::channel(policy);
        let working = worker::supervise(
            Arc::clone(&self.shared),
            over(self.client.clone()),
            self.lifecycles.clone(),
            receiver,
        );
        tasks.spawn(format!("ClusterImportPolicy {name}"), working);
        self.workers.insert(name, Worker { uid, policy: sender, tasks });
    }

    fn dismiss(&mut self, name: &str) {
        if let Some(worker) = self.workers.remove(name) {
            worker.tasks.cancel();
            self.shared.registry.forget(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, generation: i64) -> ObjectMeta {
        let (name, generation) = (Some(name.to_owned()), Some(generation));
        ObjectMeta { name, generation, ..ObjectMeta::default() }
    }

    #[test]
    fn what_goes_while_the_watch_is_broken_off_is_missed_in_the_next_list() {
        let mut digests = Digests::default();
        let mut take = |event| {
            let News { changed, gone } = digests.take(event, |meta: &ObjectMeta| meta);
            (changed.and_then(|meta| meta.name), gone)
        };
        let nothing = (None, vec![]);
        assert_eq!(take(Event::Init), nothing);
        for name in ["a", "b", "c"] {
            assert_eq!(take(Event::InitApply(object(name, 1))).0.as_deref(), Some(name));
        }
        assert_eq!(take(Event::InitDone), nothing);
        assert_eq!(take(Event::Apply(object("a", 1))), nothing, "another status is no change");
        assert_eq!(take(Event::Delete(object("c", 1))).1, ["c"]);
        assert_eq!(take(Event::Init), nothing);
        assert_eq!(take(Event::InitApply(object("a", 2))).0.as_deref(), Some("a"));
        assert_eq!(take(Event::InitDone).1, ["b"], "each is told once");
        assert_eq!(take(Event::Apply(object("b", 1))).0.as_deref(), Some("b"), "it is new again");
    }
}
