//! Which override changed what.

use super::error::OverrideRef;
use crate::diff;

/// A path that an override changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// A JSON pointer (RFC 6901) into the object as it was before the change, or after it where the path is new.
    pub path: String,
    /// The override.
    pub by: OverrideRef,
}

/// Which override changed which path, in the order of the changes. An override that sets what is there already changes
/// nothing, and is not here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The changes, the first [`Limits::changes`](super::Limits::changes) of them.
    pub changed: Vec<Changed>,
    /// How many more there were.
    pub omitted: usize,
}

impl Provenance {
    /// The overrides that changed this path, something in it or something around it, in the order of the changes. The last
    /// one won.
    pub fn of(&self, path: &str) -> Vec<&OverrideRef> {
        let related = |changed: &str| {
            let (outer, inner) = if changed.len() < path.len() { (changed, path) } else { (path, changed) };
            inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut overrides: Vec<&OverrideRef> = Vec::new();
        for changed in self.changed.iter().filter(|changed| related(&changed.path)) {
            overrides.retain(|by| **by != changed.by);
            overrides.push(&changed.by);
        }
        overrides
    }

    pub(super) fn record(&mut self, by: &OverrideRef, paths: diff::Paths, limit: usize) {
        let room = limit.saturating_sub(self.changed.len());
        self.omitted += paths.omitted + paths.paths.len().saturating_sub(room);
        let paths = paths.paths.into_iter().take(room);
        self.changed.extend(paths.map(|path| Changed { path, by: by.clone() }));
    }
}
