//! Wakes the requests that a change elsewhere concerns.
//!
//! Only metadata is watched, and nothing is kept of it but a hash per object: enough to tell a change that matters from
//! a heartbeat.

use std::{
    collections::HashMap,
    fmt::Debug,
    hash::{DefaultHasher, Hasher as _},
    sync::Arc,
};

use api::{
    clusters::{ClusterRegistrationRequest, ManagedCluster},
    names::{self, labels},
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{
    api::{
        core::v1::Namespace,
        rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Resource,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        controller::ReconcileRequest,
        reflector::ObjectRef,
        watcher::{self, Event, watcher},
    },
};

use super::context::{Context, Obstacle};

/// A request to look at, or a watch that failed and is being tried again.
pub(crate) type Wake<K> = Result<ReconcileRequest<K>, watcher::Error>;

/// How watches are run: shorter than the idle time-outs of load balancers.
pub(crate) fn watch_config() -> watcher::Config {
    watcher::Config::default().timeout(240)
}

/// Everything beside the requests themselves that a request depends on.
pub(crate) fn wakes(
    context: &Arc<Context>,
) -> impl Stream<Item = Wake<ClusterRegistrationRequest>> + Send + use<> {
    let generated = format!("{}={}", labels::BOOTSTRAPPING, labels::RBAC_DEFAULTS);
    let generated = watch_config().labels(&generated);
    let version = |meta: &ObjectMeta| hash(&meta.resource_version);
    stream::select_all([
        related::<ManagedCluster>(context, watch_config(), matters, |name| Some(Obstacle::ClusterName(name)))
            .boxed(),
        related::<Namespace>(context, watch_config(), matters, |name| Some(Obstacle::Namespace(name)))
            .boxed(),
        related::<ClusterRole>(context, generated.clone(), version, |_| None).boxed(),
        related::<ClusterRoleBinding>(context, generated.clone(), version, |_| None).boxed(),
        related::<RoleBinding>(context, generated, version, |_| None).boxed(),
    ])
}

fn related<K>(
    context: &Arc<Context>,
    config: watcher::Config,
    digest: fn(&ObjectMeta) -> u64,
    obstacle: fn(String) -> Option<Obstacle>,
) -> impl Stream<Item = Wake<ClusterRegistrationRequest>> + Send + use<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + Send + Sync + 'static,
{
    let objects: Api<PartialObjectMeta<K>> = Api::all(context.client.clone());
    let context = context.clone();
    let mut digests = Digests { digest, known: HashMap::new() };
    watcher(objects, config)
        .default_backoff()
        .map_ok(move |event| {
            let concerned = digests.change(event).map(|meta| concerned(&context, &meta, obstacle));
            stream::iter(concerned.unwrap_or_default().into_iter().map(Ok))
        })
        .try_flatten()
}

/// The requests that a changed object concerns: the one of its cluster, and those that were denied because of it.
fn concerned(
    context: &Context,
    meta: &ObjectMeta,
    obstacle: fn(String) -> Option<Obstacle>,
) -> Vec<ReconcileRequest<ClusterRegistrationRequest>> {
    let own = meta.labels.as_ref().and_then(|labels| labels.get(labels::CLUSTER_ID));
    let own = own.map(|id| names::of_cluster(id));
    let waiting =
        meta.name.clone().and_then(obstacle).map(|it| context.blocked.take(&it)).unwrap_or_default();
    own.into_iter().chain(waiting).map(|name| ObjectRef::new(&name).into()).collect()
}

/// What of a ManagedCluster or namespace a request depends on; not what heartbeats change.
fn matters(meta: &ObjectMeta) -> u64 {
    hash(&(
        meta.generation,
        &meta.labels,
        &meta.annotations,
        meta.deletion_timestamp.is_some(),
        &meta.finalizers,
    ))
}

fn hash(value: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Remembers a hash per object.
struct Digests {
    digest: fn(&ObjectMeta) -> u64,
    known: HashMap<u64, u64>,
}

impl Digests {
    /// The object, if it changed in a way that matters or is gone. The first sight of one is no change: all requests
    /// are looked at when the hub starts, and what the hub makes it knows.
    fn change<K>(&mut self, event: Event<PartialObjectMeta<K>>) -> Option<ObjectMeta> {
        match event {
            Event::Apply(object) | Event::InitApply(object) => {
                let digest = (self.digest)(&object.metadata);
                let before = self.known.insert(key(&object.metadata), digest)?;
                (before != digest).then_some(object.metadata)
            }
            Event::Delete(object) => {
                self.known.remove(&key(&object.metadata));
                Some(object.metadata)
            }
            Event::Init | Event::InitDone => None,
        }
    }
}

fn key(meta: &ObjectMeta) -> u64 {
    hash(&(&meta.namespace, &meta.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(generation: i64, version: &str) -> PartialObjectMeta<ManagedCluster> {
        let metadata = ObjectMeta {
            name: Some("c".into()),
            generation: Some(generation),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        PartialObjectMeta { types: None, metadata, _phantom: std::marker::PhantomData }
    }

    #[test]
    fn heartbeats_wake_nobody_and_changes_do() {
        let mut digests = Digests { digest: matters, known: HashMap::new() };
        assert!(digests.change(Event::InitApply(object(1, "1"))).is_none(), "first sight");
        assert!(digests.change(Event::Apply(object(1, "2"))).is_none(), "heartbeat");
        assert!(digests.change(Event::Apply(object(2, "3"))).is_some());
        assert!(digests.change(Event::Delete(object(2, "4"))).is_some());
        assert!(digests.change(Event::Apply(object(2, "5"))).is_none(), "another of the same name");
    }
}
