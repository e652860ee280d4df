//! Which clusters have a worker, from what is heard of the ManagedClusters.

use std::collections::{HashMap, HashSet};

use api::{
    clusters::{ManagedCluster, Side},
    names::deployer::annotations::PAUSED,
};
use kube::{
    ResourceExt as _,
    runtime::watcher::{self, Event},
};
use runtime::Tasks;

use super::{Crew, Halt, way::limits};

/// Namespace and name of a ManagedCluster.
type Place = (String, String);

fn place(cluster: &ManagedCluster) -> Place {
    (cluster.namespace().unwrap_or_default(), cluster.name_any())
}

/// The workers of one side. What they do ends with it.
pub(super) struct Roster<C: Crew> {
    side: Side,
    crew: C,
    tasks: Tasks,
    /// Whether the owner has frozen the cluster, as far as this side knows.
    frozen: bool,
    posts: HashMap<Place, Post<C::Worker>>,
    /// What a list has shown so far.
    shown: Option<HashSet<Place>>,
}

/// Somebody's work for a cluster.
struct Post<W> {
    worker: W,
    tasks: Tasks,
    terms: Terms,
    paused: bool,
    halt: Option<Halt>,
}

/// What a worker was appointed for. For other terms there is another worker.
#[derive(PartialEq)]
struct Terms {
    cluster_id: String,
    /// On the hub's way there; the agent has a way of its own.
    limits: Option<(f64, u32)>,
}

impl<C: Crew> Roster<C> {
    pub(super) fn new(side: Side, tasks: &Tasks, crew: C) -> Self {
        let (posts, shown) = (HashMap::new(), None);
        Self { side, crew, tasks: tasks.child(), frozen: false, posts, shown }
    }

    /// Takes in what is heard of the ManagedClusters.
    pub(super) fn take(&mut self, event: watcher::Result<Event<ManagedCluster>>) {
        match event {
            Ok(Event::Init) => self.shown = Some(HashSet::new()),
            Ok(Event::InitApply(cluster)) => {
                self.shown.get_or_insert_default().insert(place(&cluster));
                self.settle(&cluster);
            }
            Ok(Event::InitDone) => {
                let shown = self.shown.take().unwrap_or_default();
                let gone: Vec<_> =
                    self.posts.keys().filter(|place| !shown.contains(*place)).cloned().collect();
                for place in gone {
                    self.dismiss(&place);
                }
            }
            Ok(Event::Apply(cluster)) => self.settle(&cluster),
            Ok(Event::Delete(cluster)) => self.dismiss(&place(&cluster)),
            Err(error) => tracing::debug!(%error, "a watch of ManagedClusters failed, trying again"),
        }
    }

    /// The owner of the cluster has frozen it, or lets it be changed again.
    pub(super) fn freeze(&mut self, frozen: bool) {
        self.frozen = frozen;
        for post in self.posts.values_mut() {
            post.tell(&mut self.crew, halt(frozen, post.paused));
        }
    }

    /// A ManagedCluster is so now.
    fn settle(&mut self, cluster: &ManagedCluster) {
        let place = place(cluster);
        if !self.is_ours(cluster) {
            return self.dismiss(&place);
        }
        let terms = self.terms(cluster);
        let paused = cluster.annotations().get(PAUSED).is_some_and(|value| value == "true");
        let halt = halt(self.frozen, paused);
        match self.posts.get_mut(&place) {
            Some(post) if post.terms == terms => {
                post.paused = paused;
                post.tell(&mut self.crew, halt);
            }
            _ => {
                self.dismiss(&place);
                let tasks = self.tasks.child();
                let worker = self.crew.appoint(cluster, halt, &tasks);
                self.posts.insert(place, Post { worker, tasks, terms, paused, halt });
            }
        }
    }

    fn is_ours(&self, cluster: &ManagedCluster) -> bool {
        let is_left = self.side == Side::Hub && cluster.metadata.deletion_timestamp.is_some();
        Side::of(cluster) == self.side && !is_left
    }

    fn terms(&self, cluster: &ManagedCluster) -> Terms {
        let limits = if self.side == Side::Hub { limits(cluster) } else { None };
        Terms { cluster_id: cluster.spec.cluster_id.clone(), limits }
    }

    fn dismiss(&mut self, place: &Place) {
        if let Some(post) = self.posts.remove(place) {
            post.tasks.cancel();
            self.crew.dismiss(post.worker);
        }
    }
}

