//! Writes that set Subscriptions going, and how long it takes until all of them stand as they should.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use futures_util::future::try_join_all;
use http::Method;
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use url::Url;

use crate::{
    children::write,
    connect::{Sender, Target, whole},
};

/// What to write, and what to wait for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The Subscriptions of a namespace in the parent: `--url` is the path of their collection.
    #[command(flatten)]
    target: Target,
    /// A file with the writes, one a line: `{"method", "path", "body"}`.
    #[arg(long)]
    writes: PathBuf,
    /// Connections that write.
    #[arg(long, default_value_t = 16)]
    workers: usize,
    /// So many Subscriptions have to become Ready.
    #[arg(long, default_value_t = 0)]
    subscriptions: usize,
    /// Each of them on so many clusters.
    #[arg(long, default_value_t = 1)]
    clusters: i64,
    /// The one Subscription is Ready by now, and the writes change what it deploys: an address that says how many clusters
    /// hold the change, `/holding` of the simulated clusters. It counts again when it was seen on its way, or, as it may be
    /// too fast for that, when the clusters hold the change and its Descriptions say so.
    #[arg(long, requires = "name")]
    changed: Option<Url>,
    /// The name of that Subscription.
    #[arg(long)]
    name: Option<String>,
    /// So many clusters have to hold the change.
    #[arg(long, default_value_t = 0)]
    holding: u64,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
}

/// Time between two looks at where a change has arrived.
const LOOKS: Duration = Duration::from_millis(10);

/// One write.
#[derive(Debug, Deserialize)]
struct Line {
    method: String,
    path: String,
    body: Value,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let lines = read(&args.writes)?;
    let tls = args.target.tls()?;
    let tasks = runtime::Tasks::new();
    let mut sender = args.target.sender(tls.as_ref(), &tasks).await?;
    let path = args.target.url.path();
    let list = whole(&mut sender, args.target.request_for(&format!("{path}?limit=1"))?).await?;
    let list: Value = serde_json::from_slice(&list)?;
    let version = list["metadata"]["resourceVersion"].as_str().context("the list has no version")?;
    let watch = args.target.request_for(&format!("{path}?watch=true&resourceVersion={version}"))?;
    sender.ready().await?;
    let response = sender.send_request(watch).await?;
    anyhow::ensure!(response.status().is_success(), "the watch was answered with {}", response.status());

    let began = Instant::now();
    let writing = async {
        let connections = (0..args.workers).map(|worker| {
            let (tls, tasks, lines, target) = (tls.clone(), tasks.clone(), &lines, &args.target);
            async move {
                let mut sender = target.sender(tls.as_ref(), &tasks).await?;
                for line in lines.iter().skip(worker).step_by(args.workers) {
                    write(target, &mut sender, line.method.parse::<Method>()?, &line.path, &line.body)
                        .await?;
                }
                anyhow::Ok(())
            }
        });
        try_join_all(connections).await?;
        anyhow::Ok(began.elapsed())
    };
    let mut standing = Standing::default();
    let settling = async {
        let mut lines = Lines { body: response.into_body(), rest: BytesMut::new() };
        let mut change = Change::follow(&args, &tasks).await?;
        while standing.ready.len() < args.subscriptions {
            tokio::select! {
                line = lines.next() => standing.take(&args, &line?.context("the watch has ended")?)?,
                () = sleep(LOOKS), if change.is_some() && standing.moved.is_empty() => {
                    let arrived = match &mut change {
                        Some(change) => change.has_arrived().await?,
                        None => false,
                    };
                    if arrived {
                        break;
                    }
                }
            }
        }
        anyhow::Ok(began.elapsed())
    };
    let both = async { tokio::try_join!(writing, settling) };
    let done = timeout(Duration::from_secs(args.seconds), both).await;
    let Ok(done) = done else {
        anyhow::bail!(
            "{} of {} Subscriptions are Ready after {} s; of another: {:?}",
            standing.ready.len(),
            args.subscriptions,
            args.seconds,
            standing.last
        )
    };
    let (written, settled) = done?;
    crate::print(
        &json!({ "written_seconds": written.as_secs_f64(), "seconds": settled.max(written).as_secs_f64(),
                          "events": standing.events }),
    );
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<Line>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// A change on its way to the clusters.
struct Change<'a> {
    args: &'a Args,
    simulated: Target,
    counting: Sender,
    parent: Sender,
}

impl<'a> Change<'a> {
    async fn follow(args: &'a Args, tasks: &runtime::Tasks) -> anyhow::Result<Option<Self>> {
        let Some(url) = args.changed.clone() else { return Ok(None) };
        let simulated = Target { url, ca: None, certificate: None, key: None, header: vec![] };
        let counting = simulated.sender(None, tasks).await?;
        let parent = args.target.sender(args.target.tls()?.as_ref(), tasks).await?;
        Ok(Some(Self { args, simulated, counting, parent }))
    }

