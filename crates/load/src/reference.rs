//! What `fanout` is compared with: a client that makes the same writes in the children by server-side apply, and in the
//! parent those that the contract shows, with as many requests at a time as the hub has workers.
//!
//! The parent's objects are of copies of the definitions in a group of their own, which nobody follows.

use std::{path::PathBuf, time::Instant};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures_util::future::try_join_all;
use http::Method;
use serde_json::{Value, json};
use url::Url;

use crate::{
    children::write,
    connect::{Sender, Target},
};

/// What to write, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The parent: `--url` is its address.
    #[command(flatten)]
    target: Target,
    /// The API group of the copies.
    #[arg(long)]
    group: String,
    /// A namespace in the parent.
    #[arg(long)]
    namespace: String,
    /// The name of the Subscription.
    #[arg(long)]
    name: String,
    /// Where the simulated clusters are on the loopback.
    #[arg(long)]
    simulated: Url,
    /// How many of them.
    #[arg(long)]
    clusters: usize,
    /// A target of its own in the same words, one a line: a real cluster, whose `--url` is its address. Repeatable.
    #[arg(long)]
    real: Vec<PathBuf>,
    /// A file with the objects as a list in JSON, in the order in which they are applied.
    #[arg(long)]
    objects: PathBuf,
    /// All of them are there by now but the one at this place, which has changed.
    #[arg(long)]
    changed: Option<usize>,
    /// Clusters that are worked on at the same time.
    #[arg(long, default_value_t = 16)]
    workers: usize,
}

/// A target as it stands in a file.
#[derive(Debug, clap::Parser)]
#[command(no_binary_name = true)]
struct Words {
    #[command(flatten)]
    target: Target,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(&args.objects).with_context(|| args.objects.display().to_string())?;
    let objects: Vec<Value> = serde_json::from_str(&text)?;
    let mut clusters = real(&args)?;
    for number in 0..args.clusters.saturating_sub(clusters.len()) {
        let url = args.simulated.join(&format!("children/{number}"))?;
        clusters.push(Target { url, ca: None, certificate: None, key: None, header: vec![] });
    }
    let began = Instant::now();
    let reference = Reference { args: &args, objects: &objects };
    reference.subscribe(&clusters).await?;
    let connections = (0..args.workers).map(|worker| reference.work(worker, &clusters));
    try_join_all(connections).await?;
    reference.sum(&clusters).await?;
    crate::print(&json!({ "seconds": began.elapsed().as_secs_f64(), "clusters": clusters.len() }));
    Ok(())
}

fn real(args: &Args) -> anyhow::Result<Vec<Target>> {
    let read = |path: &PathBuf| {
        let words = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Ok(<Words as clap::Parser>::try_parse_from(words.lines())?.target)
    };
    args.real.iter().map(read).collect()
}

struct Reference<'a> {
    args: &'a Args,
    objects: &'a [Value],
}

