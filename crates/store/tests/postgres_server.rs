//! What PostgreSQL's own life does to a store, and several hubs to each other.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{sync::Arc, time::Duration};

use meta::{ObjectKey, RawObject};
use store::{
    Batch, Change, ClusterName, Config, Error, ObjectName, OrderBy, OrderField, PostgresOptions,
    PostgresStore, Query, Store as _,
};
use testkit::postgres::{PASSWORD, Postgres, USER};
use tokio::time::{Instant, timeout};

use crate::common::{stored, things};

fn cluster(name: &str) -> ClusterName {
    ClusterName::new(name)
}

fn thing(name: &str, version: usize) -> Change {
    let key = ObjectKey {
        namespace: "default".into(),
        name: name.into(),
        uid: format!("uid-{name}"),
        resource_version: version.to_string(),
        labels: [("app".to_owned(), name.to_owned())].into(),
        ..ObjectKey::default()
    };
    let json = format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{{"color":"red"}}}}"#);
    Change::Upsert(RawObject { key, json: json.into_bytes().into() })
}

fn batch(of: &str, changes: Vec<Change>, checkpoint: usize) -> Batch {
    Batch { cluster: cluster(of), resource: things(), changes, checkpoint: Some(checkpoint.to_string()) }
}

async fn open(dsn: &str) -> Result<PostgresStore, Error> {
    PostgresStore::open(PostgresOptions::new(dsn)?).await
}

/// A server with one empty database.
async fn database() -> (Postgres, String) {
    let server = Postgres::start().await.unwrap();
    let dsn = server.create_database("search").await.unwrap();
    (server, dsn)
}

