//! The parent's API server: the few writes, and Events.
//!
//! No answer is logged, and of a refusal nothing is repeated that could quote an object.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, header};
use k8s_openapi::api::core::v1::ObjectReference;
use kubeio::Transport;
pub(crate) use kubeio::Write;
use meta::Status;
use runtime::events::Events;
use tokio::sync::Semaphore;

/// The largest object that is read; etcd allows 1.5 MiB.
const LARGEST: usize = 4 << 20;
/// Requests in flight, of all workers together.
const IN_FLIGHT: usize = 32;
/// What is passed on of the words of RBAC.
const WORDS: usize = 400;

/// The parent as the controllers see it.
pub(crate) trait Parent: Send + Sync + 'static {
    /// Writes; the object as it is then, empty after a deletion.
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Bytes, Refusal>>;

    /// The object at a path; nothing if there is none.
    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, Refusal>>;

    /// Tells people. It never fails: nothing depends on it.
    fn tell<'a>(&'a self, about: &'a ObjectReference, note: &'a Note) -> BoxFuture<'a, ()>;
}

/// An Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// Whether somebody should look.
    pub(crate) warning: bool,
    pub(crate) reason: String,
    pub(crate) text: String,
}

/// Why something was not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Somebody else was faster, or it is gone: what happened is about to be seen.
    #[error("somebody else was faster")]
    Raced,
    /// It is refused, and would be again. A sentence for people.
    #[error("{0}")]
    Refused(String),
    /// It may work later.
    #[error("{0}")]
    Later(String),
}

/// The real parent.
pub(crate) struct KubeParent {
    transport: Arc<dyn Transport>,
    events: Events,
    in_flight: Semaphore,
}

impl KubeParent {
    pub(crate) fn new(transport: Arc<dyn Transport>, events: Events) -> Self {
        Self { transport, events, in_flight: Semaphore::new(IN_FLIGHT) }
    }

    async fn call(
        &self,
        request: Result<Request<Bytes>, http::Error>,
    ) -> Result<Result<Bytes, Status>, Refusal> {
        let request = request.map_err(|error| Refusal::Later(error.to_string()))?;
        // It is never closed.
        let _permit = self.in_flight.acquire().await;
        let answer = kubeio::call(&*self.transport, request, LARGEST).await;
        answer.map_err(|error| Refusal::Later(error.to_string()))
    }
}

impl Parent for KubeParent {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Bytes, Refusal>> {
        Box::pin(async move {
            let deletes = matches!(write, Write::Delete(..));
            match self.call(write.request(api::names::HUB_FIELD_MANAGER)).await? {
                Ok(_) if deletes => Ok(Bytes::new()),
                Ok(body) => Ok(body),
                Err(status) if deletes && status.code == 404 => Ok(Bytes::new()),
                Err(status) => Err(refused(&status)),
            }
        })
    }

    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, Refusal>> {
        Box::pin(async move {
            let request = Request::get(path).header(header::ACCEPT, "application/json").body(Bytes::new());
            match self.call(request).await? {
                Ok(body) => Ok(Some(body)),
                Err(status) if status.code == 404 => Ok(None),
                Err(status) => Err(refused(&status)),
            }
        })
    }

    fn tell<'a>(&'a self, about: &'a ObjectReference, note: &'a Note) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if note.warning {
                self.events.warning_about(about, &note.reason, &note.text).await;
            } else {
                self.events.normal_about(about, &note.reason, &note.text).await;
            }
        })
    }
}

/// What a refusal means. Kubernetes quotes what it refuses, so only the words of RBAC are passed on.
fn refused(status: &Status) -> Refusal {
    match status.code {
        404 | 409 => Refusal::Raced,
        403 => Refusal::Refused(match status.message.split_once(" is forbidden: User ") {
            Some((_, who)) if who.contains(" cannot ") => {
                format!("the parent forbids it: User {}", who.chars().take(WORDS).collect::<String>())
            }
            _ => String::from("the parent forbids it (403)"),
        }),
        400 | 413 | 422 => Refusal::Refused(format!("the parent does not accept it ({})", status.code)),
        code => Refusal::Later(format!("the parent answered {code} {}", status.reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_refusal_only_the_words_of_rbac_are_passed_on() {
        let told = |status: Status| refused(&status).to_string();
        let rbac = "bases.x \"a\" is forbidden: User \"hub\" cannot create resource \"bases\"";
        assert!(told(Status::forbidden(rbac)).ends_with("User \"hub\" cannot create resource \"bases\""));
        for status in [Status::forbidden("hunter2"), Status::invalid("spec.raw: Invalid value: hunter2")] {
            assert!(!told(status).contains("hunter2"));
        }
        assert_eq!(refused(&Status::conflict("newer")), Refusal::Raced);
    }
}
