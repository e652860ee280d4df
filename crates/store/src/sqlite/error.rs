//! What SQLite's errors mean to a caller.

use rusqlite::ErrorCode;

use crate::Error;

/// Sorts an error of SQLite by what can be done about it.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn of_sqlite(error: rusqlite::Error) -> Error {
    use rusqlite::Error as Sqlite;
    match &error {
        Sqlite::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => Error::Retry("the disk is full".into()),
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted => Error::Retry(error.to_string()),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Error::Corrupt(error.to_string()),
            _ => Error::Failed(error.to_string()),
        },
        // A column that does not hold what we have written there.
        Sqlite::FromSqlConversionFailure(..)
        | Sqlite::IntegralValueOutOfRange(..)
        | Sqlite::InvalidColumnType(..) => Error::Corrupt(error.to_string()),
        _ => Error::Failed(error.to_string()),
    }
}

/// [`of_sqlite`] as a method on results.
pub(super) trait Sorted<T> {
    fn sorted(self) -> Result<T, Error>;
}

impl<T> Sorted<T> for rusqlite::Result<T> {
    fn sorted(self) -> Result<T, Error> {
        self.map_err(of_sqlite)
    }
}
