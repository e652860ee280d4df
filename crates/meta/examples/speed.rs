//! How fast lists and watches are cut and objects read: `cargo run --release -p meta --example speed`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use meta::{ListScanner, RawObject, WatchScanner};
use serde_json::{Value, json};

const PODS: usize = 2000;
const ROUNDS: u32 = 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pods: Vec<Value> = (0..PODS).map(pod).collect();
    let list =
        serde_json::to_vec(&json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods}))?;
    let watch: Vec<u8> = pods
        .iter()
        .flat_map(|pod| format!("{}\n", json!({"type": "ADDED", "object": pod})).into_bytes())
        .collect();
    let (list, watch) = (Bytes::from(list), Bytes::from(watch));
    say(&format!("a pod has {} bytes", list.len() / PODS));

    for chunk in [1 << 14, usize::MAX] {
        let mut cut = 0;
        let elapsed = best(|| {
            let mut scanner = ListScanner::default();
            for piece in pieces(&list, chunk) {
                scanner.push(piece);
                while let Ok(Some(_)) = scanner.next_item() {
                    cut += 1;
                }
            }
        });
        rate("list", chunk, list.len(), elapsed, cut);
        cut = 0;
        let elapsed = best(|| {
            let mut scanner = WatchScanner::default();
            for piece in pieces(&watch, chunk) {
                scanner.push(piece);
                while let Ok(Some(_)) = scanner.next_event() {
                    cut += 1;
                }
            }
        });
        rate("watch", chunk, watch.len(), elapsed, cut);
    }

    let pods: Vec<Vec<u8>> = pods.iter().map(serde_json::to_vec).collect::<Result<_, _>>()?;
    let mut kept = 0;
    let elapsed = best(|| {
        for pod in &pods {
            kept += RawObject::from_json(pod, "v1", "Pod").map_or(0, |object| object.json.len());
        }
    });
    let kept = kept / PODS / ROUNDS as usize;
    say(&format!("object: {:.2} µs, {kept} bytes kept", elapsed.as_secs_f64() * 1e6 / PODS as f64));
    Ok(())
}

fn pieces(bytes: &Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    let mut rest = bytes.clone();
    std::iter::from_fn(move || (!rest.is_empty()).then(|| rest.split_to(size.min(rest.len()))))
}

/// The shortest of some rounds: the machine may be busy otherwise.
fn best(mut round: impl FnMut()) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let begin = Instant::now();
        round();
        begin.elapsed()
    });
    rounds.min().unwrap_or_default()
}

fn rate(what: &str, chunk: usize, bytes: usize, elapsed: Duration, cut: usize) {
    let chunk = if chunk == usize::MAX { "one chunk".to_owned() } else { format!("{chunk} byte chunks") };
    let found = if cut == PODS * ROUNDS as usize { "" } else { ", objects lost" };
    say(&format!("{what}, {chunk}: {:.0} MB/s{found}", bytes as f64 / elapsed.as_secs_f64() / 1e6));
}

#[expect(clippy::print_stdout, reason = "this is what the example is for")]
fn say(line: &str) {
    println!("{line}");
}

/// A pod much as an API server gives it.
fn pod(number: usize) -> Value {
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example.com/team/{name}:1.{number}"),
            "args": ["--listen=0.0.0.0:8080", "--log=\"info\"", "--region=eu-west-1"],
            "env": [{"name": "HOME", "value": "/tmp"},
                    {"name": "POD_IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
            "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "500m", "memory": "256Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "volumeMounts": [{"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": "token", "readOnly": true}],
            "livenessProbe": {"failureThreshold": 3, "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
            "terminationMessagePath": "/dev/termination-log", "imagePullPolicy": "IfNotPresent"
        })
    };
    let condition = |type_: &str| json!({"type": type_, "status": "True", "lastProbeTime": null, "lastTransitionTime": "2026-01-02T03:04:05Z"});
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("web-{number}-7d9c5b8f6-x2x4z"), "generateName": "web-7d9c5b8f6-", "namespace": format!("ns-{}", number % 50),
            "uid": format!("0d5cf33a-6f0c-4c0b-9a53-{number:012}"), "resourceVersion": number.to_string(),
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": {"app": "web", "app.kubernetes.io/name": "web", "pod-template-hash": "7d9c5b8f6", "tier": "front"},
            "annotations": {"checksum/config": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9c5b8f6",
                "uid": "c5a54ae1-5d79-4c3a-9a0f-5fb4d2b6d1d7", "controller": true, "blockOwnerDeletion": true}],
            "managedFields": [{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1",
                "time": "2026-01-02T03:04:05Z", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:generateName": {}, "f:labels": {".": {}, "f:app": {}, "f:tier": {}}},
                    "f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:image": {}, "f:name": {}, "f:ports": {}}},
                               "f:dnsPolicy": {}, "f:restartPolicy": {}}}}]
        },
        "spec": {
            "containers": [container("app"), container("proxy")], "nodeName": format!("node-{}", number % 100),
            "restartPolicy": "Always", "schedulerName": "default-scheduler", "serviceAccountName": "web",
            "tolerations": [{"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}],
            "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}}]
        },
        "status": {
            "phase": "Running", "podIP": "10.0.0.7", "hostIP": "192.168.0.1", "qosClass": "Burstable", "startTime": "2026-01-02T03:04:05Z",
            "conditions": [condition("Initialized"), condition("Ready"), condition("ContainersReady"), condition("PodScheduled")],
            "containerStatuses": [{"name": "app", "ready": true, "restartCount": 0, "started": true,
                "containerID": "containerd://5f16b1f3a1d0f3a1c1c4f1e7a5c6d9b1", "image": "registry.example.com/team/app:1",
                "imageID": "registry.example.com/team/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}, "lastState": {}}]
        }
    })
}
