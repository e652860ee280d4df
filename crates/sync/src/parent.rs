//! What is asked of the parent, and written there.

use api::{
    names::search::finalizers,
    pedia::{CaKind, PediaCluster, PediaClusterStatus},
};
use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

/// Why the parent did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParentError {
    /// What was asked for is not there. Somebody has to make it.
    #[error("{0}")]
    Missing(String),
    /// It may work later.
    #[error("the parent does not answer as it should: {0}")]
    Later(String),
}

/// The parent, as far as one cluster needs it.
pub(crate) trait Parent: Send + Sync + 'static {
    /// One value of a Secret or ConfigMap in the hub's namespace. It is not empty.
    fn value<'a>(
        &'a self,
        kind: CaKind,
        name: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Vec<u8>, ParentError>>;

    /// Replaces the status of a PediaCluster.
    fn write_status<'a>(
        &'a self,
        name: &'a str,
        status: &'a PediaClusterStatus,
    ) -> BoxFuture<'a, Result<(), ParentError>>;

    /// Puts our finalizer on a PediaCluster or takes it away. One that is gone has none.
    fn set_finalizer<'a>(&'a self, name: &'a str, wanted: bool) -> BoxFuture<'a, Result<(), ParentError>>;
}

/// The real one.
pub(crate) struct KubeParent {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl KubeParent {
    fn clusters(&self) -> Api<PediaCluster> {
        Api::all(self.client.clone())
    }

    async fn read(&self, kind: CaKind, name: &str, key: &str) -> Result<Vec<u8>, ParentError> {
        let (namespace, client) = (&self.namespace, self.client.clone());
        let found = match kind {
            CaKind::Secret => {
                let secret =
                    Api::<Secret>::namespaced(client, namespace).get_opt(name).await.map_err(later)?;
                secret.map(|secret| secret.data.unwrap_or_default().remove(key).map(|value| value.0))
            }
            CaKind::ConfigMap => {
                let map =
                    Api::<ConfigMap>::namespaced(client, namespace).get_opt(name).await.map_err(later)?;
                map.map(|map| map.data.unwrap_or_default().remove(key).map(String::into_bytes))
            }
        };
        match found {
            None => {
                Err(ParentError::Missing(format!("there is no {kind:?} {name:?} in namespace {namespace}")))
            }
            Some(Some(value)) if !value.is_empty() => Ok(value),
            Some(_) => Err(ParentError::Missing(format!(
                "the {kind:?} {name:?} in namespace {namespace} has no {key:?}"
            ))),
        }
    }

    async fn patch_finalizers(&self, name: &str, wanted: bool) -> Result<(), ParentError> {
        let Some(cluster) = self.clusters().get_metadata_opt(name).await.map_err(later)? else {
            return Ok(());
        };
        let metadata = cluster.metadata;
        let mut all = metadata.finalizers.unwrap_or_default();
        if all.iter().any(|finalizer| finalizer == finalizers::SYNC) == wanted {
            return Ok(());
        }
        if wanted {
            all.push(finalizers::SYNC.to_owned());
        } else {
            all.retain(|finalizer| finalizer != finalizers::SYNC);
        }
        // With the version, so that nobody else's change of the list is undone.
        let patch =
            json!({ "metadata": { "resourceVersion": metadata.resource_version, "finalizers": all } });
        match self.clusters().patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            answer => answer.map(drop).map_err(later),
        }
    }
}

impl Parent for KubeParent {
    fn value<'a>(
        &'a self,
        kind: CaKind,
        name: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Vec<u8>, ParentError>> {
        Box::pin(self.read(kind, name, key))
    }

    fn write_status<'a>(
        &'a self,
        name: &'a str,
        status: &'a PediaClusterStatus,
    ) -> BoxFuture<'a, Result<(), ParentError>> {
        Box::pin(async move {
            // What is absent has to be said, or the old value would stay.
            let status = json!({
                "apiserver": status.apiserver,
                "version": status.version,
                "conditions": status.conditions,
                "syncResources": status.sync_resources,
                "shardingName": status.sharding_name,
            });
            let patch = Patch::Merge(json!({ "status": status }));
            match self.clusters().patch_status(name, &PatchParams::default(), &patch).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                answer => answer.map(drop).map_err(later),
            }
        })
    }

    fn set_finalizer<'a>(&'a self, name: &'a str, wanted: bool) -> BoxFuture<'a, Result<(), ParentError>> {
        Box::pin(self.patch_finalizers(name, wanted))
    }
}

fn later(error: kube::Error) -> ParentError {
    ParentError::Later(match error {
        kube::Error::Api(status) => status.message.clone(),
        // Others may quote what they could not read.
        kube::Error::SerdeError(_) => String::from("its answer is not understood"),
        other => other.to_string(),
    })
}
