//! What all workers share.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use placement::overrides::Limits;
use serde_json::json;

use tokio::sync::Semaphore;

use crate::{
    Options,
    parent::{Note, Parent, Refusal, Write},
    world::{Known, Meta, World},
};

pub(crate) struct Hub {
    pub(crate) world: Arc<World>,
    pub(crate) parent: Arc<dyn Parent>,
    pub(crate) options: Options,
    pub(crate) limits: Arc<Limits>,
    /// Whose turn it is to make a Content.
    pub(crate) making: Semaphore,
}

impl Hub {
    pub(crate) fn new(world: Arc<World>, parent: Arc<dyn Parent>, options: Options) -> Self {
        Self { world, parent, options, limits: Arc::default(), making: Semaphore::new(1) }
    }

    /// Writes an object, and knows it from then on as it is written.
    pub(crate) async fn write<K: Known>(&self, write: Write) -> Result<(), Refusal> {
        let json = self.parent.write(write).await?;
        // What cannot be read comes with the watch, or is told of there.
        if let Ok(object) = serde_json::from_slice::<K>(&json) {
            self.world.written(object);
        }
        Ok(())
    }

    /// Takes finalizers away. The object may be gone with that, so only the watch tells what became of it.
    pub(crate) async fn release(&self, path: String, meta: &Meta, left: &[String]) -> Result<(), Refusal> {
        let patch = json!({
            "metadata": { "resourceVersion": meta.resource_version, "finalizers": left },
        });
        self.parent.write(Write::Merge(path, patch)).await.map(drop)
    }

    /// Tells people about an object.
    pub(crate) async fn tell<K: Resource<DynamicType = ()>>(&self, about: &Meta, note: &Note) {
        let about = ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            namespace: Some(about.name.namespace.clone()).filter(|namespace| !namespace.is_empty()),
            name: Some(about.name.name.clone()),
            uid: Some(about.uid.clone()),
            ..ObjectReference::default()
        };
        self.parent.tell(&about, note).await;
    }
}
