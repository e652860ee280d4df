//! One resource of one cluster, from now on, into the store.
//!
//! ```text
//! Follower (one for each part) ─► Reader: collects, coalesces ─► channel of one ─► Writer: store, again until it is done
//! ```
//!
//! The reader goes on collecting while the writer works, until its batch is full; then nothing more is read from the
//! cluster. So memory is two batches and what the followers hold, whatever happens in the cluster; and the batches of
//! all clusters share a budget.
//!
//! A round begins with a list or from a stored place. It ends when one of several parts has lost its place: a list
//! marks what it has seen in all of the resource, so the parts begin together.

mod reader;
mod writer;

use std::{sync::Arc, time::Duration};

use api::{names::search::sync_reasons, pedia::SyncState};
use kubeio::{FollowRequest, Follower, Selection, Step, Transport};
use runtime::Backoff;
use store::{Batch, ClusterName, Store};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use self::{
    reader::Reader,
    writer::{Work, Writer},
};
use crate::{
    counters::Counters,
    limits::{Budget, Limits, Turn},
    place::{Basis, Resume},
    report::{Board, State},
    rules::Target,
};

/// A list that shows nothing for so long costs nobody anything, and holds up no list of another cluster.
const SILENCE: Duration = Duration::from_secs(2);

/// What every follower of a cluster has.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) cluster: ClusterName,
    /// Which cluster the resource versions are of.
    pub(crate) origin: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) limits: Limits,
    pub(crate) budget: Budget,
    pub(crate) board: Board,
    pub(crate) counters: Counters,
    /// Who is asked to grant a missing right.
    pub(crate) reader: crate::rights::Reader,
}

/// Why a round ended.
enum Ended {
    /// A part has lost its place: all parts have to be listed.
    PlaceLost,
}

/// Follows `target`, for ever.
pub(crate) async fn follow(context: Context, target: Target) {
    let basis = Basis::new(&context.origin, &target);
    let mut resume = begin(&context, &target, &basis).await;
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        let listed = resume.is_none();
        let Ended::PlaceLost = round(&context, &target, &basis, resume.take()).await;
        if listed {
            sleep(backoff.next()).await;
        } else {
            backoff.reset();
        }
    }
}

/// Where to go on from, if it is known. What is stored in a wrong form is gone afterwards.
async fn begin(context: &Context, target: &Target, basis: &Basis) -> Option<String> {
    let stored = retried(context, target, || context.store.checkpoints(&context.cluster)).await;
    if let Some(stored) = stored.into_iter().find(|stored| stored.resource == target.resource) {
        let checkpoint = stored.resource_version.as_deref();
        context.board.tell_of(&target.resource, |report| report.initial = Basis::is_initial(checkpoint));
        match basis.read(checkpoint, target) {
            Resume::From(version) => return Some(version),
            Resume::Compare if checkpoint.is_some() => return None,
            Resume::Compare => {}
            Resume::Discard => {
                let (store, resource) = (&context.store, &target.resource);
                retried(context, target, || store.remove_resource(&context.cluster, resource)).await;
                context.board.tell_of(resource, |report| report.initial = true);
            }
        }
    }
    // Who comes after a kill has to know in which form the objects are that the list will have brought by then.
    let begin = Batch {
        cluster: context.cluster.clone(),
        resource: target.resource.clone(),
        changes: Vec::new(),
        checkpoint: Some(basis.begin()),
    };
    retried(context, target, || context.store.apply(begin.clone())).await;
    None
}

async fn round(context: &Context, target: &Target, basis: &Basis, resume: Option<String>) -> Ended {
    let (work, queue) = mpsc::channel(1);
    let reader = Reader::new(context, target, basis, work, resume);
    let writer = Writer::new(context, target);
    tokio::select! {
        ended = reader.run() => ended,
        ended = writer.run(queue) => ended,
    }
}

/// The followers of the parts, as one stream of (part, step).
fn steps(
    context: &Context,
    target: &Target,
    resume: Option<&str>,
) -> impl futures_util::Stream<Item = (usize, Step)> + Send + use<> {
    let resource = kubeio::Resource::new(
        target.resource.group.as_str(),
        target.resource.version.as_str(),
        target.resource.resource.as_str(),
    );
    let streams = target.parts.iter().enumerate().map(|(part, wanted)| {
        let selection = Selection {
            resource: resource.clone(),
            namespace: wanted.namespace.clone(),
            label_selector: wanted.labels.clone(),
            field_selector: wanted.fields.clone(),
            metadata_only: false,
        };
        let request = FollowRequest {
            resume: resume.map(str::to_owned),
            ..FollowRequest::new(selection, target.kind.as_str())
        };
        let follower = Follower::new(Arc::clone(&context.transport), request);
        let state = (follower, context.limits.clone(), None::<Turn>);
        Box::pin(futures_util::stream::unfold(state, move |(mut follower, limits, mut turn)| async move {
            let step = next(&mut follower, &mut turn).await;
            match &step {
                Step::ListBegan => {
                    drop(turn.take());
                    turn = Some(limits.turn().await);
                }
                Step::ListDone { .. } | Step::Failed { .. } => turn = None,
                _ => {}
            }
            Some(((part, step), (follower, limits, turn)))
        }))
    });
    futures_util::stream::select_all(streams)
}

/// The next step; a list that turns out to be slow, or waits, no longer counts for all clusters.
async fn next(follower: &mut Follower, turn: &mut Option<Turn>) -> Step {
    let silent = Instant::now() + SILENCE;
    while let Some(at) = turn.as_ref().and_then(Turn::slow_at) {
        let at = at.min(silent);
        tokio::select! {
            biased;
            step = follower.next() => return step,
            () = tokio::time::sleep_until(at) => {
                if let Some(turn) = turn {
                    turn.is_slow();
                }
            }
        }
    }
    follower.next().await
}

/// Asks the store until it answers. What it does not answer is told, and lost by nobody.
async fn retried<'a, T>(
    context: &Context,
    target: &Target,
    mut ask: impl FnMut() -> store::Answer<'a, T>,
) -> T {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => store_failed(context, target, &error, &mut backoff).await,
        }
    }
}

/// The same for what belongs to a list or goes on from a place: it ends when somebody else has taken over.
async fn retried_in_place<'a, T>(
    context: &Context,
    target: &Target,
    mut ask: impl FnMut() -> store::Answer<'a, T>,
) -> Result<T, Ended> {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(store::Error::Superseded) => return Err(Ended::PlaceLost),
            Err(error) => store_failed(context, target, &error, &mut backoff).await,
        }
    }
}

/// Tells that the store does not answer, and waits.
async fn store_failed(context: &Context, target: &Target, error: &store::Error, backoff: &mut Backoff) {
    context.counters.store_failed();
    if backoff.failures() > 0 {
        let state = State::new(SyncState::Stop, sync_reasons::STORAGE_OUTAGE, error.to_string());
        context.board.tell_of(&target.resource, |report| report.state = state);
    }
    tracing::debug!(cluster = %context.cluster, resource = %target.resource, %error, "the store failed, trying again");
    sleep(backoff.next()).await;
}
