//! Two hubs and one store.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;

use crate::{
    cluster::Cluster,
    fleet::{Fleet, ready_or_log},
    free_port,
    http::{Answer, Client},
    install::{self, HUB},
    paths, wait,
};

/// The second hub's process.
const SECOND: &str = "hub-second";
/// The PediaCluster: the first child at its address, so that no tunnel is needed.
const CLUSTER: &str = "replicated";
const PODS: &str = "/apis/clusterpedia.io/v1beta1/resources/replicated/proxy/api/v1/pods";
const NAMESPACES: &str = "/apis/clusterpedia.io/v1beta1/resources/clusters/replicated/api/v1/namespaces";
/// A namespace that is made after the takeover.
const LATE: &str = "made-after-the-takeover";
const JSON: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
/// The Lease of a dead holder lasts for 15 s.
const TAKEOVER: Duration = Duration::from_secs(60);

/// A hub at its own address.
struct Hub {
    url: String,
    /// As an administrator.
    client: Client,
}

impl Hub {
    async fn at(parent: &Cluster, port: u16) -> anyhow::Result<Self> {
        let url = format!("https://127.0.0.1:{port}");
        let client = install::hub_client_as(parent, &url, "fleet-administrator", &["system:masters"]).await?;
        Ok(Self { url, client })
    }

    async fn get(&self, path: &str, accept: &str) -> anyhow::Result<Answer> {
        self.client.whole(Request::get(path).header(header::ACCEPT, accept).body(Full::default())?).await
    }

    /// An answer that is there; until then the hub says when to come back.
    async fn found(&self, path: &str, accept: &str) -> anyhow::Result<Bytes> {
        let answer = self.get(path, accept).await?;
        let text = String::from_utf8_lossy(answer.body());
        if answer.status() == 503 {
            ensure!(answer.headers().contains_key(header::RETRY_AFTER), "no time to come back: {text}");
        }
        ensure!(answer.status() == 200, "{} {text}", answer.status());
        Ok(answer.into_body())
    }

    async fn shows(&self, metric: &str) -> anyhow::Result<bool> {
        let page = self.found("/metrics", "*/*").await?;
        Ok(String::from_utf8_lossy(&page).lines().any(|line| line == metric))
    }
}

/// Starts a second hub with the store of the first, looks at both, kills the first, and looks at what the second makes
/// of its store.
pub(super) async fn a_killed_hub_leaves_its_store_to_another_which_goes_on_where_it_ended(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let parent = fleet.parent()?;
    let child = fleet.cluster("child1")?;
    parent.apply(&pedia_cluster(&child)?).await?;
    let wait = ["wait", "--for=condition=Ready", "--timeout=90s", "pediacluster/replicated"];
    parent.kubectl_ok(&wait).await?;
    let first = Hub::at(&parent, fleet.hub_port()).await?;
    let port = free_port(IpAddr::V4(Ipv4Addr::LOCALHOST))?;
    let second = Hub::at(&parent, port).await?;
    let storage = fleet.directory().join("second-storage.yaml");
    let file = fleet.directory().join("data").join(HUB).join("search.db");
    paths::write(&storage, format!("type: sqlite\ndsn: {}\n", file.display()))?;
    let extra = [format!("--storage-config={}", storage.display())];
    let process = fleet.start(fleet.another_hub_spec(SECOND, port, &extra)?)?;
    ready_or_log(
        &process,
        wait::until_true("the second hub", TAKEOVER, || async {
            Ok(second.client.get("/readyz").await?.status() == 200)
        }),
    )
    .await?;
    let result = async {
        both_answer_the_same(&parent, &first, &second).await?;
        the_second_takes_over(fleet, &child, &first, &second).await?;
        the_first_comes_back(fleet, &first, &second).await
    }
    .await;
    fleet.remove(SECOND).await?;
    fleet.start_hub().await?;
    parent.kubectl_ok(&["delete", "pediacluster", CLUSTER, "--timeout=60s"]).await?;
    child.kubectl_ok(&["delete", "namespace", LATE, "--ignore-not-found"]).await?;
    for child in fleet.children() {
        fleet.until_visitable(&child, Duration::from_secs(90)).await?;
    }
    result
}

fn pedia_cluster(child: &Cluster) -> anyhow::Result<String> {
    let authority = child.authority()?;
    let pair = authority.client("synchroniser", &["system:masters"])?;
    let encoded = |text: &str| STANDARD.encode(text);
    Ok(format!(
        "apiVersion: cluster.clusterpedia.io/v1alpha2
kind: PediaCluster
metadata: {{ name: {CLUSTER} }}
spec:
  apiserver: {}
  caData: {}
  certData: {}
  keyData: {}
  syncResources: [{{ group: '', resources: [pods, namespaces] }}]
",
        child.url(),
        encoded(&authority.certificate()?),
        encoded(&pair.certificate),
        encoded(&pair.key),
    ))
}

