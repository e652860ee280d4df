//! What is written while a test runs, and which of it changes anything.
//!
//! An API server tells of each change once, and of a write that changes nothing it does not tell: what is answered beyond
//! the changes it tells of has changed nothing. In the parent that is looked at object by object, with its audit log; in the
//! children, which have none, with their count of requests. A request whose caller is killed is counted as not answered,
//! and is carried out nevertheless, or not.

use std::{
    collections::BTreeMap,
    io::{Read as _, Seek as _, SeekFrom},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use parking_lot::Mutex;
use runtime::Tasks;
use serde_json::Value;

use super::{Child, wanted::NAMESPACE};
use crate::{cluster::Cluster, fleet::Fleet, wait};

/// What is followed in the parent: path and resource.
const RESOURCES: [(&str, &str); 6] = [
    ("apis/apps.clusternet.io/v1alpha1", "subscriptions"),
    ("apis/apps.clusternet.io/v1alpha1", "bases"),
    ("apis/apps.clusternet.io/v1alpha1", "descriptions"),
    ("apis/apps.clusternet.io/v1alpha1", "manifests"),
    ("apis/apps.clusternet.io/v1alpha1", "globalizations"),
    ("apis/apps.clusternet.io/v1alpha1", "localizations"),
];

/// Writes to ConfigMaps of one cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Times that one was made or changed.
    pub(super) changes: usize,
    /// Requests that were answered with success.
    pub(super) applied: usize,
    /// Requests whose caller was gone.
    pub(super) unanswered: usize,
}

/// Writes to one object of the parent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    changes: usize,
    /// By hub and agents.
    pub(super) ours: usize,
    /// By everybody else.
    others: usize,
}

impl Written {
    /// How many writes of hub and agents have changed nothing.
    pub(super) fn useless(&self) -> usize {
        (self.ours + self.others).saturating_sub(self.changes).min(self.ours)
    }
}

/// What was written.
pub(super) struct Writes {
    /// Of each child, in their order.
    pub(super) children: Vec<Counts>,
    /// By `RESOURCE/NAMESPACE/NAME`.
    pub(super) parent: BTreeMap<String, Written>,
}

/// The changes that a watch has told of, by `RESOURCE/NAMESPACE/NAME`, and the number of the last one.
type Changes = Arc<Mutex<BTreeMap<String, usize>>>;

/// Follows what is written.
pub(super) struct Recorder {
    children: Vec<(Cluster, Changes, [usize; 2])>,
    parent: Changes,
    audit: PathBuf,
    /// Where the audit log ended at the beginning.
    from: u64,
    tasks: Tasks,
}

impl Recorder {
    pub(super) async fn start(fleet: &Fleet, parent: &Cluster, children: &[Child]) -> anyhow::Result<Self> {
        let tasks = Tasks::new();
        let mut followed = Vec::new();
        for Child { cluster, .. } in children {
            let changes = Changes::default();
            let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
            let selector = "labelSelector=apps.clusterway.io%2Fdeployed%3Dtrue";
            follow(&tasks, cluster, "configmaps", &path, selector, &changes).await?;
            followed.push((cluster.clone(), changes, requests(cluster).await?));
        }
        let changes = Changes::default();
        for (base, resource) in RESOURCES {
            follow(&tasks, parent, resource, &format!("/{base}/{resource}"), "", &changes).await?;
        }
        let audit = fleet.log_directory().join("parent-audit.log");
        let from = std::fs::metadata(&audit).context("the parent has no audit log")?.len();
        Ok(Self { children: followed, parent: changes, audit, from, tasks })
    }

    /// What was written so far. Whatever was answered has been told of: the watches are as far as that.
    pub(super) async fn writes(&self) -> anyhow::Result<Writes> {
        let mut children = Vec::new();
        for (cluster, changes, [answered, unanswered]) in &self.children {
            let now = requests(cluster).await?;
            let sum = || changes.lock().values().sum::<usize>();
            // A watch is a moment behind. What it does not tell in this time is missing for good, and told by the caller.
            let _ = wait::until_true("the watch to come along", Duration::from_secs(5), || async {
                Ok(sum() >= now[0] - answered)
            })
            .await;
            children.push(Counts {
                changes: sum(),
                applied: now[0] - answered,
                unanswered: now[1] - unanswered,
            });
        }
        let mut parent = self.audited()?;
        let changed = || {
            let changes = self.parent.lock();
            parent.iter().all(|(object, written)| {
                changes.get(object).copied().unwrap_or_default() >= written.ours + written.others
            })
        };
        let _ =
            wait::until_true("the watches to come along", Duration::from_secs(5), || async { Ok(changed()) })
                .await;
        let changes = self.parent.lock().clone();
        for (object, written) in &mut parent {
            written.changes = changes.get(object).copied().unwrap_or_default();
        }
        Ok(Writes { children, parent })
    }

