//! What can go wrong with a request to a cluster.

use std::time::Duration;

use meta::{ScanError, Status};

/// Variants by what the caller can do about them. No message holds a body, a header or a credential; what a server
/// says of itself is cut to a readable length.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// 401: the credential is not accepted. Another one may be.
    #[error("the cluster does not accept the credential: {0}")]
    Unauthorized(String),
    /// 403: a right is missing; the server's message says which. Somebody has to grant it.
    #[error("the cluster forbids it: {0}")]
    Forbidden(String),
    /// 404: there is no such resource, or no longer.
    #[error("the cluster does not have it: {0}")]
    NotFound(String),
    /// 410: the place in the history is gone. List again from the beginning.
    #[error("the resource version or continue token is too old: {0}")]
    Expired(String),
    /// 429, or 503 with a time: the server wants to be left alone for a while.
    #[error("the cluster is overloaded: {message}")]
    TooManyRequests {
        /// The server's words.
        message: String,
        /// How long it wants to be left alone, if it says so.
        retry_after: Option<Duration>,
    },
    /// Nobody answered, the connection broke, or nothing came for too long. Try again later.
    #[error("the cluster cannot be reached: {0}")]
    Unreachable(String),
    /// The answer is not what a Kubernetes API server says. Trying again may help if something stood in between.
    #[error("the answer is not understood: {0}")]
    Broken(String),
    /// The request was refused in another way.
    #[error("{0}")]
    Status(Box<Status>),
}

impl Error {
    /// A stable CamelCase word for conditions and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => "Unauthorized",
            Self::Forbidden(_) => "Forbidden",
            Self::NotFound(_) => "NotFound",
            Self::Expired(_) => "Expired",
            Self::TooManyRequests { .. } => "TooManyRequests",
            Self::Unreachable(_) => "Unreachable",
            Self::Broken(_) => "BrokenAnswer",
            Self::Status(_) => "Refused",
        }
    }

    /// How long the server wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the same request may succeed a little later without anybody doing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::TooManyRequests { .. } | Self::Unreachable(_) => true,
            Self::Status(status) => status.code >= 500,
            _ => false,
        }
    }
}

impl From<Status> for Error {
    fn from(mut status: Status) -> Self {
        status.message = shortened(status.message);
        let retry_after = status
            .details
            .as_ref()
            .and_then(|details| details.retry_after_seconds)
            .map(|seconds| Duration::from_secs(seconds.into()));
        match status.code {
            401 => Self::Unauthorized(status.message),
            403 => Self::Forbidden(status.message),
            404 => Self::NotFound(status.message),
            410 => Self::Expired(status.message),
            429 => Self::TooManyRequests { message: status.message, retry_after },
            503 if retry_after.is_some() => Self::TooManyRequests { message: status.message, retry_after },
            _ => Self::Status(Box::new(status)),
        }
    }
}

impl From<ScanError> for Error {
    fn from(error: ScanError) -> Self {
        match error {
            // Whoever ends too early has been cut off.
            ScanError::Truncated { .. } => Self::Unreachable(error.to_string()),
            ScanError::Malformed { .. } | ScanError::TooLarge { .. } => Self::Broken(error.to_string()),
        }
    }
}

/// The error and its causes in one line: hyper's own message is only the first of them.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let closed = cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof);
        // Of a process that was killed, rustls says more than a person wants to know.
        let cause_text =
            if closed { String::from("the other side closed the connection") } else { cause.to_string() };
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// Characters of a server's message that are passed on.
const MESSAGE: usize = 1_000;

fn shortened(message: String) -> String {
    match message.char_indices().nth(MESSAGE) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_can_be_done_and_not_what_the_number_was() {
        let of = |code| Error::from(Status::new(code, "", "m")).reason();
        let reasons = [401, 403, 404, 410, 429, 503, 500].map(of);
        assert_eq!(
            reasons,
            ["Unauthorized", "Forbidden", "NotFound", "Expired", "TooManyRequests", "Refused", "Refused"]
        );
        let waits = Error::from(Status::unavailable("m").retry_after(3));
        assert_eq!(waits.retry_after(), Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_server_cannot_fill_a_condition_with_its_message() {
        let Error::Forbidden(message) = Status::forbidden("ü".repeat(100_000)).into() else { panic!() };
        assert_eq!(message.chars().count(), MESSAGE + 1);
    }
}