impl<C: Crew> Drop for Roster<C> {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl<W> Post<W> {
    fn tell(&mut self, crew: &mut impl Crew<Worker = W>, halt: Option<Halt>) {
        if std::mem::replace(&mut self.halt, halt) != halt {
            crew.halt(&self.worker, halt);
        }
    }
}

/// What the owner says goes before what the parent's people say.
fn halt(frozen: bool, paused: bool) -> Option<Halt> {
    match (frozen, paused) {
        (true, _) => Some(Halt::Frozen),
        (false, true) => Some(Halt::Paused),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use api::clusters::{ManagedClusterSpec, ManagedClusterStatus, SyncMode};
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// Notes down what becomes of its workers, which are numbered.
    #[derive(Default)]
    struct Notes {
        said: Vec<String>,
        tasks: Vec<CancellationToken>,
    }

    impl Crew for Notes {
        type Worker = usize;

        fn appoint(&mut self, cluster: &ManagedCluster, halt: Option<Halt>, tasks: &Tasks) -> usize {
            self.tasks.push(tasks.token());
            let number = self.tasks.len();
            self.said.push(format!("{number} for {}, {halt:?}", cluster.name_any()));
            number
        }

        fn halt(&mut self, worker: &usize, halt: Option<Halt>) {
            self.said.push(format!("{worker} {halt:?}"));
        }

        fn dismiss(&mut self, worker: usize) {
            assert!(self.tasks[worker - 1].is_cancelled());
            self.said.push(format!("{worker} ends"));
        }
    }

    fn roster(side: Side) -> Roster<Notes> {
        Roster::new(side, &Tasks::new(), Notes::default())
    }

    fn cluster(name: &str, sync_mode: SyncMode) -> ManagedCluster {
        let cluster_id = format!("id of {name}");
        let mut cluster =
            ManagedCluster::new(name, ManagedClusterSpec { sync_mode, cluster_id, ..Default::default() });
        cluster.metadata.namespace = Some(format!("clusternet-{name}"));
        cluster
    }

    fn pushed(name: &str) -> ManagedCluster {
        cluster(name, SyncMode::Push)
    }

    fn pulled(name: &str) -> ManagedCluster {
        cluster(name, SyncMode::Pull)
    }

    fn paused(mut cluster: ManagedCluster) -> ManagedCluster {
        cluster.annotations_mut().insert(PAUSED.to_owned(), String::from("true"));
        cluster
    }

    fn limited(mut cluster: ManagedCluster, rate: f64) -> ManagedCluster {
        let kube_qps = Some(rate);
        cluster.status = Some(ManagedClusterStatus { kube_qps, ..ManagedClusterStatus::default() });
        cluster
    }

    impl Roster<Notes> {
        fn is(&mut self, cluster: ManagedCluster) {
            self.take(Ok(Event::Apply(cluster)));
        }

        fn list(&mut self, clusters: impl IntoIterator<Item = ManagedCluster>) {
            self.take(Ok(Event::Init));
            for cluster in clusters {
                self.take(Ok(Event::InitApply(cluster)));
            }
            self.take(Ok(Event::InitDone));
        }

        /// What was said since this was asked last.
        #[track_caller]
        fn said(&mut self, expected: &[&str]) {
            assert_eq!(std::mem::take(&mut self.crew.said), expected);
        }
    }

    #[test]
    fn each_side_works_for_its_own_clusters() {
        for (side, ours, theirs) in
            [(Side::Hub, SyncMode::Push, SyncMode::Pull), (Side::Agent, SyncMode::Pull, SyncMode::Push)]
        {
            let mut roster = roster(side);
            roster.list([cluster("a", ours), cluster("b", theirs)]);
            roster.said(&["1 for a, None"]);
            roster.is(cluster("a", theirs));
            roster.said(&["1 ends"]);
            roster.is(cluster("a", ours));
            roster.take(Ok(Event::Delete(cluster("a", ours))));
            roster.said(&["2 for a, None", "2 ends"]);
        }
    }

    #[test]
    fn only_the_hub_leaves_a_cluster_that_is_being_deleted() {
        for (side, mode, after) in
            [(Side::Hub, SyncMode::Push, &["1 ends"][..]), (Side::Agent, SyncMode::Pull, &[])]
        {
            let mut roster = roster(side);
            roster.is(cluster("a", mode));
            roster.said(&["1 for a, None"]);
            let mut leaving = cluster("a", mode);
            leaving.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
            roster.is(leaving);
            roster.said(after);
        }
    }

    #[test]
    fn what_a_list_does_not_show_any_more_is_gone_and_the_rest_goes_on() {
        let mut roster = roster(Side::Hub);
        roster.list([pushed("a"), pushed("b")]);
        roster.said(&["1 for a, None", "2 for b, None"]);
        roster.list([pushed("a")]);
        roster.said(&["2 ends"]);
        // One that has broken off says nothing of those it has not shown.
        roster.take(Ok(Event::Init));
        roster.take(Err(watcher::Error::NoResourceVersion));
        roster.list([pushed("a")]);
        roster.said(&[]);
    }

    #[test]
    fn another_id_and_for_the_hub_other_limits_mean_another_worker() {
        let mut hub = roster(Side::Hub);
        for rate in [50.0, 50.0, 10.0] {
            hub.is(limited(pushed("a"), rate));
        }
        hub.said(&["1 for a, None", "1 ends", "2 for a, None"]);
        let mut other = limited(pushed("a"), 10.0);
        other.spec.cluster_id = String::from("another");
        hub.is(other);
        hub.said(&["2 ends", "3 for a, None"]);

        let mut agent = roster(Side::Agent);
        for rate in [50.0, 10.0] {
            agent.is(limited(pulled("a"), rate));
        }
        agent.said(&["1 for a, None"]);
    }

    #[test]
    fn a_worker_is_told_once_what_halts_it() {
        let mut hub = roster(Side::Hub);
        for cluster in [pushed("a"), paused(pushed("a")), paused(pushed("a")), pushed("a")] {
            hub.is(cluster);
        }
        hub.said(&["1 for a, None", "1 Some(Paused)", "1 None"]);

        let mut agent = roster(Side::Agent);
        agent.freeze(true);
        agent.is(pulled("a"));
        agent.is(paused(pulled("a")));
        agent.said(&["1 for a, Some(Frozen)"]);
        agent.freeze(false);
        agent.freeze(false);
        agent.is(pulled("a"));
        agent.freeze(true);
        agent.said(&["1 Some(Paused)", "1 None", "1 Some(Frozen)"]);
    }

    #[test]
    fn with_the_roster_all_work_ends() {
        let tasks = Tasks::new();
        let mut roster = Roster::new(Side::Hub, &tasks, Notes::default());
        roster.list([pushed("a"), pushed("b")]);
        let begun = roster.crew.tasks.clone();
        assert!(begun.iter().all(|token| !token.is_cancelled()));
        drop(roster);
        assert!(begun.iter().all(CancellationToken::is_cancelled));
        assert!(!tasks.token().is_cancelled());
    }
}
