//! Every kind of query over a million pods of 50 clusters, through the parent's aggregation.
//!
//! The pods are written into the hub's store by a generator (`store::sample`), because no machine runs 50 API servers.
//! Their PediaClusters belong to another shard, so that the hub leaves their objects as they are; their status says what
//! it says of clusters that are synchronised.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::{Value, json};
use testkit::postgres::Postgres;

use super::{
    Budget, Figure, Options,
    loader::{self, Loader, User, asked, number, words},
    rest::{MEBIBYTE, resident},
    shapes::{self, Pod, Shape},
};
use crate::{cargo::cargo, fleet::Fleet, http as client, install, paths, wait};

const PEDIA_CLUSTERS: &str = "/apis/cluster.clusterpedia.io/v1alpha2/pediaclusters";
/// The shard of the generated clusters, which no hub has.
const SHARD: &str = "bench";
const LIMITED: &str = "bench-limited";
/// What the limited user sees of each cluster's 50 namespaces.
const NAMESPACES: usize = 10;
/// An export may hold in memory what the hub held before and so much more, in MiB, however many objects there are.
const EXPORT_GROWTH: f64 = 32.0;

/// Where the pods are.
struct Storage {
    config: PathBuf,
    /// Everything below these takes the disk.
    files: Vec<PathBuf>,
    /// Ends with its value.
    _server: Option<Postgres>,
}

impl Storage {
    /// A file, kept for the next run.
    fn sqlite(fleet: &Fleet, pods: u32) -> anyhow::Result<Self> {
        let directory = fleet.directory().join("bench-search");
        let config = directory.join("storage.yaml");
        let name = format!("search-{pods}.db");
        paths::write(&config, json!({ "type": "sqlite", "dsn": directory.join(&name) }).to_string())?;
        let files = ["", "-wal", "-shm"].map(|end| directory.join(format!("{name}{end}"))).into();
        Ok(Self { config, files, _server: None })
    }

    /// A server of its own, as an administrator sets it up for so much data, and with a disk that is waited for.
    async fn postgres() -> anyhow::Result<Self> {
        let server = Postgres::start_with(&[
            "shared_buffers=1GB",
            "fsync=on",
            "full_page_writes=on",
            "max_wal_size=4GB",
        ])
        .await?;
        let dsn = server.create_database("search").await?;
        let config = server.write_private("storage.yaml", &format!("type: postgres\ndsn: '{dsn}'\n"))?;
        let files = vec![server.directory().join("data/base")];
        Ok(Self { config, files, _server: Some(server) })
    }
}

/// Takes the figures with a SQLite file.
pub(super) async fn on_sqlite(fleet: &Fleet, options: &Options) -> anyhow::Result<Vec<Figure>> {
    Box::pin(search(fleet, options, Storage::sqlite(fleet, options.pods)?)).await
}

/// Takes the figures with a PostgreSQL server that is started for it.
pub(super) async fn on_postgres(fleet: &Fleet, options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Box::pin(search(fleet, options, Storage::postgres().await?)).await?;
    for figure in &mut figures {
        "search-postgres".clone_into(&mut figure.bench);
    }
    Ok(figures)
}

async fn search(fleet: &Fleet, options: &Options, storage: Storage) -> anyhow::Result<Vec<Figure>> {
    let loader = Loader::build(fleet).await?;
    fleet.stop(install::HUB).await?;
    let filled = World::fill(fleet, options, &storage).await?;
    let clusters = filled.clusters.clone();
    let result = match World::begin(fleet, &storage, filled, options.pods).await {
        Ok(world) => world.measure(&loader).await,
        Err(cause) => Err(cause),
    };
    // Whatever happened, the hub gets its own store back.
    fleet.stop(install::HUB).await?;
    let parent = fleet.parent()?;
    parent.kubectl_ok(&["delete", "clusterrole,clusterrolebinding", LIMITED, "--ignore-not-found"]).await?;
    let mut delete = vec!["delete", "pediacluster", "--ignore-not-found"];
    delete.extend(clusters.iter().map(String::as_str));
    parent.kubectl_ok(&delete).await?;
    fleet.start_hub().await?;
    result
}

