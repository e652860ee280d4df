//! Which clusters are registered: an index over the metadata of all ManagedClusters.

use std::{collections::HashMap, sync::Arc};

use api::{clusters::ManagedCluster, names};
use futures_util::TryStreamExt as _;
use kube::{
    Api, Client, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt as _, watcher},
};
use parking_lot::RwLock;
use runtime::{OnError, Tasks};
use tracing::warn;

/// A registered cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Name of the ManagedCluster.
    pub name: String,
    /// The dedicated namespace.
    pub namespace: String,
    /// The ManagedCluster's UID, for Events about it.
    pub uid: String,
}

/// From cluster id to the ManagedCluster that has it, kept in step by a watch on metadata.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    index: Arc<RwLock<Index>>,
}

#[derive(Debug, Default)]
struct Index {
    clusters: HashMap<String, Registered>,
    /// The list being received while the old one still answers.
    incoming: Option<HashMap<String, Registered>>,
    complete: bool,
}

impl Directory {
    /// Starts following the parent's ManagedClusters.
    pub fn follow(tasks: &Tasks, client: Client) -> Self {
        let directory = Self::default();
        let following = directory.clone();
        tasks.supervise("directory of clusters", OnError::Restart, move || {
            let clusters: Api<PartialObjectMeta<ManagedCluster>> = Api::all(client.clone());
            let directory = following.clone();
            async move {
                watcher(clusters, watcher::Config::default())
                    .default_backoff()
                    .try_for_each(|event| {
                        directory.apply(event);
                        std::future::ready(Ok(()))
                    })
                    .await?;
                anyhow::bail!("the watch on ManagedClusters ended")
            }
        });
        directory
    }

    /// The cluster with this id.
    pub fn get(&self, cluster_id: &str) -> Option<Registered> {
        self.index.read().clusters.get(cluster_id).cloned()
    }

    /// Whether the first list has been read; before that an unknown id means nothing.
    pub fn is_complete(&self) -> bool {
        self.index.read().complete
    }

    fn apply(&self, event: watcher::Event<PartialObjectMeta<ManagedCluster>>) {
        let mut guard = self.index.write();
        let index = &mut *guard;
        match event {
            watcher::Event::Init => index.incoming = Some(HashMap::new()),
            watcher::Event::InitApply(cluster) => {
                if let Some(incoming) = &mut index.incoming {
                    insert(incoming, &cluster);
                }
            }
            watcher::Event::InitDone => {
                index.clusters = index.incoming.take().unwrap_or_default();
                index.complete = true;
            }
            watcher::Event::Apply(cluster) => insert(&mut index.clusters, &cluster),
            watcher::Event::Delete(cluster) => {
                let gone = registered(&cluster);
                index.clusters.retain(|_, known| *known != gone);
            }
        }
    }
}

fn registered(cluster: &PartialObjectMeta<ManagedCluster>) -> Registered {
    Registered {
        name: cluster.name_any(),
        namespace: cluster.namespace().unwrap_or_default(),
        uid: cluster.uid().unwrap_or_default(),
    }
}

/// The first ManagedCluster with an id keeps it; a second one is a mistake that must not redirect anybody.
fn insert(clusters: &mut HashMap<String, Registered>, cluster: &PartialObjectMeta<ManagedCluster>) {
    let Some(id) = cluster.labels().get(names::labels::CLUSTER_ID) else { return };
    let found = registered(cluster);
    match clusters.get(id) {
        Some(known) if *known != found => {
            warn!(cluster = %id, first = ?known, second = ?found, "two ManagedClusters have one cluster id, the first one wins");
        }
        Some(_) => {}
        None => {
            clusters.insert(id.clone(), found);
        }
    }
}
