//! The story of the README, told step by step on a fleet: every command is printed before it runs.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
};

use crate::{
    cluster::Cluster,
    e2e::runner::visitor_manifest,
    fleet::Fleet,
    free_port,
    install::{Options, Registered},
    kwok, paths, seed,
};

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

    progress.title("What to try next");
    let name = &registered.name;
    for line in [
        format!("export PATH={}:$PATH", fleet.bin().display()),
        format!("export KUBECONFIG={}", kubeconfig.display()),
        format!(
            "kubectl clusterway --cluster-id {name} --child-kubeconfig {} get pods -n demo",
            visitor.display()
        ),
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
    let example = std::fs::read_to_string(paths::workspace().join("deploy/examples/visit-one-cluster.yaml"))?;
    for child in fleet.children() {
        let registered = fleet.registered(&child).await?.context("a child is not registered")?;
        fleet.progress().command(format_args!(
            "CLUSTERID={} GROUP={GROUP} envsubst < deploy/examples/visit-one-cluster.yaml | kubectl apply -f -",
            registered.id
        ));
        let manifest = example.replace("$CLUSTERID", &registered.id).replace("$GROUP", GROUP);
        parent.pipe("kubectl apply -f -", &manifest).await?;
    }
    // To call clusters by name one must be able to look the name up.
    let apply = "--dry-run=client -o yaml | kubectl apply -f -";
    for create in [
        String::from(
            "clusterrole see-clusters --verb=get,list,watch --resource=managedclusters.clusters.clusternet.io",
        ),
        format!("clusterrolebinding see-clusters-{GROUP} --clusterrole=see-clusters --group={GROUP}"),
    ] {
        parent.show(&format!("kubectl create {create} {apply}")).await?;
    }
    Ok(())
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

/// A path as one would type it in the checkout, where the commands run.
fn shown(path: &std::path::Path) -> String {
    path.strip_prefix(paths::workspace()).unwrap_or(path).display().to_string()
}

/// Where commands run: with a kubeconfig, and the fleet's programs first in the path.
struct Shell {
    fleet: Fleet,
    kubeconfig: PathBuf,
}

impl Shell {
    fn new(fleet: &Fleet, kubeconfig: &std::path::Path) -> Self {
        Self { fleet: fleet.clone(), kubeconfig: kubeconfig.to_owned() }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["-c", &format!("exec {line}")])
            .current_dir(paths::workspace())
            .env("PATH", format!("{}:{path}", self.fleet.bin().display()))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.fleet.directory().join("kubectl-cache"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command and shows it with what it prints. It must succeed.
    async fn show(&self, line: &str) -> anyhow::Result<()> {
        let progress = self.fleet.progress();
        progress.command(line);
        let status = tokio::time::timeout(Duration::from_secs(60), self.command(line).status())
            .await
            .with_context(|| format!("it does not end: {line}"))??;
        if !status.success() {
            bail!("it failed: {line}");
        }
        Ok(())
    }

    /// Runs a command with standard input, without showing the command.
    async fn pipe(&self, line: &str, input: &str) -> anyhow::Result<()> {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        if !child.wait().await?.success() {
            bail!("it failed: {line}");
        }
        Ok(())
    }

    /// Starts a command that runs until it is dropped, and shows it.
    fn start(&self, line: &str) -> anyhow::Result<Running> {
        self.fleet.progress().command(line);
        // In a group of its own, because the plug-in runs a kubectl of its own.
        let mut child = self.command(line).process_group(0).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let lines = BufReader::new(stdout).lines();
        Ok(Running { child, fleet: self.fleet.clone(), line: line.to_owned(), lines })
    }
}

/// A command that runs; it ends when this is dropped.
struct Running {
    child: Child,
    fleet: Fleet,
    line: String,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The id is there until the process was waited for, so it cannot be somebody else's by now.
        let group =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Running {
    /// Shows its lines until one holds `wanted`.
    async fn until_line(&mut self, wanted: &str) -> anyhow::Result<()> {
        let found = async {
            while let Some(line) = self.lines.next_line().await? {
                self.fleet.progress().line(&line);
                if line.contains(wanted) {
                    return anyhow::Ok(true);
                }
            }
            Ok(false)
        };
        match tokio::time::timeout(Duration::from_secs(30), found).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => bail!("it ended: {}", self.line),
            Ok(Err(cause)) => Err(cause),
            Err(_) => bail!("it never printed {wanted:?}: {}", self.line),
        }
    }
}
