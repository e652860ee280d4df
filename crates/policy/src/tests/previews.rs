//! What somebody is told who tries a policy.

use std::{collections::BTreeMap, sync::Arc};

use api::policy::ClusterImportPolicy;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use kubeio::{Body, Error, Lane, Transport};
use serde_json::{Value, json};
use testkit::apiserver::{ApiServer, SECRETS};

use crate::preview::{Preview, preview};

const SOURCES: &str = "/apis/cluster.mcp.io/v1/clusters";

/// A server with lists, and single objects beside them.
struct Live {
    server: Arc<ApiServer>,
    objects: BTreeMap<String, (u16, Value)>,
}

impl Transport for Live {
    fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let answer = match self.objects.get(request.uri().path()) {
            Some((code, object)) => {
                let body = Full::new(Bytes::from(object.to_string()));
                let body = body.map_err(|never| match never {}).boxed_unsync();
                let response = Response::builder().status(*code).header("content-type", "application/json");
                response.body(body).ok()
            }
            None => self.server.answer(&request.uri().to_string()),
        };
        Box::pin(async { answer.ok_or_else(|| Error::Unreachable("connection refused".into())) })
    }
}

impl Live {
    fn new() -> Self {
        let server = ApiServer::new();
        server.serve(SOURCES, "Cluster", false);
        Self { server, objects: BTreeMap::new() }
    }

    fn cluster(&self, name: &str, spec: &Value) {
        self.server.put(SOURCES, "", name, &json!({}), &json!({ "spec": spec }));
    }

    fn object(&mut self, path: &str, code: u16, object: Value) {
        self.objects.insert(path.to_owned(), (code, object));
    }

    async fn previews(self, policy: &ClusterImportPolicy, only: Option<(&str, &str)>) -> Vec<Preview> {
        let transport: Arc<dyn Transport> = Arc::new(self);
        preview(&transport, policy, only, "clusternet-system").await.unwrap()
    }
}

fn secret(name: &str) -> String {
    format!("/api/v1/namespaces/ns/secrets/{name}")
}

fn token() -> Value {
    json!({ "metadata": { "namespace": "ns" }, "type": "Opaque", "data": { "token": "dA==" } })
}

/// Of clusters, each with a Secret of its name.
fn policy() -> ClusterImportPolicy {
    let policy = json!({
        "apiVersion": "policy.clusterpedia.io/v1alpha1", "kind": "ClusterImportPolicy", "metadata": { "name": "mcp" },
        "spec": {
            "source": { "group": "cluster.mcp.io", "resource": "clusters" },
            "references": [{ "key": "s", "group": "", "resource": "secrets", "namespaceTemplate": "ns",
                             "nameTemplate": "{{ .source.metadata.name }}" }],
            "nameTemplate": "mcp-{{ .source.spec.name | default .source.metadata.name }}",
            "template": "spec: { apiserver: a, tokenData: '{{ .references.s.data.token }}', syncResources: [] }",
            "creationCondition": "true",
        },
    });
    serde_json::from_value(policy).unwrap()
}

/// Of Secrets in one namespace, of which it needs nothing but the metadata.
fn policy_of_secrets() -> ClusterImportPolicy {
    let mut policy = policy();
    policy.spec.source.group = String::new();
    policy.spec.source.resource = String::from("secrets");
    policy.spec.source.namespace = Some(String::from("ns"));
    policy.spec.references.clear();
    policy.spec.template = String::from("spec: { apiserver: a, syncResources: [] }");
    policy
}

