//! A parent that keeps Manifests and CustomResourceDefinitions, tries out objects, and answers reviews.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use apiserver::{Authorizer, RequestInfo, User, full};
use bytes::Bytes;
use futures_util::{future::BoxFuture, stream};
use http::{HeaderMap, Method, Request, Response, Uri, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use kubeio::{Body, BoxError, Error, Lane, Transport};
use meta::{LabelSelector, Status, StatusCause};
use parking_lot::Mutex;
use runtime::Tasks;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::service_fn;

use crate::{Catalogue, Shadow, schema::tests::apps_json, serve::Asking};

const MANIFESTS: &str = "/apis/apps.clusternet.io/v1alpha1/namespaces/clusternet-reserved/manifests";
const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(super) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// The shadow API over a parent.
pub(super) struct World {
    shadow: Shadow,
    pub(super) parent: Arc<Parent>,
    pub(super) catalogue: watch::Receiver<Arc<Catalogue>>,
    _tasks: Tasks,
}

/// An answer whose body has arrived.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn warnings(&self) -> String {
        let all = self.headers.get_all(header::WARNING).iter();
        all.filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join("\n")
    }

    /// The names of the items.
    pub(super) fn names(&self) -> Vec<&str> {
        let items = self.body["items"].as_array().unwrap_or_else(|| panic!("no list: {}", self.body));
        items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
    }
}

impl World {
    pub(super) async fn new() -> Self {
        let parent = Arc::new(Parent::default());
        let tasks = Tasks::new();
        let mut catalogue = Catalogue::follow(&tasks, parent.clone());
        until(&mut catalogue, Catalogue::is_known).await;
        let authorizer = Authorizer::new(parent.reviewer());
        let shadow =
            Shadow::new(parent.clone(), "clusternet-reserved".to_owned(), catalogue.clone(), authorizer);
        Self { shadow, parent, catalogue, _tasks: tasks }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], json!(null)).await
    }

    pub(super) async fn table(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[("accept", TABLE)], json!(null)).await
    }

    pub(super) async fn post(&self, path: &str, object: Value) -> Answer {
        self.send(Method::POST, path, &[], object).await
    }

    pub(super) async fn put(&self, path: &str, object: Value) -> Answer {
        self.send(Method::PUT, path, &[], object).await
    }

    pub(super) async fn patch(&self, kind: &'static str, path: &str, patch: Value) -> Answer {
        let content_type = match kind {
            "json" => "application/json-patch+json",
            "merge" => "application/merge-patch+json",
            "strategic" => "application/strategic-merge-patch+json",
            _ => "application/apply-patch+yaml",
        };
        self.send(Method::PATCH, path, &[("content-type", content_type)], patch).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], json!(null)).await
    }

    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: Value,
    ) -> Answer {
        let response = self.open(method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("no JSON: {body:?}"));
        Answer { code: parts.status.as_u16(), headers: parts.headers, body }
    }

    /// The answer before its body has arrived.
    pub(super) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: Value,
    ) -> Response<apiserver::Body> {
        let uri: Uri = format!("/apis/shadow/v1alpha1/{path}").replace(' ', "%20").parse().unwrap();
        let info = RequestInfo::parse(&method, &uri).unwrap();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let user = User::new("jane", &["dev"]);
        let asking =
            Asking { user: &user, info: &info, headers: &headers, query: uri.query().unwrap_or_default() };
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.shadow.inner().serve(&asking, body.as_bytes()).await;
        answer.unwrap_or_else(|status| apiserver::status_response(&status))
    }

    /// Waits until the catalogue has what is wanted.
    pub(super) async fn until(&mut self, wanted: impl Fn(&Catalogue) -> bool) {
        until(&mut self.catalogue, wanted).await;
    }
}

async fn until(catalogue: &mut watch::Receiver<Arc<Catalogue>>, wanted: impl Fn(&Catalogue) -> bool) {
    let found = catalogue.wait_for(|catalogue| wanted(catalogue));
    tokio::time::timeout(Duration::from_secs(20), found).await.expect("in time").expect("the follower lives");
}

