//! What kubectl does with upgraded connections, through the parent: with a kubeconfig of the contract (section 7.3), and
//! on the search.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
};

use crate::{
    cluster::{Cluster, run},
    fleet::Fleet,
    free_port, install, kwok, paths, seed, wait,
};

/// A kubeconfig by which plain kubectl visits a child: it impersonates the user clusternet with the child's token.
pub(super) async fn kubeconfig(fleet: &Fleet, child: &Cluster) -> anyhow::Result<PathBuf> {
    let parent = fleet.parent()?;
    let registered = fleet.registered(child).await?.context("it is not registered")?;
    let value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "child", "cluster": {
            "server": format!("{}{}", parent.url(), install::visit_path(&registered.id)),
            "certificate-authority": parent.authority()?.certificate_file(),
        } }],
        "users": [{ "name": "visitor", "user": {
            "token": parent.token_of("clusternet-system", "clusternet-hub-proxy").await?,
            "as": "clusternet",
            "as-user-extra": { "clusternet-token": [child.token_of(seed::NAMESPACE, "visitor").await?] },
        } }],
        "contexts": [{ "name": "child", "context": { "cluster": "child", "user": "visitor", "namespace": seed::NAMESPACE } }],
        "current-context": "child",
    });
    let path = child.directory.join("users/visit-through-the-parent");
    paths::write(&path, value.to_string())?;
    Ok(path)
}

pub(super) async fn exec_attach_logs_cp_and_port_forward_work_with_both_protocols(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let child = fleet.cluster("child1")?;
    let kubeconfig = kubeconfig(fleet, &child).await?;
    everything_works(fleet, &child, &|| child.kubectl_command(&kubeconfig)).await
}

/// The PediaCluster of the test below.
const OPENED: &str = "opened";
/// The hub that lets streams pass, in the place of the usual one.
const OPEN_HUB: &str = "open-hub";

/// Beside P81: what a log does, streams do too. The cluster is asked as whom it is synchronised as, at its address.
pub(super) async fn exec_attach_logs_cp_and_port_forward_work_through_the_search(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    let (parent, child) = (fleet.parent()?, fleet.cluster("child1")?);
    parent.apply(&pedia_cluster(&child).await?).await?;
    fleet.stop(install::HUB).await?;
    let flags = [
        "--feature-gates=AllowProxyRequestToClusters=true",
        "--allowed-proxy-subresources=pods/log,exec,attach,portforward",
        "--allow-pediacluster-config-for-proxy-request",
    ];
    fleet.start(fleet.another_hub_spec(OPEN_HUB, fleet.hub_port(), &flags.map(str::to_owned))?)?;
    let kubeconfig = parent.kubeconfig_of("fleet-administrator", &["system:masters"])?;
    let server = format!("--server={}/apis/clusterpedia.io/v1beta1/resources/{OPENED}/proxy", parent.url());
    let kubectl = || {
        let mut command = parent.kubectl_command(&kubeconfig);
        command.args([server.as_str(), "--namespace", seed::NAMESPACE]);
        command
    };
    let result = async {
        wait::until_true("the pod in the store of the other hub", Duration::from_secs(90), || async {
            Ok(run(kubectl().args(["get", "pod", seed::POD])).await?.success)
        })
        .await?;
        everything_works(fleet, &child, &kubectl).await
    }
    .await;
    fleet.remove(OPEN_HUB).await?;
    fleet.start_hub().await?;
    parent.kubectl_ok(&["delete", "pediacluster", OPENED, "--timeout=60s"]).await?;
    for child in fleet.children() {
        fleet.until_visitable(&child, Duration::from_secs(90)).await?;
    }
    result
}

async fn pedia_cluster(child: &Cluster) -> anyhow::Result<String> {
    Ok(format!(
        "apiVersion: cluster.clusterpedia.io/v1alpha2
kind: PediaCluster
metadata: {{ name: {OPENED} }}
spec:
  apiserver: {}
  caData: {}
  tokenData: {}
  syncResources: [{{ group: '', resources: [pods], namespaces: [{}] }}]
",
        child.url(),
        STANDARD.encode(child.authority()?.certificate()?),
        STANDARD.encode(child.token_of(seed::NAMESPACE, "visitor").await?),
        seed::NAMESPACE,
    ))
}

