//! Changes at a steady pace in one cluster, and how soon a search shows them.
//!
//! ConfigMaps of 2 KB are made and then written anew, one after the other: of all objects they cost a server least, so
//! that it has time for many. Of some changes a search is asked, again and again, until it shows the resourceVersion that
//! the change was answered with: the lag is the time from the one answer to the other.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::future::{try_join, try_join_all};
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    sync::{Mutex, mpsc},
    time::sleep_until,
};

use crate::{
    connect::{Sender, Target, whole},
    get::milliseconds_at,
};

/// What to change, and whom to ask about it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Whom to change things at: `--url` is the path of the ConfigMaps of a namespace.
    #[command(flatten)]
    target: Target,
    /// A target of its own in the same words, one a line: the search, whose `--url` is the path of the same objects.
    #[arg(long)]
    search: std::path::PathBuf,
    /// How many objects are changed in turn.
    #[arg(long, default_value_t = 2000)]
    objects: u64,
    /// Changes per second.
    #[arg(long, default_value_t = 1000)]
    rate: u64,
    /// For how long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Connections that change things.
    #[arg(long, default_value_t = 16)]
    workers: usize,
    /// The search is asked about one change of so many.
    #[arg(long, default_value_t = 100)]
    sample: u64,
    /// Connections that ask the search.
    #[arg(long, default_value_t = 8)]
    watchers: usize,
}

/// Time between two questions about one change.
const PAUSE: Duration = Duration::from_millis(10);
/// A change that is not seen by then never will be.
const LOST: Duration = Duration::from_secs(60);
const CHILD_VERSION: &str = "search.clusterway.io/resource-version";

/// A target as it stands in a file.
#[derive(Debug, clap::Parser)]
#[command(no_binary_name = true)]
struct Search {
    #[command(flatten)]
    target: Target,
}

/// A change that was answered.
struct Change {
    name: String,
    version: u64,
    answered: Instant,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let words = std::fs::read_to_string(&args.search).with_context(|| args.search.display().to_string())?;
    let search = <Search as clap::Parser>::try_parse_from(words.lines())?.target;
    make_all(&args, &search).await?;
    let (changed, changes) = mpsc::channel(1024);
    let (made, lags) = try_join(change_all(&args, changed), watch_all(&args, &search, changes)).await?;
    let (number, took) = made;
    crate::print(&json!({
        "changes": number,
        "rate": number as f64 / took.as_secs_f64(),
        "seen": lags.len(),
        "p50_ms": milliseconds_at(&lags, 0.50),
        "p90_ms": milliseconds_at(&lags, 0.90),
        "p99_ms": milliseconds_at(&lags, 0.99),
        "max_ms": lags.last().map(|lag| lag.as_secs_f64() * 1000.0),
    }));
    Ok(())
}

/// Makes the objects as far as they are not there, and waits until the search shows the last.
async fn make_all(args: &Args, search: &Target) -> anyhow::Result<()> {
    let tasks = runtime::Tasks::new();
    let mut sender = args.target.sender(args.target.tls()?.as_ref(), &tasks).await?;
    for number in 0..args.objects {
        let mut request = args.target.request()?;
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *request.body_mut() = object(number % args.objects, 0);
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        response.into_body().collect().await?;
        anyhow::ensure!(
            status.is_success() || status == StatusCode::CONFLICT,
            "an object was answered with {status}"
        );
    }
    let path = format!("{}/{}", search.url.path(), name(args.objects.saturating_sub(1)));
    let mut sender = search.sender(search.tls()?.as_ref(), &tasks).await?;
    let began = Instant::now();
    while let Err(cause) = whole(&mut sender, search.request_for(&path)?).await {
        anyhow::ensure!(began.elapsed() < LOST, cause.context("the search does not show the objects"));
        tokio::time::sleep(PAUSE * 10).await;
    }
    Ok(())
}

fn name(object: u64) -> String {
    format!("change-{object:06}")
}

/// The object after change number `change`.
fn object(number: u64, change: u64) -> Full<Bytes> {
    let text = format!("{change:064}").repeat(32);
    let metadata = json!({ "name": name(number), "labels": { "app": format!("app-{}", number % 100) } });
    let object =
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": { "text": text } });
    Full::from(object.to_string())
}

