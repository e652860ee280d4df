//! One PediaCluster: from what it says to a session, and from how that stands to its status.

use std::{sync::Arc, time::Duration};

use api::pedia::{PediaClusterSpec, PediaClusterStatus};
use jiff::Timestamp;
use kubeio::{AccessError, Direct, Transport};
use runtime::{Backoff, Tasks};
use store::{ClusterName, Store};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    access::{self, ConfigError, Policy, Way},
    counters::Counters,
    follow,
    limits::{Budget, Limits},
    parent::{Parent, ParentError},
    report::{Board, Health, Report},
    rules::{Gates, Rules},
    session,
    status::{self, Facts, Validated},
    takeover,
};

/// The status of one cluster is written at most this often.
const WRITES: Duration = Duration::from_secs(1);
/// Credentials in Secrets are read again so often. They are not watched: the hub is given single Secrets to `get`, and a
/// watch on each would be one more right to grant and a connection to the parent for each.
const RENEWS: Duration = Duration::from_secs(10);

/// Makes a transport to the registered cluster with an id.
pub(crate) type Tunnels = dyn Fn(&str) -> Arc<dyn Transport> + Send + Sync;

/// What all clusters share.
pub(crate) struct Shared {
    pub(crate) parent: Arc<dyn Parent>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) tunnel: Box<Tunnels>,
    pub(crate) lists: Arc<Semaphore>,
    pub(crate) lists_per_cluster: usize,
    pub(crate) budget: Budget,
    pub(crate) policy: Policy,
    pub(crate) gates: Gates,
    /// Resources of one cluster that are followed at most.
    pub(crate) most_resources: usize,
    pub(crate) sharding_name: String,
    /// How long a shard without a sign of life keeps what is to be ours; for ever if it is zero.
    pub(crate) takeover_after: Duration,
    pub(crate) counters: Counters,
}

/// What should be with one cluster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wanted {
    /// It is synchronised.
    Synced(Box<Cluster>),
    /// It is about to be deleted: what is stored has to go, then the finalizer.
    Deleted,
    /// It is gone without having waited for us.
    Gone,
    /// Another shard is to have it: everything stored stays as it is. `held`: its status still says that we have it.
    Elsewhere { held: bool },
    /// It is to be ours, and another shard has not let it go yet.
    Awaited { shard: String },
}

/// What a PediaCluster says, with the rules it refers to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cluster {
    pub(crate) spec: PediaClusterSpec,
    pub(crate) generation: Option<i64>,
    pub(crate) rules: Rules,
    /// What is to be said of the rules, though they can be used.
    pub(crate) note: String,
    pub(crate) has_finalizer: bool,
}

/// Looks after one cluster until it is gone or `tasks` ends.
pub(crate) async fn supervise(
    shared: Arc<Shared>,
    name: String,
    before: PediaClusterStatus,
    wanted: watch::Receiver<Wanted>,
    tasks: Tasks,
) {
    let ends = tasks.token();
    let cluster = ClusterName::new(name.as_str());
    let mut supervisor = Supervisor {
        shared,
        name,
        cluster,
        tasks,
        session: None,
        status: before,
        next_write: Instant::now(),
    };
    tokio::select! {
        () = ends.cancelled() => {}
        () = supervisor.run(wanted) => {}
    }
    supervisor.end_session().await;
}

struct Supervisor {
    shared: Arc<Shared>,
    name: String,
    cluster: ClusterName,
    tasks: Tasks,
    session: Option<Session>,
    /// As it was written last.
    status: PediaClusterStatus,
    next_write: Instant,
}

/// A session at work.
struct Session {
    way: Way,
    rules: watch::Sender<Arc<Rules>>,
    report: watch::Receiver<Report>,
    tasks: Tasks,
    task: JoinHandle<()>,
}

impl Session {
    /// Whether it goes this way, and has not been told to end.
    fn serves(&self, way: &Way) -> bool {
        self.way == *way && !self.tasks.token().is_cancelled()
    }
}

