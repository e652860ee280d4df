//! Whatever a cluster does to its follower, the follower knows in the end what the cluster has.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;
use crate::{
    Resource,
    fake::{Answer, Asked, Fake, event, ok, page, pod, refused},
};

/// What a cluster does when it is asked something, beside answering.
#[derive(Debug, Clone)]
struct Turn {
    /// First so many of the changes happen.
    changes: usize,
    /// Then it forgets what was before the newest so many.
    remembers: usize,
    fault: Fault,
}

#[derive(Debug, Clone)]
enum Fault {
    None,
    Refuses(u16),
    /// Breaks off after so many bytes.
    Cuts(usize),
    /// Says nothing more after so many bytes.
    Stalls(usize),
}

/// A cluster with pods named by numbers. The n-th change has resource version n.
struct Cluster {
    /// Which pod is changed, and whether it is there afterwards.
    history: Vec<(u8, bool)>,
    now: usize,
    oldest: usize,
    turns: Vec<Turn>,
}

impl Cluster {
    /// The pods at a place in the history, with the places of their last changes.
    fn state(&self, at: usize) -> BTreeMap<u8, usize> {
        let mut state = BTreeMap::new();
        for (index, (pod, there)) in self.history[..at].iter().enumerate() {
            if *there {
                state.insert(*pod, index + 1);
            } else {
                state.remove(pod);
            }
        }
        state
    }

    fn answer(&mut self, asked: &Asked) -> Answer {
        let turn = self.turns.pop().unwrap_or(Turn {
            changes: usize::MAX,
            remembers: usize::MAX,
            fault: Fault::None,
        });
        self.now = self.now.saturating_add(turn.changes).min(self.history.len());
        self.oldest = self.oldest.max(self.now.saturating_sub(turn.remembers));
        let part = |name: &str| {
            asked.path.split(['?', '&']).find_map(|part| part.strip_prefix(name)).map(str::to_owned)
        };
        let answer = match part("resourceVersion=") {
            Some(place) => self.watch(place.parse().unwrap()),
            None => self.list(part("limit=").is_some(), part("continue=").as_deref()),
        };
        match (turn.fault, answer) {
            (Fault::Refuses(status), _) => refused(status),
            (_, None) => refused(410),
            (Fault::None, Some(body)) if part("watch=").is_some() && self.turns.is_empty() => {
                ok(body).stalls()
            }
            (Fault::None, Some(body)) => ok(body),
            (Fault::Cuts(after), Some(body)) => ok(body[..after.min(body.len())].to_owned()).breaks(),
            (Fault::Stalls(after), Some(body)) => ok(body[..after.min(body.len())].to_owned()).stalls(),
        }
    }

    /// A page of two pods, or all of them.
    fn list(&self, paged: bool, token: Option<&str>) -> Option<String> {
        let (at, skip) = match token.and_then(|token| token.split_once('-')) {
            Some((at, skip)) => (at.parse().unwrap(), skip.parse().unwrap()),
            None => (self.now, 0),
        };
        if at < self.oldest {
            return None;
        }
        let size = if paged { 2 } else { usize::MAX };
        let pods: Vec<String> = self
            .state(at)
            .into_iter()
            .map(|(name, version)| pod(&name.to_string(), version as u64))
            .collect();
        let rest: Vec<&str> = pods.iter().skip(skip).take(size).map(String::as_str).collect();
        let more = skip.saturating_add(size) < pods.len();
        let token = if more { format!("{at}-{}", skip + size) } else { String::new() };
        Some(page(&at.to_string(), &token, &rest))
    }

    fn watch(&self, place: usize) -> Option<String> {
        if place < self.oldest {
            return None;
        }
        let mut body = String::new();
        for index in place..self.now {
            let (name, there) = self.history[index];
            let kind = if there { "MODIFIED" } else { "DELETED" };
            body += &event(kind, &pod(&name.to_string(), index as u64 + 1));
        }
        let bookmark = format!(r#"{{"metadata":{{"resourceVersion":"{}"}}}}"#, self.now);
        Some(body + &event("BOOKMARK", &bookmark))
    }
}

/// What a store makes of the steps.
#[derive(Default)]
struct Copy {
    pods: BTreeMap<u8, usize>,
    seen: BTreeSet<u8>,
    place: Option<String>,
}

impl Copy {
    fn take(&mut self, step: Step) {
        let numbers =
            |pod: &RawObject| (pod.key.name.parse().unwrap(), pod.key.resource_version.parse().unwrap());
        match step {
            Step::ListBegan => self.seen.clear(),
            Step::Listed(pod) => {
                let (name, version) = numbers(&pod);
                self.seen.insert(name);
                self.pods.insert(name, version);
            }
            Step::ListDone { resource_version } => {
                self.pods.retain(|name, _| self.seen.contains(name));
                self.place = Some(resource_version);
            }
            Step::Changed(pod) => {
                let (name, version) = numbers(&pod);
                self.pods.insert(name, version);
                self.place = Some(pod.key.resource_version);
            }
            Step::Deleted(pod) => {
                self.pods.remove(&numbers(&pod).0);
                self.place = Some(pod.key.resource_version);
            }
            Step::Bookmark { resource_version } => self.place = Some(resource_version),
            Step::Unreadable(error) => panic!("{error}"),
            Step::Failed { .. } => {}
        }
    }
}

fn turn() -> impl Strategy<Value = Turn> {
    let fault = prop_oneof![
        4 => Just(Fault::None),
        1 => prop::sample::select(vec![401, 403, 404, 410, 429, 500, 503]).prop_map(Fault::Refuses),
        2 => (0..600_usize).prop_map(Fault::Cuts),
        1 => (0..600_usize).prop_map(Fault::Stalls),
    ];
    (0..6_usize, prop_oneof![0..3_usize, Just(1_000)], fault).prop_map(|(changes, remembers, fault)| Turn {
        changes,
        remembers,
        fault,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_the_end_the_copy_is_what_the_cluster_has(
        history in prop::collection::vec((0..8_u8, any::<bool>()), 1..60),
        turns in prop::collection::vec(turn(), 0..30),
        restarts in prop::collection::vec(1..30_usize, 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let newest = history.len();
        let cluster = Cluster { history, now: 0, oldest: 0, turns };
        let expected = cluster.state(newest);
        let cluster = Mutex::new(cluster);
        let fake = Fake::new(move |asked| cluster.lock().answer(asked));
        let mut copy = Copy::default();
        runtime.block_on(async {
            let follower = |resume: Option<String>| {
                let selection = Selection::all(Resource::new("", "v1", "pods"));
                Follower::new(fake.clone(), FollowRequest { resume, ..FollowRequest::new(selection, "Pod") })
            };
            // A process that is killed begins again from the last place it stored.
            for steps in restarts {
                let mut following = follower(copy.place.clone());
                for _ in 0..steps {
                    if let Ok(step) = tokio::time::timeout(Duration::from_secs(900), following.next()).await {
                        copy.take(step);
                    }
                }
            }
            let mut following = follower(copy.place.clone());
            while copy.place != Some(newest.to_string()) {
                copy.take(following.next().await);
            }
        });
        prop_assert_eq!(copy.pods, expected);
    }
}
