//! Applies the Descriptions of one cluster in it, keeps them so, and says how that stands (contract sections 3.8 to 3.10).
//!
//! ```text
//! Description ─► book (who wants what) ─► sync: record ─► apply ─► prune ─► status ─► Description
//!                                            ▲                │
//!                                            └── watches ◄────┘ (objects with our mark)
//! ```
//!
//! The agent works for its own cluster ([`pull`]), the hub for those it pushes to ([`push`]); [`reach::duty`] says who for which.
//!
//! Pure: `item` (what is to be), `judge` (whether it has to be applied), `book` (who looks after what several want), `brake`,
//! `trouble` (what a refusal means), `status`. Rounds: `sync`, `apply`, `prune`. Tasks: `worker`, `watches`, `feed` (all clusters'
//! Descriptions over one watch), `run`. Ways out: `child`, `parent`.
//!
//! * An object is in the record of its Description before it is first applied, so that a kill never leaves one behind. One
//!   that was refused for want of a right from the beginning is noted as such, and keeps no Description from being deleted;
//!   the note is taken back before it is applied after all.
//! * Nothing is written that changes nothing: what was applied last stands as a digest on the object, and what differs is
//!   asked of the server in a dry run where the server may only write it in another way.
//! * One object in trouble does not hold up the others.
//! * Nothing is deleted because something could not be read: a deletion needs an entry of the record, the mark of this very
//!   Description on the object, and no other Description that wants it. Mass deletion waits to be confirmed.
//! * Memory is what the Descriptions of the cluster hold; of what is in the cluster only the status of objects with our mark
//!   is kept, within limits.
//!
//! Deliberately absent: charts, what a Description is made of (crate `distribution`), the sum over clusters, and any right of
//! its own: what may be applied is decided by the roles of one ServiceAccount in the child. A namespace that was made because
//! an object needed it is not taken away again.

mod apply;
mod book;
mod brake;
mod child;
mod cluster;
mod contents;
mod counters;
#[cfg(test)]
mod fake;
mod feed;
mod item;
mod judge;
mod parent;
mod prune;
mod run;
mod status;
mod sync;
#[cfg(test)]
mod tests;
mod trouble;
mod watches;
mod worker;

pub use run::{pull, push};

/// How it is deployed.
#[derive(Debug, Clone)]
pub struct Options {
    /// The gate `Recovery`: changes made in the cluster are taken back.
    pub recovery: bool,
    /// Descriptions of one cluster that are worked on at a time.
    pub descriptions: usize,
    /// Requests to one cluster at a time.
    pub parallelism: usize,
    /// Objects of one Description that are applied at most.
    pub objects_per_description: usize,
    /// Kinds of one cluster that are followed at most: each costs it a watch.
    pub watches: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { recovery: true, descriptions: 4, parallelism: 8, objects_per_description: 2_000, watches: 200 }
    }
}
