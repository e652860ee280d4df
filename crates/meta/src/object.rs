//! An object as the few fields that are looked at, and the bytes of all of it.

use std::{collections::BTreeMap, sync::Arc};

/// An object of any kind: its key fields, and its JSON as bytes that nobody decodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawObject {
    /// What is looked at.
    pub key: ObjectKey,
    /// The whole object as JSON text, without `metadata.managedFields`.
    pub json: Arc<[u8]>,
}

/// The fields of an object that are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectKey {
    /// `apiVersion`, such as `apps/v1`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `metadata.namespace`; empty for a kind without namespaces.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.resourceVersion`, opaque.
    pub resource_version: String,
    /// `metadata.creationTimestamp` in seconds since 1970.
    pub created: i64,
    /// `metadata.deletionTimestamp` in seconds since 1970.
    pub deleting: Option<i64>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// The owner reference with `controller: true`.
    pub owner: Option<Owner>,
}

/// Who controls an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// `name`.
    pub name: String,
    /// `uid`.
    pub uid: String,
}
