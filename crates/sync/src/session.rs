//! One cluster, reached in one way: probes it, looks what it has, and follows what the rules select of that.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use api::{names::search::sync_reasons, pedia::SyncState};
use runtime::{Backoff, CancellationToken, Tasks};
use store::Resource;
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{
    columns, follow, probe,
    prune::{Missing, Verdict},
    report::{ResourceReport, Running, State},
    rules::{self, Rules, Target},
    scout::{self, Found},
};

/// The first wait after the store did not do what was asked, and the longest.
const STORE: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(15)];
/// The cluster is asked again so often what it has, if it seems to have lost something.
const LOOKS: Duration = Duration::from_secs(15);

/// Follows `most` resources at most. Runs until `tasks` ends; then nothing of it writes to the store any more.
pub(crate) async fn run(
    context: follow::Context,
    mut rules: watch::Receiver<Arc<Rules>>,
    most: usize,
    tasks: Tasks,
) {
    let ends = tasks.token();
    let (answers, mut there) = watch::channel(true);
    let (found, mut seen) = watch::channel(None::<Found>);
    let again = Arc::new(Notify::new());
    let (probing, looking) = (context.clone(), context.clone());
    let token = ends.clone();
    tasks.spawn("probe", async move {
        probe::keep_probing(&*probing.transport, &probing.board, &answers, &token).await;
    });
    let (token, asked) = (ends.clone(), Arc::clone(&again));
    tasks.spawn("discovery", async move {
        scout::keep_looking(&looking.transport, &looking.board, &found, &asked, &token).await;
    });

    let (telling, selected, token) = (context.clone(), (rules.clone(), seen.clone()), ends.clone());
    tasks.spawn("printer columns", async move {
        let (rules, seen) = selected;
        columns::keep_told(&telling, rules, seen, &token).await;
    });

    let [first, longest] = STORE;
    let mut session = Session {
        context,
        tasks,
        followers: BTreeMap::new(),
        missing: Missing::default(),
        most,
        store: Backoff::new(first, longest),
    };
    loop {
        let next = session.round(&rules, &seen, &there, &again, &ends).await;
        tokio::select! {
            biased;
            () = ends.cancelled() => break,
            changed = rules.changed() => if changed.is_err() { break },
            changed = seen.changed() => if changed.is_err() { break },
            changed = there.changed() => {
                if changed.is_err() {
                    break;
                }
                // It may have come back as another version.
                if *there.borrow() {
                    again.notify_one();
                }
            }
            () = until(next) => {}
        }
    }
    session.stop_all(Running::Stopped, State::new(SyncState::Stop, "", "")).await;
}

