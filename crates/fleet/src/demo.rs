//! The story of the README, told step by step on a fleet: every command is printed before it runs.

mod charts;
mod deploy;
mod shell;

use std::{path::PathBuf, time::Duration};

use anyhow::Context as _;

use crate::{
    cluster::Cluster,
    e2e::runner::visitor_manifest,
    fleet::Fleet,
    free_port,
    install::{Options, Registered},
    kwok, paths, seed, wait,
};

use shell::Shell;

/// The person who visits the children; an ordinary user of the parent.
const VISITOR: &str = "alice";
const GROUP: &str = "team-a";

/// Tells the story on a fleet that is up.
pub async fn run(fleet: &Fleet, options: &Options) -> anyhow::Result<()> {
    let progress = fleet.progress();
    progress.title("Clusterway is installed: the hub beside the parent, an agent beside each child");
    fleet.install(options).await?;

    let parent = Shell::new(fleet, &fleet.parent()?.kubeconfig());
    progress.title("The children have registered themselves, by outbound connections only");
    parent.show("kubectl get clsrr").await?;
    parent.show("kubectl get mcls -A").await?;

    let child = fleet.cluster("child1")?;
    let registered = fleet.registered(&child).await?.context("child1 is not registered")?;
    progress.title(format_args!(
        "The parent allows {VISITOR} to visit them; what she may do there each child decides"
    ));
    allow(fleet, &parent).await?;
    let visitor = visitor(fleet, &child).await?;

    progress.title(format_args!("{VISITOR} visits child1 through the parent"));
    let kubeconfig = fleet.parent()?.kubeconfig_of(VISITOR, &[GROUP])?;
    let shell = Shell::new(fleet, &kubeconfig);
    visit(fleet, &shell, &child, &registered, &visitor).await?;

    progress.title(
        "Both children become searchable through their tunnels: one policy for all that register, now and later",
    );
    make_searchable(fleet, &parent).await?;

    progress.title(format_args!("{VISITOR} searches all of them at once"));
    search(fleet, &shell).await?;

    progress.title("One object deploys an application to both, each with what is different there");
    deploy::deploy(fleet, &parent, &child, &registered).await?;

    progress.title("What to try next");
    let name = &registered.name;
    for line in [
        format!("export PATH={}:$PATH", fleet.bin().display()),
        format!("export KUBECONFIG={}", kubeconfig.display()),
        format!(
            "kubectl clusterway --cluster-id {name} --child-kubeconfig {} get pods -n demo",
            visitor.display()
        ),
        String::from("kubectl clusterway search pods -A --name-contains web --sort -created_at -o yaml"),
        String::from("kubectl clusterway --help"),
        format!("KUBECONFIG={} kubectl get mcls -A -o wide", fleet.parent()?.kubeconfig().display()),
        format!("tail -f {}", fleet.log_directory().join("hub.log").display()),
    ] {
        progress.command(line);
    }
    Ok(())
}

/// Gives the visitor's group every child in the parent, by name, as an administrator would.
async fn allow(fleet: &Fleet, parent: &Shell) -> anyhow::Result<()> {
    for child in fleet.children() {
        let registered = fleet.registered(&child).await?.context("a child is not registered")?;
        grant(fleet, parent, "visit-one-cluster.yaml", ("CLUSTERID", &registered.id)).await?;
    }
    // To call clusters by name one must be able to look the name up.
    let apply = "--dry-run=client -o yaml | kubectl apply -f -";
    for create in [
        String::from(
            "clusterrole see-clusters --verb=get,list,watch --resource=managedclusters.clusters.clusternet.io,pediaclusters.cluster.clusterpedia.io",
        ),
        format!("clusterrolebinding see-clusters-{GROUP} --clusterrole=see-clusters --group={GROUP}"),
    ] {
        parent.show(&format!("kubectl create {create} {apply}")).await?;
    }
    Ok(())
}

/// Gives the visitor's group what an example of `deploy/` grants for one cluster, which `variable` names.
async fn grant(fleet: &Fleet, parent: &Shell, example: &str, variable: (&str, &str)) -> anyhow::Result<()> {
    let path = format!("deploy/examples/{example}");
    fill_in(fleet, parent, &path, &[variable, ("GROUP", GROUP)]).await
}

/// Applies a manifest of the checkout with its variables filled in.
async fn fill_in(
    fleet: &Fleet,
    parent: &Shell,
    path: &str,
    variables: &[(&str, &str)],
) -> anyhow::Result<()> {
    let mut manifest = std::fs::read_to_string(paths::workspace().join(path))?;
    for (name, value) in variables {
        manifest = manifest.replace(&format!("${name}"), value);
    }
    let given: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let given = given.join(" ");
    fleet.progress().command(format_args!("{given} envsubst < {path} | kubectl apply -f -"));
    parent.pipe("kubectl apply -f -", &manifest).await
}

/// A kubeconfig of a ServiceAccount in the child that may work in one namespace.
async fn visitor(fleet: &Fleet, child: &Cluster) -> anyhow::Result<PathBuf> {
    for child in fleet.children() {
        child.apply(&visitor_manifest()).await?;
    }
    child.kubeconfig_of_account(seed::NAMESPACE, "visitor").await
}

