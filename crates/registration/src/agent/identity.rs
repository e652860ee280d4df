//! Which cluster this is.

use api::names::annotations;
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Client, ResourceExt as _, api::PostParams};

/// The cluster id: the UID of the agent's Lease, or what its annotation `legacy-cluster-id` says. The Lease is made if
/// it does not exist; deleting it gives the cluster a new identity.
pub(super) async fn cluster_id(child: &Client, namespace: &str, name: &str) -> anyhow::Result<String> {
    let leases: Api<Lease> = Api::namespaced(child.clone(), namespace);
    let lease = if let Some(lease) = leases.get_opt(name).await? {
        lease
    } else {
        let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        leases.create(&PostParams::default(), &Lease { metadata, spec: None }).await?
    };
    let id = match lease.annotations().get(annotations::LEGACY_CLUSTER_ID) {
        Some(id) => {
            anyhow::ensure!(
                uuid::Uuid::try_parse(id).is_ok() && id.len() == 36,
                "the annotation {} of Lease {namespace}/{name} is not a UUID; correct or remove it",
                annotations::LEGACY_CLUSTER_ID
            );
            id.clone()
        }
        None => lease.uid().unwrap_or_default(),
    };
    anyhow::ensure!(!id.is_empty(), "Lease {namespace}/{name} has no uid");
    Ok(id)
}