/// What is said where rules select more than may be followed.
fn too_many(selected: usize, most: usize) -> String {
    format!(
        "the rules select {selected} resources, and {most} of them are synchronised: select fewer, for instance with \
         excludeResources, or raise the hub's flag --max-resources-per-cluster"
    )
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

struct Session {
    context: follow::Context,
    tasks: Tasks,
    followers: BTreeMap<Resource, Following>,
    missing: Missing,
    /// Resources that are followed at most.
    most: usize,
    /// Waits for the store.
    store: Backoff,
}

/// A follower at work.
struct Following {
    target: Target,
    ends: Tasks,
    task: JoinHandle<()>,
}

impl Session {
    /// Makes what runs what should run. The answer is when to look again.
    async fn round(
        &mut self,
        rules: &watch::Receiver<Arc<Rules>>,
        seen: &watch::Receiver<Option<Found>>,
        there: &watch::Receiver<bool>,
        again: &Notify,
        ends: &CancellationToken,
    ) -> Option<Instant> {
        let found = seen.borrow().clone()?;
        let mut targets = rules.borrow().select(&found.discovered.resources);
        if !*there.borrow() {
            let paused = State::new(
                SyncState::Stop,
                sync_reasons::PAUSE,
                "the cluster does not answer; what is stored stays",
            );
            self.stop_all(Running::Yes, paused).await;
            return None;
        }
        let stored = self.stored().await;
        let known: BTreeSet<Resource> =
            stored.iter().flatten().chain(self.followers.keys()).cloned().collect();
        let selected = rules::bound(&mut targets, self.most, &known);
        let left_out = selected.map(|selected| too_many(selected, self.most));
        self.context.board.tell(|report| {
            report.running = Running::Yes;
            report.left_out = left_out;
        });
        let later = match stored {
            Some(_) => self.prune(known, &targets, &found, again, ends).await,
            None => Some(Instant::now() + self.store.next()),
        };
        for (resource, target) in targets {
            if self.followers.get(&resource).is_some_and(|running| running.target == target) {
                continue;
            }
            self.stop(&resource).await;
            self.start(target);
        }
        later
    }

    fn start(&mut self, target: Target) {
        let resource = target.resource.clone();
        let report = ResourceReport {
            kind: target.kind.clone(),
            namespaced: target.namespaced,
            state: State::default(),
            initial: true,
        };
        self.context.board.tell(|all| {
            all.resources.insert(resource.clone(), report);
        });
        let ends = self.tasks.child();
        let following = follow::follow(self.context.clone(), target.clone());
        let task = ends.spawn(format!("follow {resource}"), following);
        self.followers.insert(resource, Following { target, ends, task });
    }

    async fn stop(&mut self, resource: &Resource) {
        if let Some(running) = self.followers.remove(resource) {
            running.ends.cancel();
            // A follower that has panicked has ended too.
            let _ = running.task.await;
        }
    }

    async fn stop_all(&mut self, running: Running, state: State) {
        for follower in self.followers.values() {
            follower.ends.cancel();
        }
        while let Some((_, follower)) = self.followers.pop_first() {
            let _ = follower.task.await;
        }
        self.context.board.tell(|report| {
            report.running = running;
            for resource in report.resources.values_mut() {
                resource.state = state.clone();
            }
        });
    }

    /// The resources of which something is stored; nothing if the store does not say.
    async fn stored(&self) -> Option<Vec<Resource>> {
        match self.context.store.checkpoints(&self.context.cluster).await {
            Ok(stored) => Some(stored.into_iter().map(|stored| stored.resource).collect()),
            Err(error) => {
                tracing::debug!(cluster = %self.context.cluster, %error, "the store does not say what it has");
                None
            }
        }
    }

    /// Removes from the store what of the `known` no rule selects any more. What the cluster merely does not show stays
    /// until it has not shown it for a while.
    async fn prune(
        &mut self,
        known: BTreeSet<Resource>,
        targets: &BTreeMap<Resource, Target>,
        found: &Found,
        again: &Notify,
        ends: &CancellationToken,
    ) -> Option<Instant> {
        let (mut later, mut failed) = (None, false);
        for resource in known {
            if ends.is_cancelled() {
                return None;
            }
            if targets.contains_key(&resource) {
                self.missing.is_back(&resource);
                continue;
            }
            match self.missing.judge(&resource, &found.discovered, found.at) {
                Verdict::Keep => {}
                Verdict::LookAgain(at) => {
                    if Instant::now() >= at {
                        again.notify_one();
                    }
                    later = Some(later.unwrap_or(at).min(at).max(Instant::now() + LOOKS));
                }
                Verdict::Remove => {
                    if !self.remove(&resource).await {
                        failed = true;
                    }
                }
            }
        }
        if failed {
            return Some(Instant::now() + self.store.next());
        }
        self.store.reset();
        later
    }

    async fn remove(&mut self, resource: &Resource) -> bool {
        self.stop(resource).await;
        let removed = self.context.store.remove_resource(&self.context.cluster, resource).await;
        if let Err(error) = &removed {
            let state = State::new(SyncState::Stop, sync_reasons::CLEAN_FAILED, error.to_string());
            self.context.board.tell_of(resource, |report| report.state = state);
            return false;
        }
        self.missing.is_back(resource);
        self.context.board.tell(|report| {
            report.resources.remove(resource);
        });
        true
    }
}
