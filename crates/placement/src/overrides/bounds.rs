//! How much overrides may take, and what of it has been taken.

use serde_json::Value;

use super::error::{Fault, Problem};
use crate::json::{Extent, extent, too_deep};

/// The bytes of all objects that one Description may hold. In base64 they are a third more; etcd takes 1.5 MiB.
pub const LARGEST_DESCRIPTION: usize = 1 << 20;

/// What rendering one feed for one cluster may take. Sizes are those of JSON, give or take escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Size of one override's value, as written and after its template. Default 256 KiB.
    pub value_bytes: usize,
    /// Size of the object, or of a chart's values, at any time. Default 1 MiB: an API server takes little more.
    pub result_bytes: usize,
    /// Lists and mappings inside each other. Default 64.
    pub depth: usize,
    /// Overrides for one feed in one cluster. Default 1,000.
    pub overrides: usize,
    /// Operations of one JSON patch. Default 10,000.
    pub operations: usize,
    /// Bytes that are read, copied and compared on the way. Default 256 MiB, about a second.
    pub work_bytes: usize,
    /// Paths that are remembered with the override that changed them. Default 1,000.
    pub changes: usize,
    /// What a template may take; the size of its result is `value_bytes`.
    pub template: gotemplate::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_bytes: 256 << 10,
            result_bytes: 1 << 20,
            depth: 64,
            overrides: 1_000,
            operations: 10_000,
            work_bytes: 256 << 20,
            changes: 1_000,
            template: gotemplate::Limits {
                steps: 100_000,
                memory_bytes: 8 << 20,
                ..gotemplate::Limits::default()
            },
        }
    }
}

/// What is left of the [`Limits`].
#[derive(Debug)]
pub(super) struct Budget<'l> {
    pub(super) limits: &'l Limits,
    work: usize,
}

impl<'l> Budget<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self { limits, work: limits.work_bytes }
    }

    /// `bytes` are about to be read or copied.
    pub(super) fn work(&mut self, bytes: usize) -> Result<(), Problem> {
        self.work = self.work.checked_sub(bytes).ok_or(Problem::TooMuchWork)?;
        Ok(())
    }

    /// Measures a value, which is work too.
    pub(super) fn measure(&mut self, value: &Value) -> Result<Extent, Problem> {
        let extent = extent(value);
        self.work(extent.bytes)?;
        Ok(extent)
    }

    /// Refuses a result that is too large or too deep, there with the path.
    pub(super) fn check(&mut self, value: &Value) -> Result<Extent, Fault> {
        let extent = self.measure(value)?;
        self.admit(extent).map_err(|problem| {
            let deep = matches!(problem, Problem::TooDeep { .. });
            let path = deep.then(|| too_deep(value, self.limits.depth)).flatten();
            problem.at(path.unwrap_or_default())
        })?;
        Ok(extent)
    }

    /// Refuses a size or depth that no result may have.
    pub(super) fn admit(&self, extent: Extent) -> Result<(), Problem> {
        if extent.bytes > self.limits.result_bytes {
            return Err(Problem::ResultTooLarge { limit: self.limits.result_bytes });
        }
        if extent.depth > self.limits.depth {
            return Err(Problem::TooDeep { limit: self.limits.depth });
        }
        Ok(())
    }
}