    /// Whether all clusters hold it, and all Descriptions say so.
    async fn has_arrived(&mut self) -> anyhow::Result<bool> {
        let body = whole(&mut self.counting, self.simulated.request()?).await?;
        let found: Value = serde_json::from_slice(&body)?;
        if found["holding"].as_u64() != Some(self.args.holding) {
            return Ok(false);
        }
        let name = self.args.name.as_deref().unwrap_or_default();
        let path = format!(
            "/apis/apps.clusternet.io/v1alpha1/descriptions?labelSelector=apps.clusternet.io/subs.name={name}"
        );
        let body = whole(&mut self.parent, self.args.target.request_for(&path)?).await?;
        let list: Descriptions = serde_json::from_slice(&body)?;
        let arrived = list.items.iter().filter(|one| {
            let newest = |type_: &str| {
                one.status.conditions.iter().any(|condition| condition.is(type_, one.metadata.generation))
            };
            one.metadata.generation > 1 && newest("Applied") && newest("Ready")
        });
        Ok(i64::try_from(arrived.count())? == self.args.clusters)
    }
}

#[derive(Debug, Deserialize)]
struct Descriptions {
    items: Vec<Subscription>,
}

/// Which Subscriptions stand as they should.
#[derive(Default)]
struct Standing {
    ready: HashSet<String>,
    /// Seen in another state since it began.
    moved: HashSet<String>,
    events: usize,
    /// What was heard of one that was not Ready.
    last: HashMap<String, String>,
}

impl Standing {
    fn take(&mut self, args: &Args, line: &[u8]) -> anyhow::Result<()> {
        let event: Event = serde_json::from_slice(line)?;
        anyhow::ensure!(event.type_ != "ERROR", "the watch failed: {}", String::from_utf8_lossy(line));
        self.events += 1;
        let Subscription { metadata, status } = event.object;
        let ready = status.conditions.iter().any(|condition| condition.is("Ready", metadata.generation));
        let complete = status.completed_releases == args.clusters && status.desired_releases == args.clusters;
        if ready && complete {
            if args.changed.is_none() || self.moved.contains(&metadata.name) {
                self.ready.insert(metadata.name);
            }
            return Ok(());
        }
        let told = status.conditions.into_iter().filter(|condition| condition.status != "True");
        let told: Vec<String> =
            told.map(|condition| format!("{}: {}", condition.type_, condition.message)).collect();
        self.last.clear();
        self.last.insert(metadata.name.clone(), told.join("; "));
        self.ready.remove(&metadata.name);
        self.moved.insert(metadata.name);
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type")]
    type_: String,
    object: Subscription,
}

/// As much of a Subscription or Description as is looked at.
#[derive(Debug, Deserialize)]
struct Subscription {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    generation: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    desired_releases: i64,
    completed_releases: i64,
    conditions: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
    observed_generation: Option<i64>,
    #[serde(default)]
    message: String,
}

impl Condition {
    /// Whether it is this one, and holds for this generation.
    fn is(&self, type_: &str, generation: i64) -> bool {
        self.type_ == type_ && self.status == "True" && self.observed_generation == Some(generation)
    }
}

/// A body, line by line.
struct Lines {
    body: hyper::body::Incoming,
    rest: BytesMut,
}

impl Lines {
    async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        let mut seen = 0;
        loop {
            if let Some(end) = self.rest[seen..].iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.rest.split_to(seen + end + 1).freeze()));
            }
            seen = self.rest.len();
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame?.into_data() {
                self.rest.extend_from_slice(&data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn args(again: bool) -> Args {
        let mut words =
            vec!["x", "--url=https://127.0.0.1/x", "--writes=x", "--subscriptions=1", "--clusters=2"];
        words.extend(again.then_some(["--changed=http://127.0.0.1/", "--name=a"]).into_iter().flatten());
        Command::parse_from(words).args
    }

    fn event(status: &str, generation: i64, completed: i64) -> Vec<u8> {
        json!({ "type": "MODIFIED", "object": {
            "metadata": { "name": "a", "generation": 2 },
            "status": { "desiredReleases": 2, "completedReleases": completed,
                        "conditions": [{ "type": "Ready", "status": status, "observedGeneration": generation }] },
        }})
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_subscription_counts_when_all_clusters_have_its_newest_generation() {
        let mut standing = Standing::default();
        for (status, generation, completed, counts) in
            [("True", 1, 2, 0), ("True", 2, 1, 0), ("False", 2, 2, 0), ("True", 2, 2, 1)]
        {
            standing.take(&args(false), &event(status, generation, completed)).unwrap();
            assert_eq!(standing.ready.len(), counts);
        }
    }

    #[test]
    fn after_a_change_it_has_to_be_seen_on_its_way_first() {
        let mut standing = Standing::default();
        for (status, counts) in [("True", 0), ("False", 0), ("True", 1)] {
            standing.take(&args(true), &event(status, 2, 2)).unwrap();
            assert_eq!(standing.ready.len(), counts);
        }
    }
}
