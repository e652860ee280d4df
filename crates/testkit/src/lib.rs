//! Stand-ins for what tests cannot get from real servers.
//!
//! * [`admin`]: a real cluster that a test is given.
//! * [`apiserver`]: an API server that fails as it is told, in memory or over HTTP/2.
//! * [`apply`]: what comes of applying an object.
//! * [`charts`]: a repository and a registry of Helm charts.
//! * [`compare`]: whether what is stored is what is there.
//! * [`link`]: connections that lose, hold back or cut bytes.
//! * [`postgres`]: a real PostgreSQL of its own, which can go away and come back.
//!
//! Deliberately absent: anything a real kube-apiserver of the fleet shows better.

pub mod admin;
pub mod apiserver;
pub mod apply;
pub mod charts;
pub mod compare;
pub mod link;
pub mod postgres;
