//! The part of the agent that installs charts, or says that it cannot where it was given no helm executable.

use std::{path::PathBuf, sync::Arc};

use api::{
    clusters::{ManagedCluster, Side},
    names::deployer::annotations::PAUSED,
};
use deployer::Pull;
use futures_util::{StreamExt as _, future::BoxFuture};
use helm::Helm;
use kube::{
    Api, Config, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use reach::child::Account;
use releases::{Access, Credentials, NoAccess, Way};
use runtime::{OnError, Tasks};
use tokio::sync::watch;

/// Releases that are worked on at a time: each may wait for minutes, and takes a process.
const PARALLELISM: usize = 2;

/// What it works with.
#[derive(Clone)]
pub(crate) struct Charts {
    /// The executable, if there is one.
    pub(crate) helm: Option<PathBuf>,
    /// This cluster, without a credential.
    pub(crate) config: Config,
    /// Its CA, PEM.
    pub(crate) authority: String,
    /// In whose name charts are installed.
    pub(crate) account: Account,
    /// Whether the owner of this cluster has frozen it.
    pub(crate) frozen: watch::Receiver<bool>,
}

impl Charts {
    /// Keeps the HelmReleases of this cluster, while `parent` says where and the ManagedCluster says that the agent does.
    pub(crate) fn start(self, tasks: &Tasks, parent: watch::Receiver<Option<Pull>>) {
        let group = tasks.clone();
        tasks.spawn("charts", async move {
            let mut parent = parent;
            loop {
                let Ok(Some(found)) = parent.wait_for(Option::is_some).await.map(|found| found.clone())
                else {
                    return;
                };
                let term = group.child();
                let charts = self.clone();
                term.supervise("charts' term", OnError::Restart, move || charts.clone().term(found.clone()));
                let ended = parent.changed().await.is_err();
                term.cancel();
                if ended {
                    return;
                }
            }
        });
    }

    /// Follows the ManagedCluster, and the HelmReleases while they are the agent's, until a watch fails.
    async fn term(self, parent: Pull) -> anyhow::Result<()> {
        let helm = match &self.helm {
            Some(helm) => Some(Helm::open(helm, &std::env::temp_dir(), helm::Limits::default()).await?),
            None => None,
        };
        let clusters: Api<ManagedCluster> = Api::namespaced(parent.parent.clone(), &parent.namespace);
        // Connections to the parent are given up after a minute without a word.
        let config = watcher::Config::default().timeout(50).fields(&format!("metadata.name={}", parent.name));
        let mut events = watcher::watcher(clusters, config).default_backoff().boxed();
        let mut frozen = self.frozen.clone();
        let (halt, halted) = watch::channel(true);
        let access: Arc<dyn Access> = Arc::new(self);
        let mut known: Option<ManagedCluster> = None;
        let mut following: Option<BoxFuture<'static, anyhow::Result<()>>> = None;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(Event::Apply(cluster) | Event::InitApply(cluster))) => known = Some(cluster),
                    Some(Ok(Event::Delete(_))) => known = None,
                    Some(Ok(Event::Init | Event::InitDone)) => {}
                    Some(Err(error)) => tracing::debug!(%error, "the watch of the ManagedCluster failed, trying again"),
                    None => anyhow::bail!("the watch of the ManagedCluster ended"),
                },
                changed = frozen.changed() => changed?,
                ended = async {
                    match following.as_mut() {
                        Some(following) => following.await,
                        None => std::future::pending().await,
                    }
                } => ended?,
            }
            let Some(cluster) = known.as_ref().filter(|cluster| Side::of(cluster) == Side::Agent) else {
                following = None;
                continue;
            };
            let paused = cluster.annotations().get(PAUSED).is_some_and(|value| value == "true");
            let now = *frozen.borrow() || paused;
            halt.send_if_modified(|before| std::mem::replace(before, now) != now);
            if following.is_none() {
                let options = releases::Options {
                    namespace: parent.namespace.clone(),
                    cluster: parent.name.clone(),
                    program: "clusternet-agent",
                    parallelism: PARALLELISM,
                    credentials: Credentials::Copied,
                };
                let (client, helm, access) = (parent.parent.clone(), helm.clone(), Arc::clone(&access));
                following = Some(Box::pin(releases::follow(client, helm, access, halted.clone(), options)));
            }
        }
    }
}

impl Access for Charts {
    fn open(&self) -> BoxFuture<'_, Result<Way, NoAccess>> {
        Box::pin(async move {
            let value = self.account.authorization().await.map_err(|status| NoAccess(status.message))?;
            let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
            let token =
                token.ok_or_else(|| NoAccess(String::from("the token of the deployer cannot be read")))?;
            let cluster = helm::Cluster {
                server: self.config.cluster_url.to_string(),
                authority: self.authority.clone(),
                server_name: self.config.tls_server_name.clone(),
                token: token.to_owned().into(),
            };
            Ok(Way { cluster, door: None })
        })
    }
}
