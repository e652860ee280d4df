//! What every long-running program needs, once.
//!
//! * [`Tasks`]: every task has a name, an owner and an end.
//! * [`Backoff`]: how long to wait after the n-th failure, spread at random.
//! * [`events`]: Events on Kubernetes objects.
//! * [`health`]: probes and metrics over HTTP.
//! * [`lease`]: leader election on `coordination.k8s.io` Leases.
//! * [`logging`], [`metrics`], [`tls`]: set up once in `main`, handed down from there.
//! * [`program`]: from the log to the exit code.
//! * [`watch`]: watches of our own kinds that one odd object does not end.
//!
//! Deliberately absent: global state (nothing here is reachable without being passed), and any knowledge of
//! Clusterway's kinds.

mod backoff;
mod duration;
pub mod events;
mod gates;
pub mod health;
pub mod lease;
pub mod logging;
pub mod metrics;
pub mod program;
mod tasks;
pub mod tls;
pub mod watch;

pub use backoff::Backoff;
pub use duration::parse_duration;
pub use gates::FeatureGates;
pub use tasks::{OnError, Tasks};
pub use tokio_util::sync::CancellationToken;
