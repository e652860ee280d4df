//! Objects in bulk: thousands of pods in seconds.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;

use crate::{cluster::Cluster, fleet::Fleet, kwok, seed};

/// Requests in flight; more do not make an API server on two cores faster.
const WORKERS: u32 = 16;

/// The namespace of the pods.
pub const NAMESPACE: &str = "load";

/// Creates `pods` pods in the cluster, as far as they are not there yet. The play kubelet is stopped meanwhile, and
/// leaves these pods alone afterwards: they stay Pending. An interrupted load is continued by the next.
pub async fn load(fleet: &Fleet, cluster: &Cluster, pods: u32) -> anyhow::Result<()> {
    cluster
        .apply(
            &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } })
                .to_string(),
        )
        .await?;
    crate::wait::until_true("the namespace's ServiceAccount", Duration::from_secs(30), || async {
        Ok(cluster.kubectl(&["get", "serviceaccount", "default", "-n", NAMESPACE]).await?.success)
    })
    .await?;
    let kubelet = kwok::process_name(cluster);
    fleet.stop(&kubelet).await?;
    let began = Instant::now();
    let result = tokio::select! {
        result = create_all(fleet, cluster, pods) => result,
        () = crate::interrupted() => Err(anyhow::anyhow!("interrupted; run the same command to continue")),
    };
    // Whatever happened, the cluster gets its kubelet back.
    fleet.restart(&kubelet)?;
    let created = result?;
    let seconds = began.elapsed().as_secs_f64();
    fleet.progress().done(format_args!(
        "{created} pods created in {}, {pods} there ({:.0} pods/s)",
        cluster.name,
        f64::from(created) / seconds.max(0.001)
    ));
    Ok(())
}

async fn create_all(fleet: &Fleet, cluster: &Cluster, pods: u32) -> anyhow::Result<u32> {
    let client = cluster.http_as("fleet-administrator", &["system:masters"])?;
    // A quarter of the workers per connection: an API server handles a connection's frames one after the other.
    let mut connections = Vec::new();
    for _ in 0..4 {
        connections.push(client.http2().await?);
    }
    let next = std::sync::atomic::AtomicU32::new(0);
    let workers = (0..WORKERS).map(|worker| {
        let mut connection = connections[worker as usize % connections.len()].clone();
        let next = &next;
        async move {
            let mut created = 0;
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if number >= pods {
                    return anyhow::Ok(created);
                }
                if number > 0 && number.is_multiple_of(2000) {
                    fleet.progress().note(format_args!("{number} of {pods}"));
                }
                let request = Request::post(format!("/api/v1/namespaces/{NAMESPACE}/pods"))
                    .header("content-type", "application/json")
                    .body(Full::new(Bytes::from(pod(cluster, number).to_string())))?;
                let response = connection.send(request).await.context("cannot create a pod")?;
                let status = response.status();
                let body = response.into_body().collect().await?.to_bytes();
                match status {
                    StatusCode::CREATED => created += 1,
                    StatusCode::CONFLICT => {}
                    _ => bail!("pod {number}: {status} {}", String::from_utf8_lossy(&body)),
                }
            }
        }
    });
    Ok(futures_util::future::try_join_all(workers).await?.into_iter().sum())
}

fn pod(cluster: &Cluster, number: u32) -> serde_json::Value {
    let worker = if number.is_multiple_of(2) { "worker-1" } else { "worker-2" };
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("load-{number:06}"),
            "namespace": NAMESPACE,
            "labels": { kwok::LOAD_LABEL: "true", "app": format!("app-{}", number % 100) },
            "annotations": { "example.com/description": "one of many pods that are only there to be counted and listed" },
        },
        "spec": {
            "nodeName": seed::node_name(cluster, worker),
            "containers": [{
                "name": "main",
                "image": "registry.example.com/team/application:1.2.3",
                "env": [{ "name": "NUMBER", "value": number.to_string() }],
                "resources": {
                    "requests": { "cpu": "10m", "memory": "16Mi" },
                    "limits": { "cpu": "20m", "memory": "32Mi" },
                },
            }],
        },
    })
}
