//! A chart for many clusters: from a repository on the loopback, with values that differ.

use testkit::charts::{Charts, Options};

use super::{fill_in, shell::Shell, shown};
use crate::{cluster::Cluster, fleet::Fleet, install::Registered, paths, wait};

const CHART: &str = "examples/shop/banner";
/// The chart, and what brings it to the clusters.
const FEED: &str = "examples/shop/chart.yaml";
/// Other values for one of them.
const VALUES: &str = "examples/shop/values.yaml";
/// How soon something has to be seen in the children.
const SOON: std::time::Duration = std::time::Duration::from_secs(120);

/// As the parent's administrator. `child` is one of the children, registered as `registered`. The Subscription stays.
pub(super) async fn install(
    fleet: &Fleet,
    parent: &Shell,
    child: &Cluster,
    registered: &Registered,
) -> anyhow::Result<()> {
    let progress = fleet.progress();
    let repository = Charts::serve_with(&fleet.tools().helm, Options::default()).await?;
    repository.add_directory(&paths::workspace().join(CHART), "banner", "1.0.0")?;
    progress.note(format_args!("a chart, made of {CHART} and served at {}", repository.url()));
    progress
        .note("Helm keeps its history in Secrets: the owners of the children let the deployer write them");
    for child in fleet.children() {
        let there = format!("kubectl --kubeconfig {}", shown(&child.kubeconfig()));
        let verbs = "get,list,watch,create,update,patch,delete";
        let role = format!("create clusterrole deploy-secrets --verb={verbs} --resource=secrets");
        parent.show(&format!("{there} {role}")).await?;
        let label = "apps.clusterway.io/aggregate-to-deployer=true";
        parent.show(&format!("{there} label clusterrole deploy-secrets {label}")).await?;
    }
    fill_in(fleet, parent, FEED, &[("REPOSITORY", &repository.url())]).await?;
    parent.show("kubectl wait subscription/banner --for=condition=Ready --timeout=120s").await?;
    parent.show("kubectl get helmcharts,helmreleases -A").await?;

    progress.note(format_args!("{} is to greet otherwise", child.name));
    fill_in(fleet, parent, VALUES, &[("NAMESPACE", &registered.namespace)]).await?;
    let greeting = ["get", "configmap", "banner", "-n", "shop", "-o", "jsonpath={.data.greeting}"];
    wait::until_true("the other greeting", SOON, || async {
        Ok(child.kubectl_ok(&greeting).await? == "bienvenue")
    })
    .await?;
    for child in fleet.children() {
        let there = format!("kubectl --kubeconfig {} -n shop", shown(&child.kubeconfig()));
        parent.show(&format!("{there} get configmap banner -o jsonpath={{.data}}")).await?;
    }
    Ok(())
}
