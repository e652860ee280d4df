//! Opens the store where it belongs, and takes it back in time.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use runtime::{Backoff, Tasks, lease::Leadership, metrics::Metrics};
use store::{Error, Store};
use tokio::{sync::watch, time::sleep};
use tracing::{error, info, warn};

use crate::withdrawn::ANSWERS_END_WITHIN;

/// How long the file stays open after the Lease is lost, for the answers under way. Shorter than what lies between
/// giving the Lease up and its end.
const CLOSES_AFTER: Duration = ANSWERS_END_WITHIN.saturating_add(Duration::from_millis(500));
/// How often a file is tried that another process still has.
const FREE_YET: Duration = Duration::from_millis(500);

/// Who may have a store open at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// One process: a file. It is with the holder of the Lease.
    OneProcess,
    /// Every replica: a database server. The holder of the Lease is the one that writes.
    EveryReplica,
}

/// Stands for election in a group until that ends.
pub type Elect = Box<dyn Fn(&Tasks) -> watch::Receiver<Leadership> + Send + Sync>;

/// Opens the store; called again after a failure.
pub type Open = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Store>, Error>> + Send + Sync>;

/// A store that comes and goes.
pub(crate) type Passing = watch::Receiver<Option<Arc<dyn Store>>>;

/// The store, while this process has it. Whoever uses it lets go of it as soon as it is no longer there.
#[derive(Clone)]
pub struct Stores {
    /// For reading.
    pub searched: watch::Receiver<Option<Arc<dyn Store>>>,
    /// For writing: only one replica at a time has it here.
    pub written: watch::Receiver<Option<Arc<dyn Store>>>,
}

impl Stores {
    /// For a process without a store of its own.
    pub fn none() -> Self {
        Self { searched: watch::channel(None).1, written: watch::channel(None).1 }
    }
}

/// Keeps the store open while this process may have it, until the group ends. A store that cannot be opened is tried
/// again for ever, and the Lease left to others meanwhile.
pub fn keep(tasks: &Tasks, sharing: Sharing, elect: Elect, open: Open, metrics: &Metrics) -> Stores {
    let keeper = Keeper {
        tasks: tasks.clone(),
        elect,
        open,
        searched: watch::Sender::new(None),
        written: watch::Sender::new(None),
        gauges: Gauges::register(metrics),
    };
    let stores = Stores { searched: keeper.searched.subscribe(), written: keeper.written.subscribe() };
    tasks.spawn_draining("store of the search", keeper.run(sharing));
    stores
}

struct Keeper {
    tasks: Tasks,
    elect: Elect,
    open: Open,
    searched: watch::Sender<Option<Arc<dyn Store>>>,
    written: watch::Sender<Option<Arc<dyn Store>>>,
    gauges: Gauges,
}

impl Keeper {
    async fn run(self, sharing: Sharing) {
        let ends = self.tasks.token();
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(30));
        loop {
            let ended = match sharing {
                Sharing::OneProcess => self.in_turns(&mut backoff).await,
                Sharing::EveryReplica => self.together().await,
            };
            let Err(cause) = ended else { return };
            self.gauges.failures.inc();
            error!(error = %cause, "the store of the search cannot be opened; it is tried again");
            tokio::select! {
                () = ends.cancelled() => return,
                () = sleep(backoff.next()) => {}
            }
        }
    }

    /// One process has the store at a time: the holder of the Lease. An error is why this process gave the Lease up;
    /// another may have a better disk.
    async fn in_turns(&self, backoff: &mut Backoff) -> Result<(), Error> {
        let candidacy = self.tasks.child();
        let mut leadership = (self.elect)(&candidacy);
        while is(&mut leadership, true).await {
            let opened = tokio::select! {
                opened = self.open_when_free() => opened,
                _ = is(&mut leadership, false) => continue,
            };
            match opened {
                Ok(store) => {
                    backoff.reset();
                    self.hold(store, &mut leadership).await;
                }
                Err(cause) => {
                    candidacy.cancel();
                    // Until it is released, or the next candidacy would meet this one.
                    while leadership.changed().await.is_ok() {}
                    return Err(cause);
                }
            }
        }
        Ok(())
    }

    /// Opens the store as soon as nobody else has it: whoever lost the Lease may need a moment to notice.
    async fn open_when_free(&self) -> Result<Arc<dyn Store>, Error> {
        let mut told = false;
        loop {
            match (self.open)().await {
                Err(Error::Held(file)) => {
                    if !std::mem::replace(&mut told, true) {
                        warn!(
                            file,
                            "another process still has the store of the search open; waiting for it to end"
                        );
                    }
                    sleep(FREE_YET).await;
                }
                opened => return opened,
            }
        }
    }

    /// One term: the store is there for everybody until the Lease is lost.
    async fn hold(&self, store: Arc<dyn Store>, leadership: &mut watch::Receiver<Leadership>) {
        info!("this process has the store of the search");
        self.searched.send_replace(Some(store.clone()));
        self.written.send_replace(Some(store.clone()));
        self.gauges.set(1, 1);
        is(leadership, false).await;
        self.searched.send_replace(None);
        self.written.send_replace(None);
        self.gauges.set(0, 0);
        sleep(CLOSES_AFTER).await;
        drop(store);
        info!("this process has closed the store of the search");
    }

    /// Every replica has the store; the holder of the Lease writes.
    async fn together(&self) -> Result<(), Error> {
        let ends = self.tasks.token();
        let store = tokio::select! {
            () = ends.cancelled() => return Ok(()),
            opened = (self.open)() => opened?,
        };
        self.searched.send_replace(Some(store.clone()));
        self.gauges.set(1, 0);
        let mut leadership = (self.elect)(&self.tasks);
        while is(&mut leadership, true).await {
            self.written.send_replace(Some(store.clone()));
            self.gauges.set(1, 1);
            is(&mut leadership, false).await;
            self.written.send_replace(None);
            self.gauges.set(1, 0);
        }
        Ok(())
    }
}

/// Waits until the Lease is held, or not, or the election is over; whether it goes on.
async fn is(leadership: &mut watch::Receiver<Leadership>, held: bool) -> bool {
    leadership.wait_for(|leadership| leadership.held == held).await.is_ok()
        && leadership.has_changed().is_ok()
}

/// What shows who has the store.
struct Gauges {
    open: Gauge,
    writes: Gauge,
    failures: Counter,
}

impl Gauges {
    fn register(metrics: &Metrics) -> Self {
        let gauge = |name, help| metrics.add(name, help, Gauge::default());
        Self {
            open: gauge("clusterway_store_open", "1 while this process has the store of the search open"),
            writes: gauge(
                "clusterway_store_writes",
                "1 while this process is the one that synchronises into the store",
            ),
            failures: metrics.add(
                "clusterway_store_open_failures",
                "Times the store could not be opened",
                Counter::default(),
            ),
        }
    }

    fn set(&self, open: i64, writes: i64) {
        self.open.set(open);
        self.writes.set(writes);
    }
}