/// Everything for which kubectl upgrades a connection, in either way it knows.
async fn everything_works(
    fleet: &Fleet,
    child: &Cluster,
    plain: &impl Fn() -> Command,
) -> anyhow::Result<()> {
    for websockets in ["true", "false"] {
        let kubectl = |args: &[&str]| {
            let mut command = plain();
            command
                .args(args)
                .env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", websockets)
                .env("KUBECTL_PORT_FORWARD_WEBSOCKETS", websockets);
            command
        };
        let context = |what: &str| format!("{what} with websockets={websockets}");
        exec(&kubectl).await.with_context(|| context("exec"))?;
        copy(fleet, &kubectl).await.with_context(|| context("cp"))?;
        forward(fleet, &kubectl).await.with_context(|| context("port-forward"))?;
        follow(child, kubectl(&["logs", "-f", "--tail=1", seed::POD]))
            .await
            .with_context(|| context("logs -f"))?;
        follow(child, kubectl(&["attach", seed::POD])).await.with_context(|| context("attach"))?;
    }
    Ok(())
}

async fn exec(kubectl: &impl Fn(&[&str]) -> Command) -> anyhow::Result<()> {
    let output =
        ended(run(&mut kubectl(&["exec", seed::POD, "--", "sh", "-c", "echo $CLUSTER; exit 3"]))).await?;
    ensure!(!output.success && output.stdout == "child1\n", "{output:?}");
    // The play kubelet reports it as an error instead of a status.
    ensure!(output.stderr.contains("exit status 3"), "the exit code is lost: {output:?}");
    // Standard input goes there, and its end does.
    let mut command = kubectl(&["exec", "-i", seed::POD, "--", "cat"]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = process.stdin.take().context("no standard input")?;
    let text = "0123456789abcdef\n".repeat(64 * 1024);
    let (written, output) = tokio::join!(
        async {
            stdin.write_all(text.as_bytes()).await?;
            drop(stdin);
            anyhow::Ok(())
        },
        ended(async { Ok(process.wait_with_output().await?) })
    );
    written?;
    ensure!(output?.stdout == text.as_bytes(), "a megabyte does not come back as it was sent");
    Ok(())
}

async fn copy(fleet: &Fleet, kubectl: &impl Fn(&[&str]) -> Command) -> anyhow::Result<()> {
    let there = fleet.directory().join("copied.txt");
    let back = fleet.directory().join("copied-back.txt");
    paths::write(&there, "copied\n".repeat(100_000))?;
    let pod = format!("{}:copied.txt", seed::POD);
    let _ = std::fs::remove_file(&back);
    for args in [["cp", &there.to_string_lossy(), &pod], ["cp", &pod, &back.to_string_lossy()]] {
        let output = ended(run(&mut kubectl(&args))).await?;
        ensure!(output.success, "{output:?}");
    }
    ensure!(std::fs::read(&there)? == std::fs::read(&back)?, "the copy differs");
    Ok(())
}

async fn forward(fleet: &Fleet, kubectl: &impl Fn(&[&str]) -> Command) -> anyhow::Result<()> {
    let port = free_port(fleet.parent()?.address())?;
    let mut command = kubectl(&["port-forward", "--address=127.0.0.1", seed::POD, &format!("{port}:8080")]);
    let mut process = command.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(process.stdout.take().context("no standard output")?).lines();
    ended(async { Ok(lines.next_line().await?) }).await?.context("it ended")?;
    for _ in 0..3 {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: pod\r\n\r\n").await?;
        // The play kubelet ends the connection only after we do.
        let mut answers = BufReader::new(stream).lines();
        let answered = ended(async {
            while let Some(line) = answers.next_line().await? {
                if line == "hello from a pod in child1" {
                    return Ok(true);
                }
            }
            Ok(false)
        });
        ensure!(answered.await?, "the connection ended without the answer");
    }
    Ok(())
}

/// A line that is logged now is printed now.
async fn follow(child: &Cluster, mut command: Command) -> anyhow::Result<()> {
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(process.stdout.take().context("no standard output")?).lines();
    let mark = format!("line-{:x}", rand::random::<u32>());
    let (logged, found) = tokio::join!(
        async {
            for _ in 0..20 {
                tokio::time::sleep(Duration::from_millis(500)).await;
                kwok::log_line(child, &mark)?;
            }
            anyhow::Ok(())
        },
        ended(async {
            while let Some(line) = lines.next_line().await? {
                if line.contains(&mark) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    );
    logged?;
    ensure!(found?, "it ended before the line came");
    Ok(())
}

async fn ended<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(Duration::from_secs(30), future).await.context("it does not end")?
}
