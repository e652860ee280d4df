//! Who works for which cluster: the agent for its own, the hub for those it pushes to.
//!
//! ```text
//! ManagedClusters ─► roster (who has to have a worker, and what halts it) ─► Crew: appoint, halt, dismiss
//! ```
//!
//! Agent and hub decide by the same rule, from the same object ([`Side`]). What the workers do is up to whoever has a [`Crew`].
//! The agent works on until its ManagedCluster is gone, the hub until it is being deleted.
//!
//! * [`follow_pushed`] follows all ManagedClusters, for the hub. It has a term wherever `runtime::lease` says that it leads.
//! * [`follow_own`] follows the agent's own. It has a term [`while_registered`].
//! * [`way`] is the hub's way into a cluster that it works for.

mod roster;
mod way;

use api::clusters::{ManagedCluster, Side};
use futures_util::StreamExt as _;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher},
};
use runtime::{Tasks, watch::readable};
use tokio::sync::watch;

use self::roster::Roster;
pub use self::way::way;

/// Seconds a watch of the hub lasts: less than the idle time-outs of load balancers.
pub const HUB_WATCH: u32 = 240;
/// Seconds a watch of the agent lasts: its connections are given up after a minute without a word.
pub const AGENT_WATCH: u32 = 50;

/// Those who work for clusters, each for one. When following ends, by an error or because it is dropped, the tasks of all of
/// them end, and the crew is dropped without another word.
pub trait Crew: Send {
    /// What is kept of somebody who works for a cluster.
    type Worker: Send;

    /// Has somebody begin to work for a cluster, in `tasks`, which end with that. Nothing is changed in the cluster as long as
    /// there is a reason to `halt`.
    fn appoint(&mut self, cluster: &ManagedCluster, halt: Option<Halt>, tasks: &Tasks) -> Self::Worker;

    /// Tells a worker that there is another reason to halt now, or none any more.
    fn halt(&mut self, worker: &Self::Worker, halt: Option<Halt>);

    /// Nobody, or somebody else, works for the cluster from now on. The tasks have been told to end.
    fn dismiss(&mut self, worker: Self::Worker);
}

/// Why nothing is changed in a cluster at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// Its owner has frozen it. Of that only the agent knows; whatever the hub asks meanwhile the agent refuses.
    Frozen,
    /// The parent's people have paused it, by an annotation of its ManagedCluster.
    Paused,
}

/// Where the agent's cluster is registered.
#[derive(Clone)]
pub struct Registration {
    /// The parent, as the child's account there.
    pub parent: Client,
    /// The dedicated namespace.
    pub namespace: String,
    /// The ManagedCluster there.
    pub name: String,
}

/// Does the agent's work while its cluster is registered: `begin` gets a group of tasks for each term. A term ends when there
/// is another registration or none, also if only the credential for the parent is another.
pub fn while_registered<B>(
    tasks: &Tasks,
    work: &'static str,
    mut registration: watch::Receiver<Option<Registration>>,
    mut begin: B,
) where
    B: FnMut(&Tasks, &Registration) + Send + 'static,
{
    let group = tasks.clone();
    tasks.spawn(work, async move {
        loop {
            let Ok(Some(found)) = registration.wait_for(Option::is_some).await.map(|found| found.clone())
            else {
                return;
            };
            let term = group.child();
            begin(&term, &found);
            let ended = registration.changed().await.is_err();
            term.cancel();
            if ended {
                return;
            }
        }
    });
}

/// Has `crew` work for all clusters that the hub pushes to. A worker's tasks are in `tasks`. Another takes over where the
/// cluster gets another id, or other limits.
///
/// # Errors
/// When the watch of the ManagedClusters ends, which it does not by itself.
pub async fn follow_pushed(client: Client, tasks: Tasks, crew: impl Crew) -> anyhow::Result<()> {
    let config = watcher::Config::default().timeout(HUB_WATCH);
    // One ManagedCluster that cannot be read does not keep all others from being worked for.
    let events = readable::<ManagedCluster>(Api::all(client), config).default_backoff();
    let mut events = std::pin::pin!(events);
    let mut roster = Roster::new(Side::Hub, &tasks, crew);
    while let Some(event) = events.next().await {
        roster.take(event);
    }
    anyhow::bail!("the watch of ManagedClusters ended")
}

