//! The search API: every object of every cluster through one Kubernetes API, from the store.
//!
//! ```text
//!  kubectl ──► apiserver ──► Search: URL, rights ──► language ──► store::Query ──► Store::select ──► Table, JSON
//! ```
//!
//! * [`Search`]: `clusterpedia.io/v1beta1` for the generic API server: discovery, lists, single objects, Tables and
//!   collections, under two base paths (contract `clusterpedia.md`, sections 4 to 6).
//! * [`language`]: what a client asks for, from the query string of its request to a [`store::Query`].
//! * [`Catalogue`]: what is known of the clusters beside their objects; from the parent's
//!   PediaClusters and ResourceCollections, or whoever knows better.
//!
//! * [`Live`]: requests that a cluster answers itself, if the hub's flags let them go there: subresources such as
//!   `pods/log`, and reads with a marker (contract 4.9).
//!
//! A list is streamed from the store to the client and is never in memory as a whole. The resourceVersion of an object
//! is the number of its last change in the store; the child's own stands in an annotation.
//!
//! Deliberately absent: SQL, which belongs to the back ends of the store; synchronising, which `sync` does; watching
//! and writing; other versions of an object than the stored one; protobuf.

mod answer;
mod builtin;
mod catalogue;
mod collection;
mod discovery;
mod events;
mod follow;
pub mod language;
mod live;
mod object;
mod path;
mod rights;
mod search;
mod serve;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod versions;

pub use catalogue::{Catalogue, Cluster, Kind};
pub use live::{Flags, Forwarding, Live, Way, Ways};
pub use serve::Search;
