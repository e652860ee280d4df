//! Small requests, and big answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use http_body_util::BodyExt as _;
use serde_json::json;

use crate::connect::Target;

/// How to ask.
#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub(crate) target: Target,
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

pub(crate) async fn get(args: GetArgs) -> anyhow::Result<()> {
    let tls = args.target.tls()?;
    let tasks = runtime::Tasks::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let target = &args.target;
    let workers = (0..args.workers).map(|_| {
        let (tls, tasks, asked) = (tls.clone(), tasks.clone(), asked.clone());
        async move {
            let mut sender = target.sender(tls.as_ref(), &tasks).await?;
            let mut times = Vec::with_capacity(args.requests / args.workers + 1);
            for _ in 0..args.warmup.div_ceil(args.workers) {
                one(&mut sender, target).await?;
            }
            let began = Instant::now();
            while asked.fetch_add(1, Ordering::Relaxed) < args.requests {
                times.push(one(&mut sender, target).await?);
                if args.pause > 0 {
                    tokio::time::sleep(Duration::from_micros(args.pause)).await;
                }
            }
            anyhow::Ok((times, began, Instant::now()))
        }
    });
    report(try_join_all(workers).await?)
}

/// What one worker measured: how long each request took, when it began and when it ended.
pub(crate) type Measured = (Vec<Duration>, Instant, Instant);

/// Prints latencies and rate of all workers together.
pub(crate) fn report(found: Vec<Measured>) -> anyhow::Result<()> {
    let began = found.iter().map(|(_, began, _)| *began).min().context("no worker")?;
    let ended = found.iter().map(|(.., ended)| *ended).max().context("no worker")?;
    let mut times: Vec<Duration> = found.into_iter().flat_map(|(times, ..)| times).collect();
    times.sort();
    let at =
        |share: f64| times.get((times.len() as f64 * share) as usize).map(|time| time.as_secs_f64() * 1000.0);
    crate::print(&json!({
        "requests": times.len(),
        "p50_ms": at(0.50),
        "p90_ms": at(0.90),
        "p99_ms": at(0.99),
        "rate": times.len() as f64 / (ended - began).as_secs_f64(),
    }));
    Ok(())
}

async fn one(
    sender: &mut hyper::client::conn::http1::SendRequest<http_body_util::Empty<bytes::Bytes>>,
    target: &Target,
) -> anyhow::Result<Duration> {
    sender.ready().await?;
    let began = Instant::now();
    let response = sender.send_request(target.request()?).await?;
    anyhow::ensure!(response.status().is_success(), "the answer was {}", response.status());
    response.into_body().collect().await?;
    Ok(began.elapsed())
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
