use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::args::Output;

const A: &str = "dc91021d-2361-4f6d-a404-7c33b9e01118";
const B: &str = "6c085c18-3baf-443c-abff-459751f5e3d3";

fn cluster(name: &str, namespace: &str, id: &str) -> ManagedCluster {
    serde_json::from_value(json!({
        "apiVersion": "clusters.clusternet.io/v1beta1",
        "kind": "ManagedCluster",
        "metadata": {
            "name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": { "clusters.clusternet.io/cluster-name": name },
        },
        "spec": { "clusterId": id, "syncMode": "Dual" },
    }))
    .unwrap()
}

fn reporting(mut cluster: ManagedCluster, ready: &str) -> ManagedCluster {
    cluster.status = serde_json::from_value(json!({
        "k8sVersion": "v1.33.1",
        "platform": "linux/amd64",
        "agentVersion": "v0.1.0",
        "apiserverURL": "https://10.8.0.1:443",
        "lastObservedTime": "2026-01-10T23:59:00Z",
        "nodeStatistics": { "readyNodes": 3, "notReadyNodes": 1 },
        "conditions": [{ "type": "Ready", "status": ready, "reason": "ClusterStatusUnknown", "message": "…",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }],
    }))
    .unwrap();
    cluster
}

fn printed(output: Output) -> String {
    let clusters = vec![
        cluster("edge-7", "clusternet-b", B),
        reporting(cluster("aws-cd", "clusternet-a", A), "Unknown"),
    ];
    show::show(clusters, output, true, "2026-01-11T00:00:00Z".parse::<Timestamp>().unwrap()).unwrap()
}

#[test]
fn the_table_is_sorted_by_name_and_shows_who_is_there() {
    assert_eq!(
        printed(Output::Table),
        "\
NAME     CLUSTER ID                             NAMESPACE      MODE   KUBERNETES   STATUS    LAST SEEN   AGE
aws-cd   dc91021d-2361-4f6d-a404-7c33b9e01118   clusternet-a   Dual   v1.33.1      Unknown   60s         10d
edge-7   6c085c18-3baf-443c-abff-459751f5e3d3   clusternet-b   Dual   -            Pending   -           10d
"
    );
}

#[test]
fn the_wide_table_adds_nodes_and_the_reason_of_trouble() {
    let text = printed(Output::Wide);
    let line = text.lines().find(|line| line.starts_with("aws-cd")).unwrap();
    assert!(
        line.ends_with("3/4     linux/amd64   v0.1.0   https://10.8.0.1:443   ClusterStatusUnknown"),
        "{line}"
    );
}

#[test]
fn names_json_and_yaml_are_what_kubectl_prints() {
    assert!(printed(Output::Name).starts_with("managedcluster.clusters.clusternet.io/aws-cd\n"));
    let json: serde_json::Value = serde_json::from_str(&printed(Output::Json)).unwrap();
    assert_eq!((&json["kind"], &json["items"][1]["kind"]), (&json!("List"), &json!("ManagedCluster")));
    assert!(printed(Output::Yaml).contains("clusterId: dc91021d-2361-4f6d-a404-7c33b9e01118"));
}

#[test]
fn a_cluster_is_found_by_the_name_of_its_object_or_its_label() {
    let mut renamed = cluster("renamed", "clusternet-a", A);
    renamed.labels_mut().insert(labels::CLUSTER_NAME.to_owned(), String::from("aws-cd"));
    let all = [renamed, cluster("edge-7", "clusternet-b", B)];
    assert_eq!(choose("edge-7", &all).unwrap().spec.cluster_id, B);
    assert_eq!(choose("renamed", &all).unwrap().spec.cluster_id, A);
    assert_eq!(choose("aws-cd", &all).unwrap().spec.cluster_id, A);
}

#[test]
fn a_wrong_name_is_answered_with_the_near_one() {
    let text = choose("egde-7", &[cluster("edge-7", "clusternet-b", B)]).unwrap_err().to_string();
    assert!(text.contains("did you mean edge-7?"), "{text}");
    let text = choose("nothing-like-it", &[]).unwrap_err().to_string();
    assert!(text.contains("kubectl clusterway clusters"), "{text}");
}

#[test]
fn an_ambiguous_name_is_answered_with_the_candidates() {
    let all = [cluster("edge", "clusternet-a", A), cluster("edge", "clusternet-b", B)];
    let text = choose("edge", &all).unwrap_err().to_string();
    assert!(text.contains(A) && text.contains(B) && text.contains("clusternet-b"), "{text}");
}

#[test]
fn ids_are_told_from_names() {
    assert!(is_id(A));
    for name in ["edge-7", "dc91021d-2361-4f6d-a404-7c33b9e0111", "dc91021d-2361-4f6d-a404_7c33b9e01118", ""]
    {
        assert!(!is_id(name), "{name}");
    }
}
