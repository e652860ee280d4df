//! What can go wrong with a tunnel or a request in it.

use crate::ws;

/// Variants by what the caller can do about them. No message holds a header, a body or a credential.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The request was never sent: the tunnel is gone or draining. Another tunnel may take it at once.
    #[error("the tunnel takes no new requests")]
    NotSent,
    /// As many requests are running in this tunnel as it may carry. The request was not sent; try later.
    #[error("{0} requests are running in the tunnel, it takes no more")]
    Busy(usize),
    /// The tunnel broke while the request was under way: whether the child acted on it is unknown.
    #[error("the tunnel broke: {0}")]
    Lost(#[source] ws::Error),
    /// The other side ended this one request; the tunnel lives on.
    #[error("the other end gave the request up: {0}")]
    Reset(String),
    /// The request cannot be carried as it is.
    #[error("{0}")]
    Unsuitable(&'static str),
    /// The other side does not speak the protocol, or did not answer in time.
    #[error("the tunnel could not be set up: {0}")]
    Protocol(String),
}

impl Error {
    /// What an error of one stream means. `broken` is why the whole tunnel broke, if it did.
    pub(crate) fn of_stream(error: &h2::Error, broken: Option<&ws::Error>) -> Self {
        if let Some(cause) = broken {
            return Self::Lost(cause.clone());
        }
        let unprocessed =
            error.is_remote() && (error.is_go_away() || error.reason() == Some(h2::Reason::REFUSED_STREAM));
        if unprocessed {
            return Self::NotSent;
        }
        match error.get_io() {
            Some(cause) => Self::Lost(ws::Error::Io(std::sync::Arc::new(std::io::Error::new(
                cause.kind(),
                cause.to_string(),
            )))),
            None => Self::Reset(error.to_string()),
        }
    }
}

/// The error and its causes in one line: hyper's own message is only the first of them.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
