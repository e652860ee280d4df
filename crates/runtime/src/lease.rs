//! Leader election on a `coordination.k8s.io/v1` Lease.
//!
//! Leadership here means "usually one": it saves work and keeps logs readable. What must never happen twice is
//! guarded by resourceVersions and by the epoch ([`Leadership::epoch`]), which rises with every change of holder.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::Tasks;

/// Which Lease, who we are, and how fast to react.
#[derive(Debug, Clone)]
pub struct Options {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Our identity, unique per process: `<hostname>_<uuid>`.
    pub identity: String,
    /// How fast to react.
    pub times: Times,
    /// Written in the same request as the identity, so that both always speak of the same holder.
    pub annotations: BTreeMap<String, String>,
}

/// How fast an election reacts, as flags.
#[derive(Debug, Clone, clap::Args)]
pub struct Times {
    /// How long the Lease of a dead holder holds.
    #[arg(
        id = "leader_elect_lease_duration",
        long = "leader-elect-lease-duration",
        default_value = "15s",
        value_parser = crate::parse_duration,
        value_name = "DURATION"
    )]
    pub duration: Duration,

    /// How long the leader tries to renew before it gives up; below the duration.
    #[arg(
        id = "leader_elect_renew_deadline",
        long = "leader-elect-renew-deadline",
        default_value = "10s",
        value_parser = crate::parse_duration,
        value_name = "DURATION"
    )]
    pub renew_deadline: Duration,

    /// Time between attempts to get or renew the Lease.
    #[arg(
        id = "leader_elect_retry_period",
        long = "leader-elect-retry-period",
        default_value = "2s",
        value_parser = crate::parse_duration,
        value_name = "DURATION"
    )]
    pub retry_period: Duration,
}

/// What we know of our leadership.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leadership {
    /// Whether we hold the Lease.
    pub held: bool,
    /// `leaseTransitions` while held: higher than that of every holder before us.
    pub epoch: u64,
}

/// A fresh identity for this process: host name and a random part.
pub fn identity() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| host.trim().to_owned());
    format!("{host}_{}", uuid::Uuid::new_v4())
}

/// Stands for election until the group ends, then releases the Lease. The receiver always shows the current state.
pub fn elect(tasks: &Tasks, client: Client, options: Options) -> watch::Receiver<Leadership> {
    let (sender, receiver) = watch::channel(Leadership::default());
    let token = tasks.token();
    let name = format!("lease {}/{}", options.namespace, options.name);
    let elector = Elector { leases: Api::namespaced(client, &options.namespace), options, sender };
    tasks.spawn_draining(name, async move {
        tokio::select! {
            () = token.cancelled() => {}
            () = elector.run() => {}
        }
        elector.release().await;
    });
    receiver
}

struct Elector {
    leases: Api<Lease>,
    options: Options,
    sender: watch::Sender<Leadership>,
}

impl Elector {
    async fn run(&self) {
        let deadline = self.options.times.renew_deadline;
        let mut renewed = tokio::time::Instant::now();
        // What we last saw of a foreign holder, and when on our own clock: clocks of two machines never meet.
        let mut seen: Option<(String, tokio::time::Instant)> = None;
        loop {
            let began = tokio::time::Instant::now();
            // An answer that never comes must not keep a leader in office.
            let patience =
                if self.sender.borrow().held { deadline.saturating_sub(renewed.elapsed()) } else { deadline };
            match tokio::time::timeout(patience, self.attempt(&mut seen)).await {
                Ok(Ok(leadership)) => {
                    if leadership.held {
                        renewed = began;
                    }
                    self.publish(leadership);
                }
                Ok(Err(error)) => debug!(%error, "lease attempt failed"),
                Err(_) => debug!("lease attempt was not answered in time"),
            }
            if self.sender.borrow().held && renewed.elapsed() >= deadline {
                warn!(lease = %self.options.name, "lease could not be renewed in time, stepping down");
                self.publish(Leadership::default());
            }
            tokio::time::sleep(self.options.times.retry_period).await;
        }
    }

    fn publish(&self, leadership: Leadership) {
        self.sender.send_if_modified(|current| {
            let changed = *current != leadership;
            if changed {
                info!(lease = %self.options.name, held = leadership.held, epoch = leadership.epoch, "leadership changed");
                *current = leadership;
            }
            changed
        });
    }