/// The fake.
#[derive(Default)]
pub(super) struct Parent {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// By path.
    objects: BTreeMap<String, Value>,
    /// Version, path, type, object.
    events: Vec<(u64, String, &'static str, Value)>,
    version: u64,
    /// Method and path of every request but discovery.
    asked: Vec<String>,
    denied: Vec<String>,
    reviews: Vec<Value>,
    /// Changes an object once, just before the next write of it.
    meddling: Option<Value>,
}

impl Parent {
    /// A Manifest as it is stored.
    pub(super) fn manifest(&self, name: &str) -> Option<Value> {
        self.state.lock().objects.get(&format!("{MANIFESTS}/{name}")).cloned()
    }

    /// The names of all Manifests.
    pub(super) fn manifests(&self) -> Vec<String> {
        let state = self.state.lock();
        let names = state.objects.keys().filter_map(|path| path.strip_prefix(MANIFESTS)?.strip_prefix('/'));
        names.map(str::to_owned).collect()
    }

    /// What was asked, as `METHOD PATH`, where the path holds `part`.
    pub(super) fn asked(&self, part: &str) -> Vec<String> {
        self.state.lock().asked.iter().filter(|asked| asked.contains(part)).cloned().collect()
    }

    /// Puts a Manifest there by hand.
    pub(super) fn store(&self, name: &str, manifest: Value) {
        self.state.lock().put(&format!("{MANIFESTS}/{name}"), manifest);
        self.tell();
    }

    /// Somebody else merges this into the next Manifest that is replaced.
    pub(super) fn meddle(&self, patch: Value) {
        self.state.lock().meddling = Some(patch);
    }

    pub(super) fn define(&self, definition: Value) {
        let name = definition["metadata"]["name"].as_str().unwrap().to_owned();
        self.state.lock().put(&format!("{DEFINITIONS}/{name}"), definition);
        self.tell();
    }

    pub(super) fn undefine(&self, name: &str) {
        self.state.lock().delete(&format!("{DEFINITIONS}/{name}"));
        self.tell();
    }

    /// Refuses the right to `VERB RESOURCE.GROUP`.
    pub(super) fn deny(&self, what: &str) {
        self.state.lock().denied.push(what.to_owned());
    }

    pub(super) fn reviews(&self) -> Vec<Value> {
        self.state.lock().reviews.clone()
    }

    fn tell(&self) {
        let version = self.state.lock().version;
        self.changes.send_replace(version);
    }

    fn reviewer(self: &Arc<Self>) -> kube::Client {
        let parent = self.clone();
        let service = service_fn(move |request: Request<kube::client::Body>| {
            let parent = parent.clone();
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let review: Value = serde_json::from_slice(&body).unwrap();
                let of = |key: &str| {
                    review["spec"]["resourceAttributes"][key].as_str().unwrap_or_default().to_owned()
                };
                let what = format!("{} {}.{}", of("verb"), of("resource"), of("group"));
                let mut state = parent.state.lock();
                let allowed = !state.denied.contains(&what);
                state.reviews.push(review["spec"]["resourceAttributes"].clone());
                drop(state);
                Ok::<_, Infallible>(Response::new(full(
                    json!({ "status": { "allowed": allowed } }).to_string(),
                )))
            }
        });
        kube::Client::new(service, "default")
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Body> {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        let parameter = |name: &str| apiserver::parameter(query, name);
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let accept =
            request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if ["/api", "/apis"].contains(&path) {
            return discovery(path, accept);
        }
        if let Some(group_version) = path.strip_prefix("/openapi/v3/") {
            return json_answer(200, &if group_version == "apis/apps/v1" { apps_json() } else { json!({}) });
        }
        let mut state = self.state.lock();
        state.asked.push(format!("{} {}", request.method(), request.uri()));
        let is_collection = [MANIFESTS, DEFINITIONS].contains(&path);
        let dry = parameter("dryRun").is_some();
        let answer = match *request.method() {
            Method::GET if is_collection && parameter("watch").is_some() => {
                let from = parameter("resourceVersion")
                    .and_then(|version| version.parse().ok())
                    .unwrap_or(state.version);
                drop(state);
                return self.watched(path, from, &parameter("labelSelector").unwrap_or_default());
            }
            Method::GET if is_collection => {
                Ok(state.list(path, &parameter("labelSelector").unwrap_or_default()))
            }
            Method::GET => state.objects.get(path).cloned().ok_or_else(|| not_found(path)),
            Method::POST if path == MANIFESTS => state.create(path, body, dry),
            Method::POST => try_out(path, body, dry),
            Method::PUT => state.replace(path, body, dry),
            Method::PATCH => state.apply(path, &body, dry, parameter("force").is_some()),
            Method::DELETE => state.remove(path, &body, dry),
            _ => Err(Status::method_not_allowed("no")),
        };
        drop(state);
        self.tell();
        match answer {
            Ok(object) => json_answer(if *request.method() == Method::POST { 201 } else { 200 }, &object),
            Err(status) => json_answer(status.code, &serde_json::from_str(&status.to_json()).unwrap()),
        }
    }

