//! Which clusters get what: functions from values to values.
//!
//! * [`schedule`]: from a Subscription and the clusters to a decision that explains itself.
//! * [`overrides`]: from a feed, a cluster and the Globalizations and Localizations to what that cluster gets, and which of
//!   them changed what.
//! * [`charts`]: from a HelmChart to what a HelmRelease says.
//! * [`order`]: in which order objects are applied in a cluster.
//! * [`diff`]: how two objects differ, for people; what is secret is never shown.
//! * [`health`]: from an object to whether it is what was asked for, by the public rules of kstatus.
//! * [`plan`]: from what stands in the parent and what would be stored there to what would change in the clusters.
//! * [`fingerprint`]: whether the inputs of a decision have changed.
//!
//! Deliberately absent: I/O, async, clocks, randomness and state. Nothing is cached and nothing is retried here. Strategic
//! merge patches are absent too: no kind of override is one. What comes in may be hostile: work, size and depth of
//! everything that is made are bounded by [`overrides::Limits`], and what is said of it by fixed numbers.

pub mod charts;
mod cluster;
pub mod diff;
pub mod fingerprint;
pub mod health;
mod json;
pub mod order;
pub mod overrides;
pub mod plan;
pub mod schedule;
mod text;

pub use cluster::{Cluster, ClusterKey};
