//! HelmReleases of the clusters that the hub deploys into (contract 3.8): followed cluster by cluster, applied through the tunnel.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use api::{
    clusters::{ManagedCluster, Side},
    names::deployer::annotations::PAUSED,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture};
use helm::Helm;
use kube::{
    Api, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use kubeio::Transport;
use reach::Door;
use releases::{Access, Credentials, NoAccess, Way};
use runtime::{OnError, Tasks, watch::readable};
use tokio::sync::watch;

use super::{Charts, open};

/// Releases of one cluster that are worked on at a time: each may wait for minutes, and takes a process.
const PARALLELISM: usize = 2;

/// What an API server says of its version is shorter than this.
const VERSION: usize = 64 << 10;

/// Follows all ManagedClusters, until the watch fails. Whatever works for one of them is in `tasks`, and ends with it.
pub(super) async fn push(tasks: Tasks, charts: Charts) -> anyhow::Result<()> {
    let helm = match &charts.helm {
        Some(program) => Some(open(program).await?),
        None => None,
    };
    let config = watcher::Config::default().timeout(240);
    let clusters = readable::<ManagedCluster>(Api::all(charts.client.clone()), config).default_backoff();
    let mut events = std::pin::pin!(clusters);
    let mut crew = Crew { tasks, charts, helm, workers: HashMap::new() };
    let mut shown = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => shown.clear(),
            Ok(Event::InitApply(cluster)) => {
                shown.insert(place(&cluster));
                crew.take(&cluster);
            }
            Ok(Event::InitDone) => crew.workers.retain(|place, _| shown.contains(place)),
            Ok(Event::Apply(cluster)) => crew.take(&cluster),
            Ok(Event::Delete(cluster)) => drop(crew.workers.remove(&place(&cluster))),
            Err(error) => tracing::debug!(%error, "the watch of ManagedClusters failed, trying again"),
        }
    }
    anyhow::bail!("the watch of ManagedClusters ended")
}

/// Namespace and name.
type Place = (String, String);

fn place(cluster: &ManagedCluster) -> Place {
    (cluster.namespace().unwrap_or_default(), cluster.name_any())
}

/// The workers, one for each cluster.
struct Crew {
    tasks: Tasks,
    charts: Charts,
    helm: Option<Helm>,
    workers: HashMap<Place, Worker>,
}

struct Worker {
    cluster_id: String,
    halt: watch::Sender<bool>,
    tasks: Tasks,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Crew {
    /// A ManagedCluster is so now.
    fn take(&mut self, cluster: &ManagedCluster) {
        let place = place(cluster);
        if Side::of(cluster) != Side::Hub || cluster.metadata.deletion_timestamp.is_some() {
            self.workers.remove(&place);
            return;
        }
        let paused = cluster.annotations().get(PAUSED).is_some_and(|value| value == "true");
        if self.workers.get(&place).is_some_and(|worker| worker.cluster_id != cluster.spec.cluster_id) {
            self.workers.remove(&place);
        }
        if let Some(worker) = self.workers.get(&place) {
            worker.halt.send_if_modified(|before| std::mem::replace(before, paused) != paused);
            return;
        }
        let worker = self.appoint(cluster, paused);
        self.workers.insert(place, worker);
    }

    fn appoint(&self, cluster: &ManagedCluster, paused: bool) -> Worker {
        let (halt, halted) = watch::channel(paused);
        let tasks = self.tasks.child();
        let child = deployer::way(cluster, &self.charts.reach);
        let access: Arc<dyn Access> = Arc::new(Through { tasks: tasks.clone(), child });
        let (namespace, name) = place(cluster);
        let options = releases::Options {
            namespace,
            cluster: name.clone(),
            program: "clusternet-hub",
            parallelism: PARALLELISM,
            credentials: Credentials::PullSecrets { hub: self.charts.namespace.clone() },
        };
        let (client, helm) = (self.charts.client.clone(), self.helm.clone());
        tasks.supervise(format!("charts of {name}"), OnError::Restart, move || {
            let (helm, access) = (helm.clone(), Arc::clone(&access));
            releases::follow(client.clone(), helm, access, halted.clone(), options.clone())
        });
        Worker { cluster_id: cluster.spec.cluster_id.clone(), halt, tasks }
    }
}

/// The way into a cluster through its tunnel.
struct Through {
    tasks: Tasks,
    child: Arc<dyn Transport>,
}

impl Access for Through {
    fn open(&self) -> BoxFuture<'_, Result<Way, NoAccess>> {
        Box::pin(async move {
            // Helm does not pass on why a cluster refuses it, such as that its owner has frozen it.
            let request = http::Request::get("/version").body(Bytes::new());
            let request = request.map_err(|error| NoAccess(error.to_string()))?;
            match kubeio::call(&*self.child, request, VERSION).await {
                Ok(Ok(_)) => {}
                Ok(Err(status)) => return Err(NoAccess(status.message)),
                Err(error) => return Err(NoAccess(error.to_string())),
            }
            let door = Door::open(&self.tasks, Arc::clone(&self.child)).await;
            let door = door.map_err(|error| NoAccess(format!("{error:#}")))?;
            let cluster = helm::Cluster {
                server: door.url(),
                authority: door.authority().to_owned(),
                server_name: None,
                token: door.token().to_owned().into(),
            };
            Ok(Way { cluster, door: Some(Box::new(door)) })
        })
    }
}