    /// One round: create, renew or take over the Lease, or see that somebody else holds it.
    async fn attempt(&self, seen: &mut Option<(String, tokio::time::Instant)>) -> kube::Result<Leadership> {
        let Some(current) = self.leases.get_opt(&self.options.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.options.name.clone()),
                    annotations: Some(self.options.annotations.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(&LeaseSpec::default(), 1)),
            };
            self.leases.create(&PostParams::default(), &lease).await?;
            return Ok(Leadership { held: true, epoch: 1 });
        };
        let version = current.metadata.resource_version.clone().unwrap_or_default();
        let spec = current.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let transitions = spec.lease_transitions.unwrap_or_default();
        let ours = holder == self.options.identity;
        if !ours && !holder.is_empty() {
            let since = match seen {
                Some((at, since)) if *at == version => *since,
                _ => seen.insert((version.clone(), tokio::time::Instant::now())).1,
            };
            let duration = Duration::from_secs(spec.lease_duration_seconds.unwrap_or(15).max(1) as u64);
            if since.elapsed() < duration {
                return Ok(Leadership::default());
            }
        }
        let transitions = if ours { transitions } else { transitions.saturating_add(1) };
        let mut next = current;
        next.spec = Some(self.spec(&spec, transitions));
        next.metadata.annotations.get_or_insert_default().extend(self.options.annotations.clone());
        // The resourceVersion inside makes this fail if anybody else was faster.
        self.leases.replace(&self.options.name, &PostParams::default(), &next).await?;
        Ok(Leadership { held: true, epoch: transitions.max(0) as u64 })
    }

    fn spec(&self, before: &LeaseSpec, transitions: i32) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let ours = before.holder_identity.as_deref() == Some(self.options.identity.as_str());
        LeaseSpec {
            holder_identity: Some(self.options.identity.clone()),
            lease_duration_seconds: Some(self.options.times.duration.as_secs() as i32),
            acquire_time: if ours { before.acquire_time.clone() } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }

    /// Gives the Lease up, so that the next holder need not wait for it to expire.
    async fn release(&self) {
        if !self.sender.borrow().held {
            return;
        }
        self.publish(Leadership::default());
        let patch = serde_json::json!([
            { "op": "test", "path": "/spec/holderIdentity", "value": self.options.identity },
            { "op": "replace", "path": "/spec/holderIdentity", "value": "" },
        ]);
        let Ok(patch) = serde_json::from_value(patch) else { return };
        let (params, patch) = (PatchParams::default(), Patch::<()>::Json(patch));
        let released = self.leases.patch(&self.options.name, &params, &patch);
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(2), released).await {
            debug!(%error, "lease could not be released, it will expire");
        }
    }
}

/// Does work while this process leads: `begin` gets a group of tasks for each term, which ends with it. What the work is
/// called stands in the log.
pub fn while_held<B>(
    tasks: &Tasks,
    work: &'static str,
    mut leadership: watch::Receiver<Leadership>,
    mut begin: B,
) where
    B: FnMut(&Tasks) + Send + 'static,
{
    let group = tasks.clone();
    tasks.spawn(work, async move {
        while leadership.wait_for(|leadership| leadership.held).await.is_ok() {
            info!(work, "begins");
            let term = group.child();
            begin(&term);
            let ended = leadership.wait_for(|leadership| !leadership.held).await.is_err();
            term.cancel();
            info!(work, "ends");
            if ended {
                return;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    async fn next<T>(receiver: &mut mpsc::Receiver<T>) -> T {
        timeout(Duration::from_secs(5), receiver.recv()).await.expect("in time").expect("not closed")
    }

    #[tokio::test]
    async fn work_begins_with_each_term_and_ends_with_it() {
        let tasks = Tasks::new();
        let (lead, leadership) = watch::channel(Leadership::default());
        let (begun, mut terms) = mpsc::channel(4);
        while_held(&tasks, "test", leadership, move |term| {
            begun.try_send(term.clone()).expect("there is room");
        });

        for _ in 0..2 {
            lead.send_modify(|leadership| leadership.held = true);
            let term = next(&mut terms).await;
            lead.send_modify(|leadership| leadership.held = false);
            timeout(Duration::from_secs(5), term.token().cancelled()).await.expect("the term ends");
        }
        assert!(terms.is_empty(), "no term begins without the lead");
    }
}