async fn visit(
    fleet: &Fleet,
    shell: &Shell,
    child: &Cluster,
    registered: &Registered,
    credential: &std::path::Path,
) -> anyhow::Result<()> {
    let kubectl = format!(
        "kubectl clusterway --cluster-id {} --child-kubeconfig {} -n {}",
        registered.name,
        shown(credential),
        seed::NAMESPACE
    );
    let pod = seed::POD;
    shell.show(&format!("{kubectl} get pods")).await?;
    shell.show(&format!("{kubectl} get nodes")).await?;

    fleet.progress().note("a watch stays open while something happens in the child");
    let mut watch = shell.start(&format!("{kubectl} get configmap -w"))?;
    let name = format!("seen-through-the-parent-{:x}", rand::random::<u16>());
    tokio::time::sleep(Duration::from_secs(2)).await;
    child.kubectl_ok(&["create", "configmap", &name, "-n", seed::NAMESPACE]).await?;
    watch.until_line(&name).await?;
    child.kubectl_ok(&["delete", "configmap", &name, "-n", seed::NAMESPACE]).await?;
    drop(watch);

    shell.show(&format!("{kubectl} logs {pod}")).await?;
    let mut follow = shell.start(&format!("{kubectl} logs -f {pod} --tail 1"))?;
    follow.until_line("").await?;
    kwok::log_line(child, "something new happened")?;
    follow.until_line("something new happened").await?;
    drop(follow);

    shell.show(&format!("{kubectl} exec {pod} -- sh -c 'echo \"a command in $CLUSTER\"'")).await?;

    let port = free_port(fleet.parent()?.address())?;
    let mut forward = shell.start(&format!("{kubectl} port-forward {pod} {port}:8080"))?;
    forward.until_line("Forwarding from").await?;
    shell.show(&format!("curl --silent http://127.0.0.1:{port}/")).await?;
    drop(forward);

    let file = fleet.directory().join("letter.txt");
    paths::write(&file, "a letter that went to the child and back\n")?;
    let back = fleet.directory().join("letter-back.txt");
    shell.show(&format!("{kubectl} cp {} {pod}:letter.txt", shown(&file))).await?;
    shell.show(&format!("{kubectl} cp {pod}:letter.txt {}", shown(&back))).await?;
    shell.show(&format!("cat {}", shown(&back))).await
}

/// Applies the policy that makes every registered cluster searchable, as an administrator would, and lets the visitor's
/// group search them.
async fn make_searchable(fleet: &Fleet, parent: &Shell) -> anyhow::Result<()> {
    parent.show("kubectl apply -f deploy/policies/managedclusters.yaml").await?;
    let clusters: Vec<String> =
        fleet.children().iter().map(|child| format!("pediacluster/{}", child.name)).collect();
    let clusters = clusters.join(" ");
    parent.show(&format!("kubectl wait {clusters} --for=create --timeout=60s")).await?;
    parent.show(&format!("kubectl wait {clusters} --for=condition=Ready --timeout=60s")).await?;
    parent.show("kubectl get clusterimportpolicies,pediaclusterlifecycles,pediaclusters").await?;
    for child in fleet.children() {
        grant(fleet, parent, "search-one-cluster.yaml", ("CLUSTER", &child.name)).await?;
    }
    let client = fleet.parent()?.http_as("fleet-administrator", &["system:masters"])?;
    let path = "/apis/clusterpedia.io/v1beta1/resources/all/proxy/apis/apps/v1/deployments";
    wait::until_true("the Deployments of every child to be found", Duration::from_secs(60), || async {
        let answer = client.get(path).await?;
        let text = String::from_utf8_lossy(answer.body());
        Ok(fleet.children().iter().all(|child| text.contains(&format!(":\"{}\"", child.name))))
    })
    .await
}

/// Questions across all clusters, with the plug-in and with plain kubectl.
async fn search(fleet: &Fleet, shell: &Shell) -> anyhow::Result<()> {
    shell.show("kubectl clusterway search deployments -A").await?;
    fleet.progress().note("where does this image run? any field of any object can be searched by");
    shell
        .show("kubectl clusterway search pods -A --field-selector 'spec.containers[].image=demo/main:1' --sort name,-cluster")
        .await?;
    shell
        .show("kubectl clusterway search pods -A -l app=web --clusters 'child*' --sort -created_at -o wide")
        .await?;

    fleet
        .progress()
        .note("the same with plain kubectl: a kubeconfig with a context for all clusters and one for each");
    let kubeconfig = shown(&fleet.directory().join("search.kubeconfig"));
    shell.show(&format!("kubectl clusterway kubeconfig --search > {kubeconfig}")).await?;
    shell.show(&format!("kubectl --kubeconfig {kubeconfig} config get-contexts")).await?;
    shell.show(&format!("kubectl --kubeconfig {kubeconfig} get deployments -A")).await?;
    shell.show(&format!("kubectl --kubeconfig {kubeconfig} --context child2 get nodes")).await
}

/// A path as one would type it in the checkout, where the commands run.
fn shown(path: &std::path::Path) -> String {
    path.strip_prefix(paths::workspace()).unwrap_or(path).display().to_string()
}
