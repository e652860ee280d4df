//! One application for many clusters: templates, a Subscription, overrides, drift, a chart, and how all of it goes again.

use std::time::Duration;

use super::{charts, fill_in, shell::Shell, shown};
use crate::{cluster::Cluster, fleet::Fleet, install::Registered, wait};

const EXAMPLES: &str = "examples/shop";
/// How soon something has to be seen in the children.
const SOON: Duration = Duration::from_secs(60);

/// As the parent's administrator. `child` is one of the children, registered as `registered`.
pub(super) async fn deploy(
    fleet: &Fleet,
    parent: &Shell,
    child: &Cluster,
    registered: &Registered,
) -> anyhow::Result<()> {
    let progress = fleet.progress();
    parent.show(&format!("kubectl clusterway apply -f {EXAMPLES}/templates.yaml")).await?;
    parent.show(&format!("kubectl apply -f {EXAMPLES}/globalization.yaml")).await?;
    parent.show("kubectl label mcls -A --all env=demo").await?;
    parent.show(&format!("kubectl apply -f {EXAMPLES}/subscription.yaml")).await?;
    parent.show("kubectl wait subscription/shop --for=condition=Ready --timeout=60s").await?;
    for child in fleet.children() {
        found(fleet, &child, 2).await?;
    }
    parent.show("kubectl clusterway search deployments -n shop").await?;

    progress.note(format_args!("{} is to have more replicas", child.name));
    fill_in(fleet, parent, &format!("{EXAMPLES}/localization.yaml"), &[("NAMESPACE", &registered.namespace)])
        .await?;
    found(fleet, child, 4).await?;
    parent.show("kubectl clusterway search deployments -n shop").await?;

    progress.note(format_args!("what somebody changes in {} by hand is taken back, and told of", child.name));
    let there = format!("kubectl --kubeconfig {} -n shop", shown(&child.kubeconfig()));
    parent.show(&format!("{there} set image deployment/web main=demo/other:1")).await?;
    let image = ["get", "deployment", "web", "-n", "shop", "-o", "jsonpath={..image}"];
    wait::until_true("the image to be set back", SOON, || async {
        Ok(child.kubectl_ok(&image).await? == "demo/main:1")
    })
    .await?;
    parent.show(&format!("{there} get deployment web -o wide")).await?;
    let events = format!(
        "get events -n {} --field-selector reason={}",
        registered.namespace,
        api::names::deployer::reasons::DRIFT
    );
    let parents = fleet.parent()?;
    let arguments: Vec<&str> = events.split(' ').collect();
    wait::until_true("an Event about it", SOON, || async {
        Ok(parents.kubectl_ok(&arguments).await?.contains("/spec/"))
    })
    .await?;
    parent.show(&format!("kubectl {events}")).await?;

    charts::install(fleet, parent, child, registered).await?;

    progress.note("what goes with its Subscription goes everywhere; the templates and the HelmChart stay");
    parent.show("kubectl delete subscription banner shop --timeout=90s").await?;
    parent.show(&format!("{there} get deployments,services,configmaps")).await?;
    parent.show("kubectl clusterway get deployments -n shop").await
}

/// Waits until a search finds the application in a child with so many replicas.
async fn found(fleet: &Fleet, child: &Cluster, replicas: u64) -> anyhow::Result<()> {
    let client = fleet.parent()?.http_as("fleet-administrator", &["system:masters"])?;
    let path = format!(
        "/apis/clusterpedia.io/v1beta1/resources/clusters/{}/apis/apps/v1/namespaces/shop/deployments/web",
        child.name
    );
    wait::until_true(format_args!("the application in {} to be found", child.name), SOON, || async {
        let answer = client.get(&path).await?;
        let found: serde_json::Value = serde_json::from_slice(answer.body())?;
        let of = |field: &str| found["status"][field].as_u64();
        Ok([of("replicas"), of("readyReplicas")] == [Some(replicas); 2])
    })
    .await
}
