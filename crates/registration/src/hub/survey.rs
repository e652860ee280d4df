//! Reads what there is in the parent that bears on one request.
//!
//! Reads are consistent, never from a watch's cache: that a cluster id is free, or a namespace somebody else's, must be
//! true now. A request that was approved before costs two reads by name.

use api::{
    clusters::{ClusterRegistrationRequest, ManagedCluster},
    names::labels,
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client, Resource, ResourceExt as _, api::ListParams};

use super::{
    answer::is_approved,
    decision::{Application, Facts},
    io::Error,
};

/// What there is in the parent that bears on one request.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) cluster: Option<ManagedCluster>,
    own_namespace: Option<Namespace>,
    wanted_namespace: Option<Namespace>,
    name_taken: bool,
}

impl Survey {
    /// The facts to decide on.
    pub(crate) fn facts<'a>(&'a self, hub_namespace: &'a str) -> Facts<'a> {
        Facts {
            cluster: self.cluster.as_ref(),
            own_namespace: self.own_namespace.as_ref(),
            wanted_namespace: self.wanted_namespace.as_ref(),
            name_taken: self.name_taken,
            hub_namespace,
        }
    }

    pub(crate) async fn take(
        client: &Client,
        request: &ClusterRegistrationRequest,
        application: &Application,
    ) -> Result<Self, Error> {
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let cluster = match answered(client, request).await? {
            Some(cluster) => Some(cluster),
            None => of_id(client, &application.id).await?,
        };
        if let Some(cluster) = cluster {
            let own_namespace = namespaces.get_opt(&cluster.namespace().unwrap_or_default()).await?;
            return Ok(Self { cluster: Some(cluster), own_namespace, ..Self::default() });
        }
        let made_for_it =
            format!("{}={},{}={}", labels::CREATED_BY, labels::AGENT, labels::CLUSTER_ID, application.id);
        let own_namespace = oldest(namespaces.list(&ListParams::default().labels(&made_for_it)).await?.items);
        let cluster = match &own_namespace {
            Some(namespace) => unlabelled(client, &namespace.name_any(), &application.id).await?,
            None => None,
        };
        let wanted_namespace = match &application.namespace {
            Some(wanted) => namespaces.get_opt(wanted).await?,
            None => None,
        };
        let name_taken = match &application.name {
            Some(wanted) => is_taken(client, wanted, &application.id).await?,
            None => false,
        };
        Ok(Self { cluster, own_namespace, wanted_namespace, name_taken })
    }
}

/// The ManagedCluster that an earlier approval of this request speaks of.
async fn answered(
    client: &Client,
    request: &ClusterRegistrationRequest,
) -> Result<Option<ManagedCluster>, Error> {
    let Some(status) = request.status.as_ref().filter(|status| is_approved(Some(status))) else {
        return Ok(None);
    };
    let (Some(namespace), Some(name)) = (&status.dedicated_namespace, &status.managed_cluster_name) else {
        return Ok(None);
    };
    let cluster = Api::<ManagedCluster>::namespaced(client.clone(), namespace).get_opt(name).await?;
    Ok(cluster.filter(|cluster| cluster.spec.cluster_id == request.spec.cluster_id))
}

/// The ManagedCluster with this id. Should there be several, the oldest, so that everybody means the same.
pub(crate) async fn of_id(client: &Client, id: &str) -> Result<Option<ManagedCluster>, Error> {
    let labelled = ListParams::default().labels(&format!("{}={id}", labels::CLUSTER_ID));
    let clusters = Api::<ManagedCluster>::all(client.clone()).list(&labelled).await?.items;
    Ok(oldest(clusters.into_iter().filter(|cluster| cluster.spec.cluster_id == id).collect()))
}

/// The ManagedCluster of this id whose labels somebody took away.
async fn unlabelled(client: &Client, namespace: &str, id: &str) -> Result<Option<ManagedCluster>, Error> {
    let clusters =
        Api::<ManagedCluster>::namespaced(client.clone(), namespace).list(&ListParams::default()).await?;
    Ok(oldest(clusters.items.into_iter().filter(|cluster| cluster.spec.cluster_id == id).collect()))
}

/// Whether a cluster with another id has this name.
pub(crate) async fn is_taken(client: &Client, name: &str, id: &str) -> Result<bool, Error> {
    let named = ListParams::default().fields(&format!("metadata.name={name}"));
    let clusters = Api::<ManagedCluster>::all(client.clone()).list(&named).await?;
    Ok(clusters.items.iter().any(|cluster| cluster.name_any() == name && cluster.spec.cluster_id != id))
}

fn oldest<K: Resource<DynamicType = ()>>(objects: Vec<K>) -> Option<K> {
    objects.into_iter().min_by_key(|it| {
        let created = it.meta().creation_timestamp.as_ref().map(|time| time.0);
        (created, it.namespace(), it.name_any())
    })
}
