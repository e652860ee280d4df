//! What becomes of a SQLite store's file: killed writers, full disks, newer, older, foreign and torn files.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use meta::{ObjectKey, RawObject};
use rusqlite::Connection;
use store::{Batch, Change, ClusterName, Error, ObjectName, Query, SqliteOptions, SqliteStore, Store as _};

use crate::common::{stored, things};

fn cluster() -> ClusterName {
    ClusterName::new("c")
}

/// Things whose bodies do not compress.
fn batch(from: usize, count: usize, checkpoint: usize) -> Batch {
    let mut noise = 1_u64;
    let mut object = |at: usize| {
        let mut text = String::new();
        for _ in 0..100 {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(at as u64 * 2 + 1);
            text += &noise.to_string();
        }
        let name = format!("n{at:06}");
        let key = ObjectKey {
            name: name.clone(),
            uid: name,
            resource_version: at.to_string(),
            ..ObjectKey::default()
        };
        let json = format!(r#"{{"metadata":{{"name":"n{at:06}"}},"noise":"{text}"}}"#);
        Change::Upsert(RawObject { key, json: json.into_bytes().into() })
    };
    Batch {
        cluster: cluster(),
        resource: things(),
        changes: (from..from + count).map(&mut object).collect(),
        checkpoint: Some(checkpoint.to_string()),
    }
}

async fn open(path: &Path) -> Result<SqliteStore, Error> {
    SqliteStore::open(SqliteOptions::new(path)).await
}

const BATCH: usize = 50;

/// The process that is killed below: writes batches for ever and says when each was acknowledged.
#[tokio::test]
async fn a_process_to_be_killed() {
    let Ok(path) = std::env::var("STORE_TEST_KILLED") else { return };
    let store = open(Path::new(&path)).await.unwrap();
    for number in 0.. {
        store.apply(batch(number * BATCH, BATCH, number)).await.unwrap();
        writeln!(std::io::stdout(), "acknowledged {number}").unwrap();
    }
}

#[tokio::test]
async fn acknowledged_batches_survive_the_kill_of_the_process_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_to_be_killed", "--nocapture"])
        .env("STORE_TEST_KILLED", &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let acknowledged = |line: String| Some(line.split_once("acknowledged ")?.1.parse::<u64>().unwrap());
    let mut last = lines.by_ref().map_while(Result::ok).filter_map(acknowledged).find(|number| *number >= 20);
    process.kill().unwrap();
    process.wait().unwrap();
    last = lines.map_while(Result::ok).filter_map(acknowledged).last().or(last);

    let store = open(&path).await.unwrap();
    let checkpoint = store.checkpoints(&cluster()).await.unwrap().remove(0);
    let reached: u64 = checkpoint.resource_version.unwrap().parse().unwrap();
    assert!(reached >= last.unwrap(), "{reached} < {last:?}");
    // The rows are those of the checkpoint, no more and no less.
    assert_eq!(stored(&store).await, (reached + 1) * BATCH as u64);
    store.close().await;
    let verdict: String =
        Connection::open(&path).unwrap().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
}

#[tokio::test]
async fn a_full_disk_is_an_error_to_retry_and_leaves_nothing_half_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let mut options = SqliteOptions::new(&path);
    options.max_pages = Some(120);
    let store = SqliteStore::open(options).await.unwrap();
    let mut written = 0;
    let error = loop {
        match store.apply(batch(written * BATCH, BATCH, written)).await {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_retryable() && matches!(error, Error::Retry(_)), "{error}");
    assert!(written > 0);
    assert_eq!(stored(&store).await, (written * BATCH) as u64);
    let checkpoint = store.checkpoints(&cluster()).await.unwrap().remove(0);
    assert_eq!(checkpoint.resource_version, Some((written - 1).to_string()));
    // With room again it goes on, here within what a delete has freed.
    let doomed =
        (0..written * BATCH).map(|at| Change::Delete(ObjectName::new("", format!("n{at:06}")))).collect();
    store.apply(Batch { changes: doomed, ..batch(0, 0, 0) }).await.unwrap();
    store.apply(batch(0, BATCH, 0)).await.unwrap();
    assert_eq!(stored(&store).await, BATCH as u64);
}

#[tokio::test]
async fn a_second_process_is_told_that_the_store_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = open(&path).await.unwrap();
    assert!(matches!(open(&path).await, Err(Error::Held(_))));
    store.close().await;
    open(&path).await.unwrap();
}

/// Opening fails and leaves the file as it is.
async fn refused(path: &Path) -> Error {
    let before = std::fs::read(path).unwrap();
    let error = open(path).await.unwrap_err();
    assert_eq!(std::fs::read(path).unwrap(), before, "the file was touched: {error}");
    error
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    open(&path).await.unwrap().close().await;
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = refused(&path).await;
    assert!(matches!(error, Error::Newer { found: 99, known: 2 }), "{error}");
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("text");
    std::fs::write(&text, "not a database, but longer than the header of one would be: ".repeat(100))
        .unwrap();
    assert!(matches!(refused(&text).await, Error::Corrupt(_)));

    let table = directory.path().join("table");
    Connection::open(&table).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(matches!(refused(&table).await, Error::Corrupt(_)));

    let empty = directory.path().join("empty");
    Connection::open(&empty).unwrap().execute_batch("PRAGMA application_id = 7; VACUUM").unwrap();
    assert!(matches!(refused(&empty).await, Error::Corrupt(_)));
}

