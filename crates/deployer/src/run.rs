//! Workers for clusters: the agent's for its own, the hub's for those it pushes to.

use std::sync::Arc;

use api::{
    apps::Description,
    clusters::ManagedCluster,
    names::deployer::{annotations, reasons},
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use kubeio::Transport;
use reach::{
    Reach,
    duty::{self, Halt, Registration},
};
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
    feed::Feed,
    parent::{IN_FLIGHT, KubeParent},
    trouble::Trouble,
    worker,
};

/// Works for the agent's own cluster while it is registered and the ManagedCluster says that the agent applies.
/// `child` is the way to it as the deployer; while `frozen`, nothing is changed there.
pub fn pull(
    tasks: &Tasks,
    registration: watch::Receiver<Option<Registration>>,
    child: Arc<dyn Transport>,
    frozen: watch::Receiver<bool>,
    options: Options,
    metrics: &Metrics,
) {
    let counters = Counters::register(metrics);
    duty::while_registered(tasks, "deployer", registration, move |term, found| {
        let (work, found, frozen) = (term.clone(), found.clone(), frozen.clone());
        let way = Way::Own(Arc::clone(&child));
        let (options, counters) = (options.clone(), counters.clone());
        term.supervise("deployer's term", OnError::Restart, move || {
            let crew = Crew::new(found.parent.clone(), way.clone(), options.clone(), counters.clone());
            duty::follow_own(found.clone(), frozen.clone(), work.clone(), crew)
        });
    });
}

/// Works for all clusters that the hub pushes to, while `leadership` is held. `parent` leads to the parent, as `client` does.
pub fn push(
    tasks: &Tasks,
    client: Client,
    parent: Arc<dyn Transport>,
    reach: Reach,
    leadership: watch::Receiver<Leadership>,
    options: Options,
    metrics: &Metrics,
) {
    let counters = Counters::register(metrics);
    lease::while_held(tasks, "deployer", leadership, move |term| {
        let feed = Feed::new(Arc::clone(&parent));
        let (work, client, way) =
            (term.clone(), client.clone(), Way::Through(reach.clone(), Arc::clone(&feed)));
        term.spawn("Descriptions of all clusters", async move { feed.run().await });
        let (options, counters) = (options.clone(), counters.clone());
        term.supervise("deployer's term", OnError::Restart, move || {
            let crew = Crew::new(client.clone(), way.clone(), options.clone(), counters.clone());
            duty::follow_pushed(client.clone(), work.clone(), crew)
        });
    });
}

/// Workers that begin at a time: a parent with many clusters is not asked for all lists at once.
const BEGINNING: usize = 16;

/// Whose program this is: where Descriptions come from, and the way into a cluster as the deployer there.
#[derive(Clone)]
enum Way {
    /// The agent's: into its own.
    Own(Arc<dyn Transport>),
    /// The hub's: into any.
    Through(Reach, Arc<Feed>),
}

impl Way {
    fn to(&self, cluster: &ManagedCluster) -> Arc<dyn Transport> {
        match self {
            Self::Own(child) => Arc::clone(child),
            Self::Through(reach, _) => duty::way(cluster, reach),
        }
    }

    fn descriptions(
        &self,
        client: &Client,
        namespace: &str,
    ) -> BoxStream<'static, anyhow::Result<Event<Description>>> {
        match self {
            Self::Own(_) => {
                let config = watcher::Config::default().timeout(duty::AGENT_WATCH);
                let all = readable(Api::namespaced(client.clone(), namespace), config);
                all.default_backoff().map_err(anyhow::Error::from).boxed()
            }
            Self::Through(_, feed) => feed.follow(namespace).boxed(),
        }
    }

    /// The name under which Events are published.
    fn program(&self) -> &'static str {
        match self {
            Self::Own(_) => "clusternet-agent",
            Self::Through(..) => "clusternet-hub",
        }
    }
}

/// Those who apply Descriptions, and what they share.
struct Crew {
    client: Client,
    way: Way,
    options: Options,
    counters: Counters,
    contents: Contents,
    /// For requests to the parent.
    permits: Arc<Semaphore>,
    /// For workers that begin: each lists its Descriptions.
    beginning: Arc<Semaphore>,
}

impl Crew {
    fn new(client: Client, way: Way, options: Options, counters: Counters) -> Self {
        Self {
            contents: Contents::new(client.clone()),
            client,
            way,
            options,
            counters,
            permits: Arc::new(Semaphore::new(IN_FLIGHT)),
            beginning: Arc::new(Semaphore::new(BEGINNING)),
        }
    }
}

impl duty::Crew for Crew {
    type Worker = Arc<Cluster>;

    fn appoint(&mut self, cluster: &ManagedCluster, halt: Option<Halt>, tasks: &Tasks) -> Arc<Cluster> {
        let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
        let transport = self.way.to(cluster);
        let child = Child::new(Arc::clone(&transport), self.options.parallelism);
        let parent = Arc::new(KubeParent::new(
            self.client.clone(),
            &namespace,
            self.way.program(),
            self.contents.clone(),
            Arc::clone(&self.permits),
        ));
        let descriptions = self.way.descriptions(&self.client, &namespace);
        let (options, counters) = (self.options.clone(), self.counters.clone());
        let working = Cluster::new(name.clone(), namespace, child, parent, options, counters);
        working.halt(halt.map(trouble));
        let (work, beginning, group) = (Arc::clone(&working), Arc::clone(&self.beginning), tasks.clone());
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
        working
    }

    fn halt(&mut self, cluster: &Arc<Cluster>, halt: Option<Halt>) {
        cluster.halt(halt.map(trouble));
    }

    fn dismiss(&mut self, cluster: Arc<Cluster>) {
        tracing::info!(cluster = cluster.name, "deploying ends");
    }
}

/// What is said of all Descriptions of a cluster in which nothing is changed.
fn trouble(halt: Halt) -> Trouble {
    match halt {
        Halt::Frozen => Trouble::of_description(
            reasons::FROZEN,
            format!(
                "the owner of the cluster has frozen it (annotation {} on the agent's namespace): nothing is changed in it",
                annotations::FROZEN
            ),
        ),
        Halt::Paused => Trouble::of_description(
            reasons::PAUSED,
            "the cluster is paused by an annotation of its ManagedCluster: nothing is changed in it",
        ),
    }
}
