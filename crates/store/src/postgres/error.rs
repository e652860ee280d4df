//! What PostgreSQL's errors mean to a caller.

use tokio_postgres::error::SqlState;

use crate::Error;

/// Sorts an error by what can be done about it. Of the server's words only those are kept that quote no value.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn of_postgres(error: tokio_postgres::Error) -> Error {
    let Some(said) = error.as_db_error() else {
        let mut text = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            text = format!("{text}: {cause}");
        }
        // Without a word from the server it is the connection, unless we have misread what it sent.
        return if text.starts_with("error deserializing") || text.starts_with("error serializing") {
            Error::Failed(text)
        } else {
            Error::Retry(text)
        };
    };
    let text = format!("{} ({})", said.message(), said.code().code());
    match said.code() {
        &SqlState::DISK_FULL => Error::Retry("the disk of the database is full".into()),
        &SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED => Error::Corrupt(text),
        &SqlState::LOCK_NOT_AVAILABLE | &SqlState::READ_ONLY_SQL_TRANSACTION | &SqlState::IO_ERROR => {
            Error::Retry(text)
        }
        &SqlState::INSUFFICIENT_PRIVILEGE => Error::Failed(text),
        code => match &code.code()[..2] {
            // Connections, who may connect, resources, interventions of its administrator, rollbacks, a transaction
            // that was ended, and a database that is not there (yet).
            "08" | "28" | "53" | "57" | "40" | "25" | "3D" => Error::Retry(text),
            _ => Error::Failed(text),
        },
    }
}

/// [`of_postgres`] as a method on results.
pub(super) trait Sorted<T> {
    fn sorted(self) -> Result<T, Error>;
}

impl<T> Sorted<T> for Result<T, tokio_postgres::Error> {
    fn sorted(self) -> Result<T, Error> {
        self.map_err(of_postgres)
    }
}
