//! From the steps of the followers to work for the writer.

use std::{
    collections::{HashSet, hash_map::DefaultHasher},
    hash::{Hash as _, Hasher as _},
    time::Duration,
};

use api::{names::search::sync_reasons, pedia::SyncState};
use futures_util::StreamExt as _;
use kubeio::Step;
use meta::RawObject;
use store::ObjectName;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Context, Ended, Work};
use crate::{
    batch::Pending,
    object,
    place::{self, Basis},
    report::State,
    rules::Target,
};

/// A change waits for others for so long.
const COLLECTS: Duration = Duration::from_millis(100);
/// A place without a change is worth storing after this time: a cluster forgets its history after some minutes.
const PLACES: Duration = Duration::from_secs(120);

/// A failure that keeps the watch away for longer than this is worth a word, even the first.
const NOTABLE: Duration = Duration::from_secs(10);

/// Collects what happens in a cluster.
pub(super) struct Reader<'a> {
    context: &'a Context,
    target: &'a Target,
    basis: &'a Basis,
    work: mpsc::Sender<Work>,
    resume: Option<String>,
    parts: Vec<Part>,
    /// Whether a list is under way whose end removes what it has not shown.
    listing: bool,
    pending: Pending,
    /// When what is pending, changes or a place, has to be stored.
    due: Option<Instant>,
    /// Failures since something came.
    failures: u32,
    /// Whether an object can be in two parts.
    overlaps: bool,
}

