//! What the agent's parts need that apply what the parent deploys.

use std::sync::Arc;

use anyhow::Context as _;
use api::names::deployer::annotations::FROZEN;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, future::BoxFuture};
use http::{Request, Response, header};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config, ResourceExt as _,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use kubeio::{Body, ClusterAccess, Direct, Error, Lane, Transport, Trust};
use reach::{child::Account, duty::Registration};
use registration::agent::ParentCredentials;
use runtime::{OnError, Tasks};
use tokio::sync::watch;

/// The way to this cluster's API server, as one of its ServiceAccounts.
pub(crate) fn child(tasks: &Tasks, config: &Config, account: Account) -> anyhow::Result<Arc<dyn Transport>> {
    let mut access = ClusterAccess::new(&config.cluster_url.to_string())?;
    access.trust = Trust::Roots(roots(config).into_bytes());
    access.server_name.clone_from(&config.tls_server_name);
    let direct = Direct::new(access, tasks).context("the connection to this cluster's API server")?;
    Ok(Arc::new(AsAccount { direct, account }))
}

/// The CA of the cluster's API server, PEM.
pub(crate) fn roots(config: &Config) -> String {
    let pem = |der: &Vec<u8>| {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
    };
    config.root_cert.iter().flatten().map(pem).collect()
}

/// Where this cluster is registered, whenever there is a credential for that.
pub(crate) fn registration(
    tasks: &Tasks,
    mut credentials: watch::Receiver<Option<ParentCredentials>>,
) -> watch::Receiver<Option<Registration>> {
    let (sender, receiver) = watch::channel(None);
    tasks.spawn("registration", async move {
        loop {
            let registration = credentials.borrow_and_update().as_ref().map(|found| Registration {
                parent: found.client.clone(),
                namespace: found.namespace.clone(),
                name: found.name.clone(),
            });
            sender.send_replace(registration);
            if credentials.changed().await.is_err() {
                return;
            }
        }
    });
    receiver
}

/// The API server of this cluster, as one of its ServiceAccounts.
struct AsAccount {
    direct: Direct,
    account: Account,
}

impl Transport for AsAccount {
    fn send(&self, mut request: Request<Bytes>, lane: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(async move {
            let value = self.account.authorization().await?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
            self.direct.send(request, lane).await
        })
    }
}

/// Whether the owner of this cluster has frozen it, by an annotation of the agent's namespace.
pub(crate) fn frozen(tasks: &Tasks, client: Client, namespace: &str) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    let sender = Arc::new(sender);
    let namespace = namespace.to_owned();
    tasks.supervise("watch on the agent's namespace", OnError::Restart, move || {
        let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
        let config = watcher::Config::default().timeout(240).fields(&format!("metadata.name={namespace}"));
        let sender = Arc::clone(&sender);
        async move {
            let mut events = watcher::watcher(namespaces, config).default_backoff().boxed();
            while let Some(event) = events.next().await {
                // Whatever cannot be read says nothing: what was known stays.
                if let Ok(Event::Apply(found) | Event::InitApply(found)) = event {
                    let frozen = found.annotations().get(FROZEN).is_some_and(|value| value == "true");
                    sender.send_if_modified(|known| std::mem::replace(known, frozen) != frozen);
                }
            }
            anyhow::bail!("the watch on the agent's namespace ended")
        }
    });
    receiver
}