#[tokio::test]
async fn one_reference_that_may_not_be_read_stands_in_the_way_of_one_cluster_only() {
    let mut live = Live::new();
    for name in ["a", "b", "c"] {
        live.cluster(name, &json!({}));
    }
    live.object(&secret("a"), 403, json!({ "kind": "Status", "code": 403, "message": "no" }));
    live.object(&secret("b"), 200, token());
    live.object(&secret("c"), 404, json!({ "kind": "Status", "code": 404 }));
    let previews = live.previews(&policy(), None).await;
    let told = |at: usize| match &previews[at] {
        Preview::Nothing { name, message, .. } => (name.clone().unwrap_or_default(), message.clone()),
        other => panic!("{other:?}"),
    };
    let (name, message) = told(0);
    assert_eq!(name, "mcp-a");
    assert!(message.starts_with("you may not read secrets ns/a"), "{message}");
    assert!(
        matches!(&previews[1], Preview::Cluster { cluster, .. } if cluster["spec"]["tokenData"] == "dA=="),
        "{previews:?}"
    );
    assert!(told(2).1.starts_with("there is no secrets ns/c"));
}

#[tokio::test]
async fn of_two_objects_with_one_name_only_the_one_that_has_it_is_shown() {
    for (holder, shown) in [(None, "a"), (Some("b"), "b")] {
        let mut live = Live::new();
        for name in ["a", "b"] {
            live.cluster(name, &json!({ "name": "same" }));
            live.object(&secret(name), 200, token());
        }
        let path = "/apis/policy.clusterpedia.io/v1alpha1/pediaclusterlifecycles/mcp-same";
        let lifecycle = json!({
            "apiVersion": "policy.clusterpedia.io/v1alpha1", "kind": "PediaClusterLifecycle",
            "metadata": { "name": "mcp-same", "ownerReferences": [{
                "apiVersion": "policy.clusterpedia.io/v1alpha1", "kind": "ClusterImportPolicy", "name": "mcp", "uid": "p", "controller": true,
            }] },
            "spec": { "source": { "group": "cluster.mcp.io", "version": "v1", "resource": "clusters", "name": holder.unwrap_or_default() },
                      "template": "", "creationCondition": "" },
        });
        live.object(path, if holder.is_some() { 200 } else { 404 }, lifecycle);
        let previews = live.previews(&policy(), None).await;
        for preview in &previews {
            match preview {
                Preview::Cluster { source, .. } => {
                    assert!(source.ends_with(&format!(" {shown}")), "{source}");
                }
                Preview::Nothing { message, .. } => {
                    assert_eq!(
                        *message,
                        format!("it would have the name \"mcp-same\", which {shown} has already")
                    );
                }
                Preview::Left { .. } => panic!("{preview:?}"),
            }
        }
        assert_eq!(previews.len(), 2);
    }
}

#[tokio::test]
async fn a_secret_that_is_not_for_policies_is_called_that_although_only_metadata_is_needed() {
    let live = Live::new();
    let kind = json!({ "type": "kubernetes.io/service-account-token" });
    live.server.put(SECRETS, "ns", "key", &json!({}), &kind);
    live.server.put(SECRETS, "ns", "other", &json!({}), &json!({ "type": "Opaque" }));
    let previews = live.previews(&policy_of_secrets(), None).await;
    let left = previews.iter().filter_map(|preview| match preview {
        Preview::Left { source, why } => {
            Some((source.as_str(), why.contains("let somebody into the parent")))
        }
        _ => None,
    });
    assert_eq!(left.collect::<Vec<_>>(), [("secrets ns/key", true)], "{previews:?}");
    assert_eq!(previews.len(), 2);
}

#[tokio::test]
async fn one_object_is_looked_for_where_the_policy_looks() {
    let elsewhere = "/api/v1/namespaces/other/secrets/x";
    let at =
        |namespace: &str| json!({ "metadata": { "namespace": namespace, "name": "x" }, "type": "Opaque" });
    let mut live = Live::new();
    live.object(elsewhere, 200, at("other"));
    let previews = live.previews(&policy_of_secrets(), Some(("other", "x"))).await;
    assert!(
        matches!(&previews[..], [Preview::Left { why, .. }] if why == "spec.source.namespace is ns"),
        "{previews:?}"
    );
    let mut live = Live::new();
    live.object(&secret("x"), 200, at("ns"));
    let previews = live.previews(&policy_of_secrets(), Some(("", "x"))).await;
    assert!(matches!(&previews[..], [Preview::Cluster { .. }]), "{previews:?}");
}
