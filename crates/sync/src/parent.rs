//! What is asked of the parent, and written there.

use api::{
    names::search::finalizers,
    pedia::{CaKind, PediaCluster, PediaClusterStatus},
};
use futures_util::future::BoxFuture;
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{Options, shard_lease};

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

    /// Something that changes all the time while a shard has a hub: when its Lease was renewed.
    fn sign_of_life<'a>(&'a self, shard: &'a str) -> BoxFuture<'a, Result<Option<String>, ParentError>>;

    /// Makes a PediaCluster nobody's, if `shard` still has it.
    fn take_from<'a>(&'a self, name: &'a str, shard: &'a str) -> BoxFuture<'a, Result<(), ParentError>>;

    /// Puts our finalizer on a PediaCluster or takes it away. One that is gone has none.
    fn set_finalizer<'a>(&'a self, name: &'a str, wanted: bool) -> BoxFuture<'a, Result<(), ParentError>>;
}

/// The real one.
pub(crate) struct KubeParent {
    client: Client,
    namespace: String,
    /// Secrets of the hub itself.
    reserved: Vec<String>,
    /// The Lease of the default shard.
    lease: String,
}

/// Whether a PediaCluster may send what is in a Secret to a server of its choice: what belongs to the hub, or lets
/// somebody into the parent, it may not.
fn may_be_used(secret: &Secret, name: &str, reserved: &[String]) -> bool {
    let kind = secret.type_.as_deref().unwrap_or_default();
    matches!(kind, "" | "Opaque" | "kubernetes.io/tls") && !reserved.iter().any(|reserved| reserved == name)
}

impl KubeParent {
    pub(crate) fn new(client: Client, options: &Options) -> Self {
        Self {
            client,
            namespace: options.namespace.clone(),
            reserved: options.reserved_secrets.clone(),
            lease: options.lease.clone(),
        }
    }

    fn clusters(&self) -> Api<PediaCluster> {
        Api::all(self.client.clone())
    }

    async fn read(&self, kind: CaKind, name: &str, key: &str) -> Result<Vec<u8>, ParentError> {
        let (namespace, client) = (&self.namespace, self.client.clone());
        let found = match kind {
            CaKind::Secret => {
                let secret = Api::<Secret>::namespaced(client, namespace).get_opt(name).await;
                let secret = secret.map_err(|error| forbidden(error, namespace, name))?;
                if secret.as_ref().is_some_and(|secret| !may_be_used(secret, name, &self.reserved)) {
                    return Err(ParentError::Missing(format!(
                        "the Secret {name:?} in namespace {namespace} is not for clusters: only Secrets of type Opaque \
                         and kubernetes.io/tls are, and none of the hub's own"
                    )));
                }
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

    fn sign_of_life<'a>(&'a self, shard: &'a str) -> BoxFuture<'a, Result<Option<String>, ParentError>> {
        Box::pin(async move {
            let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
            let lease = leases.get_opt(&shard_lease(&self.lease, shard)).await.map_err(later)?;
            Ok(lease.and_then(|lease| Some(lease.spec?.renew_time?.0.to_string())))
        })
    }

    fn take_from<'a>(&'a self, name: &'a str, shard: &'a str) -> BoxFuture<'a, Result<(), ParentError>> {
        Box::pin(async move {
            let patch = json!([
                { "op": "test", "path": "/status/shardingName", "value": shard },
                { "op": "remove", "path": "/status/shardingName" },
            ]);
            let patch =
                serde_json::from_value(patch).map_err(|error| ParentError::Later(error.to_string()))?;
            let patch = Patch::<()>::Json(patch);
            match self.clusters().patch_status(name, &PatchParams::default(), &patch).await {
                // It is gone, or has been let go meanwhile.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 422) => Ok(()),
                answer => answer.map(drop).map_err(later),
            }
        })
    }

    fn set_finalizer<'a>(&'a self, name: &'a str, wanted: bool) -> BoxFuture<'a, Result<(), ParentError>> {
        Box::pin(self.patch_finalizers(name, wanted))
    }
}

/// The hub may read no Secret but those it was given: whoever may write a PediaCluster could send any to a server of
/// his own.
fn forbidden(error: kube::Error, namespace: &str, name: &str) -> ParentError {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            let role = format!("clusterway-hub-{name}");
            let account = api::names::HUB_SERVICE_ACCOUNT;
            ParentError::Missing(format!(
                "the hub may not read the Secret {name:?}. To let it: kubectl -n {namespace} create role {role} --verb=get \
                 --resource=secrets --resource-name={name} && kubectl -n {namespace} create rolebinding {role} \
                 --role={role} --serviceaccount={namespace}:{account}"
            ))
        }
        error => later(error),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_somebody_into_the_parent_is_sent_to_no_cluster() {
        let of = |kind: &str| Secret { type_: Some(kind.into()), ..Secret::default() };
        let reserved = [String::from("serving")];
        assert!(may_be_used(&of("Opaque"), "mine", &reserved));
        assert!(!may_be_used(&of("Opaque"), "serving", &reserved));
        assert!(!may_be_used(&of("kubernetes.io/service-account-token"), "mine", &reserved));
        assert!(!may_be_used(&of("bootstrap.kubernetes.io/token"), "mine", &reserved));
    }
}
