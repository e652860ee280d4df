//! Follows the HelmReleases of one dedicated namespace.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use api::apps::HelmRelease;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use helm::Helm;
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event},
    },
};
use runtime::watch::readable;
use tokio::sync::watch;

use crate::{
    access::Access,
    parent::Parent,
    queue::Queue,
    round::{Outcome, Worker},
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
    let (mut known, mut queue) = (HashMap::new(), Queue::default());
    let mut shown: Option<HashSet<String>> = None;
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < options.parallelism.max(1)
            && let Some(name) = queue.take()
        {
            if let Some(release) = known.get(&name).cloned() {
                running.push(async move { (name, worker.round(release).await) });
            } else {
                queue.forget(&name);
            }
        }
        let is_full = running.len() >= options.parallelism.max(1);
        let next = queue.next().filter(|_| !is_full);
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(Event::Init)) => shown = Some(HashSet::new()),
                Some(Ok(Event::InitApply(release))) => {
                    shown.get_or_insert_default().insert(release.name_any());
                    take_in(&mut known, &mut queue, release);
                }
                Some(Ok(Event::InitDone)) => {
                    let shown = shown.take().unwrap_or_default();
                    known.retain(|name, _| shown.contains(name));
                }
                Some(Ok(Event::Apply(release))) => take_in(&mut known, &mut queue, release),
                Some(Ok(Event::Delete(release))) => {
                    known.remove(&release.name_any());
                    queue.forget(&release.name_any());
                }
                Some(Err(error)) => tracing::debug!(%error, "the watch of HelmReleases failed, trying again"),
                None => anyhow::bail!("the watch of HelmReleases ended"),
            },
            Some((name, outcome)) = running.next(), if !running.is_empty() => {
                queue.ended(&name);
                match outcome {
                    Outcome::Done => {}
                    Outcome::Again => queue.again(&name),
                    Outcome::After(pause) => queue.after(&name, pause),
                }
            }
            Ok(()) = halts.changed() => queue.all_now(),
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

/// Takes in a HelmRelease as it is now; it is looked at if anything but its status and our own notes is new.
fn take_in(known: &mut HashMap<String, HelmRelease>, queue: &mut Queue, release: HelmRelease) {
    let matters = |release: &HelmRelease| {
        (release.uid(), release.metadata.generation, release.metadata.deletion_timestamp.is_some())
    };
    let name = release.name_any();
    let is_new = known.get(&name).is_none_or(|before| matters(before) != matters(&release));
    known.insert(name.clone(), release);
    if is_new {
        queue.now(&name);
    }
}
