//! An import policy with a thousand source objects: how soon all are imported, how soon a rotated credential arrives, and
//! what that costs the hub.

use std::time::{Duration, Instant};

use ::http::{Method, Request};
use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Budget, Figure, rest::MEBIBYTE};
use crate::{
    fleet::Fleet,
    http::{Client, Http1},
    install, wait,
};

/// Source objects, each with a Secret of its own.
const SOURCES: usize = 1_000;
/// Writes that are under way at the same time, as many as the hub's.
const WRITERS: usize = 16;
/// What the hub cannot avoid to write for one source: the lifecycle, the PediaCluster, the lifecycle's status.
const WRITES: usize = 3;
/// Time between two looks.
const LOOKS: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(180);

const NAMESPACE: &str = "bench-policies";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const DEFINITION: &str = "clusters.bench.clusterway.io";
const CLUSTERS: &str = "/apis/bench.clusterway.io/v1/clusters";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const ROLE: &str = "clusterway-policy-bench";
const POLICIES: &str = "/apis/policy.clusterpedia.io/v1alpha1/clusterimportpolicies";
const PEDIA_CLUSTERS: &str = "/apis/cluster.clusterpedia.io/v1alpha2/pediaclusters";

/// Takes the figures.
pub(super) async fn policies(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let client = fleet.parent()?.http_as("fleet-administrator", &["system:masters"])?;
    let result = measure(fleet, &client).await;
    let cleaned = clean(fleet).await;
    result.and_then(|figures| cleaned.map(|()| figures))
}

async fn measure(fleet: &Fleet, client: &Client) -> anyhow::Result<Vec<Figure>> {
    let hub = fleet.process(install::HUB).context("the hub is not running")?;
    let step = fleet.progress().begin(format_args!("{SOURCES} source objects made"));
    let mut connection = client.http1().await?;
    prepare(&mut connection).await?;
    let began = Instant::now();
    fill(client).await?;
    let raw = (2 * SOURCES) as f64 / began.elapsed().as_secs_f64();
    step.done();

    let step = fleet.progress().begin(format_args!("{SOURCES} clusters imported"));
    let before = hub.resident().context("its memory cannot be read")? as f64 / MEBIBYTE;
    hub.forget_peak()?;
    let began = Instant::now();
    write(&mut connection, Method::POST, POLICIES, &policy()).await?;
    until_imported(&mut connection, SOURCES).await?;
    let seconds = began.elapsed().as_secs_f64();
    let peak = hub.peak().context("its memory cannot be read")? as f64 / MEBIBYTE;
    step.done();

    // Let its statuses settle: what is measured next is one change among quiet sources.
    sleep(Duration::from_secs(3)).await;
    let mut rotations = Vec::new();
    for round in 0..9 {
        rotations.push(rotate(&mut connection, round).await?);
    }
    rotations.sort_by(f64::total_cmp);
    let rate = (WRITES * SOURCES) as f64 / seconds;
    let comparison =
        |name: &str, unit: &str, value| Figure::new("policies", name, unit, value, None, Budget::None);
    Ok(vec![
        comparison("import_1000", "s", seconds),
        Figure::new("policies", "import_writes", "1/s", rate, Some(raw), Budget::RatioAtLeast(0.3)),
        comparison("import_growth", "MiB", peak - before),
        Figure::new("policies", "import_peak", "MiB", peak, None, Budget::AtMost(120.0)),
        comparison("rotation.p50", "ms", rotations[rotations.len() / 2]),
        comparison("rotation.max", "ms", rotations[rotations.len() - 1]),
    ])
}

/// The platform, and what the hub may read of it.
async fn prepare(connection: &mut Http1) -> anyhow::Result<()> {
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    write(connection, Method::POST, "/api/v1/namespaces", &namespace).await?;
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": DEFINITION },
        "spec": {
            "group": "bench.clusterway.io", "scope": "Cluster",
            "names": { "kind": "Cluster", "plural": "clusters", "singular": "cluster" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }],
        },
    });
    write(connection, Method::POST, DEFINITIONS, &definition).await?;
    let verbs = ["get", "list", "watch"];
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": { "name": ROLE, "labels": { (api::names::policy::AGGREGATE_LABEL): "true" } },
        "rules": [
            { "apiGroups": ["bench.clusterway.io"], "resources": ["clusters"], "verbs": verbs },
            { "apiGroups": [""], "resources": ["secrets"], "verbs": verbs },
        ],
    });
    write(connection, Method::POST, ROLES, &role).await?;
    let began = Instant::now();
    while status(connection, CLUSTERS).await? != 200 {
        ensure!(began.elapsed() < DEADLINE, "the API server does not serve {DEFINITION}");
        sleep(LOOKS).await;
    }
    Ok(())
}

