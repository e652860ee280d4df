//! The catalogue as the parent's objects tell it: PediaClusters say what is synchronised, ResourceCollections what
//! belongs together.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    names::search::conditions,
    pedia::{PediaCluster, PediaClusterStatus},
    search::ResourceCollection,
};
use futures_util::{StreamExt as _, future, stream};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use runtime::{OnError, Tasks};
use store::{ClusterName, Resource, ResourcePattern};
use tokio::sync::watch;

use crate::{Catalogue, Cluster, Kind, builtin};

impl Catalogue {
    /// Follows the PediaClusters and ResourceCollections of the parent. Until they are read, the catalogue is empty, and
    /// the search knows what is stored.
    ///
    /// Needs `list` and `watch` on both. Nothing of a PediaCluster's credentials is kept.
    pub fn follow(tasks: &Tasks, client: Client) -> watch::Receiver<Arc<Self>> {
        let (told, known) = watch::channel(Arc::new(Self::default()));
        tasks.supervise("catalogue of the search", OnError::Restart, move || {
            let (told, client) = (told.clone(), client.clone());
            async move {
                let clusters = watcher(Api::<PediaCluster>::all(client.clone()), watcher::Config::default());
                let collections = watcher(Api::<ResourceCollection>::all(client), watcher::Config::default());
                let clusters = clusters.default_backoff().filter_map(|event| future::ready(event.ok()));
                let collections = collections.default_backoff().filter_map(|event| future::ready(event.ok()));
                let mut changes = stream::select(
                    clusters.map(|event| Change::Clusters(each(event, cluster))).boxed(),
                    collections.map(|event| Change::Collections(each(event, collection))).boxed(),
                );
                let mut incoming = Incoming::default();
                while let Some(change) = changes.next().await {
                    told.send_if_modified(|catalogue| incoming.apply(change, Arc::make_mut(catalogue)));
                }
                anyhow::bail!("the watches on PediaClusters and ResourceCollections ended")
            }
        });
        known
    }
}

/// What has happened, with as much of each object as is kept. An object without anything to keep is gone.
enum Change {
    Clusters(watcher::Event<(ClusterName, Option<Cluster>)>),
    Collections(watcher::Event<(String, Option<Vec<ResourcePattern>>)>),
}

/// Lists that are being read while the old ones still count.
#[derive(Default)]
struct Incoming {
    clusters: BTreeMap<ClusterName, Cluster>,
    collections: BTreeMap<String, Vec<ResourcePattern>>,
}

impl Incoming {
    /// Whether the catalogue has changed.
    fn apply(&mut self, change: Change, catalogue: &mut Catalogue) -> bool {
        match change {
            Change::Clusters(event) => apply(event, &mut self.clusters, &mut catalogue.clusters),
            Change::Collections(event) => apply(event, &mut self.collections, &mut catalogue.collections),
        }
    }
}

fn apply<K: Ord, V>(
    event: watcher::Event<(K, Option<V>)>,
    incoming: &mut BTreeMap<K, V>,
    known: &mut BTreeMap<K, V>,
) -> bool {
    match event {
        watcher::Event::Init => incoming.clear(),
        watcher::Event::InitApply((key, value)) => incoming.extend(value.map(|value| (key, value))),
        watcher::Event::InitDone => *known = std::mem::take(incoming),
        watcher::Event::Apply((key, Some(value))) => {
            known.insert(key, value);
        }
        watcher::Event::Apply((key, None)) | watcher::Event::Delete((key, _)) => {
            known.remove(&key);
        }
    }
    true
}

fn each<T, U>(event: watcher::Event<T>, keep: fn(&T) -> U) -> watcher::Event<U> {
    match event {
        watcher::Event::Init => watcher::Event::Init,
        watcher::Event::InitDone => watcher::Event::InitDone,
        watcher::Event::InitApply(object) => watcher::Event::InitApply(keep(&object)),
        watcher::Event::Apply(object) => watcher::Event::Apply(keep(&object)),
        watcher::Event::Delete(object) => watcher::Event::Delete(keep(&object)),
    }
}

/// One that is being deleted is no longer there (contract 4.5).
fn cluster(object: &PediaCluster) -> (ClusterName, Option<Cluster>) {
    let name = ClusterName::new(object.name_any());
    if object.metadata.deletion_timestamp.is_some() {
        return (name, None);
    }
    (name, Some(object.status.as_ref().map(of_status).unwrap_or_default()))
}

