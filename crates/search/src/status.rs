//! Failures as clients see them.

use meta::Status;
use store::Error;

use crate::object::Broken;

/// A store's failure. What it says of itself goes to the log: it may name files and tables.
pub(crate) fn of_store(error: &Error) -> Status {
    match error {
        Error::Invalid { parameter, reason } => Status::bad_request(format!("{parameter}: {reason}")),
        Error::Retry(_) | Error::Held(_) => {
            tracing::warn!(%error, "a search has failed");
            Status::unavailable("The store of the search cannot answer now. Try again in a moment.")
                .retry_after(1)
        }
        _ => {
            tracing::error!(%error, "a search has failed");
            Status::internal("The store of the search has failed; the log of the hub tells why.")
        }
    }
}

/// A stored object that is none.
pub(crate) fn broken(error: Broken) -> Status {
    tracing::error!(%error, "a search has failed");
    Status::internal("An object in the store of the search is damaged.")
}
