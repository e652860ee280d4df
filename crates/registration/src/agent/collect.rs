//! What the child's API can tell about the child (contract 3.6).

use std::collections::BTreeMap;

use api::clusters::{DESCRIPTION_CONTENTS, ManagedClusterStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ApiResource, ListParams},
    core::{NotUsed, Object},
};
use serde::Deserialize;

use super::{nodes, options::Options};

/// The cluster at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Observation {
    /// Every field of the status but its conditions and its time.
    pub(super) status: ManagedClusterStatus,
    /// Labels the workers agree on.
    pub(super) labels: BTreeMap<String, String>,
}

/// What never changes while the agent runs.
pub(super) fn constants(options: &Options) -> Observation {
    let status = ManagedClusterStatus {
        agent_version: Some(format!("v{}", env!("CARGO_PKG_VERSION"))),
        agent_features: vec![DESCRIPTION_CONTENTS.to_owned()],
        apiserver_url: Some(options.api_server.clone()),
        app_pusher: Some(options.app_pusher),
        use_socket: Some(options.use_socket),
        kube_qps: Some(options.kube_qps),
        kube_burst: Some(options.kube_burst),
        predictor_enabled: Some(false),
        heartbeat_frequency_seconds: i64::try_from(options.report_period.as_secs()).ok(),
        ..ManagedClusterStatus::default()
    };
    Observation { status, labels: BTreeMap::new() }
}

/// Health and version: four small requests, often.
pub(super) async fn health(child: &Client, seen: &mut Observation) {
    let status = &mut seen.status;
    (status.healthz, status.livez, status.readyz) =
        tokio::join!(probe(child, "/healthz"), probe(child, "/livez"), probe(child, "/readyz"));
    // What cannot be read now keeps its last value: a moment of silence does not erase facts.
    if let Ok(version) = child.apiserver_version().await {
        status.k8s_version = Some(version.git_version);
        status.platform = Some(version.platform);
    }
}

/// Nodes and address ranges: read when a node changed, and now and then.
pub(super) async fn survey(child: &Client, options: &Options, seen: &mut Observation) {
    let status = &mut seen.status;
    if let Ok(totals) = nodes::read(child, &options.aggregate_prefixes).await {
        status.capacity = totals.capacity();
        status.allocatable = totals.allocatable();
        seen.labels = totals.agreed_labels(options.aggregate_threshold);
        status.node_statistics = Some(totals.statistics);
    }
    if let Ok(found) = cidrs(child).await {
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        status.service_cidr = found.service.or_else(|| environment("SERVICE_CIDR"));
        status.cluster_cidr = found.cluster.or_else(|| environment("CLUSTER_CIDR"));
    }
}

/// Whether a health route answers 200.
async fn probe(child: &Client, path: &str) -> bool {
    match http::Request::get(path).body(Vec::new()) {
        Ok(request) => child.request_text(request).await.is_ok(),
        Err(_) => false,
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Cidrs {
    service: Option<String>,
    cluster: Option<String>,
}

/// The address ranges, from the flags of control-plane pods where those run in the cluster.
async fn cidrs(child: &Client) -> kube::Result<Cidrs> {
    let pods: Api<Commands> =
        Api::namespaced_with(child.clone(), "kube-system", &ApiResource::erase::<Pod>(&()));
    let mut found = Cidrs::default();
    for (component, keys) in [
        ("kube-apiserver", &["component", "app.kubernetes.io/component"][..]),
        ("kube-controller-manager", &["component", "app.kubernetes.io/component"]),
        ("kube-proxy", &["k8s-app"]),
    ] {
        for key in keys {
            if found.service.is_some() && found.cluster.is_some() {
                return Ok(found);
            }
            // One replica says what all of them say.
            let list =
                pods.list(&ListParams::default().labels(&format!("{key}={component}")).limit(3)).await?;
            for pod in &list.items {
                let words = words(pod);
                found.service = found.service.or_else(|| flag(&words, "--service-cluster-ip-range"));
                found.cluster = found.cluster.or_else(|| flag(&words, "--cluster-cidr"));
            }
        }
    }
    Ok(found)
}

/// What is read of a Pod. To decode all of it would make the agent larger.
type Commands = Object<Spec, NotUsed>;

#[derive(Debug, Clone, Deserialize)]
struct Spec {
    containers: Vec<Container>,
}

#[derive(Debug, Clone, Deserialize)]
struct Container {
    command: Option<Vec<String>>,
    args: Option<Vec<String>>,
}

fn words(pod: &Commands) -> Vec<&str> {
    let containers = &pod.spec.containers;
    containers
        .iter()
        .flat_map(|container| container.command.iter().flatten().chain(container.args.iter().flatten()))
        .map(String::as_str)
        .collect()
}

/// The value of a flag, given as `--flag=value` or as two words.
fn flag(words: &[&str], name: &str) -> Option<String> {
    let value = words.iter().enumerate().find_map(|(n, word)| match word.strip_prefix(name)? {
        "" => words.get(n + 1).copied(),
        rest => rest.strip_prefix('='),
    });
    value.filter(|value| !value.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_in_both_forms() {
        let words =
            ["kube-apiserver", "--service-cluster-ip-range=10.96.0.0/12", "--cluster-cidr", "10.244.0.0/16"];
        assert_eq!(flag(&words, "--service-cluster-ip-range").as_deref(), Some("10.96.0.0/12"));
        assert_eq!(flag(&words, "--cluster-cidr").as_deref(), Some("10.244.0.0/16"));
        assert_eq!(flag(&["--cluster-cidr-mask=1", "--cluster-cidr="], "--cluster-cidr"), None);
        assert_eq!(flag(&["--cluster-cidr"], "--cluster-cidr"), None);
    }
}