fn of_status(status: &PediaClusterStatus) -> Cluster {
    let mut resources = BTreeMap::new();
    for group in &status.sync_resources {
        for resource in &group.resources {
            let told = Kind {
                kind: resource.kind.clone(),
                singular: resource.kind.to_ascii_lowercase(),
                namespaced: resource.namespaced,
                ..Kind::default()
            };
            let kind = builtin::kind(&group.group, &resource.name).unwrap_or(told);
            for condition in &resource.sync_conditions {
                let version = condition.storage_version.as_ref().unwrap_or(&condition.version);
                resources.insert(Resource::new(&*group.group, &**version, &*resource.name), kind.clone());
            }
        }
    }
    let healthy = status.conditions.iter().find(|condition| condition.type_ == conditions::CLUSTER_HEALTHY);
    let unhealthy = match healthy {
        Some(condition) if condition.status == "True" => None,
        Some(condition) => Some(condition.reason.clone()),
        None => Some("its health is not known yet".to_owned()),
    };
    Cluster { resources, unhealthy, version: status.version.clone() }
}

fn collection(object: &ResourceCollection) -> (String, Option<Vec<ResourcePattern>>) {
    let patterns = object.spec.resource_types.iter().map(|type_| ResourcePattern {
        group: Some(type_.group.clone()),
        version: type_.version.clone(),
        resource: type_.resource.clone(),
    });
    (object.name_any(), Some(patterns.collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pedia(value: &serde_json::Value) -> (ClusterName, Option<Cluster>) {
        let mut object = json!({"apiVersion": "cluster.clusterpedia.io/v1alpha2", "kind": "PediaCluster",
                                "metadata": {"name": "c1"}, "spec": {"syncResources": []}});
        object.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        cluster(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn a_status_tells_what_can_be_searched_and_how_well() {
        let (name, told) = pedia(&json!({"status": {
            "version": "v1.37.0",
            "conditions": [{"type": "ClusterHealthy", "status": "False", "reason": "NotReachable", "message": "",
                            "lastTransitionTime": "2026-01-02T03:04:05Z"}],
            "syncResources": [
                {"group": "apps", "resources": [{"name": "deployments", "kind": "Deployment", "namespaced": true,
                    "syncConditions": [{"version": "v1", "status": "Syncing",
                                        "lastTransitionTime": "2026-01-02T03:04:05Z"}]}]},
                {"group": "demo.io", "resources": [{"name": "widgets", "kind": "Widget", "namespaced": false,
                    "syncConditions": [{"version": "v1beta1", "storageVersion": "v1", "status": "Pending",
                                        "lastTransitionTime": "2026-01-02T03:04:05Z"}]}]},
            ],
        }}));
        let told = told.unwrap();
        assert_eq!((name.as_str(), told.unhealthy.as_deref()), ("c1", Some("NotReachable")));
        assert_eq!(told.resources[&Resource::new("apps", "v1", "deployments")].short_names, ["deploy"]);
        let widgets = &told.resources[&Resource::new("demo.io", "v1", "widgets")];
        assert_eq!((&*widgets.kind, &*widgets.singular, widgets.namespaced), ("Widget", "widget", false));
    }

    #[test]
    fn a_cluster_that_is_being_deleted_is_gone() {
        let metadata = json!({"name": "c1", "deletionTimestamp": "2026-01-02T03:04:05Z"});
        assert!(pedia(&json!({"metadata": metadata})).1.is_none());
        assert!(pedia(&json!({})).1.is_some());
    }

    #[test]
    fn a_list_counts_when_it_has_been_read_to_its_end() {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let (mut incoming, mut known) = (BTreeMap::<char, i32>::new(), BTreeMap::new());
        let mut tell = |event| {
            apply(event, &mut incoming, &mut known);
            known.keys().copied().collect::<String>()
        };
        for (event, expected) in [
            (Apply(('a', Some(1))), "a"),
            (Init, "a"),
            (InitApply(('b', Some(1))), "a"),
            (InitApply(('c', None)), "a"),
            (InitDone, "b"),
            (Apply(('d', Some(1))), "bd"),
            (Apply(('b', None)), "d"),
            (Delete(('d', Some(1))), ""),
        ] {
            assert_eq!(tell(event), expected);
        }
    }
}
