//! The first synchronisation of many pods against a list of the same API server that is only read, and how soon a
//! search shows a change while there are a thousand every second.

use std::time::{Duration, Instant};

use ::http::Request;
use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    Budget, Figure,
    loader::{Loader, User, header, median, number, target, words},
    rest::{MEBIBYTE, PODS},
};
use crate::{cluster::Cluster, fleet::Fleet, http::Http1, install, load, paths, wait};

const ROUNDS: usize = 3;
const SYSTEM: &str = "clusternet-system";
/// Whose rights the hub has in a child.
const READER: &str = "clusterway-reader";
/// The path of all pods.
const ALL: &str = "/api/v1/pods";
/// Changes per second, for so many seconds.
const CHURN: (u32, u32) = (1000, 60);
/// Time between two looks at what is stored.
const LOOKS: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(120);

/// Takes the figures.
pub(super) async fn sync(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let loader = Loader::build(fleet).await?;
    let bench = Bench::new(fleet).await?;
    load::load(fleet, &bench.child, PODS).await?;
    let result = bench.measure(&loader).await;
    for way in &bench.ways {
        bench.remove(way).await?;
    }
    result
}

/// A way to synchronise the child: the name of its PediaCluster, and what that says.
struct Way {
    name: &'static str,
    spec: Value,
}

struct Bench<'a> {
    fleet: &'a Fleet,
    child: Cluster,
    ways: [Way; 2],
    /// The reader's token as the load generator wants to be told.
    token: String,
}

/// One first synchronisation.
struct Synced {
    seconds: f64,
    /// From the first rows to the last.
    rows_per_second: f64,
    peak: f64,
}

impl<'a> Bench<'a> {
    async fn new(fleet: &'a Fleet) -> anyhow::Result<Self> {
        let child = fleet.cluster("child1")?;
        let id = fleet.until_ready(&child, DEADLINE).await?.id;
        let token = child.token_of(SYSTEM, READER).await?;
        let rules = json!([{ "group": "", "resources": ["pods", "configmaps"] }]);
        let tunnelled = json!({ "clusterId": id, "syncResources": rules });
        let addressed = json!({
            "apiserver": child.url(),
            "caData": BASE64_STANDARD.encode(child.authority()?.certificate()?),
            "tokenData": BASE64_STANDARD.encode(&token),
            "syncResources": rules,
        });
        Ok(Self {
            fleet,
            token: header(&child, "Authorization", &token)?,
            child,
            ways: [
                Way { name: "bench-tunnel", spec: tunnelled },
                Way { name: "bench-address", spec: addressed },
            ],
        })
    }