/// Makes the source objects and their Secrets.
async fn fill(client: &Client) -> anyhow::Result<()> {
    let writers = (0..WRITERS).map(|writer| async move {
        let mut connection = client.http1().await?;
        for number in (writer..SOURCES).step_by(WRITERS) {
            let secrets = format!("/api/v1/namespaces/{NAMESPACE}/secrets");
            write(&mut connection, Method::POST, &secrets, &secret(number, 0)).await?;
            let source = json!({
                "apiVersion": "bench.clusterway.io/v1", "kind": "Cluster", "metadata": { "name": name(number) },
                "spec": { "endpoint": format!("https://{}.example.com:6443", name(number)) },
                "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
            });
            write(&mut connection, Method::POST, CLUSTERS, &source).await?;
        }
        anyhow::Ok(())
    });
    try_join_all(writers).await.map(drop)
}

fn name(number: usize) -> String {
    format!("bench-{number:04}")
}

fn secret(number: usize, round: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name(number) },
        "stringData": { "token": format!("token-{round}-of-{number}-{}", "x".repeat(900)) },
    })
}

/// The clusters belong to another shard: nobody synchronises them.
fn policy() -> Value {
    json!({
        "apiVersion": "policy.clusterpedia.io/v1alpha1", "kind": "ClusterImportPolicy",
        "metadata": { "name": "bench" },
        "spec": {
            "source": { "group": "bench.clusterway.io", "resource": "clusters" },
            "references": [{ "key": "secret", "group": "", "resource": "secrets", "namespaceTemplate": NAMESPACE,
                             "nameTemplate": "{{ .source.metadata.name }}" }],
            "nameTemplate": "{{ .source.metadata.name }}",
            "template": "spec:\n  apiserver: '{{ .source.spec.endpoint }}'\n  tokenData: '{{ .references.secret.data.token }}'\n  \
                         shardingName: bench\n  syncResources:\n    - { group: '', resources: [pods] }\n",
            "creationCondition": "{{ range .source.status.conditions }}{{ if eq .type \"Ready\" }}{{ .status }}{{ end }}{{ end }}",
        },
    })
}

/// Waits until there is a PediaCluster for each source.
async fn until_imported(connection: &mut Http1, wanted: usize) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let policy = read(connection, &format!("{POLICIES}/bench")).await?;
        let imported = policy["status"]["imported"].as_u64().unwrap_or_default() as usize;
        if imported >= wanted {
            return Ok(());
        }
        ensure!(began.elapsed() < DEADLINE, "{imported} of {wanted} are imported: {}", policy["status"]);
        sleep(LOOKS).await;
    }
}

/// Milliseconds from the answer to a change of a Secret until its PediaCluster has it.
async fn rotate(connection: &mut Http1, round: usize) -> anyhow::Result<f64> {
    let number = round * 97;
    let path = format!("/api/v1/namespaces/{NAMESPACE}/secrets/{}", name(number));
    let changed = write(connection, Method::PATCH, &path, &secret(number, round + 1)).await?;
    let began = Instant::now();
    let path = format!("{PEDIA_CLUSTERS}/{}", name(number));
    while read(connection, &path).await?["spec"]["tokenData"] != changed["data"]["token"] {
        ensure!(began.elapsed() < DEADLINE, "the PediaCluster {} keeps the old token", name(number));
        sleep(Duration::from_millis(2)).await;
    }
    Ok(began.elapsed().as_secs_f64() * 1_000.0)
}

/// Takes away what was made.
async fn clean(fleet: &Fleet) -> anyhow::Result<()> {
    let parent = fleet.parent()?;
    let step = fleet.progress().begin("what the benchmark made is taken away");
    parent
        .kubectl_ok(&["delete", "clusterimportpolicy", "bench", "--ignore-not-found", "--timeout=120s"])
        .await?;
    parent.kubectl_ok(&["delete", "crd", DEFINITION, "--ignore-not-found"]).await?;
    parent.kubectl_ok(&["delete", "clusterrole", ROLE, "--ignore-not-found"]).await?;
    parent.kubectl_ok(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]).await?;
    wait::until_true("the PediaClusters to be gone", DEADLINE, || async {
        let left = parent.kubectl_ok(&["get", "pediaclusters", "-o", "name"]).await?;
        Ok(!left.contains("/bench-"))
    })
    .await?;
    step.done();
    Ok(())
}

/// Sends a request that has to succeed; what is there already need not be made.
async fn write(connection: &mut Http1, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
    let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header("content-type", kind)
        .body(Full::from(body.to_string()))?;
    let response = connection.send(request).await?;
    let code = response.status();
    let answer = response.into_body().collect().await?.to_bytes();
    let there = method == Method::POST && code.as_u16() == 409;
    ensure!(code.is_success() || there, "{method} {path}: {code} {}", String::from_utf8_lossy(&answer));
    Ok(serde_json::from_slice(&answer)?)
}

async fn read(connection: &mut Http1, path: &str) -> anyhow::Result<Value> {
    let response = connection.send(Request::get(path).body(Full::default())?).await?;
    Ok(serde_json::from_slice(&response.into_body().collect().await?.to_bytes())?)
}

async fn status(connection: &mut Http1, path: &str) -> anyhow::Result<u16> {
    let response = connection.send(Request::get(path).body(Full::default())?).await?;
    let code = response.status().as_u16();
    response.into_body().collect().await?;
    Ok(code)
}
