//! Who works for which cluster: the agent for its own, the hub for those it pushes to.

use std::{collections::HashMap, sync::Arc};

use api::{
    clusters::{ManagedCluster, Side},
    names::deployer::{annotations, reasons},
};
use futures_util::StreamExt as _;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use kubeio::{Limited, Transport};
use reach::{Identity, Reach, Through};
use runtime::{
    OnError, Tasks,
    lease::{self, Leadership},
    metrics::Metrics,
    watch::readable,
};
use tokio::sync::{Semaphore, watch};

use crate::{
    Options,
    child::Child,
    cluster::Cluster,
    contents::Contents,
    counters::Counters,
    parent::{IN_FLIGHT, KubeParent},
    trouble::Trouble,
    worker,
};

/// What the agent works with.
#[derive(Clone)]
pub struct Pull {
    /// The parent, as the child's account there.
    pub parent: Client,
    /// The dedicated namespace.
    pub namespace: String,
    /// The ManagedCluster there.
    pub name: String,
}

/// Works for the agent's own cluster while `parent` says where and the ManagedCluster says that the agent applies.
/// `child` is the way to it as the deployer; while `frozen`, nothing is changed there.
pub fn pull(
    tasks: &Tasks,
    parent: watch::Receiver<Option<Pull>>,
    child: Arc<dyn Transport>,
    frozen: watch::Receiver<bool>,
    options: Options,
    metrics: &Metrics,
) {
    let counters = Counters::register(metrics);
    let group = tasks.clone();
    tasks.spawn("deployer", async move {
        let mut parent = parent;
        loop {
            let Ok(Some(found)) = parent.wait_for(Option::is_some).await.map(|found| found.clone()) else {
                return;
            };
            let term = group.child();
            let (work, child, frozen) = (term.clone(), Arc::clone(&child), frozen.clone());
            let (options, counters) = (options.clone(), counters.clone());
            term.supervise("deployer's term", OnError::Restart, move || {
                let crew = Crew::new(&work, found.parent.clone(), AGENT, options.clone(), counters.clone());
                agent(crew, found.clone(), Arc::clone(&child), frozen.clone())
            });
            let ended = parent.changed().await.is_err();
            term.cancel();
            if ended {
                return;
            }
        }
    });
}

/// Follows the agent's ManagedCluster, until the watch fails.
async fn agent(
    mut crew: Crew,
    parent: Pull,
    child: Arc<dyn Transport>,
    mut frozen: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let clusters: Api<ManagedCluster> = Api::namespaced(parent.parent.clone(), &parent.namespace);
    let config = watch_config(AGENT.watch).fields(&format!("metadata.name={}", parent.name));
    let events = watcher::watcher(clusters, config).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut known = None;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Apply(cluster) | Event::InitApply(cluster))) => known = Some(cluster),
                Some(Ok(Event::Delete(_))) => known = None,
                Some(Ok(Event::Init | Event::InitDone)) => {}
                Some(Err(error)) => tracing::debug!(%error, "the watch of the ManagedCluster failed, trying again"),
                None => anyhow::bail!("the watch of the ManagedCluster ended"),
            },
            changed = frozen.changed() => changed?,
        }
        match known.as_ref().filter(|cluster| Side::of(cluster) == Side::Agent) {
            Some(cluster) => {
                let halt = if *frozen.borrow() { Some(is_frozen()) } else { paused(cluster) };
                crew.appoint(cluster, halt, || Arc::clone(&child));
            }
            None => crew.dismiss_all(),
        }
    }
}

/// Works for all clusters that the hub pushes to, while `leadership` is held.
pub fn push(
    tasks: &Tasks,
    client: Client,
    reach: Reach,
    leadership: watch::Receiver<Leadership>,
    options: Options,
    metrics: &Metrics,
) {
    let counters = Counters::register(metrics);
    lease::while_held(tasks, "deployer", leadership, move |term| {
        let (work, client, reach) = (term.clone(), client.clone(), reach.clone());
        let (options, counters) = (options.clone(), counters.clone());
        term.supervise("deployer's term", OnError::Restart, move || {
            let crew = Crew::new(&work, client.clone(), HUB, options.clone(), counters.clone());
            hub(crew, client.clone(), reach.clone())
        });
    });
}

/// Follows all ManagedClusters, until the watch fails.
async fn hub(mut crew: Crew, client: Client, reach: Reach) -> anyhow::Result<()> {
    let events = readable(Api::<_>::all(client), watch_config(HUB.watch)).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut shown = None;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => shown = Some(Vec::new()),
            Ok(Event::InitApply(cluster)) => {
                shown.get_or_insert_default().push(place(&cluster));
                crew.take(&cluster, &reach);
            }
            Ok(Event::InitDone) => {
                let shown = shown.take().unwrap_or_default();
                crew.keep_only(&shown);
            }
            Ok(Event::Apply(cluster)) => crew.take(&cluster, &reach),
            Ok(Event::Delete(cluster)) => crew.dismiss(&place(&cluster)),
            Err(error) => tracing::debug!(%error, "the watch of ManagedClusters failed, trying again"),
        }
    }
    anyhow::bail!("the watch of ManagedClusters ended")
}

/// Workers that begin at a time: a parent with many clusters is not asked for all lists at once.
const BEGINNING: usize = 16;

/// How a program speaks with the parent.
#[derive(Clone, Copy)]
struct Program {
    /// The name under which Events are published.
    name: &'static str,
    /// Seconds a watch lasts: less than whatever is in between waits for a connection that says nothing.
    watch: u32,
}

/// Its connections are given up after a minute without a word.
const AGENT: Program = Program { name: "clusternet-agent", watch: 50 };
const HUB: Program = Program { name: "clusternet-hub", watch: 240 };