/// Has `crew` work for the agent's own cluster while its ManagedCluster says that the agent does. A worker's tasks are in `tasks`.
/// `frozen` is whether the cluster's owner has frozen it.
///
/// # Errors
/// When the watch of the ManagedCluster ends, which it does not by itself, or nobody knows any more whether it is frozen.
pub async fn follow_own(
    registration: Registration,
    mut frozen: watch::Receiver<bool>,
    tasks: Tasks,
    crew: impl Crew,
) -> anyhow::Result<()> {
    let clusters: Api<ManagedCluster> = Api::namespaced(registration.parent, &registration.namespace);
    let own = format!("metadata.name={}", registration.name);
    let config = watcher::Config::default().timeout(AGENT_WATCH).fields(&own);
    let mut events = std::pin::pin!(watcher::watcher(clusters, config).default_backoff());
    let mut roster = Roster::new(Side::Agent, &tasks, crew);
    roster.freeze(*frozen.borrow_and_update());
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(event) => roster.take(event),
                None => anyhow::bail!("the watch of the ManagedCluster ended"),
            },
            changed = frozen.changed() => {
                changed?;
                roster.freeze(*frozen.borrow_and_update());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use api::clusters::{ManagedClusterSpec, SyncMode};
    use http::Response;
    use kube::{ResourceExt as _, client::Body};
    use serde_json::{Value, json};
    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    /// A parent that has these ManagedClusters and tells of no change. It says which watches it was asked for.
    fn parent(items: Vec<Value>) -> (Client, mpsc::Receiver<String>) {
        let (asked, watches) = mpsc::channel(4);
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let is_watch = query.contains("watch=true");
            if is_watch {
                asked.try_send(query).expect("there is room");
            }
            let list = json!({
                "apiVersion": "clusters.clusternet.io/v1beta1",
                "kind": "ManagedClusterList",
                "metadata": { "resourceVersion": "1" },
                "items": items,
            });
            async move {
                if is_watch {
                    std::future::pending::<()>().await;
                }
                Ok::<_, std::convert::Infallible>(Response::new(Body::from(list.to_string().into_bytes())))
            }
        });
        (Client::new(service, "default"), watches)
    }

    fn registration(parent: Client, name: &str) -> Registration {
        Registration { parent, namespace: String::from("dedicated"), name: name.to_owned() }
    }

    fn cluster(name: &str, sync_mode: SyncMode) -> Value {
        let spec = ManagedClusterSpec { sync_mode, cluster_id: name.to_owned(), ..Default::default() };
        let mut cluster = ManagedCluster::new(name, spec);
        cluster.metadata.namespace = Some(String::from("dedicated"));
        serde_json::to_value(cluster).unwrap()
    }

    /// Passes on what it is told.
    struct Told(mpsc::Sender<(String, Option<Halt>)>);

    impl Crew for Told {
        type Worker = String;

        fn appoint(&mut self, cluster: &ManagedCluster, halt: Option<Halt>, _: &Tasks) -> String {
            self.halt(&cluster.name_any(), halt);
            cluster.name_any()
        }

        fn halt(&mut self, worker: &String, halt: Option<Halt>) {
            self.0.try_send((worker.clone(), halt)).expect("there is room");
        }

        fn dismiss(&mut self, _: String) {}
    }

    async fn next<T>(receiver: &mut mpsc::Receiver<T>) -> T {
        timeout(Duration::from_secs(5), receiver.recv()).await.expect("in time").expect("not closed")
    }

    #[tokio::test]
    async fn the_hub_works_for_all_it_pushes_to_and_can_read() {
        let broken = json!({ "metadata": { "name": "broken", "namespace": "dedicated" }, "spec": 7 });
        let items = vec![broken, cluster("pulls", SyncMode::Pull), cluster("pushed", SyncMode::Push)];
        let (client, mut watches) = parent(items);
        let tasks = Tasks::new();
        let (told, mut said) = mpsc::channel(4);
        let following = follow_pushed(client, tasks.clone(), Told(told));
        tasks.spawn("hub", async move { following.await.unwrap() });
        assert_eq!(next(&mut said).await, (String::from("pushed"), None));
        assert!(next(&mut watches).await.contains("timeoutSeconds=240"));
        assert!(said.is_empty());
        tasks.cancel();
    }

    #[tokio::test]
    async fn the_agent_works_for_its_own_and_hears_when_it_thaws() {
        let (client, mut watches) = parent(vec![cluster("own", SyncMode::Pull)]);
        let tasks = Tasks::new();
        let (told, mut said) = mpsc::channel(4);
        let (freeze, frozen) = watch::channel(true);
        let following = follow_own(registration(client, "own"), frozen, tasks.clone(), Told(told));
        tasks.spawn("agent", async move { following.await.unwrap() });
        assert_eq!(next(&mut said).await, (String::from("own"), Some(Halt::Frozen)));
        let watch = next(&mut watches).await;
        assert!(watch.contains("timeoutSeconds=50") && watch.contains("metadata.name%3Down"), "{watch}");
        freeze.send_replace(false);
        assert_eq!(next(&mut said).await, (String::from("own"), None));
        tasks.cancel();
    }

    #[tokio::test]
    async fn a_term_begins_with_each_registration_and_ends_with_it() {
        let tasks = Tasks::new();
        let (sender, registered) = watch::channel(None);
        let (begun, mut terms) = mpsc::channel(4);
        while_registered(&tasks, "test", registered, move |term, found| {
            begun.try_send((term.clone(), found.name.clone())).expect("there is room");
        });
        let mut last: Option<Tasks> = None;
        for name in ["first", "second"] {
            sender.send_replace(Some(registration(parent(Vec::new()).0, name)));
            let (term, of) = next(&mut terms).await;
            assert_eq!(of, name);
            assert!(!term.token().is_cancelled());
            assert!(last.replace(term).is_none_or(|before| before.token().is_cancelled()));
        }
        sender.send_replace(None);
        let term = last.expect("there was one");
        timeout(Duration::from_secs(5), term.token().cancelled()).await.expect("the term ends");
        assert!(terms.is_empty(), "without a registration nothing begins");
    }
}