impl Reference<'_> {
    fn collection(&self, plural: &str) -> String {
        let Args { group, namespace, .. } = self.args;
        format!("/apis/{group}/v1alpha1/namespaces/{namespace}/{plural}")
    }

    fn object(&self, kind: &str, name: &str, spec: &Value) -> Value {
        json!({ "apiVersion": format!("{}/v1alpha1", self.args.group), "kind": kind,
                "metadata": { "name": name, "labels": labels(name) }, "spec": spec })
    }

    fn feeds(&self) -> Vec<Value> {
        self.objects.iter().map(feed).collect()
    }

    async fn parent(&self) -> anyhow::Result<(Sender, runtime::Tasks)> {
        let tasks = runtime::Tasks::new();
        let sender = self.args.target.sender(self.args.target.tls()?.as_ref(), &tasks).await?;
        Ok((sender, tasks))
    }

    /// The Subscription, and to which clusters it is bound.
    async fn subscribe(&self, clusters: &[Target]) -> anyhow::Result<()> {
        if self.args.changed.is_some() {
            return Ok(());
        }
        let (mut sender, _tasks) = self.parent().await?;
        let spec = json!({ "subscribers": [{ "clusterAffinity": {} }], "feeds": self.feeds() });
        let subscription = self.object("Subscription", &self.args.name, &spec);
        let path = self.collection("subscriptions");
        write(&self.args.target, &mut sender, Method::POST, &path, &subscription).await?;
        let bound: Vec<String> =
            (0..clusters.len()).map(|at| format!("bench-{at:04}/bench-{at:04}")).collect();
        let status = json!({ "status": { "bindingClusters": bound, "desiredReleases": clusters.len() } });
        let path = format!("{path}/{}/status", self.args.name);
        write(&self.args.target, &mut sender, Method::PATCH, &path, &status).await?;
        Ok(())
    }

    /// How all clusters stand.
    async fn sum(&self, clusters: &[Target]) -> anyhow::Result<()> {
        let (mut sender, _tasks) = self.parent().await?;
        let feeds = self.feeds();
        let of = |feed: &Value| {
            json!({ "apiVersion": feed["apiVersion"], "kind": feed["kind"], "name": feed["name"],
            "namespace": feed["namespace"], "feedStatusSummary": { "available": true }, "feedStatusDetails": [] })
        };
        let aggregated: Vec<Value> = feeds.iter().map(of).collect();
        let status =
            json!({ "status": { "completedReleases": clusters.len(), "aggregatedStatuses": aggregated } });
        let path = format!("{}/{}/status", self.collection("subscriptions"), self.args.name);
        write(&self.args.target, &mut sender, Method::PATCH, &path, &status).await?;
        Ok(())
    }

    /// Every so many clusters, one after the other.
    async fn work(&self, worker: usize, clusters: &[Target]) -> anyhow::Result<()> {
        let (mut parent, tasks) = self.parent().await?;
        for (at, cluster) in clusters.iter().enumerate().skip(worker).step_by(self.args.workers) {
            let mut child = cluster.sender(cluster.tls()?.as_ref(), &tasks).await?;
            let deployed = self.deploy(&mut parent, at, cluster, &mut child).await;
            deployed.with_context(|| format!("cluster {at}"))?;
        }
        Ok(())
    }

    async fn deploy(
        &self,
        parent: &mut Sender,
        at: usize,
        cluster: &Target,
        child: &mut Sender,
    ) -> anyhow::Result<()> {
        let target = &self.args.target;
        let name = format!("{}-{at:04}", self.args.name);
        let descriptions = self.collection("descriptions");
        let raw: Vec<String> =
            self.objects.iter().map(|object| STANDARD.encode(object.to_string())).collect();
        let spec = json!({ "deployer": "Generic", "raw": raw });
        let applied = if let Some(changed) = self.args.changed {
            let patch = json!({ "spec": spec });
            write(target, parent, Method::PATCH, &format!("{descriptions}/{name}"), &patch).await?;
            self.objects.get(changed..=changed).context("there is no such object")?
        } else {
            let base = self.object("Base", &name, &json!({ "feeds": self.feeds() }));
            let bases = self.collection("bases");
            let base = write(target, parent, Method::POST, &bases, &base).await?;
            // Contract section 2.1: its own uid, which nobody knows before it is there.
            let uid = base["metadata"]["uid"].as_str().unwrap_or(&name);
            let mark = json!({ "metadata": { "labels": { uid: "Base" } } });
            write(target, parent, Method::PATCH, &format!("{bases}/{name}"), &mark).await?;
            let description = self.object("Description", &name, &spec);
            write(target, parent, Method::POST, &descriptions, &description).await?;
            self.objects
        };
        for object in applied {
            let path = format!(
                "{}{}?fieldManager=reference&force=true",
                cluster.url.path().trim_end_matches('/'),
                path(object)?
            );
            write(cluster, child, Method::PATCH, &path, object).await?;
        }
        let status = json!({ "status": { "phase": "Success", "manifestStatuses": self.feeds() } });
        let path = format!("{descriptions}/{name}/status");
        // What has changed is told by another reason: a patch that changes nothing is not stored.
        let status = match self.args.changed {
            Some(_) => json!({ "status": { "phase": "Success", "reason": "again" } }),
            None => status,
        };
        write(target, parent, Method::PATCH, &path, &status).await?;
        if self.args.changed.is_none() {
            let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.args.namespace);
            write(target, parent, Method::POST, &path, &self.event(&name)).await?;
        }
        Ok(())
    }

    /// That everything is deployed (contract section 3.9).
    fn event(&self, name: &str) -> Value {
        json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "generateName": format!("{name}-") },
            "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "reference",
            "reportingInstance": "reference", "type": "Normal", "action": "Deploy", "reason": "SuccessfullyDeployed",
            "note": "Everything is deployed.",
            "regarding": { "apiVersion": format!("{}/v1alpha1", self.args.group), "kind": "Description",
                           "name": name, "namespace": self.args.namespace },
        })
    }
}

/// As many labels as contract section 2.1 has for Bases and Descriptions.
fn labels(name: &str) -> Value {
    json!({
        "apps.clusternet.io/config.kind": "Base", "apps.clusternet.io/config.namespace": "bench",
        "apps.clusternet.io/config.name": name, "apps.clusternet.io/config.uid": "00000000-0000-4000-8000-000000000000",
        "apps.clusternet.io/subs.uid": "00000000-0000-4000-8000-000000000000", "apps.clusternet.io/subs.name": name,
        "apps.clusternet.io/subs.namespace": "bench", "clusternet.io/created-by": "clusternet-controller-manager",
        "clusters.clusternet.io/cluster-id": "00000000-0000-4000-8000-000000000000",
        "clusters.clusternet.io/cluster-name": name,
    })
}

fn feed(object: &Value) -> Value {
    let mut feed = json!({ "apiVersion": object["apiVersion"], "kind": object["kind"],
                           "name": object["metadata"]["name"] });
    if let Some(namespace) = object["metadata"]["namespace"].as_str() {
        feed["namespace"] = namespace.into();
    }
    feed
}

/// Where an object is, of the kinds that the benchmark deploys.
fn path(object: &Value) -> anyhow::Result<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (api_version, kind) =
        (text("/apiVersion").context("no apiVersion")?, text("/kind").context("no kind")?);
    let name = text("/metadata/name").context("no name")?;
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let plural = format!("{}s", kind.to_lowercase());
    Ok(match text("/metadata/namespace") {
        Some(namespace) => format!("/{root}/{api_version}/namespaces/{namespace}/{plural}/{name}"),
        None => format!("/{root}/{api_version}/{plural}/{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_found_at_its_path() {
        let object = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a", "namespace": "b" } });
        assert_eq!(path(&object).unwrap(), "/apis/apps/v1/namespaces/b/deployments/a");
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "b" } });
        assert_eq!(path(&object).unwrap(), "/api/v1/namespaces/b");
        assert_eq!(feed(&object), json!({ "apiVersion": "v1", "kind": "Namespace", "name": "b" }));
    }
}
