//! Who has the store, and when.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use runtime::{Tasks, lease::Leadership, metrics::Metrics};
use store::Error;
use tokio::sync::watch;

use super::{open, until};
use crate::{Open, Sharing, Stores, keep};

/// A process that may have the store in a directory, and its election.
struct Process {
    tasks: Tasks,
    stores: Stores,
    metrics: Metrics,
    /// Whether the Lease is there to be had.
    electable: watch::Sender<bool>,
    candidacies: Arc<AtomicUsize>,
}

impl Process {
    fn new(sharing: Sharing, open: Open) -> Self {
        let (tasks, metrics) = (Tasks::new(), Metrics::default());
        let (electable, candidacies) = (watch::Sender::new(false), Arc::new(AtomicUsize::new(0)));
        let elect = {
            let (electable, candidacies) = (electable.clone(), candidacies.clone());
            Box::new(move |group: &Tasks| {
                candidacies.fetch_add(1, Ordering::SeqCst);
                let (leadership, known) = watch::channel(Leadership::default());
                let mut electable = electable.subscribe();
                group.spawn("election", async move {
                    loop {
                        let held = *electable.borrow_and_update();
                        leadership.send_replace(Leadership { held, epoch: 1 });
                        if electable.changed().await.is_err() {
                            return;
                        }
                    }
                });
                known
            })
        };
        let stores = keep(&tasks, sharing, elect, open, &metrics);
        Self { tasks, stores, metrics, electable, candidacies }
    }

    fn with_file(directory: &std::path::Path) -> Self {
        let directory = PathBuf::from(directory);
        Self::new(
            Sharing::OneProcess,
            Box::new(move || {
                let directory = directory.clone();
                Box::pin(async move { open(&directory).await })
            }),
        )
    }

    fn searches(&self) -> bool {
        self.stores.searched.borrow().is_some()
    }

    fn writes(&self) -> bool {
        self.stores.written.borrow().is_some()
    }

    fn shows(&self, metric: &str) -> bool {
        self.metrics.encode().contains(metric)
    }

    async fn end(self) {
        assert!(self.tasks.shutdown(Duration::from_secs(10)).await.is_none());
    }
}

#[tokio::test]
async fn a_file_goes_with_the_lease_from_one_process_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (Process::with_file(directory.path()), Process::with_file(directory.path()));
    first.electable.send_replace(true);
    until("the first opens it", async || first.searches() && first.writes()).await;
    assert!(first.shows("clusterway_store_open 1") && first.shows("clusterway_store_writes 1"));
    assert!(!second.searches() && second.shows("clusterway_store_open 0"));
    // The second has the Lease, and the first, which was stopped for a while, does not know.
    second.electable.send_replace(true);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(first.searches() && !second.searches());
    first.electable.send_replace(false);
    until("the first notices", async || !first.searches() && !first.writes()).await;
    assert!(!second.searches(), "answers under way still read the file");
    until("the second opens it", async || second.searches() && second.writes()).await;
    assert!(first.shows("clusterway_store_open 0"));
    first.end().await;
    second.end().await;
}

#[tokio::test]
async fn a_process_that_ends_leaves_the_file_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let first = Process::with_file(directory.path());
    first.electable.send_replace(true);
    until("the first opens it", async || first.searches()).await;
    let searched = first.stores.searched.clone();
    first.end().await;
    assert!(searched.borrow().is_none());
    let second = Process::with_file(directory.path());
    second.electable.send_replace(true);
    until("the second opens it", async || second.searches()).await;
    second.end().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_open_the_store_gives_the_lease_up_and_tries_again() {
    let directory = tempfile::tempdir().unwrap();
    let (tries, path) = (Arc::new(AtomicUsize::new(0)), directory.path().to_owned());
    let process = Process::new(Sharing::OneProcess, {
        let tries = tries.clone();
        Box::new(move || {
            let (path, number) = (path.clone(), tries.fetch_add(1, Ordering::SeqCst));
            Box::pin(async move {
                if number < 2 { Err(Error::Corrupt(String::from("a disk"))) } else { open(&path).await }
            })
        })
    });
    process.electable.send_replace(true);
    until("it opens", async || process.searches()).await;
    assert_eq!(process.candidacies.load(Ordering::SeqCst), 3);
    assert!(process.shows("clusterway_store_open_failures_total 2"));
    process.end().await;
}

#[tokio::test]
async fn a_database_server_is_everybodys_and_one_replica_writes() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await.unwrap();
    let process = || {
        let store = store.clone();
        let open: Open = Box::new(move || {
            let store = store.clone();
            Box::pin(async move { Ok(store) })
        });
        Process::new(Sharing::EveryReplica, open)
    };
    let (first, second) = (process(), process());
    until("both search", async || first.searches() && second.searches()).await;
    assert!(!first.writes() && !second.writes());
    first.electable.send_replace(true);
    until("the first writes", async || first.writes()).await;
    assert!(!second.writes());
    first.electable.send_replace(false);
    second.electable.send_replace(true);
    until("the second writes", async || second.writes() && !first.writes()).await;
    assert!(first.searches());
    first.end().await;
    second.end().await;
}
