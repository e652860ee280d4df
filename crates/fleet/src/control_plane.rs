//! Starts etcd, and per cluster the API server, the controller manager and the play kubelet.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};

use anyhow::Context as _;

use crate::{
    cluster::Cluster,
    fleet::{Fleet, ready_or_log},
    kubeconfig::Credential,
    kwok, paths,
    pki::{self, Authority},
    wait,
};

/// Generous: three API servers start at once on two cores, beside whatever else is running.
const START: Duration = Duration::from_secs(120);

pub(crate) async fn start_etcd(fleet: &Fleet) -> anyhow::Result<()> {
    let url = format!("http://127.0.0.1:{}", fleet.etcd_port());
    let args = [
        format!("--data-dir={}", fleet.directory().join("etcd").display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        String::from("--listen-peer-urls=http://127.0.0.1:0"),
        String::from("--unsafe-no-fsync"),
        String::from("--quota-backend-bytes=8589934592"),
        String::from("--log-level=warn"),
    ];
    let process = fleet.start(fleet.spec("etcd", &fleet.tools().etcd, args.to_vec()))?;
    let port = fleet.etcd_port();
    let listening = wait::until_true("etcd to listen", START, || async move {
        Ok(tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok())
    });
    ready_or_log(&process, listening).await
}

/// Starts what a cluster consists of and waits until its API answers.
pub(crate) async fn start(fleet: &Fleet, cluster: &Cluster) -> anyhow::Result<()> {
    files(cluster).context("its certificates and kubeconfigs")?;
    let name = |program: &str| format!("{}/{program}", cluster.name);
    let tools = fleet.tools();
    let apiserver =
        fleet.start(fleet.spec(&name("kube-apiserver"), &tools.apiserver, apiserver_args(fleet, cluster)))?;
    ready_or_log(&apiserver, cluster.ready(START)).await?;
    fleet.start(fleet.spec(
        &name("kube-controller-manager"),
        &tools.controller_manager,
        controller_manager_args(cluster),
    ))?;
    kwok::start(fleet, cluster)?;
    Ok(())
}

/// Everything the programs read, written once.
fn files(cluster: &Cluster) -> anyhow::Result<()> {
    let pki = cluster.directory.join("pki");
    let authority = cluster.authority()?;
    let front = Authority::ensure(&pki, "front-proxy-ca")?;
    if cluster.kubeconfig().is_file() {
        return Ok(());
    }
    let addresses = [
        cluster.address(),
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(Ipv4Addr::new(10, 96 + cluster.ordinal, 0, 1)),
    ];
    let names = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ];
    authority.server("kube-apiserver", &addresses, &names)?.write(&pki, "apiserver")?;
    authority.server("kubelet", &[cluster.address()], &["localhost"])?.write(&pki, "kubelet")?;
    authority.client("kube-apiserver-kubelet-client", &["system:masters"])?.write(&pki, "kubelet-client")?;
    front.client("front-proxy-client", &[])?.write(&pki, "front-proxy-client")?;
    pki::write_signing_key(&pki, "service-accounts")?;
    paths::write(&cluster.directory.join("audit-policy.yaml"), AUDIT_POLICY)?;
    // The administrator's comes last: where it is, everything else is.
    let administrator = authority.client("fleet-administrator", &["system:masters"])?;
    cluster.write_kubeconfig(&cluster.kubeconfig(), "administrator", &Credential::Certificate(administrator))
}

fn apiserver_args(fleet: &Fleet, cluster: &Cluster) -> Vec<String> {
    let pki = cluster.directory.join("pki");
    let file = |name: &str| pki.join(name).display().to_string();
    let mut args = vec![
        format!("--etcd-servers=http://127.0.0.1:{}", fleet.etcd_port()),
        format!("--etcd-prefix=/{}", cluster.name),
        format!("--bind-address={}", cluster.address()),
        format!("--secure-port={}", cluster.ports.apiserver),
        format!("--advertise-address={}", cluster.address()),
        // 1.37 refuses a loopback address to advertise without this.
        String::from("--endpoint-reconciler-type=none"),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--service-account-key-file={}", file("service-accounts.pub")),
        format!("--service-account-signing-key-file={}", file("service-accounts.key")),
        String::from("--service-account-issuer=https://kubernetes.default.svc.cluster.local"),
        String::from("--authorization-mode=Node,RBAC"),
        String::from("--enable-bootstrap-token-auth"),
        format!("--requestheader-client-ca-file={}", file("front-proxy-ca.crt")),
        String::from("--requestheader-allowed-names=front-proxy-client"),
        String::from("--requestheader-username-headers=X-Remote-User"),
        String::from("--requestheader-uid-headers=X-Remote-Uid"),
        String::from("--requestheader-group-headers=X-Remote-Group"),
        String::from("--requestheader-extra-headers-prefix=X-Remote-Extra-"),
        format!("--proxy-client-cert-file={}", file("front-proxy-client.crt")),
        format!("--proxy-client-key-file={}", file("front-proxy-client.key")),
        format!("--kubelet-client-certificate={}", file("kubelet-client.crt")),
        format!("--kubelet-client-key={}", file("kubelet-client.key")),
        format!("--kubelet-certificate-authority={}", file("ca.crt")),
        format!("--service-cluster-ip-range={}", cluster.service_cidr()),
        String::from("--allow-privileged"),
        String::from("--event-ttl=3h"),
        String::from("--profiling=false"),
    ];
    if cluster.ordinal == 0 {
        // What the parent would keep of a visit, and who writes how much, are both read from its audit log.
        args.push(format!("--audit-policy-file={}", cluster.directory.join("audit-policy.yaml").display()));
        args.push(format!("--audit-log-path={}", fleet.log_directory().join("parent-audit.log").display()));
    }
    args
}

fn controller_manager_args(cluster: &Cluster) -> Vec<String> {
    let pki = cluster.directory.join("pki");
    let file = |path: &Path| path.display().to_string();
    vec![
        format!("--kubeconfig={}", file(&cluster.kubeconfig())),
        String::from("--controllers=*,bootstrapsigner,tokencleaner"),
        format!("--root-ca-file={}", file(&pki.join("ca.crt"))),
        format!("--service-account-private-key-file={}", file(&pki.join("service-accounts.key"))),
        format!("--cluster-signing-cert-file={}", file(&pki.join("ca.crt"))),
        format!("--cluster-signing-key-file={}", file(&pki.join("ca.key"))),
        format!("--cluster-cidr={}", cluster.pod_cidr()),
        // One controller manager per cluster, and none of its endpoints is wanted.
        String::from("--leader-elect=false"),
        String::from("--secure-port=0"),
    ]
}

const AUDIT_POLICY: &str = r"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: RequestResponse
    resources:
      - group: clusters.clusternet.io
      - group: proxies.clusternet.io
  - level: Metadata
    verbs: [create, update, patch, delete, deletecollection]
  - level: None
";
