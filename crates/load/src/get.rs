//! Small requests, and big answers.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::connect::{Sender, Target, whole};

/// How to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) target: Target,
    /// A file with paths and queries, one a line, which are asked in turn instead of those of --url.
    #[arg(long)]
    paths: Option<PathBuf>,
    /// Connections that ask at the same time.
    #[arg(long, default_value_t = 1)]
    pub(crate) workers: usize,
    /// Requests altogether.
    #[arg(long, default_value_t = 1000)]
    pub(crate) requests: usize,
    /// Requests before any is counted.
    #[arg(long, default_value_t = 50)]
    pub(crate) warmup: usize,
    /// Microseconds each worker waits between two requests.
    #[arg(long, default_value_t = 0)]
    pause: u64,
}

/// What to read.
#[derive(Debug, clap::Args)]
pub(crate) struct BulkArgs {
    #[command(flatten)]
    target: Target,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 120)]
    seconds: u64,
}

/// What to read whole.
#[derive(Debug, clap::Args)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn read(args: ReadArgs) -> anyhow::Result<()> {
    let tasks = runtime::Tasks::new();
    let mut sender = args.target.sender(args.target.tls()?.as_ref(), &tasks).await?;
    let body = whole(&mut sender, args.target.request()?).await?;
    crate::print(&serde_json::from_slice(&body)?);
    Ok(())
}

pub(crate) async fn get(args: GetArgs) -> anyhow::Result<()> {
    let tls = args.target.tls()?;
    let tasks = runtime::Tasks::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let target = &args.target;
    let requests = requests(&args)?;
    let (requests, bytes) = (&requests, &AtomicUsize::new(0));
    let workers = (0..args.workers).map(|_| {
        let (tls, tasks, asked) = (tls.clone(), tasks.clone(), asked.clone());
        async move {
            let mut sender = target.sender(tls.as_ref(), &tasks).await?;
            let mut times = Vec::with_capacity(args.requests / args.workers + 1);
            for number in 0..args.warmup.div_ceil(args.workers) {
                one(&mut sender, &requests[number % requests.len()]).await?;
            }
            let began = Instant::now();
            loop {
                let number = asked.fetch_add(1, Ordering::Relaxed);
                if number >= args.requests {
                    break;
                }
                let (took, length) = one(&mut sender, &requests[number % requests.len()]).await?;
                times.push(took);
                bytes.fetch_add(length, Ordering::Relaxed);
                if args.pause > 0 {
                    tokio::time::sleep(Duration::from_micros(args.pause)).await;
                }
            }
            anyhow::Ok((times, began, Instant::now()))
        }
    });
    let found = try_join_all(workers).await?;
    let mut line = latencies(found)?;
    line["bytes"] = json!(bytes.load(Ordering::Relaxed) / args.requests.max(1));
    crate::print(&line);
    Ok(())
}

/// What is asked in turn.
fn requests(args: &GetArgs) -> anyhow::Result<Vec<Request<Full<Bytes>>>> {
    let Some(file) = &args.paths else { return Ok(vec![args.target.request()?]) };
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let requests: Vec<_> =
        text.lines().map(|path| args.target.request_for(path)).collect::<anyhow::Result<_>>()?;
    anyhow::ensure!(!requests.is_empty(), "{} names no path", file.display());
    Ok(requests)
}

/// What one worker measured: how long each request took, when it began and when it ended.
pub(crate) type Measured = (Vec<Duration>, Instant, Instant);

/// Prints latencies and rate of all workers together.
pub(crate) fn report(found: Vec<Measured>) -> anyhow::Result<()> {
    crate::print(&latencies(found)?);
    Ok(())
}

fn latencies(found: Vec<Measured>) -> anyhow::Result<Value> {
    let began = found.iter().map(|(_, began, _)| *began).min().context("no worker")?;
    let ended = found.iter().map(|(.., ended)| *ended).max().context("no worker")?;
    let mut times: Vec<Duration> = found.into_iter().flat_map(|(times, ..)| times).collect();
    times.sort();
    let at = |share| milliseconds_at(&times, share);
    Ok(json!({
        "requests": times.len(),
        "p50_ms": at(0.50),
        "p90_ms": at(0.90),
        "p99_ms": at(0.99),
        "rate": times.len() as f64 / (ended - began).as_secs_f64(),
    }))
}

/// The time that a share of `sorted` times does not exceed.
pub(crate) fn milliseconds_at(sorted: &[Duration], share: f64) -> Option<f64> {
    sorted.get((sorted.len() as f64 * share) as usize).map(|time| time.as_secs_f64() * 1000.0)
}

/// How long a request took, and how long the body of its answer is.
async fn one(sender: &mut Sender, request: &Request<Full<Bytes>>) -> anyhow::Result<(Duration, usize)> {
    sender.ready().await?;
    let began = Instant::now();
    let body = whole(sender, request.clone()).await?;
    Ok((began.elapsed(), body.len()))
}

pub(crate) async fn bulk(args: BulkArgs) -> anyhow::Result<()> {
    let tls = args.target.tls()?;
    let tasks = runtime::Tasks::new();
    let mut sender = args.target.sender(tls.as_ref(), &tasks).await?;
    let began = Instant::now();
    let read = async {
        let response = sender.send_request(args.target.request()?).await?;
        anyhow::ensure!(response.status().is_success(), "the answer was {}", response.status());
        let mut body = response.into_body();
        let mut bytes = 0_u64;
        while let Some(frame) = body.frame().await {
            bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(bytes)
    };
    let bytes = tokio::time::timeout(Duration::from_secs(args.seconds), read).await.context("too slow")??;
    let seconds = began.elapsed().as_secs_f64();
    crate::print(&json!({
        "bytes": bytes,
        "seconds": seconds,
        "mib_per_second": bytes as f64 / f64::from(1 << 20) / seconds,
    }));
    Ok(())
}
