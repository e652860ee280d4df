//! A watch that one unreadable object does not end.

use std::fmt::Debug;

use futures_util::{Stream, TryStreamExt as _};
use kube::{
    Api, Resource, ResourceExt as _,
    core::DeserializeGuard,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;
use tracing::warn;

/// Watches objects of a kind and leaves out, with a warning, those that do not fit it: objects stored before our CRD
/// was applied were never checked against its schema.
pub(super) fn watch_readable<K>(
    objects: Api<DeserializeGuard<K>>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    watcher(objects, config).try_filter_map(|event| std::future::ready(Ok(readable(event))))
}

fn readable<K>(event: Event<DeserializeGuard<K>>) -> Option<Event<K>>
where
    K: Resource<DynamicType = ()>,
{
    let object = |guard: DeserializeGuard<K>| {
        let name = guard.name_any();
        guard
            .0
            .inspect_err(|error| {
                let kind = K::kind(&());
                warn!(%kind, %name, %error, "an object does not fit its kind's schema and is left alone");
            })
            .ok()
    };
    match event {
        Event::Init => Some(Event::Init),
        Event::InitDone => Some(Event::InitDone),
        Event::InitApply(guard) => object(guard).map(Event::InitApply),
        Event::Apply(guard) => object(guard).map(Event::Apply),
        Event::Delete(guard) => object(guard).map(Event::Delete),
    }
}

#[cfg(test)]
mod tests {
    use api::clusters::ManagedCluster;
    use serde_json::json;

    use super::*;

    fn stored(spec: &serde_json::Value) -> DeserializeGuard<ManagedCluster> {
        let meta = json!({ "name": "one", "namespace": "clusternet-one" });
        serde_json::from_value(json!({
            "apiVersion": "clusters.clusternet.io/v1beta1", "kind": "ManagedCluster", "metadata": meta, "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn an_object_that_does_not_fit_is_left_out() {
        let good = stored(&json!({ "clusterId": "id", "clusterType": "EdgeCluster", "syncMode": "Pull" }));
        let bad = stored(&json!({ "clusterId": 7 }));
        assert!(
            matches!(readable(Event::Apply(good)), Some(Event::Apply(cluster)) if cluster.name_any() == "one")
        );
        assert!(readable(Event::Apply(bad)).is_none());
    }
}
