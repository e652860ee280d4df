//! How a cluster becomes a child of the parent and how it stays known there.
//!
//! * [`agent`]: the child's side. It asks to be registered, keeps its credential fresh and reports.
//! * [`hub`]: the parent's side. It answers requests, judges whether a cluster is alive, and cleans up after one.
//! * [`seal`]: the sealed boxes in which the hub hands a credential to one agent and to nobody else.
//!
//! Deliberately absent: the tunnel and everything that flows through it, and any right in the child for the parent.

pub mod agent;
pub mod hub;
pub mod seal;
