//! The file's schema: opened, checked, brought up to date. Forward only.

use std::{fs::File, io::Read as _, path::Path};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

use super::{SqliteOptions, error::of_sqlite};
use crate::Error;

/// Every released version of the schema as the step from the one before. A released step never changes.
pub(super) const STEPS: &[&str] = &[include_str!("schema_v1.sql"), include_str!("schema_v2.sql")];

/// "CWst": what marks the file as ours.
const APPLICATION_ID: i32 = 0x4357_7374;

/// Opens the writer's connection and brings the schema up to date.
pub(super) fn open_writer(options: &SqliteOptions) -> Result<Connection, Error> {
    check_length(&options.path)?;
    let mut connection = Connection::open(&options.path).map_err(of_sqlite)?;
    let set = |name: &str, value: &dyn rusqlite::ToSql| {
        connection.pragma_update(None, name, value).map_err(of_sqlite)
    };
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(of_sqlite)?;
    check(&connection)?;
    set("page_size", &PAGE_SIZE)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))
        .map_err(of_sqlite)?;
    // A commit is in the file system when it is acknowledged; it reaches the disk with the next checkpoint. Rows and
    // their resourceVersion are one transaction, so what a power failure takes is synced again.
    set("synchronous", &"normal")?;
    set("wal_autocheckpoint", &WAL_PAGES)?;
    set("journal_size_limit", &(WAL_PAGES * PAGE_SIZE * 2))?;
    set("cache_size", &-(options.writer_cache_kib))?;
    set("temp_store", &"memory")?;
    keep_plans(&connection)?;
    set("application_id", &APPLICATION_ID)?;
    if let Some(pages) = options.max_pages {
        connection
            .pragma_update_and_check(None, "max_page_count", pages, |row| row.get::<_, i64>(0))
            .map_err(of_sqlite)?;
    }
    migrate(&mut connection, STEPS)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens a connection that cannot write.
pub(super) fn open_reader(options: &SqliteOptions) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&options.path, flags).map_err(of_sqlite)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(of_sqlite)?;
    connection.pragma_update(None, "cache_size", -(options.reader_cache_kib)).map_err(of_sqlite)?;
    connection.pragma_update(None, "temp_store", "memory").map_err(of_sqlite)?;
    connection.pragma_update(None, "query_only", true).map_err(of_sqlite)?;
    keep_plans(&connection)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(connection)
}

/// Otherwise SQLite prepares a statement again whenever the number bound to its LIMIT changes, which costs more than a
/// short statement itself. Ours name their index.
fn keep_plans(connection: &Connection) -> Result<(), Error> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(of_sqlite)?;
    Ok(())
}

const PAGE_SIZE: i64 = 8192;
/// Pages in the write-ahead log before they go into the file.
const WAL_PAGES: i64 = 8000;

/// Refuses a file that is shorter than its header says. SQLite would notice when it reads what is missing; and with a
/// write-ahead log the rest may be in there.
fn check_length(path: &Path) -> Result<(), Error> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if std::fs::metadata(log).is_ok_and(|log| log.len() > 0) {
        return Ok(());
    }
    let failed = |error: std::io::Error| Error::Retry(format!("{}: {error}", path.display()));
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        opened => opened.map_err(failed)?,
    };
    let length = file.metadata().map_err(failed)?.len();
    // Of the file format: a magic text, the page size in bytes 16 and 17, the number of pages in bytes 28 to 31.
    let mut header = [0; 32];
    if length > 0 && file.read_exact(&mut header).is_ok() && header.starts_with(b"SQLite format 3\0") {
        let page = match u16::from_be_bytes([header[16], header[17]]) {
            1 => 65_536,
            size => u64::from(size),
        };
        let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
        if length < page * u64::from(pages) {
            return Err(Error::Corrupt("the file has been cut off".into()));
        }
    }
    Ok(())
}

/// Refuses what is not ours before anything is written.
fn check(connection: &Connection) -> Result<(), Error> {
    let number = |pragma: &str| -> Result<i64, Error> {
        connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(of_sqlite)
    };
    let application = number("application_id")?;
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(of_sqlite)?;
    if application != i64::from(APPLICATION_ID) && (application != 0 || tables > 0) {
        return Err(Error::Corrupt("the file belongs to another program".into()));
    }
    let (found, known) = (number("user_version")? as u32, STEPS.len() as u32);
    if found > known {
        return Err(Error::Newer { found, known });
    }
    Ok(())
}

/// Takes the steps that the file has not seen, each in a transaction of its own.
fn migrate(connection: &mut Connection, steps: &[&str]) -> Result<(), Error> {
    let found: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(of_sqlite)?;
    for (at, step) in steps.iter().enumerate().skip(found as usize) {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(of_sqlite)?;
        transaction.execute_batch(step).map_err(of_sqlite)?;
        transaction.pragma_update(None, "user_version", at as u32 + 1).map_err(of_sqlite)?;
        transaction.commit().map_err(of_sqlite)?;
    }
    Ok(())
}