impl Supervisor {
    async fn run(&mut self, mut wanted: watch::Receiver<Wanted>) {
        loop {
            let now = wanted.borrow_and_update().clone();
            match now {
                Wanted::Synced(cluster) => {
                    tokio::select! {
                        changed = wanted.changed() => if changed.is_err() { return },
                        () = self.sync(&cluster) => {}
                    }
                }
                Wanted::Deleted => {
                    self.remove().await;
                    self.set_finalizer(false).await;
                    return;
                }
                Wanted::Gone => return self.remove().await,
                Wanted::Elsewhere { held } => {
                    self.give_up(held).await;
                    if wanted.changed().await.is_err() {
                        return;
                    }
                }
                Wanted::Awaited { shard } => {
                    self.end_session().await;
                    tracing::info!(cluster = %self.cluster, shard, "another shard still has the cluster");
                    tokio::select! {
                        changed = wanted.changed() => if changed.is_err() { return },
                        () = self.take_over(&shard) => {}
                    }
                }
            }
        }
    }

    /// Comes back when the credentials have to be read again. May be cancelled anywhere.
    async fn sync(&mut self, cluster: &Cluster) {
        if !cluster.has_finalizer {
            // Nothing is stored that nobody would remove.
            self.set_finalizer(true).await;
        }
        let validated = self.apply(cluster).await;
        let renews = cluster.spec.authentication_from.is_some()
            || matches!(validated, Err(ConfigError::Parent(ParentError::Later(_))));
        let until = renews.then(|| Instant::now() + RENEWS);
        let validated = match validated {
            Ok(validated) => validated,
            // Nothing is known of the credentials, so nothing is said of them.
            Err(ConfigError::Parent(ParentError::Later(error))) if self.session.is_some() => {
                tracing::debug!(cluster = %self.cluster, error, "credentials could not be read again");
                Validated::Yes(cluster.note.clone())
            }
            Err(error) => Validated::Config(error.to_string()),
        };
        tokio::select! {
            () = self.publish(cluster, &validated) => {}
            () = until_then(until) => {}
        }
    }

    /// Makes the session what the spec says, if that can be used.
    async fn apply(&mut self, cluster: &Cluster) -> Result<Validated, ConfigError> {
        if let Err(error) = cluster.rules.validate(self.shared.gates) {
            return Ok(Validated::Rules(error.to_string()));
        }
        let way = access::resolve(&cluster.spec, &*self.shared.parent, self.shared.policy).await?;
        let rules = Arc::new(cluster.rules.clone());
        if let Some(session) = self.session.as_ref().filter(|session| session.serves(&way)) {
            session.rules.send_if_modified(|before| {
                let changed = *before != rules;
                *before = rules;
                changed
            });
        } else {
            let tasks = self.tasks.child();
            let transport = self.transport(&way, &tasks)?;
            self.end_session().await;
            self.session = Some(self.begin_session(way, transport, rules, tasks));
        }
        Ok(Validated::Yes(cluster.note.clone()))
    }

    fn transport(&self, way: &Way, tasks: &Tasks) -> Result<Arc<dyn Transport>, AccessError> {
        Ok(match way {
            Way::Tunnel { cluster_id } => (self.shared.tunnel)(cluster_id),
            Way::Direct(access) => Arc::new(Direct::new((**access).clone(), tasks)?),
        })
    }

    fn begin_session(
        &self,
        way: Way,
        transport: Arc<dyn Transport>,
        rules: Arc<Rules>,
        tasks: Tasks,
    ) -> Session {
        let board = Board::new();
        let report = board.subscribe();
        let context = follow::Context {
            cluster: self.cluster.clone(),
            origin: way.origin(),
            transport,
            store: Arc::clone(&self.shared.store),
            limits: Limits::new(self.shared.lists_per_cluster, Arc::clone(&self.shared.lists)),
            budget: self.shared.budget.clone(),
            board,
            counters: self.shared.counters.clone(),
            reader: way.reader(),
        };
        let (rules, receiver) = watch::channel(rules);
        let running = session::run(context, receiver, self.shared.most_resources, tasks.clone());
        let task = tasks.spawn_draining(format!("sync of {}", self.name), running);
        Session { way, rules, report, tasks, task }
    }