/// What the generator says of the store.
#[derive(Debug, Deserialize)]
struct Filled {
    written: u64,
    per_second: f64,
    clusters: Vec<String>,
    pods: Vec<Pod>,
}

/// A hub with a full store.
struct World<'a> {
    fleet: &'a Fleet,
    storage: &'a Storage,
    filled: Filled,
    pods: u32,
    administrator: User,
    limited: User,
    /// What the limited user asks for: the condition on namespaces.
    namespaces: String,
}

impl<'a> World<'a> {
    async fn fill(fleet: &Fleet, options: &Options, storage: &Storage) -> anyhow::Result<Filled> {
        let step = fleet.progress().begin(format_args!("a store with {} pods", options.pods));
        let output = cargo(&["run", "--quiet", "--release", "-p", "store", "--features", "conformance"])
            .args(["--example", "fill", "--target-dir"])
            .arg(loader::built())
            .arg("--")
            .arg(&storage.config)
            .arg(options.pods.to_string())
            .output()
            .await?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
        step.done();
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    async fn begin(
        fleet: &'a Fleet,
        storage: &'a Storage,
        filled: Filled,
        pods: u32,
    ) -> anyhow::Result<Self> {
        let parent = fleet.parent()?;
        let clusters: Vec<Value> = filled.clusters.iter().map(|name| pedia_cluster(name)).collect();
        parent.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": clusters }).to_string()).await?;
        let mut connection = parent.http_as("fleet-administrator", &["system:masters"])?.http2().await?;
        for name in &filled.clusters {
            let request = Request::patch(format!("{PEDIA_CLUSTERS}/{name}/status"))
                .header(header::CONTENT_TYPE, "application/merge-patch+json")
                .body(Full::new(Bytes::from(status().to_string())))?;
            let code = connection.send(request).await?.status();
            anyhow::ensure!(code.is_success(), "the status of {name} cannot be written: {code}");
        }
        parent.apply(&limited_role(&filled.clusters).to_string()).await?;
        let hub = format!("--storage-config={}", storage.config.display());
        fleet.start(fleet.hub_spec(&[hub])?)?;
        fleet.until_available(Duration::from_secs(120)).await?;
        let administrator = User::new(fleet, &parent, "bench-administrator", &["system:masters"])?;
        let limited = User::new(fleet, &parent, LIMITED, &[LIMITED])?;
        let mut namespaces: Vec<&str> = filled.pods.iter().map(|pod| pod.namespace.as_str()).collect();
        namespaces.sort_unstable();
        namespaces.dedup();
        namespaces.truncate(NAMESPACES);
        let namespaces = format!("namespaces={}", namespaces.join(","));
        let world = Self { fleet, storage, filled, pods, administrator, limited, namespaces };
        world.until_searched().await?;
        Ok(world)
    }

    async fn until_searched(&self) -> anyhow::Result<()> {
        wait::until_true("the store to be searched", Duration::from_secs(120), || async {
            let answer = self.client()?.get(&format!("{}?limit=1", shapes::PODS)).await?;
            anyhow::ensure!(answer.status().is_success(), "{}", String::from_utf8_lossy(answer.body()));
            Ok(true)
        })
        .await
    }

    fn client(&self) -> anyhow::Result<client::Client> {
        self.fleet.parent()?.http_as("fleet-administrator", &["system:masters"])
    }

    async fn measure(&self, loader: &Loader) -> anyhow::Result<Vec<Figure>> {
        let mut figures = self.stored();
        figures.extend(self.first_uses(loader).await?);
        let (direct, static_answer) = self.references(loader).await?;
        figures.push(comparison("reference_direct_get", "ms", direct));
        figures.push(comparison("reference_static_answer", "ms", static_answer));
        let middle = (self.pods / 2).min(499_500);

        let step = self.fleet.progress().begin("as an administrator");
        let mut shapes = shapes::few_hits(&self.filled.pods, None);
        shapes.extend(self.pages(middle, None).await?);
        shapes.extend(shapes::slow(middle));
        let mut medians = BTreeMap::new();
        for shape in &shapes {
            let [p50, p99] = self.time(loader, &self.administrator, shape).await?;
            let (most_p50, most_p99) = shape.most;
            let static_answer = Some(static_answer);
            let name = |share| format!("{}.{share}", shape.name);
            figures.push(figure(&name("p50"), "ms", p50, static_answer, Budget::AtMost(most_p50)));
            figures.push(figure(&name("p99"), "ms", p99, static_answer, Budget::AtMost(most_p99)));
            medians.insert(shape.name.clone(), p50);
        }
        step.done();

        let step = self.fleet.progress().begin("as a user limited to some namespaces");
        let also = Some(self.namespaces.as_str());
        let visible: Vec<Pod> =
            self.filled.pods.iter().filter(|pod| self.is_limited_to(pod)).cloned().collect();
        let mut shapes = shapes::few_hits(&visible, also);
        shapes.extend(self.pages(middle / 5, also).await?);
        for shape in shapes.iter().filter(|shape| shape.header.is_none()) {
            let [p50, _] = self.time(loader, &self.limited, shape).await?;
            let administrator = medians.get(&shape.name).copied();
            let name = format!("limited_{}.p50", shape.name);
            figures.push(figure(&name, "ms", p50, administrator, Budget::RatioAtMost(2.0)));
        }
        step.done();
        figures.push(comparison("hub_resident", "MiB", resident(self.fleet, install::HUB)?));
        figures.extend(self.export(loader).await?);
        Ok(figures)
    }

    /// What the store takes on disk, and how fast it was filled, if it was.
    fn stored(&self) -> Vec<Figure> {
        let bytes: u64 = self.storage.files.iter().map(|path| size(path)).sum();
        let mut figures = vec![comparison("disk", "MB", bytes as f64 / 1e6)];
        if self.filled.written > 0 {
            figures.push(comparison("written", "1/s", self.filled.per_second));
        }
        figures
    }

    /// The first query of a field, and how long it then takes until such queries are quick.
    async fn first_uses(&self, loader: &Loader) -> anyhow::Result<Vec<Figure>> {
        let step = self.fleet.progress().begin("fields are used for the first time");
        let mut figures = Vec::new();
        for (path, name) in shapes::fields(&self.filled.pods).iter().zip(["field_100", "field"]) {
            let once = || async {
                let mut words = asked("get", &self.administrator.target(path), 1, 1);
                words.push("--warmup=0".to_owned());
                number(&loader.run(&words).await?, "p50_ms")
            };
            let began = std::time::Instant::now();
            let first = once().await?;
            wait::until_true("the field to be indexed", Duration::from_secs(300), || async {
                Ok(once().await? < 100.0)
            })
            .await?;
            if self.filled.written > 0 {
                figures.push(comparison(&format!("first_{name}"), "ms", first));
                figures.push(comparison(&format!("indexed_{name}"), "s", began.elapsed().as_secs_f64()));
            }
        }
        step.done();
        Ok(figures)
    }

    /// Medians of a small object of the parent itself, and of an answer of the hub that needs no store.
    async fn references(&self, loader: &Loader) -> anyhow::Result<(f64, f64)> {
        let median = async |path: &str| {
            let words = asked("get", &self.administrator.target(path), 1, 600);
            number(&loader.run(&words).await?, "p50_ms")
        };
        let direct = median("/api/v1/namespaces/default/configmaps/kube-root-ca.crt").await?;
        Ok((direct, median("/apis/proxies.clusternet.io/v1alpha1").await?))
    }

    /// The first page in every order, and the one behind `before` objects.
    async fn pages(&self, before: u32, also: Option<&str>) -> anyhow::Result<Vec<Shape>> {
        let client = self.client()?;
        let mut shapes = Vec::new();
        for (name, fields) in shapes::ORDERS {
            for (suffix, order) in shapes::directions(fields) {
                shapes.extend(shapes::page(&format!("page1_{name}{suffix}"), &order, None, also));
                let answer = client.get(&shapes::page_before(&order, before, also)).await?;
                let list: Value = serde_json::from_slice(answer.body())?;
                let token = list["metadata"]["continue"].as_str().context("there is no next page")?;
                shapes.extend(shapes::page(&format!("page1000_{name}{suffix}"), &order, Some(token), also));
            }
        }
        Ok(shapes)
    }

    /// Median and p99 of a shape, in milliseconds.
    async fn time(&self, loader: &Loader, user: &User, shape: &Shape) -> anyhow::Result<[f64; 2]> {
        let file = self.fleet.directory().join("bench-paths");
        paths::write(&file, shape.paths.join("\n"))?;
        let mut words = asked("get", &user.target("/"), 1, shape.requests);
        words.push(format!("--paths={}", file.display()));
        words.push(format!("--warmup={}", (shape.requests / 10).max(1)));
        words.extend(shape.header.map(|header| format!("--header={header}")));
        let found = loader.run(&words).await.with_context(|| shape.name.clone())?;
        Ok([number(&found, "p50_ms")?, number(&found, "p99_ms")?])
    }

    fn is_limited_to(&self, pod: &Pod) -> bool {
        let names = self.namespaces.trim_start_matches("namespaces=");
        names.split(',').any(|name| name == pod.namespace)
    }

    /// Everything in one answer.
    async fn export(&self, loader: &Loader) -> anyhow::Result<Vec<Figure>> {
        let step = self.fleet.progress().begin("a full export");
        let hub = self.fleet.process(install::HUB).context("the hub is not running")?;
        let before = hub.resident().context("its memory cannot be read")?;
        hub.forget_peak()?;
        let mut command = words("bulk", &self.administrator.target(shapes::PODS));
        command.push("--seconds=600".to_owned());
        let found = loader.run(&command).await?;
        let growth = hub.peak().context("its memory cannot be read")?.saturating_sub(before);
        step.done();
        let growth = growth as f64 / MEBIBYTE;
        Ok(vec![
            comparison("export", "MiB/s", number(&found, "mib_per_second")?),
            figure("export_growth", "MiB", growth, None, Budget::AtMost(EXPORT_GROWTH)),
        ])
    }
}

/// The bytes of a file or of everything in a directory; what goes away meanwhile does not count.
fn size(path: &Path) -> u64 {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| size(&entry.path())).sum(),
        Err(_) => std::fs::metadata(path).map_or(0, |file| file.len()),
    }
}

