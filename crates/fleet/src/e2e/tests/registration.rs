//! Registration while everything dies at random moments.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::RngExt as _;

use crate::{cluster::Cluster, fleet::Fleet, install::HUB, wait};

/// Deregisters both children, lets them register again while hub and agents are killed over and over, and looks whether
/// each is there exactly once.
pub(super) async fn killing_hub_and_agents_during_registration_loses_and_doubles_nothing(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let parent = fleet.parent()?;
    let children = fleet.children();
    for child in &children {
        fleet.stop(&Fleet::agent_name(child)).await?;
        forget(fleet, &parent, child).await?;
    }
    for child in &children {
        fleet.restart(&Fleet::agent_name(child))?;
    }
    let mut victims: Vec<String> = children.iter().map(Fleet::agent_name).collect();
    victims.push(HUB.to_owned());
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        let (pause, index) = {
            let mut random = rand::rng();
            (random.random_range(20..900), random.random_range(0..victims.len()))
        };
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let victim = victims.get(index).context("no victim")?;
        fleet.kill(victim).await?;
        fleet.restart(victim)?;
    }
    for child in &children {
        let registered = fleet.until_ready(child, Duration::from_secs(120)).await?;
        let selector = format!("clusters.clusternet.io/cluster-id={}", registered.id);
        for kind in ["clsrr", "namespace", "mcls", "clusterrole", "clusterrolebinding"] {
            let found = parent.kubectl_ok(&["get", kind, "-A", "-l", &selector, "-o", "name"]).await?;
            ensure!(found.lines().count() == 1, "{} has not one {kind} but: {found}", child.name);
        }
        fleet.until_visitable(child, Duration::from_secs(90)).await?;
    }
    let namespaces = parent
        .kubectl_ok(&["get", "namespace", "-l", "clusternet.io/created-by=clusternet-agent", "-o", "name"])
        .await?;
    ensure!(namespaces.lines().count() == children.len(), "namespaces were left behind: {namespaces}");
    Ok(())
}

/// Registers a child with a ServiceAccount's token and wishes of its own (contract checks R14 and R17); afterwards it is
/// as it was.
pub(super) async fn an_agent_with_a_service_account_token_gets_the_name_namespace_and_labels_it_asks_for(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let (parent, child) = (fleet.parent()?, fleet.cluster("child2")?);
    let name = Fleet::agent_name(&child);
    let before = fleet.process(&name).context("no agent runs")?.spec;
    fleet.stop(&name).await?;
    forget(fleet, &parent, &child).await?;
    let token = parent.token_of("clusternet-system", "cluster-bootstrap-use").await?;
    let wishes = [
        format!("--cluster-reg-token={token}"),
        // Without a bootstrap token there is no signed cluster-info to take the CA from.
        format!("--parent-ca={}", parent.authority()?.certificate_file().display()),
        String::from("--cluster-reg-name=bar"),
        String::from("--cluster-reg-namespace=foo"),
        String::from("--cluster-labels=a=b"),
    ];
    fleet.start_agent(&child, &wishes)?;
    let result = async {
        let registered = fleet.until_ready(&child, Duration::from_secs(90)).await?;
        ensure!(registered.name == "bar" && registered.namespace == "foo", "{registered:?}");
        let label = parent
            .kubectl_ok(&["get", "mcls", "bar", "-n", "foo", "-o", "jsonpath={.metadata.labels.a}"])
            .await?;
        ensure!(label == "b", "the label a is {label:?}");
        let mode = parent
            .kubectl_ok(&["get", "mcls", "bar", "-n", "foo", "-o", "jsonpath={.spec.syncMode}"])
            .await?;
        ensure!(mode == "Dual", "the sync mode is {mode:?}");
        Ok(())
    }
    .await;
    fleet.stop(&name).await?;
    forget(fleet, &parent, &child).await?;
    fleet.start(before)?;
    let restored = fleet.until_ready(&child, Duration::from_secs(90)).await.map(drop);
    result.and(restored)
}

/// Takes a child out of the parent, and takes its credential away, so that it registers as if it were new.
async fn forget(fleet: &Fleet, parent: &Cluster, child: &Cluster) -> anyhow::Result<()> {
    let registered = fleet.registered(child).await?.context("it is not registered")?;
    parent
        .kubectl_ok(&["delete", "mcls", &registered.name, "-n", &registered.namespace, "--timeout=60s"])
        .await?;
    wait::until_true("the namespace to go", Duration::from_secs(60), || async {
        Ok(!parent.kubectl(&["get", "namespace", &registered.namespace]).await?.success)
    })
    .await?;
    child.kubectl_ok(&["delete", "secret", "parent-cluster", "-n", "clusternet-system"]).await.map(drop)
}