    fn watched(&self, path: &str, from: u64, selector: &str) -> Response<Body> {
        let selector = LabelSelector::parse(selector).unwrap();
        let parent_events = |state: &State, after: u64| -> String {
            let inside = format!("{path}/");
            let text = state.events.iter().filter(|(version, at, _, object)| {
                *version > after && at.starts_with(&inside) && selector.matches(&labels(object))
            });
            text.fold(String::new(), |mut lines, (_, _, kind, object)| {
                lines.push_str(&json!({ "type": kind, "object": object }).to_string());
                lines.push('\n');
                lines
            })
        };
        // Later events are found by asking again: what the follower does after a watch has ended.
        // Subscribed first: what changes in between ends this watch at once.
        let changes = self.changes.subscribe();
        let lines = parent_events(&self.state.lock(), from);
        let frames = stream::unfold(Some(lines), move |lines| {
            let mut changes = changes.clone();
            async move {
                let lines = lines?;
                if lines.is_empty() {
                    // It ends with the next change, which the next watch then tells.
                    let _ = changes.changed().await;
                    return None;
                }
                Some((Ok::<_, BoxError>(Frame::data(Bytes::from(lines))), Some(String::new())))
            }
        });
        answer("application/json", StreamBody::new(frames).boxed_unsync())
    }
}

impl State {
    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let name = path.rsplit('/').next().unwrap();
        let new = !self.objects.contains_key(path);
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(name);
        metadata["resourceVersion"] = json!(self.version.to_string());
        if new {
            metadata["uid"] = json!(format!("uid-{}", self.version));
            metadata["creationTimestamp"] = json!("2026-01-02T03:04:05Z");
        }
        self.objects.insert(path.to_owned(), object.clone());
        let kind = if new { "ADDED" } else { "MODIFIED" };
        self.events.push((self.version, path.to_owned(), kind, object.clone()));
        object
    }

    fn delete(&mut self, path: &str) {
        self.version += 1;
        if let Some(mut object) = self.objects.remove(path) {
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.events.push((self.version, path.to_owned(), "DELETED", object));
        }
    }

    fn list(&self, path: &str, selector: &str) -> Value {
        let selector = LabelSelector::parse(selector).unwrap();
        let inside = format!("{path}/");
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(at, object)| at.starts_with(&inside) && selector.matches(&labels(object)))
            .map(|(_, object)| object)
            .collect();
        json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": self.version.to_string() }, "items": items })
    }

    fn create(&mut self, collection: &str, object: Value, dry: bool) -> Result<Value, Status> {
        let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap());
        if self.objects.contains_key(&path) {
            return Err(Status::new(409, "AlreadyExists", "taken"));
        }
        Ok(if dry { object } else { self.put(&path, object) })
    }

    fn replace(&mut self, path: &str, object: Value, dry: bool) -> Result<Value, Status> {
        if let Some(patch) = self.meddling.take() {
            let mut other = self.objects[path].clone();
            json_patch::merge(&mut other, &patch);
            self.put(path, other);
        }
        let before = self.objects.get(path).ok_or_else(|| not_found(path))?;
        let sent = &object["metadata"]["resourceVersion"];
        if !sent.is_null() && *sent != before["metadata"]["resourceVersion"] {
            return Err(Status::conflict("changed meanwhile"));
        }
        Ok(if dry { object } else { self.put(path, object) })
    }

    /// Fields that are there with another value belong to somebody else.
    fn apply(&mut self, path: &str, object: &Value, dry: bool, force: bool) -> Result<Value, Status> {
        let mut merged = self.objects.get(path).cloned().unwrap_or_else(|| json!({ "metadata": {} }));
        let replicas = |object: &Value| object["template"]["spec"]["replicas"].clone();
        let conflict = !replicas(&merged).is_null()
            && !replicas(object).is_null()
            && replicas(&merged) != replicas(object);
        if conflict && !force {
            let mut status = Status::conflict(
                "Apply failed with 1 conflict: conflict with \"other\": .template.spec.replicas",
            );
            status.details.get_or_insert_default().causes = vec![StatusCause {
                reason: "FieldManagerConflict".to_owned(),
                message: "conflict with \"other\"".to_owned(),
                field: ".template.spec.replicas".to_owned(),
            }];
            return Err(status);
        }
        json_patch::merge(&mut merged, object);
        Ok(if dry { merged } else { self.put(path, merged) })
    }

    fn remove(&mut self, path: &str, options: &Value, dry: bool) -> Result<Value, Status> {
        let before = self.objects.get(path).ok_or_else(|| not_found(path))?;
        let wanted = &options["preconditions"]["uid"];
        if !wanted.is_null() && *wanted != before["metadata"]["uid"] {
            return Err(Status::conflict("another uid"));
        }
        if !dry {
            self.delete(path);
        }
        Ok(json!({ "kind": "Status", "status": "Success" }))
    }
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default()
}

