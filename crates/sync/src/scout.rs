//! What a cluster has, kept in step: asked for at first, whenever a CRD or an APIService changes or the way there has
//! opened, and now and then.

use std::{sync::Arc, time::Duration};

use kubeio::{Discovered, FollowRequest, Follower, Resource, Selection, Step, Transport};
use runtime::{Backoff, CancellationToken};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, sleep_until},
};

use crate::report::{Board, Running};

/// Changes wait for others for so long: an operator brings a dozen CRDs.
const SETTLES: Duration = Duration::from_millis(1500);
/// Something may change without a word: an upgrade, or what we may not watch.
const ANYWAY: Duration = Duration::from_secs(300);

/// What a cluster has, and when it said so.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) discovered: Arc<Discovered>,
    pub(crate) at: Instant,
}

/// Keeps `found` in step for ever. `again` asks for another look.
pub(crate) async fn keep_looking(
    transport: &Arc<dyn Transport>,
    board: &Board,
    found: &watch::Sender<Option<Found>>,
    again: &Notify,
    ends: &CancellationToken,
) {
    let mut changes = definitions_and_services(transport);
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    loop {
        let (asked, opened) = (Instant::now(), transport.opened());
        let next = match kubeio::discover(&**transport).await {
            Ok(discovered) => {
                backoff.reset();
                board.tell(|report| report.outdated = None);
                found.send_replace(Some(Found { discovered: Arc::new(discovered), at: asked }));
                asked + ANYWAY
            }
            Err(error) => {
                // What is known stays known. Who has never answered has not begun.
                let begun = found.borrow().is_some();
                board.tell(|report| {
                    if begun {
                        report.outdated = Some(error.to_string());
                    } else {
                        report.running = Running::Failed(error.to_string());
                    }
                });
                Instant::now() + backoff.next()
            }
        };
        let [definitions, services] = &mut changes;
        tokio::select! {
            () = ends.cancelled() => return,
            () = sleep_until(next) => {}
            () = again.notified() => {}
            // The watches may have a long wait before them.
            () = opened => changes = definitions_and_services(transport),
            () = changed(definitions) => sleep(SETTLES).await,
            () = changed(services) => sleep(SETTLES).await,
        }
    }
}

/// What says that there is something else to be found: the definitions of custom resources, and the servers of others.
fn definitions_and_services(transport: &Arc<dyn Transport>) -> [Follower; 2] {
    let definitions = ("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition");
    let services = ("apiregistration.k8s.io", "apiservices", "APIService");
    [definitions, services].map(|(group, plural, kind)| {
        let selection = Selection::all(Resource::new(group, "v1", plural));
        Follower::new(Arc::clone(transport), FollowRequest::new(selection, kind))
    })
}

/// Comes back when something has changed since it was asked last.
async fn changed(follower: &mut Follower) {
    loop {
        if let Step::ListDone { .. } | Step::Changed(_) | Step::Deleted(_) = follower.next().await {
            return;
        }
    }
}
