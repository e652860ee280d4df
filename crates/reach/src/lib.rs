//! From a cluster id to its API server: which cluster, which target, which identity, and the bytes both ways.
//!
//! ```text
//! hub:   Visit (cluster, target, identity) ──► Reach ──► tunnel ══► agent: ChildProxy ──► child API server
//! ```
//!
//! * [`Reach`] runs in the hub. It knows the registered clusters ([`Directory`]), holds every child to its limit of
//!   requests in flight, and streams.
//! * [`child::ChildProxy`] runs in the agent. It is the only place where a connection to the child is made.
//! * [`Identity`] is who the request is in the child: one, chosen by the hub; whatever identity headers came from
//!   outside are gone before it is set.
//!
//! * [`Through`] is a cluster for the hub's own requests, as a transport of `kubeio`.
//! * [`Door`] is one for a program that only knows addresses: a port on the loopback, for one operation.
//! * [`duty`] is who works for which cluster: hub or agent, and when they change places.
//! * [`Open`] is the one line and count that each visit leaves.
//!
//! Deliberately absent: authorisation (the callers' business), retries (a request may not be repeatable), and any
//! credential of a child: they pass through and are forgotten.

mod audit;
pub mod child;
mod directory;
mod door;
pub mod duty;
mod error;
mod headers;
mod identity;
mod target;
mod through;
mod visit;
mod wire;

pub use audit::{Open, Record};
pub use directory::{Directory, Registered};
pub use door::Door;
pub use error::Error;
pub use headers::{follows, strip_identity, upgrade_headers, wants_upgrade};
pub use identity::{Identity, InvalidCredential};
pub use target::{Target, TargetError};
pub use through::Through;
pub use visit::{Body, Limits, Place, Reach, Upgraded, UpgradedStream, Visit};
