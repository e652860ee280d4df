//! The connection between parent and child: HTTP/2 inside one WebSocket. The agent dials and serves, the hub calls.
//!
//! ```text
//!  hub                                                          agent
//!  Registry ─► Tunnel::request ─► HTTP/2 client ══ WebSocket ══ HTTP/2 server ─► service (the child)
//!              Tunnel::upgrade    (extended CONNECT)            (sees an HTTP/1.1 upgrade again)
//! ```
//!
//! * [`Hello`], [`Welcome`]: what both sides say of themselves before the first byte: protocol version, agent
//!   instance, epoch.
//! * [`ws`]: a WebSocket as a byte stream, with liveness.
//! * [`agent`]: dial, serve, keep connected, drain.
//! * [`hub`]: which tunnels are admitted, the registry of the live ones, requests through them.
//! * [`upgrade`]: how `exec`, `attach` and `port-forward` travel in HTTP/2.
//!
//! Deliberately absent: authentication and authorisation (done before a tunnel is admitted), any knowledge of
//! Kubernetes' resources, retries (a request may not be repeatable), and a queue of any kind: what cannot be sent now
//! is refused now. All limits stand in one place, `limits.rs`.

pub mod agent;
mod error;
mod hello;
pub mod hub;
mod limits;
mod streams;
#[cfg(test)]
mod tests;
pub mod upgrade;
pub mod ws;

pub use error::Error;
pub use hello::{Features, Hello, HelloError, Version, Welcome, headers};

/// An error of whoever produces a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A streamed body, in requests of the hub and answers of the agent's service.
pub type Body = http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, BoxError>;

/// A body without content.
pub fn empty() -> Body {
    use http_body_util::BodyExt as _;
    http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body that is known whole.
pub fn full(content: impl Into<bytes::Bytes>) -> Body {
    use http_body_util::BodyExt as _;
    http_body_util::Full::new(content.into()).map_err(|never| match never {}).boxed_unsync()
}
