//! The list of clusters, printed.

use api::clusters::ManagedCluster;
use jiff::Timestamp;
use kube::ResourceExt as _;
use serde_json::json;

use crate::{
    args::Output,
    failure::Failure,
    output::{age, table, yaml},
};

const COLUMNS: [&str; 8] =
    ["NAME", "CLUSTER ID", "NAMESPACE", "MODE", "KUBERNETES", "STATUS", "LAST SEEN", "AGE"];
const WIDE: [&str; 5] = ["NODES", "PLATFORM", "AGENT", "API SERVER", "REASON"];

/// The clusters in the wanted form, sorted by name.
pub(crate) fn show(
    mut clusters: Vec<ManagedCluster>,
    output: Output,
    headers: bool,
    now: Timestamp,
) -> Result<String, Failure> {
    clusters.sort_by_key(|cluster| (cluster.name_any(), cluster.namespace()));
    let list = || json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": clusters });
    Ok(match output {
        Output::Table | Output::Wide => {
            let wide = output == Output::Wide;
            let rows: Vec<Vec<String>> = clusters.iter().map(|cluster| row(cluster, wide, now)).collect();
            let names: Vec<&str> =
                COLUMNS.into_iter().chain(if wide { &WIDE[..] } else { &[] }.iter().copied()).collect();
            table(headers.then_some(&names), &rows)
        }
        Output::Json => format!("{:#}\n", list()),
        Output::Yaml => yaml(&list())?,
        Output::Name => clusters
            .iter()
            .map(|cluster| format!("managedcluster.clusters.clusternet.io/{}\n", cluster.name_any()))
            .collect(),
    })
}

fn row(cluster: &ManagedCluster, wide: bool, now: Timestamp) -> Vec<String> {
    let since = |time: &Timestamp| age(now.as_second() - time.as_second());
    let status = cluster.status.as_ref();
    let ready = status.and_then(|status| {
        status.conditions.iter().find(|condition| condition.type_ == api::names::conditions::READY)
    });
    let state = match ready.map(|condition| condition.status.as_str()) {
        Some("True") => "Ready",
        Some("False") => "NotReady",
        Some(_) => "Unknown",
        None => "Pending",
    };
    let text = |value: Option<&String>| value.cloned().unwrap_or_default();
    let mut row = vec![
        cluster.name_any(),
        cluster.spec.cluster_id.clone(),
        cluster.namespace().unwrap_or_default(),
        format!("{:?}", cluster.spec.sync_mode),
        text(status.and_then(|status| status.k8s_version.as_ref())),
        state.to_owned(),
        status
            .and_then(|status| status.last_observed_time.as_ref())
            .map(|time| since(&time.0))
            .unwrap_or_default(),
        cluster.creation_timestamp().map(|time| since(&time.0)).unwrap_or_default(),
    ];
    if wide {
        let nodes = status.and_then(|status| status.node_statistics.as_ref()).map(|nodes| {
            let all = nodes.ready_nodes + nodes.not_ready_nodes + nodes.unknown_nodes + nodes.lost_nodes;
            format!("{}/{all}", nodes.ready_nodes)
        });
        row.extend([
            nodes.unwrap_or_default(),
            text(status.and_then(|status| status.platform.as_ref())),
            text(status.and_then(|status| status.agent_version.as_ref())),
            text(status.and_then(|status| status.apiserver_url.as_ref())),
            ready.filter(|_| state != "Ready").map(|condition| condition.reason.clone()).unwrap_or_default(),
        ]);
    }
    row
}
