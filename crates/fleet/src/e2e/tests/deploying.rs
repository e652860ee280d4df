//! What is deployed into a cluster while the program that deploys it is killed.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::RngExt as _;

use crate::{cluster::Cluster, e2e::scenario::Describe, fleet::Fleet, wait};

/// How many objects are deployed.
const OBJECTS: usize = 200;
/// What marks them.
const OURS: &str = "apps.clusterway.io/deployed=true";

/// Kills the agent in the middle of applying many objects, and afterwards in the middle of deleting them: each object is
/// there once, was written once at most as far as it was answered, and none is left behind.
pub(super) async fn killing_the_agent_while_it_deploys_loses_doubles_and_leaves_behind_nothing(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let parent = fleet.parent()?;
    let child = fleet.children().into_iter().nth(1).context("there is no second child")?;
    let registered = fleet.registered(&child).await?.context("it is not registered")?;
    let request = format!("clusternet-{}", registered.id);
    let mode = |mode: &str| format!(r#"{{"spec":{{"syncMode":"{mode}"}}}}"#);
    parent.kubectl_ok(&["patch", "clsrr", &request, "--type=merge", "-p", &mode("Pull")]).await?;
    let namespace = registered.namespace.as_str();
    wait::until_true("the agent to deploy, and nobody else", Duration::from_secs(30), || async {
        let mode = ["get", "mcls", &registered.name, "-n", namespace, "-o", "jsonpath={.spec.syncMode}"];
        Ok(parent.kubectl_ok(&mode).await? == "Pull")
    })
    .await?;
    // Hub and agent hear of it in their own time.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let result = deploy(fleet, &parent, &child, namespace).await;
    parent.kubectl_ok(&["patch", "clsrr", &request, "--type=merge", "-p", &mode("Dual")]).await?;
    result
}

async fn deploy(fleet: &Fleet, parent: &Cluster, child: &Cluster, namespace: &str) -> anyhow::Result<()> {
    let describe = Describe {
        namespace: namespace.to_owned(),
        name: String::from("torn"),
        objects: vec![],
        maps: OBJECTS,
    };
    let before = applied(child).await?;
    parent.apply(&describe.manifest()).await?;
    for share in [20, 90] {
        wait::until_true("some objects to be there", Duration::from_secs(90), || async {
            Ok(count(child).await? >= share)
        })
        .await?;
        kill(fleet, child).await?;
    }
    let wait = ["wait", "description/torn", "-n", namespace, "--for=condition=Applied", "--timeout=180s"];
    parent.kubectl_ok(&wait).await?;
    let there = count(child).await?;
    ensure!(there == OBJECTS, "{there} of {OBJECTS} objects are there");
    // What a killed agent no longer waited for is done nevertheless, and counted as broken off.
    let after = applied(child).await?;
    let written = after - before;
    ensure!(written <= OBJECTS as u64, "{written} writes were made for {OBJECTS} objects");

    // Once more, with nothing to do.
    let version =
        ["get", "description", "torn", "-n", namespace, "-o", "jsonpath={.metadata.resourceVersion}"];
    let before = parent.kubectl_ok(&version).await?;
    kill(fleet, child).await?;
    fleet.until_ready(child, Duration::from_secs(90)).await?;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let more = applied(child).await? - after;
    ensure!(more == 0, "{more} writes were made with nothing to do");
    ensure!(parent.kubectl_ok(&version).await? == before, "the Description was written with nothing to say");

    parent.kubectl_ok(&["delete", "description", "torn", "-n", namespace, "--wait=false"]).await?;
    let confirm = "apps.clusterway.io/confirm-deletion=2";
    parent.kubectl_ok(&["annotate", "description", "torn", "-n", namespace, confirm]).await?;
    wait::until_true("some objects to be gone", Duration::from_secs(90), || async {
        Ok(count(child).await? < OBJECTS - 20)
    })
    .await?;
    kill(fleet, child).await?;
    wait::until_true("the Description to be gone", Duration::from_secs(120), || async {
        Ok(!parent.kubectl(&["get", "description", "torn", "-n", namespace]).await?.success)
    })
    .await?;
    let left = count(child).await?;
    ensure!(left == 0, "{left} objects were left behind");
    Ok(())
}

/// Kills the agent after a moment, wherever it is then, and starts it again.
async fn kill(fleet: &Fleet, child: &Cluster) -> anyhow::Result<()> {
    let moment = rand::rng().random_range(0..200);
    tokio::time::sleep(Duration::from_millis(moment)).await;
    let agent = Fleet::agent_name(child);
    fleet.kill(&agent).await?;
    fleet.restart(&agent).map(drop)
}

/// How many objects with our mark there are.
async fn count(child: &Cluster) -> anyhow::Result<usize> {
    let list = child.kubectl_ok(&["get", "configmaps", "-A", "-l", OURS, "-o", "name"]).await?;
    Ok(list.lines().count())
}

/// How often a ConfigMap was applied in the cluster, as its API server counts: dry runs and what was refused, as in a
/// namespace that was missing, are left out.
async fn applied(child: &Cluster) -> anyhow::Result<u64> {
    let metrics = child.kubectl_ok(&["get", "--raw", "/metrics"]).await?;
    let lines = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total{")
            && [r#"verb="APPLY""#, r#"resource="configmaps""#, r#"dry_run="""#, r#"code="20"#]
                .iter()
                .all(|it| line.contains(it))
    });
    let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(counts.sum::<f64>() as u64)
}