#[tokio::test]
async fn a_torn_file_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = open(&path).await.unwrap();
    store.apply(batch(0, 500, 0)).await.unwrap();
    store.close().await;
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = refused(&path).await;
    assert!(matches!(error, Error::Corrupt(_)));
    let told = error.to_string();
    assert!(told.contains(&format!("delete {}", path.display())), "it does not say what to do: {told}");
    std::fs::write(&path, &whole[..700]).unwrap();
    assert!(matches!(refused(&path).await, Error::Corrupt(_)));
}

#[tokio::test]
async fn a_body_in_which_a_bit_has_fallen_over_is_never_served() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = open(&path).await.unwrap();
    store.apply(batch(0, 1, 0)).await.unwrap();
    let name = ObjectName::new("", "n000000");
    let written = store.get(&cluster(), &things(), &name).await.unwrap();
    let connection = Connection::open(&path).unwrap();
    let whole: Vec<u8> = connection.query_row("SELECT json FROM body", [], |row| row.get(0)).unwrap();
    for at in 0..whole.len() {
        let mut torn = whole.clone();
        torn[at] ^= 1 << (at % 8);
        connection.execute("UPDATE body SET json = ?", [&torn]).unwrap();
        match store.get(&cluster(), &things(), &name).await {
            Err(Error::Corrupt(_)) => {}
            // Some bits mean nothing.
            read => assert_eq!(read.unwrap(), written, "with a change in byte {at}"),
        }
    }
}

/// The log of a killed process, cut off or with a bit that has fallen over, is good up to there: rows and checkpoint
/// are of the same moment, and what is missing comes again from the cluster.
#[tokio::test]
async fn a_torn_log_is_a_store_of_an_earlier_moment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = open(&path).await.unwrap();
    for number in 0..10 {
        store.apply(batch(number * BATCH, BATCH, number)).await.unwrap();
    }
    // As a killed process leaves them: copied while the store is open.
    let log = std::fs::read(directory.path().join("store.db-wal")).unwrap();
    let file = std::fs::read(&path).unwrap();
    store.close().await;
    for part in 1..8 {
        for cut in [true, false] {
            let other = directory.path().join(format!("torn-{part}-{cut}.db"));
            std::fs::write(&other, &file).unwrap();
            let mut torn = log.clone();
            let at = torn.len() / 8 * part + 3;
            if cut {
                torn.truncate(at);
            } else {
                torn[at] ^= 16;
            }
            std::fs::write(other.with_extension("db-wal"), torn).unwrap();
            let store = open(&other).await.unwrap();
            let reached = store.checkpoints(&cluster()).await.unwrap();
            let batches = reached.first().map_or(0, |checkpoint| {
                checkpoint.resource_version.as_ref().unwrap().parse::<usize>().unwrap() + 1
            });
            assert!(batches < 10);
            assert_eq!(stored(&store).await, (batches * BATCH) as u64);
            store.close().await;
        }
    }
}

#[tokio::test]
async fn an_empty_file_becomes_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    std::fs::write(&path, "").unwrap();
    open(&path).await.unwrap();
}

/// A file as version 1 of the schema had it, with one object and all that belongs to it.
#[tokio::test]
async fn a_file_of_version_1_is_read_and_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    Connection::open(&path).unwrap().execute_batch(include_str!("released/v1.sql")).unwrap();
    let body = zstd::bulk::compress(br#"{"metadata":{"name":"n000000"}}"#, 1).unwrap();
    Connection::open(&path).unwrap().execute("INSERT INTO body VALUES (4294967297, 31, ?)", [body]).unwrap();
    let store = open(&path).await.unwrap();
    assert_eq!(stored(&store).await, 1);
    let row = store.get(&cluster(), &things(), &ObjectName::new("", "n000000")).await.unwrap().unwrap();
    assert_eq!(&row.json[..], br#"{"metadata":{"name":"n000000"}}"#);
    assert_eq!(row.position.sequence, 5);
    let applied = store.apply(batch(1, 1, 9)).await.unwrap();
    assert_eq!((applied.sequence, store.head().await.unwrap()), (6, 6));
    store.describe(&cluster(), &things(), "a text".into()).await.unwrap();
    assert_eq!(store.description(None, &things()).await.unwrap().as_deref(), Some("a text"));
    let fuzzy = Query { fuzzy_names: vec!["n0000".into()], ..Query::of(things()) };
    assert_eq!(store.count(fuzzy).await.unwrap(), 2);
}
