//! An echo behind the parent's aggregation: the reference for what the way through an upgraded connection costs.

use std::time::Duration;

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;

use super::loader::{Loader, Served};
use crate::{cluster::Cluster, fleet::Fleet, wait::until_true};

const GROUP: &str = "echo.bench.clusterway.io";
const SERVICE: &str = "bench-echo";

/// Where the parent answers.
pub(super) const PATH: &str = "/apis/echo.bench.clusterway.io/v1/echoes";

/// The server and its registration; [`Echo::end`] takes both away.
pub(super) struct Echo {
    parent: Cluster,
    _server: Served,
}

impl Echo {
    /// Serves the echo and registers it with the parent; members of `group` may use it.
    pub(super) async fn begin(fleet: &Fleet, loader: &Loader, group: &str) -> anyhow::Result<Self> {
        let parent = fleet.parent()?;
        let certificate = parent.directory.join("bench-echo.crt");
        let args = [
            String::from("serve-echo"),
            format!("--name={SERVICE}.default.svc"),
            format!("--certificate={}", certificate.display()),
        ];
        let server = loader.serve(&args).await?;
        let port: u16 = server.address.rsplit(':').next().context("no port")?.parse()?;
        let bundle = BASE64_STANDARD.encode(std::fs::read(&certificate)?);
        let echo = Self { parent, _server: server };
        echo.parent.apply(&manifest(port, &bundle, group).to_string()).await?;
        let service = format!("v1.{GROUP}");
        let available = [
            "get",
            "apiservice",
            &service,
            "-o",
            "jsonpath={.status.conditions[?(@.type=='Available')].status}",
        ];
        until_true("the parent to reach the echo", Duration::from_secs(30), || async {
            Ok(echo.parent.kubectl_ok(&available).await?.trim() == "True")
        })
        .await?;
        Ok(echo)
    }

    /// Leaves the parent as it was.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        let service = format!("apiservice/v1.{GROUP}");
        let role = format!("clusterrole/{SERVICE}");
        let binding = format!("clusterrolebinding/{SERVICE}");
        self.parent.kubectl_ok(&["delete", &service, &role, &binding]).await?;
        self.parent.kubectl_ok(&["delete", "service", SERVICE, "--namespace=default"]).await?;
        Ok(())
    }
}

fn manifest(port: u16, bundle: &str, group: &str) -> serde_json::Value {
    json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Service",
          "metadata": { "name": SERVICE, "namespace": "default" },
          "spec": { "type": "ExternalName", "externalName": "localhost",
                    "ports": [{ "name": "https", "port": port }] } },
        { "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
          "metadata": { "name": format!("v1.{GROUP}") },
          "spec": { "group": GROUP, "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
                    "caBundle": bundle,
                    "service": { "name": SERVICE, "namespace": "default", "port": port } } },
        { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
          "metadata": { "name": SERVICE },
          "rules": [{ "apiGroups": [GROUP], "resources": ["echoes"], "verbs": ["get", "list", "create"] }] },
        { "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
          "metadata": { "name": SERVICE },
          "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": SERVICE },
          "subjects": [{ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group }] },
    ]})
}
