//! A child that is collected, and the checker: what the child lists, against what the search of the parent answers.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use testkit::compare;

use crate::{cluster::Cluster, fleet::Fleet, http::Client, wait};

/// What is compared: everything the rules select. Versions, kinds and paths.
const COMPARED: [(&str, &str, &str); 8] = [
    ("v1", "ConfigMap", "/api/v1/configmaps"),
    ("v1", "Namespace", "/api/v1/namespaces"),
    ("v1", "Pod", "/api/v1/pods"),
    ("v1", "Service", "/api/v1/services"),
    ("v1", "ServiceAccount", "/api/v1/serviceaccounts"),
    ("apps/v1", "Deployment", "/apis/apps/v1/deployments"),
    ("apps/v1", "ReplicaSet", "/apis/apps/v1/replicasets"),
    ("faults.example.com/v1", "Widget", "/apis/faults.example.com/v1/widgets"),
];
/// The namespace of what the tests make.
pub(super) const NAMESPACE: &str = "faults";
/// The path of the ConfigMaps that the tests make.
pub(super) const CONFIGMAPS: &str = "/api/v1/namespaces/faults/configmaps";
/// For what should take seconds, on a machine that does other things too.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// How a child is reached.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Through the tunnel of its agent.
    Tunnel,
    /// At its address, as its administrator.
    Direct,
}

/// A child with a PediaCluster.
pub(super) struct Imported {
    /// Of the PediaCluster.
    pub(super) name: String,
    pub(super) child: Cluster,
    /// The administrator of the child.
    pub(super) there: Client,
    parent: Cluster,
    /// The administrator of the parent.
    search: Client,
}

impl Imported {
    /// Collects a child under a name that nobody has, beside whatever else collects it.
    pub(super) async fn new(fleet: &Fleet, child: &str, name: &str, way: Way) -> anyhow::Result<Self> {
        let (child, parent) = (fleet.cluster(child)?, fleet.parent()?);
        let administrator = ("fleet-administrator", ["system:masters"]);
        let there = child.http_as(administrator.0, &administrator.1)?;
        let search = parent.http_as(administrator.0, &administrator.1)?;
        let imported = Self { name: name.to_owned(), child, there, parent, search };
        imported
            .child
            .apply(
                &json!({
                    "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE },
                })
                .to_string(),
            )
            .await?;
        let mut spec = match way {
            Way::Tunnel => {
                let registered = fleet.registered(&imported.child).await?.context("it is not registered")?;
                json!({ "clusterId": registered.id })
            }
            Way::Direct => {
                json!({ "kubeconfig": STANDARD.encode(std::fs::read(imported.child.kubeconfig())?) })
            }
        };
        spec["syncResources"] = json!([
            { "group": "", "resources": ["configmaps", "namespaces", "pods", "services", "serviceaccounts"] },
            { "group": "apps", "resources": ["deployments", "replicasets"] },
            { "group": "faults.example.com", "resources": ["*"] },
        ]);
        imported
            .parent
            .apply(
                &json!({
                    "apiVersion": "cluster.clusterpedia.io/v1alpha2",
                    "kind": "PediaCluster",
                    "metadata": { "name": name },
                    "spec": spec,
                })
                .to_string(),
            )
            .await?;
        Ok(imported)
    }

    /// Takes the PediaCluster and what the tests made away, whatever became of them.
    pub(super) async fn remove(&self) -> anyhow::Result<()> {
        self.parent
            .kubectl_ok(&["delete", "pediacluster", &self.name, "--ignore-not-found", "--timeout=60s"])
            .await?;
        self.write(Method::DELETE, CONFIGMAPS, &Value::Null).await.map(drop)
    }

    /// Sends a request to the child as its administrator.
    pub(super) async fn write(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        write(&self.there, method, path, body).await
    }

    /// Makes so many ConfigMaps, numbered from `first`.
    pub(super) async fn make(&self, first: usize, number: usize) -> anyhow::Result<()> {
        make(&self.there, first, number).await
    }

