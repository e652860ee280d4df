//! Takes back what a child was given, when its ManagedCluster is deleted.
//!
//! The finalizer needs the parent only, so nothing hangs when the child cannot be reached. The positive decision is the
//! deletion of the ManagedCluster; that one cannot be found is none.

use api::{
    clusters::{ClusterRegistrationRequest, ManagedCluster},
    names::{self, finalizers},
};
use k8s_openapi::api::{
    core::v1::{Namespace, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, Patch},
};
use serde_json::json;
use tracing::{debug, info};

use super::{
    context::Context,
    decision::belongs_to,
    io::{self, Error, code, patch_params},
};

/// Takes back what the child was given, then lets the ManagedCluster go. Every step can be repeated.
pub(crate) async fn deregister(context: &Context, cluster: &ManagedCluster) -> Result<(), Error> {
    let namespace = cluster.namespace().unwrap_or_default();
    let note = "The cluster is deregistered: its request, rights and namespace are deleted.";
    context.events.normal(cluster, "Deregistering", note).await;
    delete_request(context, cluster, &namespace).await?;
    delete_cluster_rights(context, &cluster.spec.cluster_id, &namespace).await?;
    delete_namespace(context, cluster, &namespace).await?;
    release(context, cluster, &namespace).await?;
    context.counters.deregistered();
    info!(cluster = cluster.spec.cluster_id, namespace, name = cluster.name_any(), "cluster deregistered");
    Ok(())
}

/// The request goes first: without it nothing is made again. One that was made after the deletion is a new
/// registration and stays, and so does one that speaks of another place.
async fn delete_request(context: &Context, cluster: &ManagedCluster, namespace: &str) -> Result<(), Error> {
    let requests: Api<ClusterRegistrationRequest> = Api::all(context.client.clone());
    let Some(request) = requests.get_opt(&names::of_cluster(&cluster.spec.cluster_id)).await? else {
        return Ok(());
    };
    let time =
        |time: &Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| time.as_ref().map(|it| it.0);
    let older = time(&request.metadata.creation_timestamp) <= time(&cluster.metadata.deletion_timestamp);
    let answered_here =
        request.status.as_ref().and_then(|status| status.dedicated_namespace.as_deref()) == Some(namespace);
    if older && answered_here { io::delete(&requests, &request).await } else { Ok(()) }
}

/// ClusterRole and ClusterRoleBinding go if they serve this namespace: a ManagedCluster elsewhere that merely claims the
/// id takes nothing from anybody.
async fn delete_cluster_rights(context: &Context, id: &str, namespace: &str) -> Result<(), Error> {
    let bindings: Api<ClusterRoleBinding> = Api::all(context.client.clone());
    let roles: Api<ClusterRole> = Api::all(context.client.clone());
    let name = names::of_cluster(id);
    let Some(binding) = bindings.get_opt(&name).await? else { return Ok(()) };
    let ours =
        |subject: &k8s_openapi::api::rbac::v1::Subject| subject.namespace.as_deref() == Some(namespace);
    if !binding.subjects.iter().flatten().any(ours) {
        return Ok(());
    }
    // The binding last: it tells the next round, after a crash, that the role may go.
    if let Some(role) = roles.get_opt(&name).await? {
        io::delete(&roles, &role).await?;
    }
    io::delete(&bindings, &binding).await
}

/// The namespace goes if it was made for this cluster and holds no other. Else the child's ServiceAccount goes, and its
/// tokens with it.
async fn delete_namespace(context: &Context, cluster: &ManagedCluster, namespace: &str) -> Result<(), Error> {
    let namespaces: Api<Namespace> = Api::all(context.client.clone());
    let Some(object) = namespaces.get_opt(namespace).await? else { return Ok(()) };
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    let clusters: Api<ManagedCluster> = Api::namespaced(context.client.clone(), namespace);
    let alone = clusters.list(&ListParams::default()).await?.items.iter().all(|it| it.uid() == cluster.uid());
    if alone && belongs_to(&object, &cluster.spec.cluster_id) {
        return io::delete(&namespaces, &object).await;
    }
    if !alone {
        return Ok(());
    }
    let accounts: Api<ServiceAccount> = Api::namespaced(context.client.clone(), namespace);
    match accounts.delete(names::CHILD_SERVICE_ACCOUNT, &kube::api::DeleteParams::default()).await {
        Ok(_) => Ok(()),
        // In a namespace that is not the hub's to work in there is no account of the hub's making.
        Err(error) if matches!(code(&error), Some(403 | 404)) => {
            debug!(%error, namespace, "no service account of the cluster to delete");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

async fn release(context: &Context, cluster: &ManagedCluster, namespace: &str) -> Result<(), Error> {
    let clusters: Api<ManagedCluster> = Api::namespaced(context.client.clone(), namespace);
    let left: Vec<_> = cluster.finalizers().iter().filter(|it| *it != finalizers::DEREGISTER).collect();
    let patch = json!({
        "metadata": { "resourceVersion": cluster.resource_version(), "finalizers": left },
    });
    match clusters.patch(&cluster.name_any(), &patch_params(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(error) if code(&error) == Some(404) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
