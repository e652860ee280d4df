//! Small requests and bulk through parent, hub, tunnel and agent, against the same without them.

use std::path::PathBuf;

use super::{
    Budget, Figure,
    loader::{Loader, Served, median, number},
};
use crate::{cluster::Cluster, e2e::runner, fleet::Fleet, seed};

/// Rounds per figure, direct and visit in turn: the machine's mood hits both.
const ROUNDS: usize = 5;
const BULK: u64 = 512 << 20;

/// Latency and rate of a small GET.
pub(super) async fn small(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let loader = Loader::build(fleet).await?;
    let ways = Ways::new(fleet).await?;
    let object = format!("/api/v1/namespaces/{}/configmaps/kube-root-ca.crt", seed::NAMESPACE);
    let (direct, visit) = (ways.direct(&object), ways.visit(&format!("/proxy/direct{object}")));
    let still = ways.parent("/apis/proxies.clusternet.io/v1alpha1");
    let (mut p50, mut p50_direct, mut rate, mut chain) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        p50_direct.push(number(&loader.run(&get(&direct, 1, 600)).await?, "p50_ms")?);
        p50.push(number(&loader.run(&get(&visit, 1, 600)).await?, "p50_ms")?);
        let direct = number(&loader.run(&get(&direct, 16, 6000)).await?, "rate")?;
        let still = number(&loader.run(&get(&still, 16, 6000)).await?, "rate")?;
        rate.push(number(&loader.run(&get(&visit, 16, 6000)).await?, "rate")?);
        chain.push(1.0 / (1.0 / direct + 1.0 / still));
    }
    Ok(vec![
        Figure::new(
            "tunnel",
            "get_p50",
            "ms",
            median(p50),
            Some(median(p50_direct)),
            Budget::RatioAtMost(2.5),
        ),
        // The budget's chain has a third link, a WebSocket echo through the parent. Without it the reference is higher
        // and the demand harder.
        Figure::new(
            "tunnel",
            "get_rate_16",
            "1/s",
            median(rate),
            Some(median(chain)),
            Budget::RatioAtLeast(0.8),
        ),
    ])
}

/// Throughput of one big answer from a server in the child.
pub(super) async fn bulk(fleet: &Fleet) -> anyhow::Result<Vec<Figure>> {
    let loader = Loader::build(fleet).await?;
    let source = loader.serve(&words("serve", &[])).await?;
    let child = fleet.cluster("child1")?;
    fleet.stop(&Fleet::agent_name(&child)).await?;
    fleet.start_agent(&child, &[format!("--allow-target={}", source.address)])?;
    fleet.until_visitable(&child, std::time::Duration::from_secs(60)).await?;
    let result = measure_bulk(fleet, &loader, &source).await;
    fleet.stop(&Fleet::agent_name(&child)).await?;
    fleet.start_agent(&child, &[])?;
    result
}

async fn measure_bulk(fleet: &Fleet, loader: &Loader, source: &Served) -> anyhow::Result<Vec<Figure>> {
    let ways = Ways::new(fleet).await?;
    let visit = ways.visit(&format!("/proxy/http/{}/bulk?bytes={BULK}", source.address));
    // Client to parent, parent to hub, hub back through the parent, parent to agent, agent to source.
    let chain = Chain::build(fleet, loader, &source.address, 4).await?;
    let relayed = chain.words(&format!("/bulk?bytes={BULK}"));
    let (mut through, mut reference) = (vec![], vec![]);
    for _ in 0..3 {
        reference.push(number(&loader.run(&words("bulk", &relayed)).await?, "mib_per_second")?);
        through.push(number(&loader.run(&words("bulk", &visit)).await?, "mib_per_second")?);
    }
    Ok(vec![Figure::new(
        "tunnel",
        "bulk_through_parent",
        "MiB/s",
        median(through),
        Some(median(reference)),
        Budget::RatioAtLeast(0.8),
    )])
}

/// TLS relays one behind the other.
struct Chain {
    relays: Vec<(Served, PathBuf)>,
}

impl Chain {
    async fn build(fleet: &Fleet, loader: &Loader, source: &str, legs: usize) -> anyhow::Result<Self> {
        let mut relays: Vec<(Served, PathBuf)> = Vec::new();
        for leg in 0..legs {
            let own = fleet.directory().join(format!("relay-{leg}.crt"));
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

/// How the load generator gets where.
struct Ways {
    parent: Cluster,
    child: Cluster,
    id: String,
    token: String,
    certificate: PathBuf,
    key: PathBuf,
}

impl Ways {
    async fn new(fleet: &Fleet) -> anyhow::Result<Self> {
        runner::prepare(fleet).await?;
        let (parent, child) = (fleet.parent()?, fleet.cluster("child1")?);
        let id = fleet.until_ready(&child, std::time::Duration::from_secs(60)).await?.id;
        let token = child.token_of(seed::NAMESPACE, "visitor").await?;
        // Somebody with the right to visit this child and no other, as people should have it.
        let pair = parent.authority()?.client("bench", &[&format!("visitors-{}", child.name)])?;
        let (certificate, key) = (fleet.directory().join("bench.crt"), fleet.directory().join("bench.key"));
        std::fs::write(&certificate, &pair.certificate)?;
        std::fs::write(&key, &pair.key)?;
        Ok(Self { parent, child, id, token, certificate, key })
    }

    fn direct(&self, path: &str) -> Vec<String> {
        vec![
            format!("--url={}{path}", self.child.url()),
            format!("--ca={}", self.child.directory.join("pki/ca.crt").display()),
            format!("--header=Authorization: Bearer {}", self.token),
        ]
    }

    fn parent(&self, path: &str) -> Vec<String> {
        vec![
            format!("--url={}{path}", self.parent.url()),
            format!("--ca={}", self.parent.directory.join("pki/ca.crt").display()),
            format!("--certificate={}", self.certificate.display()),
            format!("--key={}", self.key.display()),
        ]
    }

    fn visit(&self, tail: &str) -> Vec<String> {
        let mut words =
            self.parent(&format!("/apis/proxies.clusternet.io/v1alpha1/sockets/{}{tail}", self.id));
        words.push(format!("--header=Clusterway-Child-Authorization: Bearer {}", self.token));
        words
    }
}

fn words(command: &str, rest: &[String]) -> Vec<String> {
    std::iter::once(command.to_owned()).chain(rest.iter().cloned()).collect()
}

fn get(target: &[String], workers: usize, requests: usize) -> Vec<String> {
    let mut all = words("get", target);
    all.extend([format!("--workers={workers}"), format!("--requests={requests}")]);
    all
}