    /// Everything the child has of what is compared.
    async fn there(&self) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        for (api_version, kind, path) in COMPARED {
            // A resource that the child does not have is not stored either.
            for mut object in items(&self.there, path).await?.unwrap_or_default() {
                object["apiVersion"] = api_version.into();
                object["kind"] = kind.into();
                all.push(object);
            }
        }
        Ok(all)
    }

    /// What the search has at a path of the child's API, as it was stored.
    pub(super) async fn stored(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let path = format!("/apis/clusterpedia.io/v1beta1/resources/clusters/{}{path}", self.name);
        let found = items(&self.search, &path).await?.unwrap_or_default();
        found.into_iter().map(as_stored).collect()
    }

    /// How the search answers for the ConfigMaps of the tests.
    pub(super) async fn code(&self) -> anyhow::Result<u16> {
        let path = format!("/apis/clusterpedia.io/v1beta1/resources/clusters/{}{CONFIGMAPS}", self.name);
        Ok(self.search.get(&path).await?.status().as_u16())
    }

    /// How often each stored ConfigMap of the tests was written: its number of its last change, by name.
    pub(super) async fn changes(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let path = format!("/apis/clusterpedia.io/v1beta1/resources/clusters/{}{CONFIGMAPS}", self.name);
        let found = items(&self.search, &path).await?.unwrap_or_default();
        let text =
            |object: &Value, name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
        // Others make ConfigMaps too.
        let ours = found.iter().filter(|object| text(object, "name").starts_with("c0"));
        Ok(ours.map(|object| (text(object, "name"), text(object, "resourceVersion"))).collect())
    }

    /// Waits until child and store are the same, object by object.
    pub(super) async fn until_same(&self) -> anyhow::Result<()> {
        let what = format!("{} and the store to be the same", self.name);
        wait::until_true(what, PATIENCE, || async {
            let there = self.there().await?;
            let mut stored = Vec::new();
            for (_, _, path) in COMPARED {
                stored.extend(self.stored(path).await?);
            }
            let differences = compare::differences(&there, &stored);
            if let Some(first) = differences.first() {
                bail!("{} differences, the first: {first}", differences.len());
            }
            ensure!(!there.is_empty(), "the child shows nothing");
            Ok(true)
        })
        .await
    }

    /// The PediaCluster's status.
    pub(super) async fn status(&self) -> anyhow::Result<Value> {
        let path = format!("/apis/cluster.clusterpedia.io/v1alpha2/pediaclusters/{}", self.name);
        let answer = self.search.get(&path).await?;
        let object: Value = serde_json::from_slice(answer.body())?;
        Ok(object["status"].clone())
    }

    /// Waits until a condition has this status, and gives its reason.
    pub(super) async fn until_condition(&self, kind: &str, status: &str) -> anyhow::Result<String> {
        let what = format!("the condition {kind} of {} to be {status}", self.name);
        wait::until(what, PATIENCE, || async {
            let found = self.status().await?;
            let conditions = found["conditions"].as_array().cloned().unwrap_or_default();
            let condition = conditions.iter().find(|condition| condition["type"] == kind);
            let condition = condition.context("there is no such condition")?;
            if condition["status"] != status {
                bail!("{condition}");
            }
            Ok(Some(condition["reason"].as_str().unwrap_or_default().to_owned()))
        })
        .await
    }

    /// Waits until the ConfigMaps' condition has this state, and gives its reason and message.
    pub(super) async fn until_configmaps(&self, state: &str) -> anyhow::Result<(String, String)> {
        let what = format!("the ConfigMaps of {} to be in state {state}", self.name);
        wait::until(what, PATIENCE, || async {
            let status = self.status().await?;
            let core =
                status["syncResources"].as_array().into_iter().flatten().find(|group| group["group"] == "");
            let resources = core.and_then(|group| group["resources"].as_array()).into_iter().flatten();
            let mut conditions =
                resources.filter(|of| of["name"] == "configmaps").map(|of| of["syncConditions"][0].clone());
            let condition = conditions.next().context("they are not there")?;
            if condition["status"] != state {
                bail!("{condition}");
            }
            let text = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
            Ok(Some((text("reason"), text("message"))))
        })
        .await
    }
}

/// Sends a request that has to succeed; what is not there need not be deleted, and what is there not made.
pub(super) async fn write(
    client: &Client,
    method: Method,
    path: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let content_type =
        if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = Request::builder()
        .method(method.clone())
        .uri(path)
        .header("content-type", content_type)
        .body(Full::new(Bytes::from(body)))?;
    let answer = client.whole(request).await?;
    let code = answer.status().as_u16();
    let settled = (method == Method::DELETE && code == 404) || (method == Method::POST && code == 409);
    ensure!(
        answer.status().is_success() || settled,
        "{method} {path}: {code} {}",
        String::from_utf8_lossy(answer.body())
    );
    Ok(serde_json::from_slice(answer.body())?)
}

/// Makes so many ConfigMaps, numbered from `first`.
pub(super) async fn make(client: &Client, first: usize, number: usize) -> anyhow::Result<()> {
    stream::iter(first..first + number)
        .map(|number| async move {
            let body = json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": name(number), "annotations": { "note": "made to be collected" } },
                "data": { "number": number.to_string(), "text": "x".repeat(1_000) },
            });
            write(client, Method::POST, CONFIGMAPS, &body).await
        })
        .buffer_unordered(16)
        .try_for_each(|_| async { Ok(()) })
        .await
}

/// The name of a ConfigMap of the tests.
pub(super) fn name(number: usize) -> String {
    format!("c{number:05}")
}

/// The items of a list; nothing if there is no such resource.
async fn items(client: &Client, path: &str) -> anyhow::Result<Option<Vec<Value>>> {
    let answer = client.get(path).await?;
    if answer.status() == http::StatusCode::NOT_FOUND {
        return Ok(None);
    }
    ensure!(
        answer.status().is_success(),
        "{path}: {} {}",
        answer.status(),
        String::from_utf8_lossy(answer.body())
    );
    let mut list: Value = serde_json::from_slice(answer.body())?;
    Ok(Some(serde_json::from_value(list["items"].take())?))
}

/// A found object without what the search adds.
fn as_stored(mut object: Value) -> anyhow::Result<Value> {
    use api::names::search::annotations::{CHILD_RESOURCE_VERSION, CLUSTER_NAME};
    let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    let annotations = annotations.context("a found object says nothing of where it is from")?;
    annotations.remove(CLUSTER_NAME);
    let version = annotations.remove(CHILD_RESOURCE_VERSION).context("a found object has no version")?;
    object["metadata"]["resourceVersion"] = version;
    Ok(object)
}
