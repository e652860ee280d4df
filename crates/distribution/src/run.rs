//! Runs the controllers while this hub leads.

use std::{
    collections::HashSet,
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use api::{
    apps::{Base, Content, Description, Globalization, HelmChart, Localization, Manifest, Subscription},
    clusters::ManagedCluster,
};
use futures_util::StreamExt as _;
use kube::{
    Api, Client,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use kubeio::Transport;
use runtime::{
    OnError, Tasks,
    events::Events,
    lease::{self, Leadership},
    metrics::Metrics,
    watch::readable,
};
use tokio::sync::{Notify, watch};

use crate::{
    Options,
    counters::Counters,
    hub::Hub,
    key::Name,
    parent::KubeParent,
    queue::Queue,
    work::work,
    world::{Known, World},
};

/// The kinds that are followed.
const KINDS: usize = 9;

/// Starts the distribution in this process. It works while `leadership` is held; everything it does is safe should two
/// processes believe to lead. `transport` leads to the parent, as `client` does.
pub fn start(
    tasks: &Tasks,
    client: Client,
    transport: Arc<dyn Transport>,
    leadership: watch::Receiver<Leadership>,
    options: Options,
    metrics: &Metrics,
) {
    let counters = Counters::register(metrics);
    lease::while_held(tasks, "distribution", leadership, move |term| {
        begin(term, &client, Arc::clone(&transport), options.clone(), counters.clone());
    });
}

/// Follows the parent, and works from the moment on at which everything has been listed once.
fn begin(
    tasks: &Tasks,
    client: &Client,
    transport: Arc<dyn Transport>,
    options: Options,
    counters: Counters,
) {
    let world = Arc::new(World::new(Arc::new(Queue::new(counters))));
    let listed = Arc::new(Listed::default());
    let reserved = options.reserved_namespace.clone();
    follow::<ManagedCluster>(tasks, Api::all(client.clone()), &world, &listed);
    follow::<Subscription>(tasks, Api::all(client.clone()), &world, &listed);
    follow::<Base>(tasks, Api::all(client.clone()), &world, &listed);
    follow::<Description>(tasks, Api::all(client.clone()), &world, &listed);
    follow::<Content>(tasks, Api::namespaced(client.clone(), &reserved), &world, &listed);
    follow::<Manifest>(tasks, Api::namespaced(client.clone(), &reserved), &world, &listed);
    follow::<HelmChart>(tasks, Api::all(client.clone()), &world, &listed);
    follow::<Globalization>(tasks, Api::all(client.clone()), &world, &listed);
    follow::<Localization>(tasks, Api::all(client.clone()), &world, &listed);

    let parent = KubeParent::new(transport, Events::new(client.clone(), "clusternet-hub"));
    let concurrency = options.concurrency.max(1);
    let hub = Arc::new(Hub::new(world, Arc::new(parent), options));
    let workers = tasks.child();
    tasks.spawn("distribution of what was listed", async move {
        listed.everything().await;
        for _ in 0..concurrency {
            workers.spawn("distribution worker", work(Arc::clone(&hub)));
        }
    });
}

/// How many kinds have been listed.
#[derive(Debug, Default)]
struct Listed {
    kinds: AtomicUsize,
    news: Notify,
}

impl Listed {
    fn one_more(&self) {
        self.kinds.fetch_add(1, Ordering::SeqCst);
        self.news.notify_one();
    }

    async fn everything(&self) {
        while self.kinds.load(Ordering::SeqCst) < KINDS {
            self.news.notified().await;
        }
    }
}

fn follow<K>(tasks: &Tasks, objects: Api<DeserializeGuard<K>>, world: &Arc<World>, listed: &Arc<Listed>)
where
    K: Known + Clone + Debug + Send + Sync + 'static,
{
    let (world, listed) = (Arc::clone(world), Arc::clone(listed));
    let mut first = true;
    tasks.supervise(format!("watch of {}", K::plural(&())), OnError::Restart, move || {
        let (objects, world, listed) = (objects.clone(), Arc::clone(&world), Arc::clone(&listed));
        let first = std::mem::take(&mut first);
        async move {
            let listed = first.then_some(listed);
            see(objects, &world, listed.as_deref()).await;
            anyhow::bail!("the watch ended")
        }
    });
}

async fn see<K>(objects: Api<DeserializeGuard<K>>, world: &World, mut first: Option<&Listed>)
where
    K: Known + Clone + Debug + Send + Sync + 'static,
{
    // Shorter than the idle time-outs of load balancers.
    let config = watcher::Config::default().timeout(240);
    let events = readable(objects, config).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut shown = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => shown.clear(),
            Ok(Event::InitApply(object)) => {
                shown.insert(Name::of(&object));
                world.observe(object);
            }
            Ok(Event::InitDone) => {
                world.keep_only::<K>(&shown);
                shown = HashSet::new();
                if let Some(listed) = first.take() {
                    listed.one_more();
                }
            }
            Ok(Event::Apply(object)) => world.observe(object),
            Ok(Event::Delete(object)) => world.gone(&object),
            Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "a watch failed, trying again"),
        }
    }
}
