//! Follows the HelmReleases of one dedicated namespace.

use std::sync::Arc;

use api::apps::HelmRelease;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use helm::Helm;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{WatchStreamExt as _, watcher},
};
use runtime::watch::readable;
use tokio::sync::watch;

use crate::{
    access::Access,
    parent::Parent,
    round::{Outcome, Worker},
    watched::{News, Watched},
};

/// Where and how HelmReleases are followed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The dedicated namespace.
    pub namespace: String,
    /// The name of the cluster, for people.
    pub cluster: String,
    /// Whose Events there are: `clusternet-agent` or `clusternet-hub`.
    pub program: &'static str,
    /// Releases that are worked on at a time.
    pub parallelism: usize,
    /// Where the credentials of repositories are.
    pub credentials: Credentials,
}

/// Where the credentials of repositories are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// In the Secret [`api::names::helm::CREDENTIALS`] of the dedicated namespace, for the agent there.
    Copied,
    /// In the pull secrets of the HelmCharts, for the hub whose namespace this is.
    PullSecrets {
        /// It stands in what is told of missing rights.
        hub: String,
    },
}

/// Keeps the HelmReleases of one namespace of `parent` applied in the cluster of `access`, until it is dropped: what runs then
/// is killed, and taken up by whoever comes next. While `halted` is true nothing is changed in the cluster. Without `helm` only
/// that is told.
///
/// # Errors
/// When the watch of the HelmReleases ends, which it does not by itself.
pub async fn follow(
    parent: Client,
    helm: Option<Helm>,
    access: Arc<dyn Access>,
    halted: watch::Receiver<bool>,
    options: Options,
) -> anyhow::Result<()> {
    let mut halts = halted.clone();
    let worker = Worker {
        parent: Parent::new(parent.clone(), &options),
        helm,
        access,
        cluster: options.cluster.clone(),
        program: options.program,
        halted,
    };
    let worker = &worker;
    // Shorter than the idle time-outs of load balancers.
    // An agent gives a connection up after a minute without a word.
    let config = watcher::Config::default().timeout(50);
    let events =
        readable::<HelmRelease>(Api::namespaced(parent, &options.namespace), config).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut releases = Watched::new(news);
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < options.parallelism.max(1)
            && let Some((name, release)) = releases.take()
        {
            running.push(async move { (name, worker.round(release).await) });
        }
        let is_full = running.len() >= options.parallelism.max(1);
        let next = releases.queue.next().filter(|_| !is_full);
        tokio::select! {
            event = events.next() => drop(releases.hear(event)?),
            Some((name, outcome)) = running.next(), if !running.is_empty() => {
                releases.queue.ended(&name);
                match outcome {
                    Outcome::Done => {}
                    Outcome::Again => releases.queue.again(&name),
                    Outcome::After(pause) => releases.queue.after(&name, pause),
                }
            }
            Ok(()) = halts.changed() => releases.queue.all_now(),
            () = until(next), if next.is_some() => {}
        }
    }
}

/// Waits until something is due.
pub(crate) async fn until(due: Option<tokio::time::Instant>) {
    if let Some(due) = due {
        tokio::time::sleep_until(due).await;
    }
}

/// A HelmRelease is looked at if anything but its status and our own notes is new.
fn news(before: Option<&HelmRelease>, release: &HelmRelease) -> News {
    let matters = |release: &HelmRelease| {
        (release.uid(), release.metadata.generation, release.metadata.deletion_timestamp.is_some())
    };
    let is_new = before.is_none_or(|before| matters(before) != matters(release));
    if is_new { News::Look } else { News::Nothing }
}
