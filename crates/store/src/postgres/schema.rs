//! The database's schema: found, checked, brought up to date. Forward only.

use super::{
    error::Sorted as _,
    session::{Channel, Session},
};
use crate::Error;

/// Every released version of the schema as the step from the one before. A released step never changes.
const STEPS: &[&str] = &[include_str!("schema_v1.sql")];

/// Held while the schema is looked at and changed: "CWst", any number would do.
const LOCK: i64 = 0x4357_7374;

/// Brings the schema up to date; the answer is the number of this opening.
pub(super) async fn open(session: &mut Session) -> Result<i64, Error> {
    session
        .run(async |channel| {
            channel.batch("BEGIN").await?;
            channel.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
            migrate(channel).await?;
            channel.batch("COMMIT").await?;
            channel.one("SELECT nextval('clusterway.writer')", &[]).await?.try_get(0).sorted()
        })
        .await
}

async fn migrate(channel: &Channel) -> Result<(), Error> {
    let encoding: String = channel.one("SHOW server_encoding", &[]).await?.try_get(0).sorted()?;
    if encoding != "UTF8" {
        return Err(Error::config("database", format!("has the encoding {encoding}, it must be UTF8")));
    }
    let known = STEPS.len() as u32;
    let found = version(channel).await?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    if found == known {
        return Ok(());
    }
    if found == 0 {
        channel.batch("CREATE SCHEMA IF NOT EXISTS clusterway").await?;
        channel.batch("CREATE TABLE clusterway.schema (version integer NOT NULL)").await?;
        channel.batch("INSERT INTO clusterway.schema VALUES (0)").await?;
        trigrams(channel).await?;
    }
    for step in &STEPS[found as usize..] {
        channel.batch(step).await?;
    }
    channel.execute("UPDATE clusterway.schema SET version = $1", &[&(known as i32)]).await?;
    Ok(())
}

/// The version of the schema; 0 if there is none.
async fn version(channel: &Channel) -> Result<u32, Error> {
    let exists = "SELECT to_regclass('clusterway.schema') IS NOT NULL, \
                  EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = to_regnamespace('clusterway')::oid)";
    let row = channel.one(exists, &[]).await?;
    match (row.try_get(0).sorted()?, row.try_get(1).sorted()?) {
        (true, _) => {
            let version: i32 =
                channel.one("SELECT version FROM clusterway.schema", &[]).await?.try_get(0).sorted()?;
            Ok(version as u32)
        }
        (false, false) => Ok(0),
        (false, true) => Err(Error::Corrupt("the schema clusterway belongs to another program".into())),
    }
}

/// The extension that finds parts of names.
async fn trigrams(channel: &Channel) -> Result<(), Error> {
    channel.batch("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA clusterway").await.map_err(|error| match error {
        Error::Failed(said) => Error::Failed(format!(
            "the database has no extension pg_trgm, and it cannot be made: {said}; an administrator makes it with \
             CREATE EXTENSION pg_trgm (Debian has it in postgresql, others in postgresql-contrib)"
        )),
        other => other,
    })
}
