//! What a new cluster is furnished with: nodes, pods to visit, and in the parent what kubeadm leaves behind for
//! clusters that want to join.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{cluster::Cluster, fleet::Fleet, fleet::ready_or_log, kubeconfig, kwok, wait};

/// The namespace of the pods to visit.
pub const NAMESPACE: &str = "demo";
/// The pod that the demo and the tests visit.
pub const POD: &str = "toolbox";

/// Furnishing takes seconds; a machine under load may need more.
const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) async fn seed(fleet: &Fleet, cluster: &Cluster) -> anyhow::Result<()> {
    let kwok = fleet.process(&kwok::process_name(cluster));
    // The controller manager makes the ServiceAccounts without which no pod can be created.
    wait::until_true("the default ServiceAccount", DEADLINE, || async {
        Ok(cluster.kubectl(&["get", "serviceaccount", "default", "-n", "default"]).await?.success)
    })
    .await?;
    let mut objects = nodes(cluster);
    objects.push(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } }));
    if cluster.ordinal == 0 {
        objects.extend(cluster_info(cluster)?);
    }
    apply(cluster, objects).await?;
    wait::until_true(format_args!("the ServiceAccount of namespace {NAMESPACE}"), DEADLINE, || async {
        let kube_system =
            cluster.kubectl(&["get", "serviceaccount", "default", "-n", "kube-system"]).await?.success;
        Ok(kube_system
            && cluster.kubectl(&["get", "serviceaccount", "default", "-n", NAMESPACE]).await?.success)
    })
    .await?;
    let mut pods = vec![toolbox(cluster), deployment(cluster)];
    if cluster.ordinal <= 1 {
        pods.extend(static_pods(cluster));
    }
    apply(cluster, pods).await?;
    let running = async {
        cluster.kubectl_ok(&["wait", "node", "--all", "--for=condition=Ready", "--timeout=120s"]).await?;
        cluster
            .kubectl_ok(&["wait", "pod", POD, "-n", NAMESPACE, "--for=condition=Ready", "--timeout=120s"])
            .await?;
        cluster
            .kubectl_ok(&["rollout", "status", "deployment/web", "-n", NAMESPACE, "--timeout=120s"])
            .await
            .map(drop)
    };
    match kwok {
        Some(kwok) => ready_or_log(&kwok, running).await,
        None => running.await,
    }
}

async fn apply(cluster: &Cluster, items: Vec<Value>) -> anyhow::Result<()> {
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    cluster.apply(&list.to_string()).await
}

/// A control-plane node and two workers, with round numbers to add up.
fn nodes(cluster: &Cluster) -> Vec<Value> {
    let names = ["control-plane", "worker-1", "worker-2"];
    names
        .iter()
        .map(|name| {
            let control_plane = *name == "control-plane";
            let mut labels = json!({
                "kubernetes.io/hostname": node_name(cluster, name),
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
            });
            let mut spec = json!({});
            if control_plane {
                labels["node-role.kubernetes.io/control-plane"] = json!("");
                spec = json!({ "taints": [{ "key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule" }] });
            }
            let resources = json!({ "cpu": "4", "memory": "8Gi", "pods": "20000" });
            json!({
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": { "name": node_name(cluster, name), "labels": labels },
                "spec": spec,
                "status": { "capacity": resources, "allocatable": resources },
            })
        })
        .collect()
}

/// The full name of a node: nodes of two clusters are never called the same.
pub fn node_name(cluster: &Cluster, role: &str) -> String {
    format!("{}-{role}", cluster.name)
}

fn container() -> Value {
    json!({
        "name": "main",
        "image": "demo/main:1",
        "ports": [{ "containerPort": 8080 }],
        "resources": { "requests": { "cpu": "100m", "memory": "64Mi" }, "limits": { "cpu": "200m", "memory": "128Mi" } },
    })
}

fn toolbox(cluster: &Cluster) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": POD, "namespace": NAMESPACE, "labels": { "app": POD } },
        "spec": { "nodeName": node_name(cluster, "worker-2"), "containers": [container()] },
    })
}

/// There is no scheduler: pods name their node.
fn deployment(cluster: &Cluster) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web", "namespace": NAMESPACE },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "nodeName": node_name(cluster, "worker-1"), "containers": [container()] },
            },
        },
    })
}

/// kubeadm's control-plane pods, from which an address range can be read. Only the parent and the first child have
/// them: not every cluster was made with kubeadm.
fn static_pods(cluster: &Cluster) -> Vec<Value> {
    let flags = [
        ("kube-apiserver", vec![format!("--service-cluster-ip-range={}", cluster.service_cidr())]),
        (
            "kube-controller-manager",
            vec![
                format!("--cluster-cidr={}", cluster.pod_cidr()),
                format!("--service-cluster-ip-range={}", cluster.service_cidr()),
            ],
        ),
    ];
    flags
        .iter()
        .map(|(component, flags)| {
            let mut command = vec![(*component).to_owned()];
            command.extend(flags.iter().cloned());
            let node = node_name(cluster, "control-plane");
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": format!("{component}-{node}"),
                    "namespace": "kube-system",
                    "labels": { "component": component, "tier": "control-plane" },
                },
                "spec": {
                    "nodeName": node,
                    "hostNetwork": true,
                    "tolerations": [{ "operator": "Exists" }],
                    "containers": [{ "name": component, "image": format!("demo/{component}:1"), "command": command }],
                },
            })
        })
        .collect()
}

/// The ConfigMap by which somebody who holds a bootstrap token can verify the cluster's CA, readable by everybody as
/// kubeadm leaves it. The bootstrap signer signs it.
fn cluster_info(cluster: &Cluster) -> anyhow::Result<Vec<Value>> {
    let kubeconfig = kubeconfig::cluster_info(&cluster.url(), &cluster.authority()?.certificate()?);
    let name = "kubeadm:bootstrap-signer-clusterinfo";
    let metadata = json!({ "name": name, "namespace": "kube-public" });
    Ok(vec![
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": "cluster-info", "namespace": "kube-public" },
            "data": { "kubeconfig": kubeconfig },
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [{
                "apiGroups": [""],
                "resources": ["configmaps"],
                "resourceNames": ["cluster-info"],
                "verbs": ["get"],
            }],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name },
            "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:anonymous" }],
        }),
    ])
}