/// How far one part is.
#[derive(Debug, Default)]
struct Part {
    /// Nothing before its first list is done.
    place: Option<String>,
    /// Whether its list has shown something.
    shown: bool,
    /// What it selects, where parts overlap: the others do not know when an object leaves only this one.
    members: HashSet<u64>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        context: &'a Context,
        target: &'a Target,
        basis: &'a Basis,
        work: mpsc::Sender<Work>,
        resume: Option<String>,
    ) -> Self {
        let part = || Part { place: resume.clone(), ..Part::default() };
        Self {
            parts: target.parts.iter().map(|_| part()).collect(),
            context,
            target,
            basis,
            work,
            resume,
            listing: false,
            pending: Pending::new(context.budget.clone()),
            due: None,
            failures: 0,
            overlaps: target.overlaps(),
        }
    }

    pub(super) async fn run(mut self) -> Ended {
        if self.resume.is_some() {
            self.tell(State::syncing());
        }
        let steps = super::steps(self.context, self.target, self.resume.as_deref());
        tokio::pin!(steps);
        let work = self.work.clone();
        loop {
            let due = self.due;
            let full = self.pending.is_full();
            let send = async {
                match due {
                    _ if full => {}
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
                work.reserve().await
            };
            tokio::select! {
                permit = send => {
                    // Without a writer the round is over; it is the writer who says why.
                    let Ok(permit) = permit else { std::future::pending().await };
                    if let Some(batch) = self.batch() {
                        permit.send(batch);
                    }
                }
                step = steps.next(), if !full => {
                    let Some((part, step)) = step else { std::future::pending().await };
                    if let Err(ended) = self.take(part, step).await {
                        return ended;
                    }
                }
            }
        }
    }

    /// What is pending, if it is anything.
    fn batch(&mut self) -> Option<Work> {
        self.due = None;
        let place = if self.listing { None } else { self.place() };
        let place = place.map(|place| self.basis.write(&place));
        let (changes, share) = self.pending.take();
        (place.is_some() || !changes.is_empty()).then_some(Work::Apply { changes, place, share })
    }

    /// The place up to which every part is told.
    fn place(&self) -> Option<String> {
        let mut places = self.parts.iter().map(|part| part.place.as_deref());
        let first = places.next()??;
        places.try_fold(first, |oldest, place| place::older(oldest, place?)).map(str::to_owned)
    }

    async fn take(&mut self, part: usize, step: Step) -> Result<(), Ended> {
        match step {
            Step::ListBegan => return self.list_began(part).await,
            Step::Listed(object) => {
                self.parts[part].shown = true;
                self.upsert(part, object);
            }
            Step::ListDone { resource_version } => self.list_done(part, resource_version).await,
            Step::Changed(object) => {
                self.came();
                self.parts[part].place = Some(object.key.resource_version.clone());
                self.upsert(part, object);
            }
            Step::Deleted(object) => {
                self.came();
                self.parts[part].place = Some(object.key.resource_version.clone());
                self.delete(part, &object);
            }
            Step::Bookmark { resource_version } => {
                self.came();
                self.parts[part].place = Some(resource_version);
                let due = Instant::now() + PLACES;
                self.due.get_or_insert(due);
            }
            Step::Unreadable(error) => self.unreadable(error),
            Step::Failed { error, retry_in } => self.failed(&error, retry_in),
        }
        Ok(())
    }

    async fn list_began(&mut self, part: usize) -> Result<(), Ended> {
        let several = self.parts.len() > 1;
        if several && (self.parts[part].place.is_some() || self.parts[part].shown) {
            // What the store has marked as seen is no longer what this part has.
            return Err(Ended::PlaceLost);
        }
        self.context.counters.list_began();
        if !several || !self.listing {
            if let Some(batch) = self.batch() {
                self.send(batch).await;
            }
            self.send(Work::BeginList).await;
            self.listing = true;
        }
        self.parts[part] = Part::default();
        Ok(())
    }

    async fn list_done(&mut self, part: usize, version: String) {
        self.came();
        self.parts[part].place = Some(version);
        if self.parts.iter().any(|part| part.place.is_none()) {
            return;
        }
        if let Some(batch) = self.batch() {
            self.send(batch).await;
        }
        let place = self.place().map(|place| self.basis.write(&place));
        self.send(Work::EndList { place }).await;
        self.listing = false;
    }

    fn upsert(&mut self, part: usize, object: RawObject) {
        match object::stored(object, self.target) {
            Ok(object) => {
                if self.overlaps {
                    let hash = hash(&object.key.namespace, &object.key.name);
                    self.parts[part].members.insert(hash);
                }
                self.pending.upsert(object);
                self.collect();
            }
            Err(error) => self.unreadable(error),
        }
    }

    fn delete(&mut self, part: usize, object: &RawObject) {
        if self.overlaps {
            let hash = hash(&object.key.namespace, &object.key.name);
            self.parts[part].members.remove(&hash);
            if self.parts.iter().any(|other| other.members.contains(&hash)) {
                return;
            }
        }
        self.pending.delete(ObjectName::new(object.key.namespace.as_str(), object.key.name.as_str()));
        self.collect();
    }

    /// A change is pending.
    fn collect(&mut self) {
        let due = Instant::now() + COLLECTS;
        self.due = Some(self.due.map_or(due, |before| before.min(due)));
    }

    async fn send(&self, work: Work) {
        if self.work.send(work).await.is_err() {
            // The writer says why.
            std::future::pending::<()>().await;
        }
    }

    /// The cluster tells something.
    fn came(&mut self) {
        if std::mem::take(&mut self.failures) > 0 && !self.listing {
            self.tell(State::syncing());
        }
    }

    fn unreadable(&self, error: meta::ObjectError) {
        self.context.counters.unreadable();
        tracing::warn!(cluster = %self.context.cluster, resource = %self.target.resource, %error, "an object was left out");
    }

    fn failed(&mut self, error: &kubeio::Error, retry_in: Duration) {
        self.context.counters.follow_failed(error.reason());
        self.failures = self.failures.saturating_add(1);
        // A watch that breaks once is nothing to report. A list was tried several times before it counts as failed.
        if self.failures == 1 && error.is_passing() && !self.listing && retry_in < NOTABLE {
            return;
        }
        let mut message = error.to_string();
        if let kubeio::Error::Forbidden(why) = error {
            message = format!("{message}. {}", self.context.reader.grant(&self.target.resource, why));
        }
        self.tell(State::new(SyncState::Error, sync_reasons::WATCH_FAILED, message));
    }

    fn tell(&self, state: State) {
        self.context.board.tell_of(&self.target.resource, |report| report.state = state);
    }
}

fn hash(namespace: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (namespace, name).hash(&mut hasher);
    hasher.finish()
}
