//! Stand-ins for what tests cannot get from real servers.
//!
//! * [`apiserver`]: an API server that fails as it is told, in memory or over HTTP/2.
//! * [`compare`]: whether what is stored is what is there.
//! * [`link`]: connections that lose, hold back or cut bytes.
//! * [`postgres`]: a real PostgreSQL of its own, which can go away and come back.
//!
//! Deliberately absent: anything a real kube-apiserver of the fleet shows better.

pub mod apiserver;
pub mod compare;
pub mod link;
pub mod postgres;