    /// Afterwards nothing of it writes to the store any more.
    async fn end_session(&mut self) {
        if let Some(session) = &mut self.session {
            session.tasks.cancel();
            // A session that has panicked has ended too.
            let _ = (&mut session.task).await;
        }
        self.session = None;
    }

    /// Ends the work on a cluster that another shard is to have. If it is `held`, it is let go: the other one waits for that.
    async fn give_up(&mut self, held: bool) {
        let report = self.session.as_ref().map(|session| session.report.clone());
        let apiserver = self.session.as_ref().map(|session| session.way.origin());
        self.end_session().await;
        if !held {
            return;
        }
        let report = report.map(|report| Report { health: Health::Unknown, ..report.borrow().clone() });
        let facts = Facts {
            validated: &Validated::Yes(String::new()),
            report: report.as_ref(),
            apiserver,
            sharding_name: None,
            generation: None,
        };
        let status = status::next(&self.status, &facts, Timestamp::now());
        let mut backoff = Backoff::new(WRITES, Duration::from_secs(30));
        while let Err(error) = self.shared.parent.write_status(&self.name, &status).await {
            tracing::debug!(cluster = %self.cluster, %error, "the cluster could not be let go, trying again");
            sleep(backoff.next()).await;
        }
        self.status = status;
    }

    /// Takes the cluster from a shard that is gone. Comes back when the parent should have told that nobody has it.
    async fn take_over(&self, shard: &str) {
        let Shared { parent, takeover_after, .. } = &*self.shared;
        if takeover_after.is_zero() {
            return std::future::pending().await;
        }
        takeover::until_gone(&**parent, shard, *takeover_after).await;
        tracing::warn!(cluster = %self.cluster, shard, "the cluster is taken from a shard that has no hub any more");
        if let Err(error) = parent.take_from(&self.name, shard).await {
            tracing::warn!(cluster = %self.cluster, shard, %error, "the cluster could not be taken, trying again later");
        }
    }

    /// Keeps the status in step, for ever.
    async fn publish(&mut self, cluster: &Cluster, validated: &Validated) {
        let mut backoff = Backoff::new(WRITES, Duration::from_secs(30));
        let mut report = self.session.as_ref().map(|session| session.report.clone());
        loop {
            sleep_until(self.next_write).await;
            let now = report.as_mut().map(|report| report.borrow_and_update().clone());
            let facts = Facts {
                validated,
                report: now.as_ref(),
                apiserver: self.session.as_ref().map(|session| session.way.origin()),
                sharding_name: Some(&self.shared.sharding_name),
                generation: cluster.generation,
            };
            let status = status::next(&self.status, &facts, Timestamp::now());
            if status != self.status {
                self.next_write = Instant::now() + WRITES;
                match self.shared.parent.write_status(&self.name, &status).await {
                    Ok(()) => {
                        self.shared.counters.status_written();
                        self.status = status;
                        backoff.reset();
                    }
                    Err(error) => {
                        tracing::debug!(cluster = %self.cluster, %error, "the status could not be written");
                        self.next_write = Instant::now() + backoff.next().max(WRITES);
                        continue;
                    }
                }
            }
            let changed = match &mut report {
                Some(report) => report.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Removes everything of the cluster from the store, however long that takes.
    async fn remove(&mut self) {
        self.end_session().await;
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        while let Err(error) = self.shared.store.remove_cluster(&self.cluster).await {
            tracing::warn!(cluster = %self.cluster, %error, "the objects of a deleted cluster could not be removed, trying again");
            sleep(backoff.next()).await;
        }
    }

    async fn set_finalizer(&self, wanted: bool) {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        while let Err(error) = self.shared.parent.set_finalizer(&self.name, wanted).await {
            tracing::debug!(cluster = %self.cluster, %error, "the finalizer could not be set, trying again");
            sleep(backoff.next()).await;
        }
    }
}

async fn until_then(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}
