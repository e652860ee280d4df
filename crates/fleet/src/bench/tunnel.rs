//! Small requests and bulk through parent, hub, tunnel and agent, against the same without them.

use std::path::PathBuf;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use super::{
    Budget, Figure,
    echo::{self, Echo},
    loader::{Loader, Served, User, asked, header, median, number, target, words},
};
use crate::{cluster::Cluster, e2e::runner, fleet::Fleet, seed};

/// Rounds per figure, direct and visit in turn: the machine's mood hits both.
const ROUNDS: usize = 5;
const BULK: u64 = 512 << 20;
const BULK_ROUNDS: usize = 3;
/// Small requests beside bulk: enough for a p99.
const BESIDE: usize = 1000;

/// Latency and rate of a small GET.
pub(super) async fn small(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let loader = Loader::build(fleet).await?;
    let ways = Ways::new(fleet).await?;
    let echo = Echo::begin(fleet, &loader, &visitors(&ways.child)).await?;
    let figures = measure_small(&loader, &ways).await;
    echo.end().await?;
    figures
}

async fn measure_small(loader: &Loader, ways: &Ways) -> anyhow::Result<Vec<Figure>> {
    let object = format!("/api/v1/namespaces/{}/configmaps/kube-root-ca.crt", seed::NAMESPACE);
    let visit = ways.visit(&format!("/proxy/direct{object}"));
    // What a request cannot do without: the child's answer, an aggregated answer, a message through the parent.
    let links = [
        ("get", ways.direct(&object)),
        ("get", ways.parent("/apis/proxies.clusternet.io/v1alpha1")),
        ("echo", ways.parent(echo::PATH)),
    ];
    let (mut p50, mut direct, mut chain, mut rate, mut rate_chain) = (vec![], vec![], vec![], vec![], vec![]);
    let mut at_pace = vec![];
    for _ in 0..ROUNDS {
        let (mut links_p50, mut links_rate) = (vec![], vec![]);
        for (command, link) in &links {
            links_p50.push(number(&loader.run(&asked(command, link, 1, 600)).await?, "p50_ms")?);
            links_rate.push(number(&loader.run(&asked(command, link, 16, 6000)).await?, "rate")?);
        }
        let visited = number(&loader.run(&asked("get", &visit, 1, 600)).await?, "p50_ms")?;
        p50.push(visited);
        let mut paced = asked("get", &ways.direct(&object), 1, 600);
        paced.push(format!("--pause={}", (visited * 1000.0) as u64));
        at_pace.push(number(&loader.run(&paced).await?, "p50_ms")?);
        rate.push(number(&loader.run(&asked("get", &visit, 16, 6000)).await?, "rate")?);
        direct.extend(links_p50.first());
        chain.push(links_p50.iter().sum());
        rate_chain.push(1.0 / links_rate.iter().map(|rate| 1.0 / rate).sum::<f64>());
    }
    let (direct, chain) = (Some(median(direct)), median(chain));
    let figure =
        |name, unit, value, reference, budget| Figure::new("tunnel", name, unit, value, reference, budget);
    let p50 = median(p50);
    Ok(vec![
        figure("get_p50", "ms", p50, direct, Budget::RatioAtMost(2.5)),
        // A server that is asked at a visit's pace falls asleep in between, as it does while it is visited.
        figure("get_p50_at_pace", "ms", p50, Some(median(at_pace)), Budget::None),
        figure("get_p50_chain", "ms", chain, direct, Budget::None),
        figure("get_rate_16", "1/s", median(rate), Some(median(rate_chain)), Budget::RatioAtLeast(0.8)),
    ])
}

/// Throughput of one big answer from a server in the child, and small requests beside it.
pub(super) async fn bulk(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let loader = Loader::build(fleet).await?;
    let source = loader.serve(&words("serve", &[])).await?;
    let child = fleet.cluster("child1")?;
    fleet.stop(&Fleet::agent_name(&child)).await?;
    fleet.start_agent(&child, &[format!("--allow-target={}", source.address)])?;
    let result = measure_bulk(fleet, &loader, &source).await;
    // Whatever happened, the child gets its usual agent back.
    fleet.stop(&Fleet::agent_name(&child)).await?;
    fleet.start_agent(&child, &[])?;
    result
}

async fn measure_bulk(fleet: &Fleet, loader: &Loader, source: &Served) -> anyhow::Result<Vec<Figure>> {
    fleet.until_visitable(&fleet.cluster("child1")?, std::time::Duration::from_secs(60)).await?;
    let ways = Ways::new(fleet).await?;
    let target = format!("/proxy/http/{}", source.address);
    let body = format!("/bulk?bytes={BULK}");
    let (visit, hub) = (ways.visit(&format!("{target}{body}")), ways.hub(&format!("{target}{body}")).await?);
    // Who passes the bytes on: parent, hub, parent again (the tunnel), agent. At the hub's own address the first is
    // left out.
    let through_parent = Chain::build(fleet, loader, &source.address, 4).await?;
    let at_hub = Chain::build(fleet, loader, &source.address, 3).await?;
    let figures = [
        ("through_parent", &visit, through_parent.words(&body)),
        ("at_hub_address", &hub, at_hub.words(&body)),
    ];
    let mut found = Vec::new();
    for (name, ours, relayed) in &figures {
        let (mut through, mut reference) = (vec![], vec![]);
        for _ in 0..BULK_ROUNDS {
            reference.push(number(&loader.run(&words("bulk", relayed)).await?, "mib_per_second")?);
            through.push(number(&loader.run(&words("bulk", ours)).await?, "mib_per_second")?);
        }
        let (value, reference) = (median(through), Some(median(reference)));
        found.push(Figure::new("bulk", name, "MiB/s", value, reference, Budget::RatioAtLeast(0.8)));
    }
    let small = asked("get", &ways.visit(&format!("{target}/small")), 1, BESIDE);
    // The reference has the same machine as busy, and the tunnel to itself: what is left is what sharing it costs.
    let (mut relayed, mut beside) = (vec![], vec![]);
    for _ in 0..BULK_ROUNDS {
        relayed.push(p99_beside(loader, &small, &words("bulk", &through_parent.words(&body))).await?);
        beside.push(p99_beside(loader, &small, &words("bulk", &visit)).await?);
    }
    let (value, reference) = (median(beside), Some(median(relayed)));
    found.push(Figure::new("bulk", "small_p99_beside", "ms", value, reference, Budget::RatioAtMost(2.0)));
    Ok(found)
}