/// Changes one object after the other, each at its time or as soon after it as the server can.
async fn change_all(args: &Args, changed: mpsc::Sender<Change>) -> anyhow::Result<(u64, Duration)> {
    let tls = args.target.tls()?;
    let tasks = runtime::Tasks::new();
    let mut senders = Vec::new();
    for _ in 0..args.workers {
        senders.push(args.target.sender(tls.as_ref(), &tasks).await?);
    }
    let next = AtomicU64::new(0);
    let began = tokio::time::Instant::now();
    let end = began + Duration::from_secs(args.seconds);
    let workers = senders.into_iter().map(|mut sender| {
        let (next, changed) = (&next, changed.clone());
        async move {
            let mut made = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = began + Duration::from_micros(number * 1_000_000 / args.rate.max(1));
                if due.max(tokio::time::Instant::now()) >= end {
                    return anyhow::Ok(made);
                }
                sleep_until(due).await;
                let body = change(args, &mut sender, number).await?;
                let answered = Instant::now();
                made += 1;
                if number.is_multiple_of(args.sample.max(1)) {
                    let version = Object::read(&body)?.version()?;
                    let name = name(number % args.objects.max(1));
                    changed.send(Change { name, version, answered }).await?;
                }
            }
        }
    });
    let made: Vec<u64> = try_join_all(workers).await?;
    Ok((made.iter().sum(), began.elapsed()))
}

async fn change(args: &Args, sender: &mut Sender, number: u64) -> anyhow::Result<Bytes> {
    let of = number % args.objects.max(1);
    let mut request = args.target.request_for(&format!("{}/{}", args.target.url.path(), name(of)))?;
    *request.method_mut() = Method::PUT;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *request.body_mut() = object(of, number + 1);
    whole(sender, request).await.with_context(|| format!("change {}", name(of)))
}

/// The lags of all sampled changes, sorted.
async fn watch_all(
    args: &Args,
    search: &Target,
    changes: mpsc::Receiver<Change>,
) -> anyhow::Result<Vec<Duration>> {
    let tls = search.tls()?;
    let tasks = runtime::Tasks::new();
    let changes = Arc::new(Mutex::new(changes));
    let watchers = (0..args.watchers).map(|_| {
        let (tls, tasks, changes) = (tls.clone(), tasks.clone(), changes.clone());
        async move {
            let mut sender = search.sender(tls.as_ref(), &tasks).await?;
            let mut lags = Vec::new();
            loop {
                let next = changes.lock().await.recv().await;
                let Some(change) = next else { return anyhow::Ok(lags) };
                lags.push(seen(search, &mut sender, &change).await?);
            }
        }
    });
    let mut lags: Vec<Duration> = try_join_all(watchers).await?.into_iter().flatten().collect();
    lags.sort();
    Ok(lags)
}

async fn seen(search: &Target, sender: &mut Sender, change: &Change) -> anyhow::Result<Duration> {
    let path = format!("{}/{}", search.url.path(), change.name);
    while change.answered.elapsed() < LOST {
        let body = whole(sender, search.request_for(&path)?).await?;
        let lag = change.answered.elapsed();
        if Object::read(&body)?.child_version()? >= change.version {
            return Ok(lag);
        }
        tokio::time::sleep(PAUSE).await;
    }
    anyhow::bail!("the search does not show {} after {LOST:?}", change.name)
}

/// As much of an object as is looked at.
#[derive(Debug, Deserialize)]
struct Object {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

impl Object {
    fn read(json: &[u8]) -> anyhow::Result<Self> {
        Ok(serde_json::from_slice(json)?)
    }

    fn version(&self) -> anyhow::Result<u64> {
        Ok(self.metadata.resource_version.parse()?)
    }

    /// The version in its own cluster of an object that was found.
    fn child_version(&self) -> anyhow::Result<u64> {
        let version = self.metadata.annotations.get(CHILD_VERSION).context("it says no version")?;
        Ok(version.parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_in_its_own_cluster_is_what_counts() {
        let found = br#"{"metadata":{"resourceVersion":"9","annotations":{"search.clusterway.io/resource-version":"7"}}}"#;
        let object = Object::read(found).unwrap();
        assert_eq!((object.version().unwrap(), object.child_version().unwrap()), (9, 7));
        assert!(Object::read(br#"{"metadata":{"resourceVersion":"9"}}"#).unwrap().child_version().is_err());
    }
}
