//! Contents: large objects, stored once however many clusters get them.

#![expect(unreachable_pub, reason = "the schema derive repeats the type inside a private module")]

use k8s_openapi::ByteString;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// An object as clusters get it, after overrides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "apps.clusterway.io",
    version = "v1alpha1",
    kind = "Content",
    plural = "contents",
    category = "clusternet",
    namespaced,
    doc = "A Content is a large object as clusters get it, after overrides. Descriptions refer to it, so that it is stored once \
           and not with every change of their status. Its name is drawn by lot: the clusters may get Contents and not list \
           them, so each can read those that its Descriptions name. The hub makes Contents, and deletes those that no \
           Description has referred to for some minutes.",
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp","description":"The time since the Content was made"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct ContentSpec {
    /// The object, JSON in base64. It never changes.
    #[x_kube(validation = Rule::new("self == oldSelf").message("a Content is immutable; make another one"))]
    #[schemars(schema_with = "super::schema::bytes")]
    pub raw: ByteString,
}
