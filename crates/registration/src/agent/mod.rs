//! The child's side: takes an identity, asks the parent to register it, keeps its credential fresh, and reports.
//!
//! ```text
//! identity (Lease) ─► trust (the parent's CA) ─► enroll (request, sealed token, Secret) ─► renew
//!                                                                                      └─► collect ─► report
//! ```
//!
//! What must survive a restart stands in one Secret of the child, written before it is relied on, so the agent can be
//! killed at any step and goes on from there.
//!
//! Deliberately absent: the tunnel (the program opens it with [`Handle::credentials`]), and any cache of the child's
//! objects: memory must not grow with the child.

mod collect;
mod enroll;
mod identity;
mod nodes;
mod options;
mod parent;
mod renew;
mod report;
mod run;
mod secret;
mod trust;

pub use options::{Invalid, Options};
pub use parent::ParentCredentials;
pub use run::{Handle, start};
