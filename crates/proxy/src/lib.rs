//! The sockets API, `proxies.clusternet.io/v1alpha1`: tunnels come in at `sockets/<id>/attach`, visits go out at
//! `sockets/<id>/proxy/…` (contract sections 1.11, 3.7, 4.3 to 4.5).
//!
//! ```text
//! agent  ── sockets/<id>/attach ──► tunnel::hub::Registry
//! caller ── sockets/<id>/proxy/direct/PATH ──► one identity ──► reach::Reach ──► child
//! ```
//!
//! Deliberately absent: authentication and authorisation (done by `apiserver` before anything here runs; this crate
//! only says what must be asked), and the way to the child (that is `reach`).

mod attach;
mod caller;
mod openapi;
mod refusals;
mod sockets;
mod visit;

pub use sockets::{Options, Sockets};
