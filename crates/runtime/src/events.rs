//! Events on Kubernetes objects. They tell people what happened; nothing depends on them.
//!
//! An Event that cannot be published is given up after some seconds; a repeated one is counted on the first.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tracing::debug;

/// How long an Event may take; it is given up then.
const DEADLINE: Duration = Duration::from_secs(5);
/// The API server's limit for a note.
const LONGEST_NOTE: usize = 1000;

/// Publishes Events under the name of one program, into the namespace of the object each is about (`default` for objects
/// without one). Needs `create` and `patch` on `events.events.k8s.io` there.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
    action: String,
}

/// The API server's limit for an action.
const LONGEST_ACTION: usize = 128;

impl Events {
    /// Publishes through `client` as `program`.
    pub fn new(client: Client, program: &str) -> Self {
        Self {
            recorder: Recorder::new(client, Reporter::from(program)),
            action: String::from("Registration"),
        }
    }

    /// The same for another action. Events about one object with the same reason and action are counted on the first of them,
    /// whose note stays: those that have something else to say are of another action.
    #[must_use]
    pub fn of_action(&self, action: &str) -> Self {
        Self { recorder: self.recorder.clone(), action: cut(action, LONGEST_ACTION) }
    }

    /// Something went as it should.
    pub async fn normal(&self, about: &impl Resource<DynamicType = ()>, reason: &str, note: &str) {
        self.publish(&about.object_ref(&()), EventType::Normal, reason, note).await;
    }

    /// Somebody should look.
    pub async fn warning(&self, about: &impl Resource<DynamicType = ()>, reason: &str, note: &str) {
        self.publish(&about.object_ref(&()), EventType::Warning, reason, note).await;
    }

    /// As [`Self::normal`], about an object that is only known by its reference.
    pub async fn normal_about(&self, about: &ObjectReference, reason: &str, note: &str) {
        self.publish(about, EventType::Normal, reason, note).await;
    }

    /// As [`Self::warning`], about an object that is only known by its reference.
    pub async fn warning_about(&self, about: &ObjectReference, reason: &str, note: &str) {
        self.publish(about, EventType::Warning, reason, note).await;
    }

    async fn publish(&self, about: &ObjectReference, type_: EventType, reason: &str, note: &str) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            note: Some(cut(note, LONGEST_NOTE)),
            action: self.action.clone(),
            secondary: None,
        };
        match tokio::time::timeout(DEADLINE, self.recorder.publish(&event, about)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, reason, "event could not be published"),
            Err(_) => debug!(reason, "event could not be published in time"),
        }
    }
}

/// The text, cut at a character to about so many bytes.
fn cut(text: &str, longest: usize) -> String {
    text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= longest).map(|(_, c)| c).collect()
}
