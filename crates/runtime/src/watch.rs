//! Watches of our own kinds.

use std::fmt::Debug;

use futures_util::{Stream, TryStreamExt as _};
use kube::{
    Api, Resource, ResourceExt as _,
    core::DeserializeGuard,
    runtime::watcher::{self, Event, watcher},
};
use serde::de::DeserializeOwned;
use tracing::warn;

/// Watches objects of a kind and leaves out, with a warning, those that do not fit it, so that one does not hide all the
/// others: objects stored before a CRD was applied were never checked against its schema.
pub fn readable<K>(
    objects: Api<DeserializeGuard<K>>,
    config: watcher::Config,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    watcher(objects, config).try_filter_map(|event| std::future::ready(Ok(fitting(event))))
}

fn fitting<K>(event: Event<DeserializeGuard<K>>) -> Option<Event<K>>
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
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn stored(data: &serde_json::Value) -> DeserializeGuard<ConfigMap> {
        let meta = json!({ "name": "one", "namespace": "default" });
        serde_json::from_value(
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data }),
        )
        .unwrap()
    }

    #[test]
    fn an_object_that_does_not_fit_is_left_out() {
        let good = stored(&json!({ "a": "1" }));
        let bad = stored(&json!(7));
        assert!(matches!(fitting(Event::Apply(good)), Some(Event::Apply(map)) if map.name_any() == "one"));
        assert!(fitting(Event::Apply(bad)).is_none());
    }
}