    async fn measure(&self, loader: &Loader) -> anyhow::Result<Vec<Figure>> {
        let pods = self.pods().await? as f64;
        let (mut paged, mut whole) = (Vec::new(), Vec::new());
        let mut synced = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            paged.push(pods / self.raw_list(loader, ALL, 500).await?);
            whole.push(pods / self.raw_list(loader, ALL, 0).await?);
            for (way, synced) in self.ways.iter().zip(&mut synced) {
                self.remove(way).await?;
                synced.push(self.first_sync(way, pods).await?);
                self.remove(way).await?;
            }
        }
        let raw = median(paged);
        let mut figures = vec![figure("raw_list_unpaged", "1/s", median(whole), Some(raw), Budget::None)];
        for (way, synced) in ["tunnel", "address"].iter().zip(&synced) {
            let middle = |of: fn(&Synced) -> f64| median(synced.iter().map(of).collect());
            let rate = pods / middle(|synced| synced.seconds);
            let rows = middle(|synced| synced.rows_per_second);
            let peak = synced.iter().map(|synced| synced.peak).fold(0.0, f64::max);
            let name = |what: &str| format!("{what}_{way}");
            figures.push(figure(&name("first_sync"), "1/s", rate, Some(raw), Budget::RatioAtLeast(0.85)));
            figures.push(figure(&name("rows"), "1/s", rows, Some(raw), Budget::None));
            figures.push(figure(&name("peak"), "MiB", peak, None, Budget::AtMost(120.0)));
        }
        for (way, name) in self.ways.iter().zip(["tunnel", "address"]) {
            self.first_sync(way, pods).await?;
            figures.extend(self.churn(loader, way, name).await?);
            self.remove(way).await?;
        }
        Ok(figures)
    }

    /// How many pods the child has.
    async fn pods(&self) -> anyhow::Result<u64> {
        let page = self.child.kubectl_ok(&["get", "--raw", "/api/v1/pods?limit=1"]).await?;
        let page: Value = serde_json::from_str(&page)?;
        Ok(1 + page["metadata"]["remainingItemCount"].as_u64().context("the server does not count")?)
    }

    /// Seconds that a client takes who only reads, in pages of `limit`; 0 is one answer.
    async fn raw_list(&self, loader: &Loader, path: &str, limit: u32) -> anyhow::Result<f64> {
        let mut command = words("list", &target(&self.child, path));
        command.extend([self.token.clone(), format!("--limit={limit}")]);
        number(&loader.run(&command).await?, "seconds")
    }

    async fn first_sync(&self, way: &Way, pods: f64) -> anyhow::Result<Synced> {
        let hub = self.fleet.process(install::HUB).context("the hub is not running")?;
        let client = self.fleet.parent()?.http_as("fleet-administrator", &["system:masters"])?;
        let (mut connection, mut creating) = (client.http1().await?, client.http1().await?);
        let object = json!({
            "apiVersion": "cluster.clusterpedia.io/v1alpha2", "kind": "PediaCluster",
            "metadata": { "name": way.name }, "spec": way.spec,
        });
        let request = Request::post("/apis/cluster.clusterpedia.io/v1alpha2/pediaclusters")
            .header("content-type", "application/json")
            .body(Full::from(object.to_string()))?;
        hub.forget_peak()?;
        let began = Instant::now();
        let code = creating.send(request).await?.status();
        anyhow::ensure!(code.is_success(), "the PediaCluster was answered with {code}");
        let mut first: Option<(f64, Instant)> = None;
        loop {
            let stored = stored(&mut connection, way.name).await? as f64;
            if stored > 0.0 {
                first.get_or_insert_with(|| (stored, Instant::now()));
            }
            if stored >= pods {
                break;
            }
            anyhow::ensure!(began.elapsed() < DEADLINE, "{stored} of {pods} pods after {DEADLINE:?}");
            sleep(LOOKS).await;
        }
        let seconds = began.elapsed().as_secs_f64();
        let (before, from) = first.context("nothing is stored")?;
        let peak = hub.peak().context("its memory cannot be read")? as f64 / MEBIBYTE;
        Ok(Synced { seconds, rows_per_second: (pods - before) / from.elapsed().as_secs_f64(), peak })
    }

    /// Removes the PediaCluster, and waits until nothing of it is stored.
    async fn remove(&self, way: &Way) -> anyhow::Result<()> {
        let parent = self.fleet.parent()?;
        parent.kubectl_ok(&["delete", "pediacluster", way.name, "--ignore-not-found"]).await?;
        let client = parent.http_as("fleet-administrator", &["system:masters"])?;
        wait::until_true(format_args!("{} to be forgotten", way.name), DEADLINE, || async {
            Ok(stored(&mut client.http1().await?, way.name).await? == 0)
        })
        .await
    }

    async fn churn(&self, loader: &Loader, way: &Way, name: &str) -> anyhow::Result<Vec<Figure>> {
        let hub = self.fleet.process(install::HUB).context("the hub is not running")?;
        let parent = self.fleet.parent()?;
        let (rate, seconds) = CHURN;
        let objects = format!("/api/v1/namespaces/{}/configmaps", load::NAMESPACE);
        let searcher = User::new(self.fleet, &parent, "bench-administrator", &["system:masters"])?;
        let mut search = searcher.target(&format!("{}{objects}", of_cluster(way.name)));
        search
            .push("--header=Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1".to_owned());
        let file = self.fleet.directory().join("bench-search-target");
        paths::write(&file, search.join("\n"))?;
        let writer = User::new(self.fleet, &self.child, "bench-administrator", &["system:masters"])?;
        let mut command = words("churn", &writer.target(&objects));
        command.extend([
            format!("--search={}", file.display()),
            format!("--rate={rate}"),
            format!("--seconds={seconds}"),
        ]);
        let step = self.fleet.progress().begin(format_args!("{rate} changes/s for {seconds} s, {name}"));
        hub.forget_peak()?;
        let found = loader.run(&command).await?;
        let peak = hub.peak().context("its memory cannot be read")? as f64 / MEBIBYTE;
        step.done();
        let comparison = |name: &str, unit, value| figure(name, unit, value, None, Budget::None);
        let lag = |share: &str, of: &str| {
            anyhow::Ok(comparison(&format!("lag_{name}.{share}"), "ms", number(&found, of)?))
        };
        Ok(vec![
            comparison(&format!("changes_{name}"), "1/s", number(&found, "rate")?),
            lag("p50", "p50_ms")?,
            lag("p99", "p99_ms")?,
            lag("max", "max_ms")?,
            figure(&format!("changes_peak_{name}"), "MiB", peak, None, Budget::AtMost(120.0)),
        ])
    }
}

fn figure(name: &str, unit: &str, value: f64, reference: Option<f64>, budget: Budget) -> Figure {
    Figure::new("sync", name, unit, value, reference, budget)
}

/// Where a cluster is searched.
fn of_cluster(name: &str) -> String {
    format!("/apis/clusterpedia.io/v1beta1/resources/clusters/{name}")
}

/// How many pods of a cluster a search finds; none of a cluster that is not known.
async fn stored(connection: &mut Http1, cluster: &str) -> anyhow::Result<u64> {
    let query = "limit=1&withRemainingCount=true&onlyMetadata=true";
    let request = Request::get(format!("{}{ALL}?{query}", of_cluster(cluster))).body(Full::default())?;
    let response = connection.send(request).await?;
    let found = response.status().is_success();
    let body = response.into_body().collect().await?.to_bytes();
    if !found {
        return Ok(0);
    }
    let list: Value = serde_json::from_slice(&body)?;
    let here = list["items"].as_array().map_or(0, Vec::len) as u64;
    Ok(here + list["metadata"]["remainingItemCount"].as_u64().unwrap_or_default())
}
