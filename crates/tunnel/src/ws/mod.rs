//! A WebSocket as a byte stream: binary frames of up to 16 KiB, nothing else.
//!
//! Written for ten thousand idle tunnels in one process: payload is read straight into the reader's buffer, and the
//! one buffer for writing is given back when it is empty. The halves are not meant to be polled from two tasks.
//!
//! The stream watches over its peer. Any byte counts as a sign of life, not only the answer to a ping: behind a slow
//! uplink a ping may wait for many seconds behind a large answer that is arriving all the while.
//!
//! Deliberately absent: text messages, message borders, compression, subprotocols.

mod frame;
pub(crate) mod handshake;
mod meter;
mod stream;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

pub use frame::Role;
pub use meter::{Meter, Totals};
pub use stream::Stream;

/// After this long without a byte from the peer it is asked for a sign of life.
pub const PING_AFTER: Duration = Duration::from_secs(15);
/// After this long without a byte from the peer, or without one accepted by it, it is dead.
pub const DEAD_AFTER: Duration = Duration::from_secs(25);

/// Why a stream ended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The peer said good-bye with this code (RFC 6455 section 7.4).
    #[error("the other end closed the connection with code {0}")]
    Closed(u16),
    /// The connection ended without a good-bye.
    #[error("the connection was cut")]
    Cut,
    /// Nothing came for [`DEAD_AFTER`], although we asked.
    #[error("nothing was received for {} s", DEAD_AFTER.as_secs())]
    Silent,
    /// The peer took nothing for [`DEAD_AFTER`].
    #[error("nothing could be sent for {} s", DEAD_AFTER.as_secs())]
    Stalled,
    /// The peer sent a text message.
    #[error("a text message was received, only binary ones carry the tunnel")]
    NotBinary,
    /// The peer announced a frame of this many bytes.
    #[error("a frame of {0} bytes was received, the limit is {max}", max = frame::MAX_TAKEN)]
    FrameTooLarge(u64),
    /// The peer's bytes are not frames.
    #[error("the WebSocket protocol was broken: {0}")]
    Protocol(&'static str),
    /// The connection underneath failed.
    #[error("the connection failed: {0}")]
    Io(Arc<std::io::Error>),
}

impl Error {
    /// The code we close with (RFC 6455 section 7.4).
    fn close_code(&self) -> u16 {
        match self {
            Self::NotBinary => 1003,
            Self::FrameTooLarge(_) => 1009,
            Self::Protocol(_) => 1002,
            _ => 1000,
        }
    }

    /// A stable word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Closed(_) => "closed",
            Self::Cut => "cut",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
            Self::NotBinary | Self::FrameTooLarge(_) | Self::Protocol(_) => "protocol",
            Self::Io(_) => "io",
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind;
        let kind = match &error {
            Error::Closed(_) | Error::Cut => ErrorKind::UnexpectedEof,
            Error::Silent | Error::Stalled => ErrorKind::TimedOut,
            Error::NotBinary | Error::FrameTooLarge(_) | Error::Protocol(_) => ErrorKind::InvalidData,
            Error::Io(cause) => cause.kind(),
        };
        Self::new(kind, error)
    }
}
