//! Children, hubs and stores that die, go back and come again while they are collected. After each fault a checker
//! compares the child and the store object by object. Meanwhile the PediaCluster says what is wrong, the search goes on
//! with what is stored, and other clusters are not held up.

mod imported;

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use http::Method;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::{Value, json};
use testkit::postgres::Postgres;

use self::imported::{CONFIGMAPS, Imported, PATIENCE, Way, make, name, write};
use crate::{
    cluster::{Cluster, Ports},
    fleet::{Fleet, ready_or_log},
    free_port,
    install::HUB,
    process::Spec,
    wait,
};

/// What an ordinary change may take to be found while another cluster is sick.
const SOON: Duration = Duration::from_secs(10);

pub(super) async fn a_child_that_was_killed_and_changed_meanwhile_is_stored_as_it_is_then(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let sick = Imported::new(fleet, "child1", "faults-killed", Way::Tunnel).await?;
    let healthy = Imported::new(fleet, "child2", "faults-healthy", Way::Direct).await?;
    let server = format!("{}/kube-apiserver", sick.child.name);
    let result = Box::pin(killed(fleet, &sick, &healthy, &server)).await;
    fleet.restart(&server)?;
    sick.child.ready(PATIENCE).await?;
    sick.remove().await?;
    healthy.remove().await?;
    result
}

async fn killed(fleet: &Fleet, sick: &Imported, healthy: &Imported, server: &str) -> anyhow::Result<()> {
    sick.make(0, 20).await?;
    sick.until_same().await?;
    healthy.until_same().await?;
    fleet.kill(server).await?;
    sick.until_condition("ClusterHealthy", "False").await?;
    sick.until_condition("Ready", "False").await?;
    ensure!(sick.stored(CONFIGMAPS).await?.len() >= 20, "the search forgot what is stored");
    for number in 0..5 {
        let began = Instant::now();
        healthy.make(number, 1).await?;
        healthy.until_same().await?;
        ensure!(began.elapsed() < SOON, "a change in another cluster took {:?}", began.elapsed());
    }
    // Another API server of the same cluster, of which nobody knows.
    let other = Cluster {
        ports: Ports { apiserver: free_port(sick.child.address())?, ..sick.child.ports.clone() },
        ..sick.child.clone()
    };
    let spec = fleet.process(server).context("it was never started")?.spec;
    let port = |argument: &String| match argument.strip_prefix("--secure-port=") {
        Some(_) => format!("--secure-port={}", other.ports.apiserver),
        None => argument.clone(),
    };
    let args = spec.args.iter().map(port).collect();
    let process = fleet.start(fleet.spec("child1/another-apiserver", &spec.program, args))?;
    ready_or_log(&process, other.ready(PATIENCE)).await?;
    let client = other.http_as("fleet-administrator", &["system:masters"])?;
    let changed = change(&client).await;
    fleet.remove("child1/another-apiserver").await?;
    changed?;
    ensure!(sick.stored(CONFIGMAPS).await?.len() >= 20, "something was deleted for want of an answer");
    fleet.restart(server)?;
    sick.child.ready(PATIENCE).await?;
    sick.until_same().await?;
    sick.until_condition("Ready", "True").await.map(drop)
}

/// Changes, deletes, makes, and makes again.
async fn change(client: &crate::http::Client) -> anyhow::Result<()> {
    let of = |number: usize| format!("{CONFIGMAPS}/{}", name(number));
    write(client, Method::PATCH, &of(0), &json!({ "data": { "changed": "true" } })).await?;
    write(client, Method::DELETE, &of(1), &Value::Null).await?;
    write(client, Method::DELETE, &of(2), &Value::Null).await?;
    make(client, 2, 1).await?;
    make(client, 100, 10).await
}

/// A backup of etcd is taken while everything runs, then the child goes on for a while, then it is what the backup has:
/// its resource versions go back. At last it is what it was before.
pub(super) async fn a_child_that_was_set_back_to_an_older_state_is_stored_as_it_is_then(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let child = Imported::new(fleet, "child2", "faults-set-back", Way::Direct).await?;
    let server = format!("{}/kube-apiserver", child.child.name);
    let spec = fleet.process(&server).context("it was never started")?.spec;
    let backup = fleet.directory().join("etcd-backup");
    let result = Box::pin(set_back(fleet, &child, &spec, &backup)).await;
    let again = restart_as(fleet, &child, spec).await;
    let result = match result {
        // And forth again.
        Ok(()) => again.and(child.until_same().await),
        failed => failed,
    };
    fleet.remove("etcd-backup").await?;
    let _ = std::fs::remove_dir_all(&backup);
    child.remove().await?;
    result
}

