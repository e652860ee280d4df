//! Follows the objects that were applied, kind by kind: only those with our mark, and nothing of them is kept but what the
//! status needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use api::names::deployer::labels::DEPLOYED;
use kubeio::{FollowRequest, Follower, Selection, Step};
use meta::{ObjectKey, RawObject};
use runtime::Tasks;
use serde_json::Value;

use crate::{child::Kind, cluster::Cluster, item::Key, trouble::grant};

/// The followers of one cluster.
pub(crate) struct Watches {
    tasks: Tasks,
    running: BTreeMap<Kind, Tasks>,
}

impl Watches {
    /// None yet. They live in `tasks`.
    pub(crate) fn new(tasks: Tasks) -> Self {
        Self { tasks, running: BTreeMap::new() }
    }

    /// Follows the kinds that are in use, and no others; at most as many as the options say.
    pub(crate) fn settle(&mut self, cluster: &Arc<Cluster>) {
        let Some(wanted) = cluster.other_kinds() else { return };
        self.running.retain(|kind, tasks| {
            let stays = wanted.contains(kind);
            if !stays {
                tasks.cancel();
                cluster.state.lock().followed.remove(kind);
            }
            stays
        });
        for kind in wanted {
            if self.running.contains_key(&kind) || self.running.len() >= cluster.options.watches {
                continue;
            }
            let tasks = self.tasks.child();
            let name = format!("{} of {}", kind.resource, cluster.name);
            tasks.spawn(name, follow(Arc::clone(cluster), kind.clone()));
            self.running.insert(kind, tasks);
        }
    }
}

/// Follows the objects of one kind, for ever.
async fn follow(cluster: Arc<Cluster>, kind: Kind) {
    let mut selection = Selection::all(kind.resource.clone());
    selection.label_selector = Some(format!("{DEPLOYED}=true"));
    let request = FollowRequest::new(selection, kind.name.clone());
    let mut follower = Follower::new(Arc::clone(&cluster.child.transport), request);
    let mut listed = BTreeSet::new();
    loop {
        match follower.next().await {
            Step::ListBegan => listed.clear(),
            Step::Listed(object) => {
                listed.insert(key_of(&kind, &object.key));
                observe(&cluster, &kind, &object);
            }
            Step::ListDone { .. } => {
                for key in cluster.seen_of(&kind) {
                    if !listed.contains(&key) {
                        cluster.observe(&key, None);
                    }
                }
                listed.clear();
                cluster.state.lock().followed.insert(kind.clone());
            }
            Step::Changed(object) => observe(&cluster, &kind, &object),
            Step::Deleted(object) => cluster.observe(&key_of(&kind, &object.key), None),
            Step::Failed { error, .. } => {
                cluster.state.lock().followed.remove(&kind);
                if matches!(error, kubeio::Error::Forbidden(_)) {
                    let grant = grant(&kind.resource);
                    tracing::warn!(cluster = cluster.name, resource = %kind.resource, grant, "changes in the cluster are not seen");
                    continue;
                }
                tracing::debug!(cluster = cluster.name, resource = %kind.resource, %error, "objects are not followed now");
            }
            Step::Bookmark { .. } => {
                // Told only by a watch that runs.
                cluster.state.lock().followed.insert(kind.clone());
            }
            Step::Unreadable(error) => {
                tracing::debug!(cluster = cluster.name, resource = %kind.resource, %error, "an object is left out");
            }
        }
    }
}

fn observe(cluster: &Cluster, kind: &Kind, object: &RawObject) {
    let key = key_of(kind, &object.key);
    // Most of what is told is of objects that are known as they are.
    if cluster.is_known(&key, &object.key.resource_version) {
        return;
    }
    if let Ok(value) = serde_json::from_slice::<Value>(&object.json) {
        cluster.observe(&key, Some(&value));
    }
}

fn key_of(kind: &Kind, key: &ObjectKey) -> Key {
    Key {
        group: kind.resource.group.clone(),
        kind: kind.name.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    }
}
