//! What is left of a cluster that is lost: nobody there deletes what it got, and what stands for it may go (contract 5.10).

use api::{
    apps::{Deployer, Description, HelmRelease},
    names::{
        apps::{finalizers, labels::CONFIG_UID},
        labels::CLUSTER_ID,
    },
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::{
    hub::Hub,
    key::Name,
    marks,
    parent::{Refusal, Write},
    world::{DescriptionRecord, Meta},
};

/// One look at a Description: where its cluster is lost, it goes without it.
pub(crate) async fn examine(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    let Some(there) = hub.world.description(name) else { return Ok(()) };
    if !there.meta.deleting || !there.meta.has_finalizer(finalizers::APPS) {
        return Ok(());
    }
    let cluster = hub.world.cluster_in(&name.namespace, there.meta.label(CLUSTER_ID));
    if cluster.is_some_and(|cluster| !cluster.lost) {
        return Ok(());
    }
    if there.deployer == Deployer::Helm {
        abandon(hub, &there).await?;
    }
    let left = marks::finalizers(&there.meta.finalizers, &[], &[finalizers::APPS]).unwrap_or_default();
    hub.release(name.path::<Description>(), &there.meta, &left).await
}

/// What is read of HelmReleases: only here is anything of them wanted, so they are not followed.
#[derive(Deserialize)]
struct Releases {
    items: Vec<Release>,
}

#[derive(Deserialize)]
struct Release {
    metadata: ObjectMeta,
}

/// Deletes the HelmReleases of a Description, and lets them go.
async fn abandon(hub: &Hub, description: &DescriptionRecord) -> Result<(), Refusal> {
    let uid = &description.meta.uid;
    let path =
        format!("{}?labelSelector={CONFIG_UID}%3D{uid}", description.meta.name.collection::<HelmRelease>());
    let Some(json) = hub.parent.read(&path).await? else { return Ok(()) };
    let read: Releases = serde_json::from_slice(&json).map_err(|_| {
        Refusal::Later(String::from("the parent answered with something that is no list of HelmReleases"))
    })?;
    for Release { metadata } in read.items {
        // A label can be written by anybody; an owner, too, but not without being seen.
        if !metadata.owner_references.iter().flatten().any(|owner| owner.uid == *uid) {
            continue;
        }
        let meta = Meta::new(&metadata);
        let path = meta.name.path::<HelmRelease>();
        if let Some(left) = marks::finalizers(&meta.finalizers, &[], &[finalizers::APPS]) {
            hub.release(path.clone(), &meta, &left).await?;
        }
        if !meta.deleting {
            hub.parent.write(Write::Delete(path, meta.uid)).await?;
        }
    }
    Ok(())
}