async fn set_back(fleet: &Fleet, child: &Imported, spec: &Spec, backup: &Path) -> anyhow::Result<()> {
    child.make(0, 20).await?;
    child.until_same().await?;
    let etcd = fleet.process("etcd").context("there is no etcd")?;
    // What lies in its files while it stands still is what a crash would leave: a state it can begin from.
    etcd.signal(Signal::STOP)?;
    let copied = copy(&fleet.directory().join("etcd"), backup);
    etcd.signal(Signal::CONT)?;
    copied.context("cannot copy etcd's files")?;
    // The history goes on so far that the copy is behind it for the rest of the test.
    child.make(200, 300).await?;
    change(&child.there).await?;
    child.until_same().await?;

    let port = free_port([127, 0, 0, 1].into())?;
    let (old, new) = (format!("http://127.0.0.1:{}", fleet.etcd_port()), format!("http://127.0.0.1:{port}"));
    let args = etcd.spec.args.iter().map(|argument| match argument.strip_prefix("--data-dir=") {
        Some(_) => format!("--data-dir={}", backup.display()),
        None => argument.replace(&old, &new),
    });
    let process = fleet.start(fleet.spec("etcd-backup", &etcd.spec.program, args.collect()))?;
    let listening = wait::until_true("the backup's etcd to listen", PATIENCE, || async move {
        Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok())
    });
    ready_or_log(&process, listening).await?;
    let args = spec.args.iter().map(|argument| argument.replace(&old, &new)).collect();
    restart_as(fleet, child, Spec { args, ..spec.clone() }).await?;
    child.until_same().await?;
    let stored = child.changes().await?.len();
    ensure!(stored == 20, "{stored} ConfigMaps are stored, the backup had 20");
    // What happens from now on is followed.
    child.make(600, 5).await?;
    child.until_same().await
}

