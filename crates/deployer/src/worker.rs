//! Works for one cluster: follows its Descriptions, and does a round over each that has something to be looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use api::apps::Description;
use futures_util::{FutureExt as _, Stream, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use kube::{ResourceExt as _, runtime::watcher::Event};
use rand::RngExt as _;
use runtime::{Backoff, Tasks};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};

use crate::{
    cluster::{Cluster, Work},
    contents::with_contents,
    counters::Share,
    sync::{Outcome, sync},
    watches::Watches,
};

/// The first wait after a failure, and the longest.
const WAITS: [Duration; 2] = [Duration::from_secs(2), Duration::from_mins(1)];
/// Objects whose changes are not heard of, as they may not be watched, are looked at so often.
const LOOK_EVERY: Duration = Duration::from_mins(5);
/// Descriptions whose Contents are read at a time.
const READ: usize = 8;
/// What is due within this time counts as pending: changes of a status that are gathered, and races.
const PENDING: Duration = Duration::from_secs(1);
/// The wait after a race.
const SOON: Duration = Duration::from_millis(200);

type Round = BoxFuture<'static, (String, Outcome)>;

/// Works until `descriptions` ends. `beginning` is kept until they were listed once, or could not be.
pub(crate) async fn work(
    cluster: Arc<Cluster>,
    descriptions: impl Stream<Item = anyhow::Result<Event<Description>>> + Send,
    tasks: Tasks,
    beginning: Option<OwnedSemaphorePermit>,
) {
    // In their order, while the objects of some are still being read.
    let reading = Arc::clone(&cluster);
    let descriptions = descriptions
        .map(move |event| {
            let cluster = Arc::clone(&reading);
            async move { with_contents(&cluster, event).await }
        })
        .buffered(READ);
    let mut worker = Worker {
        watches: Watches::new(tasks),
        rounds: FuturesUnordered::new(),
        running: BTreeSet::new(),
        failures: BTreeMap::new(),
        shown: None,
        beginning,
        pending: Share::of(&cluster.counters.pending),
        unlisted: Share::of(&cluster.counters.unlisted),
        cluster,
    };
    let mut working = Share::of(&worker.cluster.counters.clusters);
    working.set(1);
    worker.unlisted.set(1);
    let mut descriptions = std::pin::pin!(descriptions);
    loop {
        let next = worker.begin();
        tokio::select! {
            event = descriptions.next() => match event {
                Some(event) => worker.take(event),
                None => return,
            },
            Some((name, outcome)) = worker.rounds.next(), if !worker.rounds.is_empty() => worker.end(&name, outcome),
            () = worker.cluster.changed.notified() => {}
            () = until(next) => {}
        }
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

struct Worker {
    cluster: Arc<Cluster>,
    watches: Watches,
    rounds: FuturesUnordered<Round>,
    /// One round over each Description at a time.
    running: BTreeSet<String>,
    failures: BTreeMap<String, Backoff>,
    /// The names a list has shown so far.
    shown: Option<BTreeSet<String>>,
    beginning: Option<OwnedSemaphorePermit>,
    /// What this cluster adds to the metrics.
    pending: Share,
    unlisted: Share,
}

impl Worker {
    fn take(&mut self, event: anyhow::Result<Event<Description>>) {
        match event {
            Ok(Event::Init) => self.shown = Some(BTreeSet::new()),
            Ok(Event::InitApply(description)) => {
                self.shown.get_or_insert_default().insert(description.name_any());
                self.cluster.put(description);
            }
            Ok(Event::InitDone) => {
                self.cluster.listed(&self.shown.take().unwrap_or_default());
                self.unlisted.set(0);
                self.beginning = None;
            }
            Ok(Event::Apply(description)) => self.cluster.put(description),
            Ok(Event::Delete(description)) => {
                self.failures.remove(&description.name_any());
                self.cluster.gone(&description.name_any());
            }
            Err(error) => {
                self.beginning = None;
                tracing::debug!(cluster = self.cluster.name, %error, "the watch of Descriptions failed, trying again");
            }
        }
    }

    /// Begins the rounds that are due, as many as may run. Returns when the next one is.
    fn begin(&mut self) -> Option<Instant> {
        let mut state = self.cluster.state.lock();
        if !state.complete {
            return None;
        }
        let now = Instant::now();
        let waiting = state.due.iter().filter(|(name, _)| !self.running.contains(*name));
        let (due, later): (Vec<_>, Vec<_>) = waiting.partition(|(_, due)| due.at <= now);
        let next = later.iter().map(|(_, due)| due.at).min();
        let soon = later.iter().filter(|(_, due)| due.at <= now + PENDING).count();
        self.pending.set(due.len() + soon + self.running.len());
        let places = self.cluster.options.descriptions.max(1).saturating_sub(self.running.len());
        let names: Vec<String> = due.into_iter().take(places).map(|(name, _)| name.clone()).collect();
        for name in names {
            let Some(due) = state.due.remove(&name) else { continue };
            self.running.insert(name.clone());
            let cluster = Arc::clone(&self.cluster);
            let round = async move {
                let outcome = sync(&cluster, &name, due.work).await;
                (name, outcome)
            };
            self.rounds.push(round.boxed());
        }
        next
    }

    fn end(&mut self, name: &str, outcome: Outcome) {
        self.running.remove(name);
        let look_again = outcome == Outcome::Done && self.cluster.has_unfollowed(name);
        let mut state = self.cluster.state.lock();
        match outcome {
            Outcome::Done => {
                self.failures.remove(name);
                if look_again {
                    state.look(name, Work::all(), LOOK_EVERY.mul_f64(rand::rng().random_range(0.8..=1.2)));
                }
            }
            Outcome::Raced(work) => state.look(name, work, SOON),
            Outcome::Again(work) => {
                let [first, longest] = WAITS;
                let failures =
                    self.failures.entry(name.to_owned()).or_insert_with(|| Backoff::new(first, longest));
                let wait = failures.next();
                state.look(name, work, wait);
            }
        }
        drop(state);
        self.watches.settle(&self.cluster);
    }
}
