//! From work to the store, each piece again and again until it is done.

use store::{Batch, Change, Generation};
use tokio::sync::mpsc;

use super::{Context, Ended, retried, retried_in_place};
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

    /// Ends when somebody else has begun a list of the same resource, or has taken over the cluster.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Work>) -> Ended {
        while let Some(work) = queue.recv().await {
            match work {
                Work::Apply { changes, place, share } => {
                    if let Err(ended) = self.apply(changes, place).await {
                        return ended;
                    }
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

    async fn apply(&self, changes: Vec<Change>, place: Option<String>) -> Result<(), Ended> {
        let batch = Batch {
            cluster: self.context.cluster.clone(),
            resource: self.target.resource.clone(),
            changes,
            checkpoint: place,
        };
        let apply = || self.context.store.apply(batch.clone());
        let applied = retried_in_place(self.context, self.target, apply).await?;
        self.context.counters.applied(&applied);
        self.store_is_back();
        Ok(())
    }

    async fn end_list(&mut self, place: Option<String>) -> Result<(), Ended> {
        let Some(generation) = self.generation.take() else { return Ok(()) };
        let sweep = || self.context.store.sweep(generation.clone(), place.clone());
        let deleted = retried_in_place(self.context, self.target, sweep).await?;
        self.context.counters.swept(deleted);
        self.context.board.tell_of(&self.target.resource, |report| {
            report.initial = false;
            report.state = State::syncing();
        });
        Ok(())
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