/// Ends the child's API server and starts it in another way.
async fn restart_as(fleet: &Fleet, child: &Imported, spec: Spec) -> anyhow::Result<()> {
    fleet.kill(&spec.name).await?;
    let process = fleet.start(spec)?;
    ready_or_log(&process, child.child.ready(PATIENCE)).await?;
    // What else runs there remembers a future that is none: after a restore, Kubernetes wants all of it restarted.
    for program in ["kube-controller-manager", "kwok"] {
        let name = format!("{}/{program}", child.child.name);
        fleet.kill(&name).await?;
        fleet.restart(&name)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

pub(super) async fn a_custom_resource_that_was_removed_and_added_again_is_stored_as_it_is_then(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let child = Imported::new(fleet, "child2", "faults-custom", Way::Direct).await?;
    let result = Box::pin(custom(&child)).await;
    child.child.kubectl_ok(&["delete", "crd", "widgets.faults.example.com", "--ignore-not-found"]).await?;
    child.remove().await?;
    result
}

async fn custom(child: &Imported) -> anyhow::Result<()> {
    const WIDGETS: &str = "/apis/faults.example.com/v1/widgets";
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.faults.example.com" },
        "spec": {
            "group": "faults.example.com", "scope": "Cluster",
            "names": { "plural": "widgets", "singular": "widget", "kind": "Widget" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    });
    for (round, names) in [["old-1", "both"], ["new-1", "both"]].into_iter().enumerate() {
        child.child.apply(&definition.to_string()).await?;
        child
            .child
            .kubectl_ok(&[
                "wait",
                "crd/widgets.faults.example.com",
                "--for=condition=Established",
                "--timeout=60s",
            ])
            .await?;
        for name in names {
            let widget = json!({
                "apiVersion": "faults.example.com/v1", "kind": "Widget", "metadata": { "name": name }, "spec": { "round": round },
            });
            wait::until_true("the resource to be served", PATIENCE, || async {
                child.write(Method::POST, WIDGETS, &widget).await.map(|_| true)
            })
            .await?;
        }
        wait::until_true("the widgets to be found", PATIENCE, || async {
            Ok(child.stored(WIDGETS).await?.len() == names.len())
        })
        .await?;
        child.until_same().await?;
        if round == 0 {
            child.child.kubectl_ok(&["delete", "crd", "widgets.faults.example.com", "--timeout=60s"]).await?;
        }
    }
    Ok(())
}

const FIRST: usize = 4_000;

/// The hub is killed again and again during a first list. What was stored before is not written again: the number of
/// its last change stays.
pub(super) async fn a_hub_that_is_killed_during_a_first_list_goes_on_and_writes_nothing_twice(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let maker = Imported::new(fleet, "child1", "faults-first", Way::Direct).await?;
    let result = Box::pin(first_list(fleet, maker)).await;
    fleet.start_hub().await?;
    let child = Imported::new(fleet, "child1", "faults-first", Way::Direct).await?;
    child.remove().await?;
    result
}

async fn first_list(fleet: &Fleet, maker: Imported) -> anyhow::Result<()> {
    // The objects are there before anybody collects them.
    maker.remove().await?;
    maker.make(0, FIRST).await?;
    let child = Imported::new(fleet, "child1", "faults-first", Way::Direct).await?;
    let mut before = BTreeMap::new();
    let mut partial = 0;
    for _ in 0..2 {
        wait::until_true("more objects to be stored", PATIENCE, || async {
            let now = child.changes().await?;
            Ok(now.len() == FIRST || now.len() > before.len())
        })
        .await?;
        let seen = answered(&child).await?;
        fleet.kill(HUB).await?;
        partial += usize::from(seen.len() < FIRST);
        fleet.restart(HUB)?;
        let now = answered(&child).await?;
        for (name, change) in &seen {
            ensure!(
                now.get(name) == Some(change),
                "{name} was lost or written again after the hub was killed"
            );
        }
        before = seen;
    }
    fleet.progress().note(format_args!("{partial} of 2 times the list was not over"));
    child.until_same().await?;
    let now = answered(&child).await?;
    ensure!(now.len() == FIRST, "{} of {FIRST} are stored", now.len());
    for (name, change) in &before {
        ensure!(now.get(name) == Some(change), "{name} was written again");
    }
    // And once more when nothing is under way.
    fleet.kill(HUB).await?;
    fleet.restart(HUB)?;
    fleet.until_available(PATIENCE).await?;
    child.until_condition("Ready", "True").await?;
    child.make(FIRST, 1).await?;
    child.until_same().await?;
    let after = child.changes().await?;
    ensure!(now.iter().all(|(name, change)| after.get(name) == Some(change)), "something was written again");
    Ok(())
}

/// What [`Imported::changes`] says, once the search answers again: after a kill the store waits for the Lease.
async fn answered(child: &Imported) -> anyhow::Result<BTreeMap<String, String>> {
    wait::until("the search to answer", PATIENCE, || async { child.changes().await.map(Some) }).await
}

/// The hub's process may not write another byte to a file, as on a full disk; later it may again.
pub(super) async fn a_store_whose_disk_is_full_is_told_and_is_made_up_for(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let child = Imported::new(fleet, "child1", "faults-full", Way::Tunnel).await?;
    let usual = fleet.process(HUB).context("there is no hub")?.spec;
    let result = Box::pin(full_disk(fleet, &child, &usual)).await;
    fleet.stop(HUB).await?;
    fleet.start(usual)?;
    fleet.until_available(PATIENCE).await?;
    child.remove().await?;
    result
}

async fn full_disk(fleet: &Fleet, child: &Imported, usual: &Spec) -> anyhow::Result<()> {
    child.make(0, 20).await?;
    child.until_same().await?;
    fleet.stop(HUB).await?;
    // Who does not ignore the signal dies of it instead of being told. The log is a file too, and does without.
    let mut args = vec![String::from("-c"), String::from(r#"trap '' XFSZ; exec "$0" "$@""#)];
    args.push(usual.program.display().to_string());
    args.extend(usual.args.iter().cloned());
    let spec = Spec { program: "sh".into(), args, log: "/dev/null".into(), ..usual.clone() };
    let hub = fleet.start(spec)?;
    fleet.until_available(PATIENCE).await?;
    child.until_condition("Ready", "True").await?;
    child.until_configmaps("Syncing").await?;
    let changes = answered(child).await?;

    let limit = |bytes: Option<u64>| -> anyhow::Result<()> {
        let pid = Pid::from_raw(hub.pid);
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None })
            .context("cannot limit the hub")?;
        Ok(())
    };
    limit(Some(1))?;
    change(&child.there).await?;
    let (reason, message) = child.until_configmaps("Stop").await?;
    ensure!(reason == "StorageExpection" && !message.is_empty(), "{reason}: {message}");
    ensure!(child.changes().await? == changes, "the search does not go on with what is stored");
    ensure!(hub.alive(), "the hub has ended");
    limit(None)?;
    child.until_same().await?;
    child.until_configmaps("Syncing").await?;
    let after = child.changes().await?;
    let same = |number: usize| after.get(&name(number)) == changes.get(&name(number));
    ensure!((3..20).all(same), "what had not changed was written again");
    Ok(())
}

/// How long the database is away.
const AWAY: Duration = Duration::from_secs(25);

pub(super) async fn a_database_that_is_away_for_a_while_is_told_and_is_made_up_for(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    if let Err(missing) = testkit::postgres::programs() {
        fleet.progress().note(format_args!("skipped: {missing:#}"));
        return Ok(());
    }
    let mut server = Postgres::start().await?;
    let dsn = server.create_database("faults").await?;
    let config = server.write_private("storage.yaml", &format!("type: postgres\ndsn: '{dsn}'\n"))?;
    fleet.use_storage(Some(config)).await?;
    let child = Imported::new(fleet, "child1", "faults-away", Way::Tunnel).await?;
    let result = Box::pin(away(fleet, &child, &mut server)).await;
    if result.is_err() {
        // What is stored has to be there to be removed.
        server.stop()?;
        server.start_again().await?;
    }
    let removed = child.remove().await;
    fleet.use_storage(None).await?;
    result.and(removed)
}

async fn away(fleet: &Fleet, child: &Imported, server: &mut Postgres) -> anyhow::Result<()> {
    child.make(0, 20).await?;
    child.until_same().await?;
    let changes = child.changes().await?;
    server.stop()?;
    let began = Instant::now();
    change(&child.there).await?;
    let (reason, message) = child.until_configmaps("Stop").await?;
    ensure!(reason == "StorageExpection" && !message.is_empty(), "{reason}: {message}");
    wait::until_true("the database to be away for long enough", PATIENCE, || async {
        let code = child.code().await?;
        ensure!(code == 503, "without its store the search answers {code}");
        Ok(began.elapsed() > AWAY)
    })
    .await?;
    ensure!(fleet.process(HUB).is_some_and(|hub| hub.alive()), "the hub has ended");
    server.start_again().await?;
    child.until_same().await?;
    child.until_configmaps("Syncing").await?;
    let after = child.changes().await?;
    let same = |number: usize| after.get(&name(number)) == changes.get(&name(number));
    ensure!((3..20).all(same), "what had not changed was written again");
    Ok(())
}

/// A store that is cut off is refused with a word on what to do; one whose log is torn goes on from before.
pub(super) async fn a_torn_store_is_refused_or_made_up_for_and_never_served(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let child = Imported::new(fleet, "child2", "faults-torn", Way::Direct).await?;
    let result = Box::pin(torn(fleet, &child)).await;
    fleet.start_hub().await?;
    child.remove().await?;
    result
}

async fn torn(fleet: &Fleet, child: &Imported) -> anyhow::Result<()> {
    let file = fleet.directory().join("data").join(HUB).join("search.db");
    let log = file.with_extension("db-wal");
    child.make(0, 50).await?;
    child.until_same().await?;
    // The write-ahead log, cut in its middle, and with a bit that fell over.
    for cut in [true, false] {
        child.make(if cut { 100 } else { 200 }, 50).await?;
        child.until_same().await?;
        fleet.kill(HUB).await?;
        let mut bytes = std::fs::read(&log).context("there is no write-ahead log")?;
        let middle = bytes.len() / 2;
        ensure!(middle > 0, "the write-ahead log is empty");
        if cut {
            bytes.truncate(middle + 5);
        } else {
            bytes[middle] ^= 4;
        }
        std::fs::write(&log, bytes)?;
        fleet.restart(HUB)?;
        fleet.until_available(PATIENCE).await?;
        child.until_same().await?;
    }
    // The file itself, without the log, in which a small store is as a whole.
    fleet.stop(HUB).await?;
    for path in [&log, &file.with_extension("db-shm")] {
        let _ = std::fs::remove_file(path);
    }
    let bytes = std::fs::read(&file)?;
    std::fs::write(&file, bytes.get(..bytes.len() / 2).unwrap_or_default())?;
    let log_file = fleet.process(HUB).context("there is no hub")?.spec.log;
    let before = std::fs::read(&log_file)?.len();
    fleet.restart(HUB)?;
    wait::until_true("the hub to name the file and the remedy", PATIENCE, || async {
        let log = std::fs::read(&log_file)?;
        let told = String::from_utf8_lossy(log.get(before..).unwrap_or_default()).into_owned();
        Ok(told.contains(&format!("delete {}", file.display())))
    })
    .await?;
    fleet.until_available(PATIENCE).await?;
    let code = child.code().await?;
    ensure!(code == 503, "without its store the search answers {code}");
    // The remedy.
    for path in [&file, &log, &file.with_extension("db-shm")] {
        let _ = std::fs::remove_file(path);
    }
    child.until_same().await
}
