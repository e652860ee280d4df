//! How many lists run at the same time: lists are what costs clusters, network and memory. And how much may wait for
//! the store.

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

/// What one permit of a budget stands for, in bytes.
const PERMIT: usize = 1 << 10;

/// How many bytes of all clusters may wait for the store. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

/// A part of a budget, which is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / PERMIT).min(Semaphore::MAX_PERMITS))))
    }

    /// A share of nothing yet.
    pub(crate) fn share(&self) -> Share {
        Share { budget: self.clone(), permit: None }
    }
}

impl Share {
    /// Makes this a share of `bytes`. If so much is not left it stays as it is, and the answer is false.
    pub(crate) fn resize(&mut self, bytes: usize) -> bool {
        let wanted = bytes.div_ceil(PERMIT);
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if wanted <= held {
            drop(self.permit.as_mut().and_then(|permit| permit.split(held - wanted)));
            return true;
        }
        let Ok(missing) = u32::try_from(wanted - held) else { return false };
        let Ok(more) = Arc::clone(&self.budget.0).try_acquire_many_owned(missing) else { return false };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_grows_while_there_is_something_left_and_is_given_back() {
        let budget = Budget::new(10 << 10);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.resize(6 << 10) && other.resize(4 << 10));
        assert!(!one.resize(7 << 10), "there is more than there is");
        assert!(one.resize(1) && other.resize(9 << 10));
        drop(other);
        assert!(one.resize(10 << 10) && !one.resize(11 << 10));
    }
}
