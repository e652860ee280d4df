//! A generic aggregated API server: what every group version served behind the parent's API server needs.
//!
//! ```text
//! kubectl ─► kube-apiserver ──front proxy──► Server ─► authenticate ─► authorise ─► Api::handle
//! ```
//!
//! Bring an [`Api`] per group version and a [`ServerBuilder`]; the rest is here: TLS with optional client
//! certificates, front-proxy identity kept in step with the parent ([`TrustStore::follow_config_map`]), bearer tokens
//! by TokenReview ([`Tokens`]), SubjectAccessReview ([`Authorizer`]), discovery, OpenAPI, `/version`, health routes,
//! `/metrics`, limits, deadlines, and every error as a `metav1.Status`.
//!
//! Deliberately absent: storage, watch machinery, Table and protobuf (a handler answers with bytes), admission, and any
//! knowledge of what the served kinds mean.

mod api;
mod authn;
mod authz;
mod body;
mod connection;
mod discovery;
pub mod form;
mod headers;
mod health;
mod limits;
mod metrics;
mod negotiate;
mod openapi;
mod path;
mod pipeline;
mod review;
mod serve;
pub mod serving;
#[cfg(test)]
mod tests;
mod tls;
mod user;

pub use self::{
    api::{Api, Attributes, Context, Peer, Resource},
    authn::{Authenticator, RequestHeader, Tokens, Trust, TrustError, TrustStore, write_identity},
    authz::{Authorizer, Decision},
    body::{Body, BoxError, empty, full, json_response, status_response, with_type},
    health::Check,
    limits::{Limits, Permit, collect, held},
    negotiate::{accepts_json, negotiate},
    path::{PathError, RequestInfo, asks_to_watch, parameter},
    serve::{Server, ServerBuilder},
    user::{ANONYMOUS, AUTHENTICATED, MASTERS, UNAUTHENTICATED, User},
};