/// A connection of the test's own.
async fn connect(dsn: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(dsn, tokio_postgres::NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with the client")]
    tokio::spawn(connection);
    client
}

async fn checkpoint(store: &PostgresStore, of: &str) -> Option<String> {
    store.checkpoints(&cluster(of)).await.unwrap().pop()?.resource_version
}

/// Asks until the answer is right.
async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_store_that_is_gone_for_a_while_is_an_error_to_retry_and_comes_back_by_itself() {
    let (mut server, dsn) = database().await;
    let store = open(&dsn).await.unwrap();
    store.apply(batch("c", vec![thing("a", 1)], 1)).await.unwrap();
    for crash in [false, true] {
        if crash {
            server.crash().unwrap();
        } else {
            server.stop().unwrap();
        }
        let error = store.apply(batch("c", vec![thing("b", 2)], 2)).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        let error = store.select(Query::of(things())).await.unwrap().next().await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        server.start_again().await.unwrap();
        // At the first attempt, with everything that was acknowledged and nothing that was not.
        assert_eq!(stored(&store).await, 1);
        assert_eq!(checkpoint(&store, "c").await.as_deref(), Some("1"));
    }
    store.apply(batch("c", vec![thing("b", 2)], 2)).await.unwrap();
    assert_eq!(stored(&store).await, 2);
}

#[tokio::test]
async fn what_a_crash_of_the_server_interrupts_has_not_happened_and_what_was_acknowledged_has() {
    let (mut server, dsn) = database().await;
    let store = Arc::new(open(&dsn).await.unwrap());
    let acknowledged = std::sync::atomic::AtomicUsize::new(0);
    let write = async {
        for number in 0.. {
            let changes = (0..20).map(|at| thing(&format!("n{number}-{at}"), 1)).collect();
            if store.apply(batch("c", changes, number)).await.is_err() {
                return number;
            }
            acknowledged.store(number + 1, std::sync::atomic::Ordering::SeqCst);
        }
        unreachable!("it is interrupted")
    };
    let crash = async {
        eventually("some batches", async || {
            (acknowledged.load(std::sync::atomic::Ordering::SeqCst) > 20).then_some(())
        })
        .await;
        server.crash().unwrap();
    };
    let (failed, ()) = tokio::join!(write, crash);
    server.start_again().await.unwrap();
    let reached: usize = checkpoint(&store, "c").await.unwrap().parse().unwrap();
    // The one that failed may have been committed whole, when only the answer was lost.
    assert!(reached + 1 == failed || reached == failed, "{reached}, but {failed} failed");
    assert_eq!(stored(&*store).await, (reached as u64 + 1) * 20);
}

#[tokio::test]
async fn a_reader_never_sees_a_number_before_a_lower_one_whose_commit_is_delayed() {
    let (_server, dsn) = database().await;
    let (slow, quick) = (open(&dsn).await.unwrap(), open(&dsn).await.unwrap());
    slow.apply(batch("slow", vec![thing("a", 1)], 1)).await.unwrap();
    quick.apply(batch("quick", vec![thing("a", 1)], 1)).await.unwrap();
    // A commit of the slow cluster takes its time after it has its numbers.
    connect(&dsn)
        .await
        .batch_execute(
            "CREATE FUNCTION delay() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END'; \
             CREATE CONSTRAINT TRIGGER delay AFTER UPDATE ON clusterway.object DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW WHEN (new.scope = 1) EXECUTE FUNCTION delay()",
        )
        .await
        .unwrap();
    let newest = Query { order: vec![OrderBy::descending(OrderField::Sequence)], ..Query::of(things()) };
    let seen = async |store: &PostgresStore| -> Vec<u64> {
        let mut rows = store.select(newest.clone()).await.unwrap();
        let mut numbers = Vec::new();
        while let Some(row) = rows.next().await.unwrap() {
            numbers.push(row.position.sequence);
        }
        numbers
    };
    let over = std::sync::atomic::AtomicBool::new(false);
    let late = async {
        let applied = slow.apply(batch("slow", vec![thing("a", 2)], 2)).await.unwrap();
        over.store(true, std::sync::atomic::Ordering::SeqCst);
        applied.sequence
    };
    let soon = async {
        // Once the slow one has its numbers.
        tokio::time::sleep(Duration::from_millis(200)).await;
        quick.apply(batch("quick", vec![thing("a", 2)], 2)).await.unwrap().sequence
    };
    let watch = async {
        let mut states = Vec::new();
        while !over.load(std::sync::atomic::Ordering::SeqCst) {
            states.push(seen(&quick).await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        states
    };
    let (late, soon, states) = tokio::join!(late, soon, watch);
    assert!(late < soon, "{late} {soon}");
    assert!(states.len() > 5, "the reader did not wait for the writers");
    for state in states {
        assert!(!state.contains(&soon) || state.contains(&late), "{soon} without {late}: {state:?}");
    }
    assert_eq!(seen(&slow).await, [soon, late]);
}

#[tokio::test]
async fn a_hub_that_was_overtaken_writes_no_more_until_it_lists_anew() {
    let (_server, dsn) = database().await;
    let (old, new) = (open(&dsn).await.unwrap(), open(&dsn).await.unwrap());
    old.apply(batch("c", vec![thing("a", 1)], 1)).await.unwrap();
    // The new one takes over where the old one was.
    assert_eq!(checkpoint(&new, "c").await.as_deref(), Some("1"));
    new.apply(batch("c", vec![thing("a", 5)], 5)).await.unwrap();
    // What the old one still has in hand is older.
    for _ in 0..2 {
        let stale = old.apply(batch("c", vec![thing("a", 2)], 2)).await;
        assert!(matches!(stale, Err(Error::Superseded)), "{stale:?}");
        assert_eq!(checkpoint(&old, "c").await.as_deref(), Some("5"));
    }
    // One that looked before it was overtaken has nothing newer either.
    let late = open(&dsn).await.unwrap();
    assert_eq!(checkpoint(&late, "c").await.as_deref(), Some("5"));
    let generation = old.begin_generation(&cluster("c"), &things()).await.unwrap();
    old.apply(batch("c", vec![thing("a", 6)], 6)).await.unwrap();
    assert!(matches!(late.apply(batch("c", vec![], 5)).await, Err(Error::Superseded)));
    assert!(matches!(new.apply(batch("c", vec![thing("a", 5)], 5)).await, Err(Error::Superseded)));
    assert_eq!(old.sweep(generation, Some("7".into())).await.unwrap(), 0);
    assert_eq!(checkpoint(&new, "c").await.as_deref(), Some("7"));
    // Other clusters are nobody's yet.
    new.apply(batch("d", vec![thing("a", 1)], 1)).await.unwrap();
}

#[tokio::test]
async fn hubs_that_write_side_by_side_give_each_number_once() {
    let (_server, dsn) = database().await;
    let stores = [open(&dsn).await.unwrap(), open(&dsn).await.unwrap()];
    let write = |at: usize| {
        let store = &stores[at];
        async move {
            let mut numbers = Vec::new();
            for round in 0..30 {
                let changes = (0..5).map(|it| thing(&format!("n{it}"), round)).collect();
                let applied = store.apply(batch(&format!("c{at}"), changes, round)).await.unwrap();
                numbers.extend(applied.sequence - 4..=applied.sequence);
            }
            numbers
        }
    };
    let (a, b) = tokio::join!(write(0), write(1));
    let mut all = [a, b].concat();
    all.sort_unstable();
    assert_eq!(all, (1..=300).collect::<Vec<u64>>());
    assert_eq!(stored(&stores[0]).await, 10);
}

#[tokio::test]
async fn a_field_that_one_hub_registers_is_extracted_by_the_others() {
    let (_server, dsn) = database().await;
    let (one, other) = (open(&dsn).await.unwrap(), open(&dsn).await.unwrap());
    one.apply(batch("c", vec![thing("a", 1)], 1)).await.unwrap();
    let steps = ["spec", "color"].map(|name| meta::Step::Field(name.into())).into();
    let operator = meta::Operator::In(["red".to_owned()].into());
    let requirement = meta::FieldRequirement { path: meta::FieldPath { steps }, operator };
    let red =
        Query { fields: meta::FieldSelector { requirements: vec![requirement] }, ..Query::of(things()) };
    assert_eq!(other.count(red.clone()).await.unwrap(), 1);
    let client = connect(&dsn).await;
    let filled = "SELECT count(*) FROM clusterway.term_key WHERE resource > 0 AND filled IS NULL";
    eventually("the field is indexed", async || {
        let row = client.query_one(filled, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    // The one that did not register it has not heard of it yet.
    one.apply(batch("c", vec![thing("b", 2)], 2)).await.unwrap();
    assert_eq!(one.count(red).await.unwrap(), 2);
}

#[tokio::test]
async fn a_full_disk_is_an_error_to_retry_and_leaves_nothing_half_written() {
    let (_server, dsn) = database().await;
    let store = open(&dsn).await.unwrap();
    store.apply(batch("c", vec![thing("a", 1)], 1)).await.unwrap();
    let client = connect(&dsn).await;
    // As PostgreSQL says it, in the middle of a batch.
    client
        .batch_execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
             $$BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END$$; \
             CREATE TRIGGER full_disk BEFORE INSERT ON clusterway.object FOR EACH ROW EXECUTE FUNCTION full_disk()",
        )
        .await
        .unwrap();
    let error = store.apply(batch("c", vec![thing("a", 2), thing("b", 2)], 2)).await.unwrap_err();
    assert!(matches!(&error, Error::Retry(text) if text.contains("disk")), "{error}");
    assert_eq!((stored(&store).await, checkpoint(&store, "c").await), (1, Some("1".into())));
    client.batch_execute("DROP TRIGGER full_disk ON clusterway.object").await.unwrap();
    store.apply(batch("c", vec![thing("a", 2), thing("b", 2)], 2)).await.unwrap();
    assert_eq!(stored(&store).await, 2);
}

#[tokio::test]
async fn between_two_pieces_of_an_answer_nothing_is_held() {
    let (_server, dsn) = database().await;
    let store = open(&dsn).await.unwrap();
    for part in 0..4 {
        let changes = (0..400).map(|at| thing(&format!("n{part}-{at:03}"), 1)).collect();
        store.apply(batch("c", changes, part)).await.unwrap();
    }
    let mut rows = store.select(Query::of(things())).await.unwrap();
    assert!(rows.next().await.unwrap().is_some());
    let client = connect(&dsn).await;
    let busy =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'clusterway' AND state <> 'idle'";
    eventually("all connections are idle", async || {
        (client.query_one(busy, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    // Not even the connection: the server may end all of them.
    let ended =
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'clusterway'";
    eventually("all connections are gone", async || {
        (client.query_one(ended, &[]).await.unwrap().get::<_, i64>(0) == 0).then_some(())
    })
    .await;
    let mut left = 0;
    while rows.next().await.unwrap().is_some() {
        left += 1;
    }
    assert_eq!(left, 1599);
}

#[tokio::test]
async fn a_schema_of_a_newer_version_or_of_another_program_is_refused() {
    let (server, dsn) = database().await;
    open(&dsn).await.unwrap().close().await;
    connect(&dsn).await.batch_execute("UPDATE clusterway.schema SET version = 99").await.unwrap();
    let error = open(&dsn).await.unwrap_err();
    assert!(matches!(error, Error::Newer { found: 99, known: 1 }), "{error}");
    let foreign = server.create_database("foreign").await.unwrap();
    connect(&foreign).await.batch_execute("CREATE SCHEMA clusterway CREATE TABLE t (x int)").await.unwrap();
    assert!(matches!(open(&foreign).await.unwrap_err(), Error::Corrupt(_)));
}

/// A database as version 1 of the schema had it, with one object and all that belongs to it.
#[tokio::test]
async fn a_database_of_version_1_is_read_and_written_on() {
    let (_server, dsn) = database().await;
    let client = connect(&dsn).await;
    client.batch_execute(include_str!("released/postgres_v1.sql")).await.unwrap();
    let body = zstd::bulk::compress(br#"{"metadata":{"name":"a"}}"#, 1).unwrap();
    client.execute("INSERT INTO clusterway.body VALUES (4294967297, $1)", &[&body]).await.unwrap();
    let store = open(&dsn).await.unwrap();
    assert_eq!(stored(&store).await, 1);
    let name = ObjectName::new("default", "a");
    let row = store.get(&cluster("c"), &things(), &name).await.unwrap().unwrap();
    assert_eq!(&row.json[..], br#"{"metadata":{"name":"a"}}"#);
    assert_eq!((row.position.sequence, row.uid.as_str()), (5, "uid-a"));
    let labelled =
        meta::LabelRequirement { key: "app".into(), operator: meta::Operator::In(["a".into()].into()) };
    let labelled =
        Query { labels: meta::LabelSelector { requirements: vec![labelled] }, ..Query::of(things()) };
    assert_eq!(store.count(labelled).await.unwrap(), 1);
    let applied = store.apply(batch("c", vec![thing("bcd", 9)], 9)).await.unwrap();
    assert_eq!(applied.sequence, 6);
    let fuzzy = Query { fuzzy_names: vec!["bcd".into()], ..Query::of(things()) };
    assert_eq!(store.count(fuzzy).await.unwrap(), 1);
}

#[tokio::test]
async fn hubs_that_start_together_make_one_schema() {
    let (_server, dsn) = database().await;
    let (a, b, c) = tokio::join!(open(&dsn), open(&dsn), open(&dsn));
    a.unwrap();
    b.unwrap();
    c.unwrap();
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_database_are_said_and_no_password_is() {
    let (server, dsn) = database().await;
    let error = open(&dsn.replace(PASSWORD, "hunter2")).await.unwrap_err();
    assert!(error.is_retryable() && !error.to_string().contains("hunter2"), "{error}");
    let error = open(&server.dsn("nobody")).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("nobody"), "{error}");
}

#[tokio::test]
async fn tls_verifies_as_much_as_the_mode_says() {
    let mut server = Postgres::start().await.unwrap();
    server.create_database("search").await.unwrap();
    let config = |mode: &str, root: Option<&std::path::Path>| Config {
        host: Some("127.0.0.1".into()),
        port: Some(server.port().to_string()),
        user: Some(USER.into()),
        password: Some(PASSWORD.into()),
        database: Some("search".into()),
        ssl_mode: Some(mode.into()),
        ssl_root_cert_file: root.map(|path| path.display().to_string()),
        ..Config::default()
    };
    let opens = async |config: Config| {
        let options = PostgresOptions::from_config(&config).unwrap();
        let opened = timeout(Duration::from_secs(20), PostgresStore::open(options)).await.unwrap();
        opened.map(drop)
    };
    // Without TLS in the server.
    opens(config("disable", None)).await.unwrap();
    opens(config("prefer", None)).await.unwrap();
    assert!(opens(config("require", None)).await.is_err());

    let (ours, other) = (Authority::new(), Authority::new());
    let write = |name: &str, text: &str| server.write_private(name, text).unwrap();
    let (root, other) = (write("ca.pem", &ours.pem), write("other.pem", &other.pem));
    let (named, misnamed) = (ours.certificate("127.0.0.1"), ours.certificate("elsewhere.example.com"));
    let mut files = Vec::new();
    for (name, (certificate, key)) in [("named", named), ("misnamed", misnamed)] {
        let certificate = write(&format!("{name}.crt"), &certificate);
        let key = write(&format!("{name}.key"), &key);
        files.push([
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", certificate.display()),
            format!("ssl_key_file={}", key.display()),
        ]);
    }
    let configs = |root: &std::path::Path| ["verify-ca", "verify-full"].map(|mode| config(mode, Some(root)));
    let (right, wrong) = (configs(&root), configs(&other));
    let unverified = ["prefer", "require"].map(|mode| config(mode, None));
    for (settings, full) in files.iter().zip([true, false]) {
        server.stop().unwrap();
        server.set(&settings.iter().map(String::as_str).collect::<Vec<_>>());
        server.start_again().await.unwrap();
        for config in &unverified {
            opens(config.clone()).await.unwrap();
        }
        let [ca, host] = right.clone();
        opens(ca).await.unwrap();
        assert_eq!(opens(host).await.is_ok(), full);
        for config in &wrong {
            assert!(opens(config.clone()).await.is_err());
        }
    }
}

struct Authority {
    pem: String,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: rcgen::Issuer::new(params, key) }
    }

    fn certificate(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}