    /// The successful writes in the audit log, without their changes.
    fn audited(&self) -> anyhow::Result<BTreeMap<String, Written>> {
        let mut file = std::fs::File::open(&self.audit)?;
        file.seek(SeekFrom::Start(self.from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let mut all: BTreeMap<String, Written> = BTreeMap::new();
        for line in text.lines() {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let of = |pointer: &str| line.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let success =
                line.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default() / 100 == 2;
            let resource = of("/objectRef/resource");
            let is_followed = RESOURCES.iter().any(|(_, name)| *name == resource);
            let is_ours = of("/user/username").starts_with("system:serviceaccount:clusternet-");
            // What others delete may wait for finalizers, or be deleted again: only what they write is sure to be a change.
            let counts = is_ours || of("/verb") != "delete";
            if of("/objectRef/apiGroup") != "apps.clusternet.io" || !is_followed || !success || !counts {
                continue;
            }
            if of("/stage") != "ResponseComplete" || of("/requestURI").contains("dryRun") {
                continue;
            }
            // The name of what is made may stand in its body only.
            ensure!(
                !of("/objectRef/name").is_empty() || of("/verb") == "create",
                "a write of many objects: {line}"
            );
            let key = format!("{resource}/{}/{}", of("/objectRef/namespace"), of("/objectRef/name"));
            let written = all.entry(key).or_default();
            if is_ours {
                written.ours += 1;
            } else {
                written.others += 1;
            }
        }
        Ok(all)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

/// Requests that applied a ConfigMap, but for dry runs: those that succeeded, and those whose caller was gone.
async fn requests(cluster: &Cluster) -> anyhow::Result<[usize; 2]> {
    let metrics = cluster.kubectl_ok(&["get", "--raw", "/metrics"]).await?;
    let mut counts = [0.0; 2];
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let has = |part: &str| line.contains(part);
        if !(has(r#"verb="APPLY""#) && has(r#"resource="configmaps""#) && has(r#"dry_run="""#))
            || has(r#"code="4"#)
        {
            continue;
        }
        let value: f64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
        counts[usize::from(!has(r#"code="2"#))] += value;
    }
    Ok(counts.map(|count| count as usize))
}

/// Counts the changes of a resource from now on.
async fn follow(
    tasks: &Tasks,
    cluster: &Cluster,
    resource: &'static str,
    path: &str,
    selector: &str,
    changes: &Changes,
) -> anyhow::Result<()> {
    let client = cluster.http_as("fleet-administrator", &["system:masters"])?;
    let now: Value = serde_json::from_slice(client.get(&format!("{path}?limit=1")).await?.body())?;
    let version = now["metadata"]["resourceVersion"].as_str().context("a list without a resourceVersion")?;
    let path = format!("{path}?watch=1&timeoutSeconds=3600&resourceVersion={version}&{selector}");
    let request = Request::get(&path)
        .header("accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
        .body(Full::<Bytes>::default())?;
    let answer = client.send(request).await?;
    ensure!(answer.status().is_success(), "{path} was answered with {}", answer.status());
    let (mut body, changes) = (answer.into_body(), Arc::clone(changes));
    tasks.spawn(format!("watch of {resource}"), async move {
        // It goes on as long as its connection.
        let _client = client;
        let mut rest = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            rest.extend_from_slice(&frame.into_data().unwrap_or_default());
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                let event: Value = serde_json::from_slice(&line).unwrap_or_default();
                let metadata = &event["object"]["metadata"];
                let of = |field: &str| metadata[field].as_str().unwrap_or_default();
                let key = format!("{resource}/{}/{}", of("namespace"), of("name"));
                // What is deleted in a child is no write of ours that could have been left out.
                if event["type"] != "DELETED" || resource != "configmaps" {
                    *changes.lock().entry(key).or_default() += 1;
                }
            }
        }
    });
    Ok(())
}
