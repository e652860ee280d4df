//! The store of synced Kubernetes objects: what every cluster runs, searchable in milliseconds.
//!
//! ```text
//!  sync ──► Store::apply (changes + checkpoint, one transaction) ──► back end ◄── Store::select, count, get ◄── search
//! ```
//!
//! * [`Store`]: what a back end can do. Those here are [`SqliteStore`] and [`PostgresStore`]; others can live in crates of
//!   their own,
//!   implement the trait, pass the suite `store::conformance` (feature `conformance`) and are registered with
//!   [`Backends`]. `crates/store/examples-external` is one, made to be read.
//! * [`Config`] and [`Backends`]: from the storage configuration to a store.
//! * [`Query`]: a question as a value, with every condition of the search language (contract section 5).
//! * [`Rows`]: an answer as a stream of bounded pieces; [`Token`]: where its next page begins.
//! * [`field`]: values of an object by path, from its bytes.
//!
//! Deliberately absent: the search language's text (a query arrives parsed), rights (a query carries the clusters its
//! caller may see), watching for changes, other versions of an object than the stored one, and any SQL from outside.
//! Objects are bytes: nothing here decodes one into a tree.

mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod field;
mod ids;
mod postgres;
mod query;
mod relational;
mod row;
#[cfg(feature = "conformance")]
pub mod sample;
mod sqlite;
mod store;
mod token;

pub use config::{Backends, Config, ConnPool, Opener};
pub use error::Error;
pub use ids::{ClusterName, Resource, ResourcePattern};
pub use postgres::{PostgresOptions, PostgresStore};
pub use query::{Ancestor, Content, OrderBy, OrderField, OwnedBy, Query, Start, Visible};
pub use row::{Piece, Row, Rows};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::{Answer, Applied, Batch, Change, Checkpoint, Generation, ObjectName, Store, StoredVersion};
pub use token::{Position, Token, Version};