/// The p99 of small requests while big answers follow one another without a pause.
async fn p99_beside(loader: &Loader, small: &[String], big: &[String]) -> anyhow::Result<f64> {
    let bulk = async {
        loop {
            if let Err(cause) = loader.run(big).await {
                return cause;
            }
        }
    };
    tokio::select! {
        found = loader.run(small) => number(&found?, "p99_ms"),
        cause = bulk => Err(cause.context("the bulk beside the small requests")),
    }
}

/// TLS relays one behind the other.
struct Chain {
    relays: Vec<(Served, PathBuf)>,
}

impl Chain {
    async fn build(fleet: &Fleet, loader: &Loader, source: &str, legs: usize) -> anyhow::Result<Self> {
        let mut relays: Vec<(Served, PathBuf)> = Vec::new();
        for leg in 0..legs {
            let own = fleet.directory().join(format!("relay-{legs}-{leg}.crt"));
            let mut args = vec![format!("--certificate={}", own.display())];
            match relays.last() {
                None => args.push(format!("--to={source}")),
                Some((next, certificate)) => {
                    args.push(format!("--to={}", next.address));
                    args.push(format!("--to-certificate={}", certificate.display()));
                }
            }
            relays.push((loader.serve(&words("relay", &args)).await?, own));
        }
        Ok(Self { relays })
    }

    fn words(&self, path: &str) -> Vec<String> {
        let Some((first, certificate)) = self.relays.last() else { return Vec::new() };
        vec![format!("--url=https://{}{path}", first.address), format!("--ca={}", certificate.display())]
    }
}

/// The ServiceAccount that visits at the hub's own address.
const ACCOUNT: &str = "bench";

/// How the load generator gets where.
struct Ways {
    parent: Cluster,
    child: Cluster,
    hub_port: u16,
    id: String,
    /// The child's credential, as the child and as the hub want it.
    direct: String,
    visitor: String,
    user: User,
}

impl Ways {
    async fn new(fleet: &Fleet) -> anyhow::Result<Self> {
        runner::prepare(fleet).await?;
        let (parent, child) = (fleet.parent()?, fleet.cluster("child1")?);
        let id = fleet.until_ready(&child, std::time::Duration::from_secs(60)).await?.id;
        let token = child.token_of(seed::NAMESPACE, "visitor").await?;
        let direct = header(&child, "Authorization", &token)?;
        let visitor = header(&child, "Clusterway-Child-Authorization", &token)?;
        // Somebody with the right to visit this child and no other, as people should have it.
        let user = User::new(fleet, &parent, "bench", &[&visitors(&child)])?;
        Ok(Self { parent, child, hub_port: fleet.hub_port(), id, direct, visitor, user })
    }

    fn direct(&self, path: &str) -> Vec<String> {
        let mut words = target(&self.child, path);
        words.push(self.direct.clone());
        words
    }

    fn parent(&self, path: &str) -> Vec<String> {
        self.user.target(path)
    }

    /// The same at the hub's own address, where a ServiceAccount of the parent is known by its token.
    async fn hub(&self, tail: &str) -> anyhow::Result<Vec<String>> {
        let role = format!("visit-{}", self.id);
        self.parent
            .apply(
                &json!({ "apiVersion": "v1", "kind": "List", "items": [
                    { "apiVersion": "v1", "kind": "ServiceAccount",
                      "metadata": { "name": ACCOUNT, "namespace": "default" } },
                    { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                      "metadata": { "name": format!("{role}-{ACCOUNT}") },
                      "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
                      "subjects": [{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default" }] },
                ]})
                .to_string(),
            )
            .await?;
        let token = self.parent.token_of("default", ACCOUNT).await?;
        let service = "v1alpha1.proxies.clusternet.io";
        let bundle = ["get", "apiservice", service, "-o", "jsonpath={.spec.caBundle}"];
        let bundle = BASE64_STANDARD.decode(self.parent.kubectl_ok(&bundle).await?.trim())?;
        let authority = self.parent.directory.join("bench-hub-ca.crt");
        std::fs::write(&authority, bundle)?;
        Ok(vec![
            format!("--url=https://localhost:{}{}", self.hub_port, self.socket(tail)),
            format!("--ca={}", authority.display()),
            header(&self.parent, "Authorization", &token)?,
            self.visitor.clone(),
        ])
    }

    fn socket(&self, tail: &str) -> String {
        format!("/apis/proxies.clusternet.io/v1alpha1/sockets/{}{tail}", self.id)
    }

    fn visit(&self, tail: &str) -> Vec<String> {
        let mut words = self.parent(&self.socket(tail));
        words.push(self.visitor.clone());
        words
    }
}

/// The group that may visit a child.
fn visitors(child: &Cluster) -> String {
    format!("visitors-{}", child.name)
}
