//! How many lists run at the same time: lists are what costs clusters, network and memory.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// A list that takes longer is slow because of its cluster, and counts for that cluster only from then on.
const SLOW: Duration = Duration::from_secs(20);

/// How many lists may run: of one cluster, and of all.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    cluster: Arc<Semaphore>,
    all: Arc<Semaphore>,
}

/// The right to run one list.
#[derive(Debug)]
pub(crate) struct Turn {
    all: Option<(OwnedSemaphorePermit, Instant)>,
    _cluster: Option<OwnedSemaphorePermit>,
}

impl Limits {
    /// For one cluster, which shares `all` with the others.
    pub(crate) fn new(per_cluster: usize, all: Arc<Semaphore>) -> Self {
        Self { cluster: Arc::new(Semaphore::new(per_cluster.max(1))), all }
    }

    /// Waits until a list may run. Neither semaphore is ever closed.
    pub(crate) async fn turn(&self) -> Turn {
        let cluster = Arc::clone(&self.cluster).acquire_owned().await.ok();
        let all = Arc::clone(&self.all).acquire_owned().await.ok();
        Turn { all: all.map(|permit| (permit, Instant::now() + SLOW)), _cluster: cluster }
    }
}

impl Turn {
    /// When this list becomes a slow one, if it is not yet.
    pub(crate) fn slow_at(&self) -> Option<Instant> {
        self.all.as_ref().map(|(_, at)| *at)
    }

    /// Lets others begin although this list goes on.
    pub(crate) fn is_slow(&mut self) {
        self.all = None;
    }
}
