//! Events on requests and ManagedClusters. They tell people what happened; nothing depends on them.

use std::time::Duration;

use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::debug;

/// How long an Event may take; it is given up then.
const DEADLINE: Duration = Duration::from_secs(5);
/// The API server's limit for a note.
const LONGEST_NOTE: usize = 1000;

/// Publishes Events under the hub's name.
#[derive(Clone)]
pub(crate) struct Events(Recorder);

impl Events {
    pub(crate) fn new(client: Client) -> Self {
        Self(Recorder::new(client, Reporter::from("clusternet-hub")))
    }

    /// Something went as it should.
    pub(crate) async fn normal(&self, about: &impl Resource<DynamicType = ()>, reason: &str, note: &str) {
        self.publish(about, EventType::Normal, reason, note).await;
    }

    /// Somebody should look.
    pub(crate) async fn warning(&self, about: &impl Resource<DynamicType = ()>, reason: &str, note: &str) {
        self.publish(about, EventType::Warning, reason, note).await;
    }

    async fn publish(
        &self,
        about: &impl Resource<DynamicType = ()>,
        type_: EventType,
        reason: &str,
        note: &str,
    ) {
        let note = note.char_indices().take_while(|(at, _)| *at < LONGEST_NOTE).map(|(_, c)| c).collect();
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: "Registration".to_owned(),
            secondary: None,
        };
        let about = about.object_ref(&());
        match tokio::time::timeout(DEADLINE, self.0.publish(&event, &about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, reason, "event could not be published"),
            Err(_) => debug!(reason, "event could not be published in time"),
        }
    }
}
