//! Two clusters with Deployments, ReplicaSets and Pods, of which one has widgets too, and their search API.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use apiserver::{Authorizer, Body, RequestInfo, User, full};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use meta::RawObject;
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::{Batch, Change, ClusterName, Resource, SqliteOptions, SqliteStore};
use tokio::sync::watch;
use tower::service_fn;

use crate::{Catalogue, live::Asker, search::Inner, serve::serve};

pub(super) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
pub(super) const BASE: &str = "/apis/clusterpedia.io/v1beta1";

pub(super) struct World {
    inner: Inner,
    catalogue: watch::Sender<Arc<Catalogue>>,
    /// `resource/subresource name`, with the verb before it if that is not `get`, of every question the parent is to answer with yes.
    pub(super) granted: Arc<Mutex<Vec<String>>>,
    /// The same of every question it was asked.
    pub(super) asked: Arc<Mutex<Vec<String>>>,
    _directory: tempfile::TempDir,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// `cluster/namespace/name` of the items.
    pub(super) fn items(&self) -> Vec<String> {
        let json = self.json();
        let items = json["items"].as_array().unwrap_or_else(|| panic!("no list: {json}"));
        items.iter().map(|item| title(&item["metadata"])).collect()
    }
}

pub(super) fn title(metadata: &Value) -> String {
    let cluster = metadata["annotations"]["shadow.clusterpedia.io/cluster-name"].as_str().unwrap();
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    format!("{cluster}/{namespace}/{}", metadata["name"].as_str().unwrap())
}

