//! The search API: every object of every cluster through one Kubernetes API, from the store.
//!
//! ```text
//!  kubectl ──► apiserver ──► search: language ──► store::Query ──► Store::select ──► Table, JSON, YAML
//! ```
//!
//! * [`language`]: what a client asks for, from the query string of its request to a [`store::Query`].
//!
//! To come: discovery and the URLs of `clusterpedia.io/v1beta1`, lists and single objects, Tables, collections, rights by
//! cluster.
//!
//! Deliberately absent: SQL, which belongs to the back ends of the store, and synchronising, which `sync` does.

pub mod language;
