//! The play kubelet: nodes and pods without machines whose logs, exec, attach and port-forward really answer.
//!
//! `exec` runs the command on this machine, in the cluster's directory. What a port-forward reaches is a shell that
//! answers one HTTP request.

use anyhow::Context as _;

use crate::{cluster::Cluster, fleet::Fleet, paths};

/// Pods with this label are left as they were created: they are many, and only there to be counted and listed.
pub const LOAD_LABEL: &str = "fleet.clusterway.io/load";

/// The process's name in the fleet.
pub fn process_name(cluster: &Cluster) -> String {
    format!("{}/kwok", cluster.name)
}

pub(crate) fn start(fleet: &Fleet, cluster: &Cluster) -> anyhow::Result<()> {
    let directory = cluster.directory.join("kwok");
    let config = directory.join("kwok.yaml");
    if !config.is_file() {
        let stages = std::fs::read_to_string(&fleet.tools().stages).context("cannot read kwok's stages")?;
        std::fs::create_dir_all(directory.join("work"))?;
        // The runtime's log format; without it `kubectl logs` refuses the stream.
        let now = jiff::Timestamp::now();
        let hello = format!("hello from {}", cluster.name);
        let lines = ["started", &hello, "ready"].map(|line| format!("{now:.9} stdout F {line}\n")).concat();
        paths::write(&log_file(cluster), lines)?;
        paths::write(&config, format!("{stages}\n{}", configuration(cluster)))?;
    }
    let args = vec![
        format!("--kubeconfig={}", cluster.kubeconfig().display()),
        format!("--config={}", config.display()),
        format!("--server-address={}:{}", cluster.address(), cluster.ports.kubelet),
    ];
    fleet.start(fleet.spec(&process_name(cluster), &fleet.tools().kwok, args))?;
    Ok(())
}

/// The file that every pod of the cluster logs to. Lines in the runtime's format that are appended are followed by
/// `kubectl logs -f`.
pub fn log_file(cluster: &Cluster) -> std::path::PathBuf {
    cluster.directory.join("kwok/pods.log")
}

/// Lets every pod of the cluster log a line.
pub fn log_line(cluster: &Cluster, line: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::options().append(true).open(log_file(cluster))?;
    writeln!(file, "{:.9} stdout F {line}", jiff::Timestamp::now())?;
    Ok(())
}

fn configuration(cluster: &Cluster) -> String {
    let pki = cluster.directory.join("pki");
    let directory = cluster.directory.join("kwok");
    format!(
        r#"apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokConfiguration
metadata:
  name: kwok
options:
  manageAllNodes: true
  disregardStatusWithLabelSelector: {LOAD_LABEL}=true
  nodeIP: {address}
  nodePort: {port}
  cidr: {cidr}
  tlsCertFile: {certificate}
  tlsPrivateKeyFile: {key}
  enableDebuggingHandlers: true
  podPlayStageParallelism: 4
  nodePlayStageParallelism: 4
  nodeLeaseDurationSeconds: 40
  nodeLeaseParallelism: 4
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterExec
metadata:
  name: all
spec:
  execs:
    - local:
        workDir: {work}
        envs:
          - name: CLUSTER
            value: {name}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterLogs
metadata:
  name: all
spec:
  logs:
    - logsFile: {log}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterAttach
metadata:
  name: all
spec:
  attaches:
    - logsFile: {log}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterPortForward
metadata:
  name: all
spec:
  forwards:
    - command:
        - sh
        - -c
        - >-
          while read -r line && [ "${{#line}}" -gt 1 ]; do :; done;
          body='hello from a pod in {name}';
          printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n'
          "$((${{#body}} + 1))" "$body"
"#,
        address = cluster.address(),
        port = cluster.ports.kubelet,
        cidr = cluster.pod_cidr(),
        certificate = pki.join("kubelet.crt").display(),
        key = pki.join("kubelet.key").display(),
        work = directory.join("work").display(),
        log = log_file(cluster).display(),
        name = cluster.name,
    )
}