fn not_found(path: &str) -> Status {
    Status::not_found("no such object").about("", "", path.rsplit('/').next().unwrap())
}

/// What an API server makes of an object before it stores it.
fn try_out(path: &str, mut object: Value, dry: bool) -> Result<Value, Status> {
    assert!(dry, "the hub may create nothing but Manifests: {path}");
    assert_eq!(object["metadata"]["namespace"], "clusternet-reserved");
    if object["metadata"]["name"] == "kube-root-ca.crt" {
        return Err(Status::new(409, "AlreadyExists", "taken"));
    }
    object["metadata"]["uid"] = json!("dry");
    object["metadata"]["creationTimestamp"] = json!("2026-01-02T03:04:05Z");
    object["metadata"]["managedFields"] = json!([{}]);
    match object["kind"].as_str() {
        Some("Deployment") => {
            if object["spec"]["selector"].is_null() {
                return Err(Status::invalid("spec.selector: Required value"));
            }
            object["spec"]["strategy"]["type"] = json!("RollingUpdate");
            object["status"] = json!({});
        }
        Some("Service") => {
            if object["spec"]["clusterIP"] != "None" {
                object["spec"]["clusterIP"] = json!("10.0.0.7");
                object["spec"]["clusterIPs"] = json!(["10.0.0.7"]);
            }
            if object["spec"]["type"] == "NodePort" {
                object["spec"]["ports"][0]["nodePort"] = json!(30_080);
            }
            object["spec"]["ipFamilies"] = json!(["IPv4"]);
        }
        _ => {}
    }
    Ok(object)
}

fn discovery(path: &str, accept: &str) -> Response<Body> {
    type Kinds = &'static [(&'static str, &'static str, bool)];
    let groups: &[(&str, &str, Kinds)] = if path == "/api" {
        &[(
            "",
            "v1",
            &[
                ("configmaps", "ConfigMap", true),
                ("services", "Service", true),
                ("namespaces", "Namespace", false),
            ],
        )]
    } else {
        &[
            ("apps", "v1", &[("deployments", "Deployment", true)]),
            ("rbac.authorization.k8s.io", "v1", &[("clusterroles", "ClusterRole", false)]),
        ]
    };
    if !accept.contains("APIGroupDiscoveryList") {
        let names: Vec<Value> = groups.iter().map(|(name, ..)| json!({ "name": name })).collect();
        return json_answer(200, &json!({ "kind": "APIGroupList", "groups": names }));
    }
    let items: Vec<Value> = groups
        .iter()
        .map(|(name, version, kinds)| {
            let resources: Vec<Value> = kinds
                .iter()
                .map(|(plural, kind, namespaced)| {
                    json!({ "resource": plural, "responseKind": { "kind": kind }, "singularResource": "",
                            "scope": if *namespaced { "Namespaced" } else { "Cluster" },
                            "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"] })
                })
                .collect();
            json!({ "metadata": { "name": name }, "versions": [{ "version": version, "resources": resources, "freshness": "Current" }] })
        })
        .collect();
    let body = json!({ "kind": "APIGroupDiscoveryList", "items": items }).to_string();
    answer("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", full(body))
}

fn json_answer(code: u16, value: &Value) -> Response<Body> {
    let mut response = answer("application/json", full(value.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}

fn answer(content_type: &'static str, body: Body) -> Response<Body> {
    Response::builder().header(header::CONTENT_TYPE, content_type).body(body).unwrap()
}

impl Transport for Parent {
    fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(async move { Ok(self.answer(&request)) })
    }
}