impl World {
    /// Two clusters, `c1` and `c2`, each with `web` in `default` and `kube-system`.
    pub(super) async fn new() -> Self {
        let world = Self::empty().await;
        for cluster in ["c1", "c2"] {
            let mut objects = BTreeMap::<Resource, Vec<Value>>::new();
            for namespace in ["default", "kube-system"] {
                let own = |kind: &str, name: &str| {
                    json!({"apiVersion": "apps/v1", "kind": kind, "name": name,
                           "uid": format!("{cluster}-{namespace}-{kind}-{name}"), "controller": true})
                };
                let object = |api: &str, kind: &str, name: &str, owner: Option<Value>, rest: Value| {
                    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {
                        "name": name, "namespace": namespace, "uid": format!("{cluster}-{namespace}-{kind}-{name}"),
                        "resourceVersion": "7", "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"app": "web"},
                        "ownerReferences": owner.into_iter().collect::<Vec<_>>(),
                    }});
                    object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
                    object
                };
                let mut put = |group: &str, plural: &str, object| {
                    objects.entry(Resource::new(group, "v1", plural)).or_default().push(object);
                };
                let scale = json!({"spec": {"replicas": 1}, "status": {"replicas": 1, "readyReplicas": 1}});
                put("apps", "deployments", object("apps/v1", "Deployment", "web", None, scale.clone()));
                let owner = own("Deployment", "web");
                put("apps", "replicasets", object("apps/v1", "ReplicaSet", "web-1", Some(owner), scale));
                let pod = json!({"spec": {"nodeName": "n1", "containers": [{"name": "app"}]},
                                 "status": {"phase": "Running"}});
                put("", "pods", object("v1", "Pod", "web-1-a", Some(own("ReplicaSet", "web-1")), pod));
            }
            for name in ["default", "kube-system"] {
                let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
                objects.entry(Resource::new("", "v1", "namespaces")).or_default().push(namespace);
            }
            if cluster == "c1" {
                let widget = json!({"apiVersion": "demo.io/v1", "kind": "Widget",
                                    "metadata": {"name": "w", "namespace": "default"}, "spec": {"size": 3}});
                objects.insert(Resource::new("demo.io", "v1", "widgets"), vec![widget]);
            }
            for (resource, objects) in objects {
                world.put(cluster, resource, &objects).await;
            }
        }
        world
    }

    pub(super) async fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteOptions::new(directory.path().join("search.db"))).await.unwrap();
        let (catalogue, known) = watch::channel(Arc::new(Catalogue::default()));
        let (granted, asked) = (Arc::default(), Arc::default());
        let authorizer = Authorizer::new(parent(&granted, &asked));
        let deadline = Duration::from_secs(600);
        let inner = Inner { store: Arc::new(store), catalogue: known, authorizer, deadline, live: None };
        Self { inner, catalogue, granted, asked, _directory: directory }
    }

    pub(super) fn know(&self, catalogue: Catalogue) {
        self.catalogue.send_replace(Arc::new(catalogue));
    }

    pub(super) async fn put(&self, cluster: &str, resource: Resource, objects: &[Value]) {
        let raw = |object: &Value| RawObject::from_json(object.to_string().as_bytes(), "", "").unwrap();
        let changes = objects.iter().map(|object| Change::Upsert(raw(object))).collect();
        self.change(cluster, resource, changes).await;
    }

    pub(super) async fn describe(&self, cluster: &str, resource: &Resource, text: &str) {
        self.inner.store.describe(&ClusterName::new(cluster), resource, text.into()).await.unwrap();
    }

    pub(super) async fn change(&self, cluster: &str, resource: Resource, changes: Vec<Change>) {
        let batch = Batch { cluster: ClusterName::new(cluster), resource, changes, checkpoint: None };
        self.inner.store.apply(batch).await.unwrap();
    }

    /// An administrator's GET below [`BASE`].
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(&User::new("admin", &["system:masters"]), Method::GET, path, "application/json").await
    }

    /// `kubectl get`.
    pub(super) async fn table(&self, path: &str) -> Value {
        let answer = self.ask(&User::new("admin", &["system:masters"]), Method::GET, path, TABLE).await;
        assert_eq!(answer.code, 200, "{answer:?}");
        answer.json()
    }

    pub(super) async fn ask(&self, user: &User, method: Method, path: &str, accept: &str) -> Answer {
        self.send(user, method, path, &[("accept", accept)]).await
    }

    /// A request with headers, below [`BASE`].
    pub(super) async fn send(
        &self,
        user: &User,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Answer {
        let (parts, body) = self.response(user, method, path, headers).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes().into();
        Answer { code: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The answer before its body has arrived.
    pub(super) async fn response(
        &self,
        user: &User,
        method: Method,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Response<Body> {
        let uri: Uri = format!("{BASE}{path}").replace(' ', "%20").parse().unwrap();
        let info = RequestInfo::parse(&method, &uri).unwrap();
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let asker = Asker { user, info: &info, audit_id: "a", permit: None };
        let response =
            serve(&self.inner, &format!("{BASE}/"), &asker, request.body(full("sent")).unwrap()).await;
        response.unwrap_or_else(|status| apiserver::status_response(&status))
    }

    pub(super) fn inner(&mut self) -> &mut Inner {
        &mut self.inner
    }
}

/// A parent that answers SubjectAccessReviews.
fn parent(granted: &Arc<Mutex<Vec<String>>>, asked: &Arc<Mutex<Vec<String>>>) -> kube::Client {
    let (granted, asked) = (granted.clone(), asked.clone());
    let service = service_fn(move |request: Request<kube::client::Body>| {
        let (granted, asked) = (granted.clone(), asked.clone());
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let review: Value = serde_json::from_slice(&body).unwrap();
            let of = |key: &str| review["spec"]["resourceAttributes"][key].as_str().unwrap().to_owned();
            let verb = Some(of("verb")).filter(|verb| verb != "get").map(|verb| format!("{verb} "));
            let verb = verb.unwrap_or_default();
            let question = format!("{verb}{}/{} {}", of("resource"), of("subresource"), of("name"));
            let allowed = granted.lock().contains(&question);
            asked.lock().push(question);
            Ok::<_, Infallible>(Response::new(full(json!({"status": {"allowed": allowed}}).to_string())))
        }
    });
    kube::Client::new(service, "default")
}
