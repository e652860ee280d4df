//! The agent's half: dial the parent, serve what the hub asks, stay connected.
//!
//! ```text
//! keep ─► connect: DNS, TCP, TLS, HTTP/1.1 upgrade ─► serve: HTTP/2 server ─► service
//!   ▲                                                   │
//!   └── wait: spread, capped, as the parent asks ◄──────┘
//! ```
//!
//! The hub opens one stream of its own, the session. Its beginning proves to the hub that the agent serves; its end
//! tells the hub that the agent is draining, so that no request is sent into a closing tunnel.

mod dial;
mod keep;
mod metrics;
mod schedule;
mod serve;

pub use dial::{Connection, Dial, DialError, Untrusted, connect, connect_over};
pub use keep::{State, keep};
pub use metrics::Metrics;
pub use serve::{Ended, serve};

/// Where the hub opens its session. Requests of visitors have another authority.
pub(crate) const SESSION_URI: &str = "http://session/";
