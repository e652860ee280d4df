//! Stand-ins for what tests cannot get from real servers.
//!
//! * [`link`]: connections that lose, hold back or cut bytes.
//!
//! Deliberately absent: anything a real kube-apiserver of the fleet shows better.

pub mod link;
