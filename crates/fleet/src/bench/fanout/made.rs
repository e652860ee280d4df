//! What the benchmark makes.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::cluster::Cluster;

/// The place of the object that is changed.
pub(super) const CHANGED: usize = 1;

/// A write, as the load generator reads it.
pub(super) struct Line {
    method: &'static str,
    path: String,
    body: Value,
}

impl Line {
    pub(super) fn post(path: &str, body: Value) -> Self {
        Self { method: "POST", path: path.to_owned(), body }
    }

    pub(super) fn patch(path: &str, body: Value) -> Self {
        Self { method: "PATCH", path: path.to_owned(), body }
    }

    pub(super) fn text(&self) -> String {
        json!({ "method": self.method, "path": self.path, "body": self.body }).to_string()
    }
}

/// Writes, and what has to come of them.
pub(super) struct Work {
    pub(super) lines: Vec<Line>,
    /// Subscriptions that have to become Ready.
    pub(super) subscriptions: usize,
    /// Each on so many clusters.
    pub(super) clusters: usize,
    /// It is Ready before, too: its name, the path of the object that changes, and the new text in it.
    pub(super) change: Option<[String; 3]>,
    pub(super) patience: Duration,
}

impl Work {
    /// Only the writes.
    pub(super) fn of(lines: Vec<Line>) -> Self {
        Self { lines, subscriptions: 0, clusters: 1, change: None, patience: Duration::from_secs(300) }
    }
}

/// Ten objects in a namespace of their own, as a small application has them, of kinds that the deployer of any child may
/// apply. The Deployments have no replicas: no kubelet is
/// measured. `text` is in the one at [`CHANGED`].
pub(super) fn objects(namespace: &str, text: &str) -> Vec<Value> {
    let mut all = vec![json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } })];
    let mut add = |api_version: &str, kind: &str, name: &str, rest: Value| {
        let mut object = json!({ "apiVersion": api_version, "kind": kind,
                                 "metadata": { "name": name, "namespace": namespace, "labels": { "app": "web" } } });
        for (key, value) in rest.as_object().into_iter().flatten() {
            object[key] = value.clone();
        }
        all.push(object);
    };
    add("v1", "ConfigMap", "settings", json!({ "data": { "text": text, "more": "x".repeat(1_000) } }));
    add("v1", "ConfigMap", "templates", json!({ "data": { "more": "y".repeat(1_000) } }));
    add("v1", "ConfigMap", "rules", json!({ "data": { "more": "z".repeat(1_000) } }));
    add("v1", "ConfigMap", "limits", json!({ "data": { "more": "0".repeat(1_000) } }));
    add("v1", "ServiceAccount", "web", json!({}));
    for name in ["web", "store"] {
        let port = json!({ "port": 80, "targetPort": 8080, "protocol": "TCP" });
        add("v1", "Service", name, json!({ "spec": { "selector": { "app": name }, "ports": [port] } }));
        let container = json!({ "name": "main", "image": "registry.example.com/team/application:1.2.3",
                                "env": [{ "name": "LOG", "value": "info" }] });
        let template =
            json!({ "metadata": { "labels": { "app": name } }, "spec": { "containers": [container] } });
        let spec =
            json!({ "replicas": 0, "selector": { "matchLabels": { "app": name } }, "template": template });
        add("apps/v1", "Deployment", name, json!({ "spec": spec }));
    }
    all
}

/// One small object, different from all others.
pub(super) fn small(number: usize) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": format!("many-{number:04}"), "namespace": "default" },
            "data": { "number": number.to_string(), "text": "x".repeat(200) } })
}

/// Where the template of an object is.
pub(super) fn template(object: &Value) -> String {
    format!("{}/{}", templates_of(object), object["metadata"]["name"].as_str().unwrap_or_default())
}

fn templates_of(object: &Value) -> String {
    let plural = format!("{}s", object["kind"].as_str().unwrap_or_default().to_lowercase());
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/apis/shadow/v1alpha1/namespaces/{namespace}/{plural}"),
        None => format!("/apis/shadow/v1alpha1/{plural}"),
    }
}

/// The writes that keep objects as templates.
pub(super) fn templates(objects: &[Value]) -> Vec<Line> {
    objects.iter().map(|object| Line::post(&templates_of(object), object.clone())).collect()
}

/// A Subscription of these objects.
pub(super) fn subscription(name: &str, affinity: &Value, objects: &[Value]) -> Value {
    let feed = |object: &Value| {
        let mut feed = json!({ "apiVersion": object["apiVersion"], "kind": object["kind"],
                               "name": object["metadata"]["name"] });
        if let Some(namespace) = object["metadata"]["namespace"].as_str() {
            feed["namespace"] = namespace.into();
        }
        feed
    };
    json!({
        "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Subscription", "metadata": { "name": name },
        "spec": { "subscribers": [{ "clusterAffinity": { "matchLabels": affinity } }],
                  "feeds": objects.iter().map(feed).collect::<Vec<_>>() },
    })
}

/// Copies the definitions of Subscriptions, Bases and Descriptions into another group, which nobody follows.
pub(super) async fn copies(parent: &Cluster, group: &str) -> anyhow::Result<()> {
    for plural in ["subscriptions", "bases", "descriptions"] {
        let found =
            parent.kubectl_ok(&["get", "crd", &format!("{plural}.apps.clusternet.io"), "-o", "json"]).await?;
        let mut definition: Value = serde_json::from_str(&found)?;
        let name = format!("{plural}.{group}");
        definition["metadata"] = json!({ "name": name });
        definition["spec"]["group"] = group.into();
        let names = definition["spec"]["names"].as_object_mut().context("the definition has no names")?;
        // Short names and categories would be those of the originals.
        names.retain(|key, _| ["kind", "listKind", "plural", "singular"].contains(&key.as_str()));
        definition.as_object_mut().context("no definition")?.remove("status");
        parent.apply(&definition.to_string()).await?;
        parent
            .kubectl_ok(&["wait", &format!("crd/{name}"), "--for=condition=Established", "--timeout=60s"])
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_objects_of_which_one_changes() {
        let (first, second) = (objects("n", "first"), objects("n", "second"));
        assert_eq!(first.len(), 10);
        let differ: Vec<usize> = (0..10).filter(|at| first[*at] != second[*at]).collect();
        assert_eq!(differ, [CHANGED]);
        assert_eq!(template(&first[CHANGED]), "/apis/shadow/v1alpha1/namespaces/n/configmaps/settings");
    }
}
