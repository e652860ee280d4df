//! Who holds the store, as the Lease says.

use std::net::SocketAddr;

use ::api::names::annotations::HUB_ADDRESS;
use futures_util::TryStreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher},
};
use runtime::{OnError, Tasks};
use tokio::sync::watch;

/// The replica that holds a Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its identity, unique per process.
    pub identity: String,
    /// Where the other replicas reach it, if it says so. It is written together with the identity.
    pub address: Option<SocketAddr>,
}

impl Holder {
    /// Follows the Lease `name`. A holder that has died is shown until another takes the Lease.
    ///
    /// Needs `list` and `watch` on Leases in `namespace`.
    pub fn follow(
        tasks: &Tasks,
        client: Client,
        namespace: &str,
        name: &str,
    ) -> watch::Receiver<Option<Self>> {
        let (told, known) = watch::channel(None);
        let leases: Api<Lease> = Api::namespaced(client, namespace);
        let lease = name.to_owned();
        tasks.supervise("holder of the store", OnError::Restart, move || {
            let (leases, lease, told) = (leases.clone(), lease.clone(), told.clone());
            async move {
                watcher::watch_object(leases, &lease)
                    .default_backoff()
                    .try_for_each(|lease| {
                        let holder = lease.as_ref().and_then(Self::of);
                        told.send_if_modified(|known| {
                            let changed = *known != holder;
                            *known = holder;
                            changed
                        });
                        std::future::ready(Ok(()))
                    })
                    .await?;
                anyhow::bail!("the watch on the Lease ended")
            }
        });
        known
    }

    /// `None` for a Lease that nobody holds.
    pub(crate) fn of(lease: &Lease) -> Option<Self> {
        let identity =
            lease.spec.as_ref()?.holder_identity.clone().filter(|identity| !identity.is_empty())?;
        let annotations = lease.metadata.annotations.as_ref();
        let address = annotations.and_then(|annotations| annotations.get(HUB_ADDRESS)?.parse().ok());
        Some(Self { identity, address })
    }
}
