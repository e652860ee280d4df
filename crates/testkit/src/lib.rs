//! Stand-ins for what tests cannot get from real servers.
//!
//! * [`link`]: connections that lose, hold back or cut bytes.
//! * [`postgres`]: a real PostgreSQL of its own, which can go away and come back.
//!
//! Deliberately absent: anything a real kube-apiserver of the fleet shows better.

pub mod link;
pub mod postgres;