async fn both_answer_the_same(parent: &Cluster, first: &Hub, second: &Hub) -> anyhow::Result<()> {
    for (path, accept) in [(PODS, JSON), (PODS, TABLE), (NAMESPACES, JSON)] {
        wait::until_true("both hubs to answer the same", TAKEOVER, || async {
            let (here, there) = (first.found(path, accept).await?, second.found(path, accept).await?);
            ensure!(here.len() > 1_000, "nothing was found: {}", String::from_utf8_lossy(&here));
            // Between two answers an age may have gone on.
            Ok(here == there)
        })
        .await?;
    }
    ensure!(first.shows("clusterway_store_open 1").await?, "the first hub has the store");
    ensure!(second.shows("clusterway_store_open 0").await?, "the second hub has none");
    ensure!(
        first.get("/apis/clusterpedia.io/v1beta1/resources/none/proxy/api/v1/pods", JSON).await?.status()
            == 400
    );
    for hub in [first, second] {
        let alice = install::hub_client_as(parent, &hub.url, "alice", &["nobodies"]).await?;
        ensure!(alice.get(PODS).await?.status() == 403, "who may not search may not through {}", hub.url);
        let forged = Request::get(PODS)
            .header("clusterway-relayed-user", "fleet-administrator")
            .header("clusterway-relayed-group", "system:masters");
        let answer = alice.whole(forged.body(Full::default())?).await?;
        ensure!(answer.status() == 401, "a forged identity is answered {} at {}", answer.status(), hub.url);
    }
    Ok(())
}

async fn the_second_takes_over(
    fleet: &Fleet,
    child: &Cluster,
    first: &Hub,
    second: &Hub,
) -> anyhow::Result<()> {
    let before = (first.found(PODS, JSON).await?, first.found(NAMESPACES, JSON).await?);
    let killed = Instant::now();
    fleet.kill(HUB).await?;
    let pods = wait::until("the second hub to take over", TAKEOVER, || async {
        let pods = second.found(PODS, JSON).await?;
        Ok(second.shows("clusterway_store_open 1").await?.then_some(pods))
    })
    .await?;
    fleet.progress().note(format_args!("taken over within {:.1} s", killed.elapsed().as_secs_f64()));
    ensure!(pods == before.0, "the pods are not as they were, numbers included");
    ensure!(second.found(NAMESPACES, JSON).await? == before.1, "the namespaces are not as they were");
    child.kubectl_ok(&["create", "namespace", LATE]).await?;
    let late = format!("{NAMESPACES}/{LATE}");
    wait::until_true("a new namespace to be found", Duration::from_secs(30), || async {
        second.found(&late, JSON).await.map(|_| true)
    })
    .await?;
    ensure!(second.shows("clusterway_sync_lists_total 0").await?, "something was listed again");
    let pods = second.found(PODS, JSON).await?;
    ensure!(items(&pods)? == items(&before.0)?, "the pods were written again");
    Ok(())
}

/// The objects of a list, numbers included. The number of the list itself moves with every change in the store.
fn items(list: &[u8]) -> anyhow::Result<serde_json::Value> {
    Ok(serde_json::from_slice::<serde_json::Value>(list)?["items"].take())
}

async fn the_first_comes_back(fleet: &Fleet, first: &Hub, second: &Hub) -> anyhow::Result<()> {
    fleet.restart(HUB)?;
    let there = second.found(NAMESPACES, JSON).await?;
    let here = wait::until("the first hub to relay", TAKEOVER, || async {
        first.found(NAMESPACES, JSON).await.map(Some)
    })
    .await?;
    ensure!(here == there, "the first hub does not say what the second does");
    ensure!(first.shows("clusterway_store_open 0").await?, "the first hub has taken the store back");
    let stopped = Instant::now();
    fleet.stop(SECOND).await.context("cannot stop the second hub")?;
    let again = wait::until("the first hub to take over from one that stops", TAKEOVER, || async {
        first.found(NAMESPACES, JSON).await.map(Some)
    })
    .await?;
    fleet.progress().note(format_args!("handed back within {:.1} s", stopped.elapsed().as_secs_f64()));
    ensure!(again == there, "the namespaces are not as the second hub left them");
    Ok(())
}
