//! From work to the store, each piece again and again until it is done.

use std::time::Duration;

use runtime::Backoff;
use store::{Batch, Change, Generation};
use tokio::sync::mpsc;

use super::{Context, Ended, retried, store_failed};
use crate::{limits::Share, report::State, rules::Target};

/// One step of the store.
pub(super) enum Work {
    /// Changes, the checkpoint they lead to, and the share of the budget that they take.
    Apply { changes: Vec<Change>, place: Option<String>, share: Share },
    /// A list begins.
    BeginList,
    /// A list has shown everything.
    EndList { place: Option<String> },
}

/// Writes what one resource needs, in order.
pub(super) struct Writer<'a> {
    context: &'a Context,
    target: &'a Target,
    generation: Option<Generation>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(context: &'a Context, target: &'a Target) -> Self {
        Self { context, target, generation: None }
    }

    /// Ends when somebody else has begun a list of the same resource.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Work>) -> Ended {
        while let Some(work) = queue.recv().await {
            match work {
                Work::Apply { changes, place, share } => {
                    self.apply(changes, place).await;
                    drop(share);
                }
                Work::BeginList => {
                    let Context { cluster, store, .. } = self.context;
                    let begin = || store.begin_generation(cluster, &self.target.resource);
                    self.generation = Some(retried(self.context, self.target, begin).await);
                }
                Work::EndList { place } => {
                    if let Err(ended) = self.end_list(place).await {
                        return ended;
                    }
                }
            }
        }
        // The reader is gone, and so will be this.
        std::future::pending().await
    }

    async fn apply(&self, changes: Vec<Change>, place: Option<String>) {
        let batch = Batch {
            cluster: self.context.cluster.clone(),
            resource: self.target.resource.clone(),
            changes,
            checkpoint: place,
        };
        let applied = retried(self.context, self.target, || self.context.store.apply(batch.clone())).await;
        self.context.counters.applied(&applied);
        self.store_is_back();
    }

    async fn end_list(&mut self, place: Option<String>) -> Result<(), Ended> {
        let Some(generation) = self.generation.take() else { return Ok(()) };
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
        loop {
            match self.context.store.sweep(generation.clone(), place.clone()).await {
                Ok(deleted) => {
                    self.context.counters.swept(deleted);
                    self.context.board.tell_of(&self.target.resource, |report| {
                        report.initial = false;
                        report.state = State::syncing();
                    });
                    return Ok(());
                }
                Err(store::Error::Superseded) => return Err(Ended::PlaceLost),
                Err(error) => store_failed(self.context, self.target, &error, &mut backoff).await,
            }
        }
    }

    /// Takes back what was told when the store did not answer.
    fn store_is_back(&self) {
        self.context.board.tell_of(&self.target.resource, |report| {
            if report.state.reason == api::names::search::sync_reasons::STORAGE_OUTAGE {
                report.state = if report.initial { State::default() } else { State::syncing() };
            }
        });
    }
}
