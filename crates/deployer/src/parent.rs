//! The parent's side of one cluster: the status and the finalizer of its Descriptions, and Events about them.

use std::sync::Arc;

use api::{
    apps::{Description, DescriptionStatus},
    names::apps::finalizers,
};
use futures_util::future::BoxFuture;
use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api, Client, ResourceExt as _,
    api::{Patch, PatchParams},
};
use runtime::events::Events;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::contents::Contents;

/// Why something was not written in the parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotWritten {
    /// It was not as it was thought to be: look again.
    Raced,
    /// It is gone.
    Gone,
    /// It may work later.
    Later(String),
}

/// An Event about a Description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) warning: bool,
    pub(crate) reason: &'static str,
    /// What was done, to what. A repetition of it is only counted.
    pub(crate) action: String,
    pub(crate) note: String,
}

/// The parent as the deployer of one cluster sees it. A write succeeds only if the Description still is as it was given.
pub(crate) trait Parent: Send + Sync {
    /// Whether the Description still is there, and is not being deleted.
    fn confirm<'a>(&'a self, description: &'a Description) -> BoxFuture<'a, Result<(), NotWritten>>;

    /// Writes the status, and returns the Description as it is then.
    fn write_status<'a>(
        &'a self,
        description: &'a Description,
        status: &'a DescriptionStatus,
    ) -> BoxFuture<'a, Result<Description, NotWritten>>;

    /// Sets or takes away our finalizer, and returns the Description as it is then.
    fn set_finalizer<'a>(
        &'a self,
        description: &'a Description,
        wanted: bool,
    ) -> BoxFuture<'a, Result<Description, NotWritten>>;

    /// The object in a Content; nothing if it cannot be read.
    fn content<'a>(&'a self, namespace: &'a str, name: &'a str) -> BoxFuture<'a, Option<ByteString>>;

    /// Tells people.
    fn tell<'a>(&'a self, description: &'a Description, told: Told) -> BoxFuture<'a, ()>;
}

/// The real parent.
pub(crate) struct KubeParent {
    descriptions: Api<Description>,
    contents: Contents,
    events: Events,
    /// Shared by all clusters: each request at a time needs a connection of its own.
    permits: Arc<Semaphore>,
}

/// Requests to the parent at a time, for all clusters together.
pub(crate) const IN_FLIGHT: usize = 32;

impl KubeParent {
    /// The Descriptions of `namespace`; Events bear the name of `program`. With one of `permits` for each request.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        program: &str,
        contents: Contents,
        permits: Arc<Semaphore>,
    ) -> Self {
        let events = Events::new(client.clone(), program);
        Self { descriptions: Api::namespaced(client, namespace), contents, events, permits }
    }

    /// One of the permits; nothing ever closes them.
    async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }
}

/// Whether a Description has our finalizer.
pub(crate) fn has_finalizer(description: &Description) -> bool {
    description.finalizers().iter().any(|finalizer| finalizer == finalizers::APPS)
}

impl Parent for KubeParent {
    fn confirm<'a>(&'a self, description: &'a Description) -> BoxFuture<'a, Result<(), NotWritten>> {
        Box::pin(async move {
            let _permit = self.permit().await;
            let now = self.descriptions.get_metadata(&description.name_any()).await;
            confirmed(description, &now.map_err(|error| refused(&error))?.metadata)
        })
    }

    fn write_status<'a>(
        &'a self,
        description: &'a Description,
        status: &'a DescriptionStatus,
    ) -> BoxFuture<'a, Result<Description, NotWritten>> {
        Box::pin(async move {
            let patch = json!({
                "metadata": { "uid": description.uid(), "resourceVersion": description.resource_version() },
                "status": whole(status),
            });
            let (name, options) = (description.name_any(), PatchParams::default());
            let _permit = self.permit().await;
            self.descriptions
                .patch_status(&name, &options, &Patch::Merge(&patch))
                .await
                .map_err(|error| refused(&error))
        })
    }

    fn set_finalizer<'a>(
        &'a self,
        description: &'a Description,
        wanted: bool,
    ) -> BoxFuture<'a, Result<Description, NotWritten>> {
        Box::pin(async move {
            let others = description.finalizers().iter().filter(|finalizer| *finalizer != finalizers::APPS);
            let mut all: Vec<&str> = others.map(String::as_str).collect();
            if wanted {
                all.push(finalizers::APPS);
            }
            let metadata = json!({
                "uid": description.uid(), "resourceVersion": description.resource_version(), "finalizers": all,
            });
            let (name, options) = (description.name_any(), PatchParams::default());
            let patch = json!({ "metadata": metadata });
            let _permit = self.permit().await;
            self.descriptions
                .patch(&name, &options, &Patch::Merge(&patch))
                .await
                .map_err(|error| refused(&error))
        })
    }

    fn content<'a>(&'a self, namespace: &'a str, name: &'a str) -> BoxFuture<'a, Option<ByteString>> {
        Box::pin(async move {
            let _permit = self.permit().await;
            self.contents.get(namespace, name).await
        })
    }

    fn tell<'a>(&'a self, description: &'a Description, told: Told) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let _permit = self.permit().await;
            let events = self.events.of_action(&told.action);
            if told.warning {
                events.warning(description, told.reason, &told.note).await;
            } else {
                events.normal(description, told.reason, &told.note).await;
            }
        })
    }
}

/// Whether a Description that was as `before` is there and wanted, if its metadata is `now`.
pub(crate) fn confirmed(before: &Description, now: &ObjectMeta) -> Result<(), NotWritten> {
    if before.metadata.uid != now.uid {
        Err(NotWritten::Gone)
    } else if now.deletion_timestamp.is_some() {
        Err(NotWritten::Raced)
    } else {
        Ok(())
    }
}

/// The status for a merge patch: what is not set is taken away.
fn whole(status: &DescriptionStatus) -> Value {
    let mut value = json!(status);
    for field in ["phase", "reason", "manifestStatuses", "conditions"] {
        if value.get(field).is_none() {
            value[field] = Value::Null;
        }
    }
    value
}

fn refused(error: &kube::Error) -> NotWritten {
    match error {
        kube::Error::Api(status) if status.code == 409 => NotWritten::Raced,
        kube::Error::Api(status) if status.code == 404 => NotWritten::Gone,
        // The status quotes what it refuses.
        kube::Error::Api(status) => {
            NotWritten::Later(format!("the parent answered {} {}", status.code, status.reason))
        }
        other => NotWritten::Later(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_status_does_not_have_any_more_is_taken_away() {
        let value = whole(&DescriptionStatus { reason: Some("no".into()), ..DescriptionStatus::default() });
        assert_eq!(
            value,
            json!({ "phase": null, "reason": "no", "manifestStatuses": null, "conditions": null })
        );
    }
}