fn watch_config(seconds: u32) -> watcher::Config {
    watcher::Config::default().timeout(seconds)
}

fn place(cluster: &ManagedCluster) -> (String, String) {
    (cluster.namespace().unwrap_or_default(), cluster.name_any())
}

fn is_frozen() -> Trouble {
    let why = format!(
        "the owner of the cluster has frozen it (annotation {} on the agent's namespace): nothing is changed in it",
        annotations::FROZEN
    );
    Trouble::of_description(reasons::FROZEN, why)
}

fn paused(cluster: &ManagedCluster) -> Option<Trouble> {
    let is_paused = cluster.annotations().get(annotations::PAUSED).is_some_and(|value| value == "true");
    let why = "the cluster is paused by an annotation of its ManagedCluster: nothing is changed in it";
    is_paused.then(|| Trouble::of_description(reasons::PAUSED, why))
}

/// The workers, one for each cluster.
struct Crew {
    tasks: Tasks,
    client: Client,
    contents: Contents,
    program: Program,
    options: Options,
    counters: Counters,
    /// For requests to the parent.
    permits: Arc<Semaphore>,
    /// For workers that begin: each lists its Descriptions, over a connection of its own.
    beginning: Arc<Semaphore>,
    workers: HashMap<(String, String), Worker>,
}

struct Worker {
    cluster_id: String,
    limits: Option<(u64, i32)>,
    cluster: Arc<Cluster>,
    tasks: Tasks,
}

impl Crew {
    fn new(tasks: &Tasks, client: Client, program: Program, options: Options, counters: Counters) -> Self {
        // A term of its own: whatever works in it ends with whoever has begun it.
        Self {
            tasks: tasks.child(),
            contents: Contents::new(client.clone()),
            client,
            program,
            options,
            counters,
            permits: Arc::new(Semaphore::new(IN_FLIGHT)),
            beginning: Arc::new(Semaphore::new(BEGINNING)),
            workers: HashMap::new(),
        }
    }

    /// A ManagedCluster is so now, for the hub.
    fn take(&mut self, cluster: &ManagedCluster, reach: &Reach) {
        if Side::of(cluster) != Side::Hub || cluster.metadata.deletion_timestamp.is_some() {
            return self.dismiss(&place(cluster));
        }
        self.appoint(cluster, paused(cluster), || way(cluster, reach));
    }

    /// Makes sure that somebody works for a cluster.
    fn appoint(
        &mut self,
        cluster: &ManagedCluster,
        halt: Option<Trouble>,
        way: impl FnOnce() -> Arc<dyn Transport>,
    ) {
        let place = place(cluster);
        let same = self.workers.get(&place).is_some_and(|worker| {
            worker.cluster_id == cluster.spec.cluster_id && worker.limits == limits(cluster)
        });
        if !same {
            self.dismiss(&place);
        }
        let worker = self.workers.entry(place).or_insert_with_key(|(namespace, name)| {
            let tasks = self.tasks.child();
            let transport = way();
            let child = Child::new(Arc::clone(&transport), self.options.parallelism);
            let parent = Arc::new(KubeParent::new(
                self.client.clone(),
                namespace,
                self.program.name,
                self.contents.clone(),
                Arc::clone(&self.permits),
            ));
            let (options, counters) = (self.options.clone(), self.counters.clone());
            let working = Cluster::new(name.clone(), namespace.clone(), child, parent, options, counters);
            let descriptions = Api::namespaced(self.client.clone(), namespace);
            let descriptions =
                readable(descriptions, watch_config(self.program.watch)).default_backoff().boxed();
            let (work, beginning) = (Arc::clone(&working), Arc::clone(&self.beginning));
            let group = tasks.clone();
            tasks.spawn(format!("deployer of {name}"), async move {
                let permit = beginning.acquire_owned().await.ok();
                worker::work(work, descriptions, group, permit).await;
            });
            let waiting = Arc::clone(&working);
            tasks.spawn(format!("way to {name}"), async move {
                loop {
                    transport.opened().await;
                    waiting.try_now();
                }
            });
            tracing::info!(cluster = name, "deploying begins");
            Worker {
                cluster_id: cluster.spec.cluster_id.clone(),
                limits: limits(cluster),
                cluster: working,
                tasks,
            }
        });
        worker.cluster.halt(halt);
    }

    fn keep_only(&mut self, shown: &[(String, String)]) {
        let gone: Vec<_> = self.workers.keys().filter(|place| !shown.contains(place)).cloned().collect();
        for place in gone {
            self.dismiss(&place);
        }
    }

    fn dismiss(&mut self, place: &(String, String)) {
        if let Some(worker) = self.workers.remove(place) {
            worker.tasks.cancel();
            tracing::info!(cluster = place.1, "deploying ends");
        }
    }

    fn dismiss_all(&mut self) {
        self.keep_only(&[]);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

/// The hub's way into a cluster as the deployer there, no faster than its agent lets the parent be.
pub fn way(cluster: &ManagedCluster, reach: &Reach) -> Arc<dyn Transport> {
    let id = cluster.spec.cluster_id.to_ascii_lowercase();
    let through = Arc::new(Through::new(reach.clone(), id, Identity::deployer()));
    match limits(cluster) {
        Some((rate, burst)) => {
            Arc::new(Limited::new(through, f64::from_bits(rate), u32::try_from(burst).unwrap_or(1)))
        }
        None => through,
    }
}

/// What the agent lets the parent ask of its cluster; a change of it is a new way there.
fn limits(cluster: &ManagedCluster) -> Option<(u64, i32)> {
    let status = cluster.status.as_ref()?;
    let rate = status.kube_qps.filter(|rate| *rate > 0.0)?;
    Some((rate.to_bits(), status.kube_burst.unwrap_or(1)))
}
