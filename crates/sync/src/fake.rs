//! A parent and a cluster for tests.

use std::collections::HashMap;

use api::pedia::{CaKind, PediaClusterStatus};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use crate::parent::{Parent, ParentError};

/// A parent that remembers what was written.
#[derive(Default)]
pub(crate) struct FakeParent {
    values: Mutex<HashMap<String, Vec<u8>>>,
    pub(crate) statuses: Mutex<Vec<PediaClusterStatus>>,
    pub(crate) finalizers: Mutex<Vec<bool>>,
}

impl FakeParent {
    pub(crate) fn set(&self, kind: CaKind, name: &str, key: &str, value: &str) {
        self.values.lock().insert(format!("{kind:?}/{name}/{key}"), value.as_bytes().to_vec());
    }

    /// The status that was written last, in short.
    pub(crate) fn conditions(&self) -> Vec<String> {
        let statuses = self.statuses.lock();
        let conditions = statuses.last().map(|status| status.conditions.clone()).unwrap_or_default();
        conditions.iter().map(|c| format!("{} {}", c.type_, c.reason)).collect()
    }
}

impl Parent for FakeParent {
    fn value<'a>(
        &'a self,
        kind: CaKind,
        name: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Vec<u8>, ParentError>> {
        let id = format!("{kind:?}/{name}/{key}");
        let value = self.values.lock().get(&id).cloned();
        Box::pin(async move { value.ok_or(ParentError::Missing(id)) })
    }

    fn write_status<'a>(
        &'a self,
        _: &'a str,
        status: &'a PediaClusterStatus,
    ) -> BoxFuture<'a, Result<(), ParentError>> {
        self.statuses.lock().push(status.clone());
        Box::pin(async { Ok(()) })
    }

    fn set_finalizer<'a>(&'a self, _: &'a str, wanted: bool) -> BoxFuture<'a, Result<(), ParentError>> {
        self.finalizers.lock().push(wanted);
        Box::pin(async { Ok(()) })
    }
}
