//! Makes simulated clusters known in the parent, as a registration would leave them.

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{HeaderValue, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::connect::{Sender, Target};

/// Clusters that are made at the same time.
const WORKERS: usize = 16;
const ROLE: &str = "bench-fanout-attach";

/// A simulated cluster as the parent knows it.
pub(super) struct Registered {
    pub(super) id: String,
    /// A token of its account in the parent.
    pub(super) token: String,
}

/// Registers so many clusters; those that are there already stay. What each is labelled with, beside its number, comes
/// from `labels`: a label is set on the first so many.
pub(super) async fn register(
    target: &Target,
    clusters: usize,
    labels: &[(String, usize)],
) -> anyhow::Result<Vec<Registered>> {
    let tls = target.tls()?;
    let tasks = runtime::Tasks::new();
    let mut sender = target.sender(tls.as_ref(), &tasks).await?;
    for (path, object) in roles() {
        write(target, &mut sender, Method::POST, path, &object).await?;
    }
    let workers = (0..WORKERS).map(|worker| {
        let (tls, tasks) = (tls.clone(), tasks.clone());
        async move {
            let mut sender = target.sender(tls.as_ref(), &tasks).await?;
            let mut made = Vec::new();
            for number in (worker..clusters).step_by(WORKERS) {
                let child = one(target, &mut sender, number, labels).await;
                made.push((number, child.with_context(|| format!("cluster {number}"))?));
            }
            anyhow::Ok(made)
        }
    });
    let mut made: Vec<_> = try_join_all(workers).await?.into_iter().flatten().collect();
    made.sort_by_key(|(number, _)| *number);
    Ok(made.into_iter().map(|(_, child)| child).collect())
}

/// What lets the account of each child open its tunnel.
fn roles() -> [(&'static str, Value); 2] {
    let group = "rbac.authorization.k8s.io";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": ROLE },
        "rules": [{ "apiGroups": ["proxies.clusternet.io"], "resources": ["sockets", "sockets/attach"],
                    "verbs": ["get", "create"] }],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": ROLE },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": ROLE },
        "subjects": [{ "apiGroup": group, "kind": "Group", "name": "system:serviceaccounts" }],
    });
    [
        ("/apis/rbac.authorization.k8s.io/v1/clusterroles", role),
        ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding),
    ]
}

async fn one(
    target: &Target,
    sender: &mut Sender,
    number: usize,
    labels: &[(String, usize)],
) -> anyhow::Result<Registered> {
    let (id, name) = (format!("00000000-0000-4000-8000-{number:012}"), format!("bench-{number:04}"));
    let mut marks = json!({
        "clusternet.io/created-by": "clusternet-agent", "clusters.clusternet.io/cluster-id": id,
        "clusters.clusternet.io/cluster-name": name,
    });
    let namespace =
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": marks } });
    write(target, sender, Method::POST, "/api/v1/namespaces", &namespace).await?;
    let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": ACCOUNT } });
    let accounts = format!("/api/v1/namespaces/{name}/serviceaccounts");
    write(target, sender, Method::POST, &accounts, &account).await?;
    let role = "clusterway:hub:namespace";
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": role },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [{ "kind": "ServiceAccount", "name": "clusternet-hub", "namespace": "clusternet-system" }],
    });
    let bindings = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{name}/rolebindings");
    write(target, sender, Method::POST, &bindings, &binding).await?;
    marks["bench.clusterway.io/number"] = number.to_string().into();
    for (label, _) in labels.iter().filter(|(_, first)| number < *first) {
        marks[label] = "true".into();
    }
    let cluster = json!({
        "apiVersion": "clusters.clusternet.io/v1beta1", "kind": "ManagedCluster",
        "metadata": { "name": name, "labels": marks },
        "spec": { "clusterId": id, "clusterType": "EdgeCluster", "syncMode": "Push" },
    });
    let clusters = format!("/apis/clusters.clusternet.io/v1beta1/namespaces/{name}/managedclusters");
    write(target, sender, Method::POST, &clusters, &cluster).await?;
    // It reports once, and its next report is not due before the benchmark is over.
    let now = jiff::Timestamp::now().round(jiff::Unit::Second)?.to_string();
    let ready = json!([{ "type": "Ready", "status": "True", "reason": "ManagedClusterReady",
                         "message": "It is simulated.", "lastTransitionTime": now }]);
    let status = json!({ "status": {
        "conditions": ready,
        "lastObservedTime": now, "heartbeatFrequencySeconds": 86_400, "useSocket": true, "appPusher": true,
        "healthz": true, "livez": true, "readyz": true, "k8sVersion": "v1.37.0", "platform": "linux/amd64",
    }});
    write(target, sender, Method::PATCH, &format!("{clusters}/{name}/status"), &status).await?;
    let wanted = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                         "spec": { "expirationSeconds": 86_400 } });
    let answer = write(target, sender, Method::POST, &format!("{accounts}/{ACCOUNT}/token"), &wanted).await?;
    let token = answer["status"]["token"].as_str().context("no token")?.to_owned();
    Ok(Registered { id, token })
}

const ACCOUNT: &str = "clusternet-managedcluster";

/// Sends a request that has to succeed; what is there already need not be made.
pub(crate) async fn write(
    target: &Target,
    sender: &mut Sender,
    method: Method,
    path: &str,
    body: &Value,
) -> anyhow::Result<Value> {
    let media = match (&method, path.contains("fieldManager=")) {
        (&Method::PATCH, true) => "application/apply-patch+yaml",
        (&Method::PATCH, false) => "application/merge-patch+json",
        _ => "application/json",
    };
    let mut request: Request<Full<Bytes>> = target.request_for(path)?;
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    *request.body_mut() = Full::from(body.to_string());
    *request.method_mut() = method.clone();
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let answer = response.into_body().collect().await?.to_bytes();
    let there = method == Method::POST && status == http::StatusCode::CONFLICT;
    let told =
        || String::from_utf8_lossy(answer.get(..answer.len().min(300)).unwrap_or_default()).into_owned();
    anyhow::ensure!(status.is_success() || there, "{method} {path}: {status} {}", told());
    Ok(serde_json::from_slice(&answer)?)
}