fn figure(name: &str, unit: &str, value: f64, reference: Option<f64>, budget: Budget) -> Figure {
    Figure::new("search", name, unit, value, reference, budget)
}

fn comparison(name: &str, unit: &str, value: f64) -> Figure {
    figure(name, unit, value, None, Budget::None)
}

fn pedia_cluster(name: &str) -> Value {
    json!({
        "apiVersion": "cluster.clusterpedia.io/v1alpha2",
        "kind": "PediaCluster",
        "metadata": { "name": name },
        "spec": {
            "apiserver": "https://127.0.0.1:1",
            "shardingName": SHARD,
            "syncResources": [{ "group": "", "resources": ["pods"] }],
        },
    })
}

/// What the hub writes of a cluster that it synchronises.
fn status() -> Value {
    let condition = |type_: &str| {
        json!({
            "type": type_, "status": "True", "reason": "Bench", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let syncing = json!({
        "version": "v1", "storageVersion": "v1", "status": "Syncing",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    let pods = json!({ "name": "pods", "kind": "Pod", "namespaced": true, "syncConditions": [syncing] });
    json!({ "status": {
        "version": "v1.37.0",
        "conditions": [condition("Ready"), condition("ClusterHealthy")],
        "syncResources": [{ "group": "", "resources": [pods] }],
    } })
}

/// The right to search these clusters by name, and no others.
fn limited_role(clusters: &[String]) -> Value {
    let names: Vec<&str> = std::iter::once("all").chain(clusters.iter().map(String::as_str)).collect();
    let group = "rbac.authorization.k8s.io";
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": { "name": LIMITED },
          "rules": [{ "apiGroups": ["clusterpedia.io"], "resources": ["resources/proxy"],
                      "resourceNames": names, "verbs": ["get"] }] },
        { "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": LIMITED },
          "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": LIMITED },
          "subjects": [{ "apiGroup": group, "kind": "Group", "name": LIMITED }] },
    ]})
}
