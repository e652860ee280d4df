//! Makes the clusters of other platforms searchable (contract `clusterpedia.md`, section 8).
//!
//! ```text
//! ClusterImportPolicy ─► worker: source objects ─► one PediaClusterLifecycle for each that is taken
//! PediaClusterLifecycle ─► examine: source, references ─► condition ─► template ─► PediaCluster
//! ```
//!
//! Two kinds of files: what should be, given what is (`template`, `imports`, `recipe`, `cluster`, `negotiate`,
//! `sources`, `plan`, `usable`, `grant`: pure functions, which [`preview`] shares with the kubectl plug-in); and the
//! controllers (`run`, `worker`, `followed`, `examine`, `gather`, `renderers`, `registry`, `parent`).
//!
//! * Nothing of a source object is kept but a digest of what the templates look at, and of a reference its version: they are
//!   Secrets more often than not. Only metadata is watched where the templates need no more, and of references never more.
//! * A PediaClusterLifecycle goes when a complete list shows that its source is gone or no longer selected; never because
//!   something could not be read or rendered.
//! * A name stays with the object it was given to; a PediaCluster that was not made here is led nowhere else.
//! * After its creation only address and credentials of a PediaCluster are written. The rest is its users'.
//! * Messages name objects, fields and places in templates, never what they hold; nor do logs.
//!
//! Deliberately absent: rights. What policies read, somebody has to let the hub read (`grant` tells how).

mod cluster;
mod examine;
#[cfg(test)]
mod fake;
mod followed;
mod gather;
mod grant;
mod imports;
mod negotiate;
mod parent;
mod plan;
pub mod preview;
mod recipe;
mod registry;
mod renderers;
mod run;
mod sources;
mod template;
#[cfg(test)]
mod tests;
mod usable;
mod worker;

use api::conditions::Wanted;

pub use parent::over;
pub use run::start;

/// How policies are followed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The hub's own namespace. Its Secrets are not for policies.
    pub namespace: String,
    /// How many clusters are worked on at once.
    pub concurrency: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { namespace: api::names::SYSTEM_NAMESPACE.to_owned(), concurrency: 16 }
    }
}

/// Why something is not done: the reason of a condition, and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// One of the contract's words.
    pub(crate) reason: &'static str,
    /// Says what failed, for which object and at which place of which template.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// As a condition of an object in this generation.
    fn condition(&self, type_: &'static str, holds: bool, generation: Option<i64>) -> Wanted {
        let status = if holds { "True" } else { "False" };
        Wanted { type_, status, reason: self.reason.to_owned(), message: self.message.clone(), generation }
    }
}
