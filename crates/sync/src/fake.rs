//! A parent and a cluster for tests.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use api::pedia::{CaKind, PediaClusterStatus};
use bytes::Bytes;
use futures_util::{future::BoxFuture, stream};
use http::{Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kubeio::{Body, BoxError, Error, Lane, Transport};
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::{
    Answer, Applied, Batch, Checkpoint, ClusterName, Generation, ObjectName, Query, Resource, Row, Rows,
    SqliteStore, Store, StoredVersion,
};
use tokio::sync::watch;

use crate::parent::{Parent, ParentError};

/// A parent that remembers what was written.
#[derive(Default)]
pub(crate) struct FakeParent {
    values: Mutex<HashMap<String, Vec<u8>>>,
    pub(crate) statuses: Mutex<Vec<PediaClusterStatus>>,
    pub(crate) finalizers: Mutex<Vec<bool>>,
}

impl FakeParent {
    pub(crate) fn set(&self, kind: CaKind, name: &str, key: &str, value: &str) {
        self.values.lock().insert(format!("{kind:?}/{name}/{key}"), value.as_bytes().to_vec());
    }

    /// The status that was written last, in short.
    pub(crate) fn conditions(&self) -> Vec<String> {
        let statuses = self.statuses.lock();
        let conditions = statuses.last().map(|status| status.conditions.clone()).unwrap_or_default();
        conditions.iter().map(|c| format!("{} {}", c.type_, c.reason)).collect()
    }
}

impl Parent for FakeParent {
    fn value<'a>(
        &'a self,
        kind: CaKind,
        name: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Vec<u8>, ParentError>> {
        let id = format!("{kind:?}/{name}/{key}");
        let value = self.values.lock().get(&id).cloned();
        Box::pin(async move { value.ok_or(ParentError::Missing(id)) })
    }

    fn write_status<'a>(
        &'a self,
        _: &'a str,
        status: &'a PediaClusterStatus,
    ) -> BoxFuture<'a, Result<(), ParentError>> {
        self.statuses.lock().push(status.clone());
        Box::pin(async { Ok(()) })
    }

    fn set_finalizer<'a>(&'a self, _: &'a str, wanted: bool) -> BoxFuture<'a, Result<(), ParentError>> {
        self.finalizers.lock().push(wanted);
        Box::pin(async { Ok(()) })
    }
}

/// A cluster that keeps its objects and their history in memory, and serves discovery, lists and watches.
pub(crate) struct FakeCluster {
    state: Mutex<State>,
    /// Wakes the watches.
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    version: u64,
    /// What happened before is forgotten.
    oldest: u64,
    /// By path of the resource, namespace and name.
    objects: BTreeMap<(String, String, String), (u64, Value)>,
    history: Vec<(u64, &'static str, String, Value)>,
    /// Paths of resources, with kind and whether there are namespaces.
    apis: BTreeMap<String, (&'static str, bool)>,
    forbidden: BTreeSet<String>,
    /// Lists of these never end.
    stalls: BTreeSet<String>,
    down: bool,
    asked: Vec<String>,
}

impl FakeCluster {
    pub(crate) fn new() -> Arc<Self> {
        let cluster = Self { state: Mutex::default(), changed: watch::Sender::new(()) };
        cluster.state.lock().version = 10;
        for (path, kind, namespaced) in [
            ("/api/v1/pods", "Pod", true),
            ("/api/v1/secrets", "Secret", true),
            ("/api/v1/nodes", "Node", false),
        ] {
            cluster.serve(path, kind, namespaced);
        }
        Arc::new(cluster)
    }

    /// Has a resource from now on.
    pub(crate) fn serve(&self, path: &str, kind: &'static str, namespaced: bool) {
        self.change(|state| {
            state.apis.insert(path.to_owned(), (kind, namespaced));
        });
    }

    /// Has a resource no longer, nor its objects.
    pub(crate) fn unserve(&self, path: &str) {
        self.change(|state| {
            state.apis.remove(path);
            state.objects.retain(|(of, _, _), _| of != path);
        });
    }

    /// Makes or changes an object; `rest` is what it has beside its metadata.
    pub(crate) fn put(&self, path: &str, namespace: &str, name: &str, labels: &Value, rest: &Value) {
        self.change(|state| {
            state.version += 1;
            let key = (path.to_owned(), namespace.to_owned(), name.to_owned());
            let mut object = json!({ "metadata": {
                "name": name, "uid": name, "labels": labels, "resourceVersion": state.version.to_string(),
            }});
            if !namespace.is_empty() {
                object["metadata"]["namespace"] = namespace.into();
            }
            for (member, value) in rest.as_object().into_iter().flatten() {
                object[member] = value.clone();
            }
            let version = state.version;
            let kind = if state.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
            state.history.push((version, kind, path.to_owned(), object.clone()));
            state.objects.insert(key, (version, object));
        });
    }

    pub(crate) fn pod(&self, namespace: &str, name: &str) {
        self.put("/api/v1/pods", namespace, name, &json!({}), &json!({}));
    }

    pub(crate) fn delete(&self, path: &str, namespace: &str, name: &str) {
        self.change(|state| {
            let key = (path.to_owned(), namespace.to_owned(), name.to_owned());
            if let Some((_, mut object)) = state.objects.remove(&key) {
                state.version += 1;
                object["metadata"]["resourceVersion"] = state.version.to_string().into();
                state.history.push((state.version, "DELETED", path.to_owned(), object));
            }
        });
    }

    /// Forgets the history, as a cluster does after some minutes.
    pub(crate) fn forget(&self) {
        self.change(|state| {
            state.version += 1;
            state.oldest = state.version;
            state.history.clear();
        });
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.change(|state| state.down = down);
    }

    pub(crate) fn forbid(&self, path: &str) {
        self.change(|state| {
            state.forbidden.insert(path.to_owned());
        });
    }

    pub(crate) fn stall(&self, path: &str) {
        self.change(|state| {
            state.stalls.insert(path.to_owned());
        });
    }

    /// How many lists of whole objects of a resource were asked for.
    pub(crate) fn lists(&self, path: &str) -> usize {
        let of = |asked: &&String| asked.starts_with(path) && asked.contains("limit=500");
        self.state.lock().asked.iter().filter(of).count()
    }

    /// Namespaces and names of the objects it has.
    pub(crate) fn names(&self, path: &str) -> BTreeSet<String> {
        let state = self.state.lock();
        let of = state.objects.keys().filter(|(of, _, _)| of == path);
        of.map(|(_, namespace, name)| format!("{namespace}/{name}")).collect()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.send_replace(());
    }

    fn answer(self: &Arc<Self>, uri: &str) -> Result<Response<Body>, Error> {
        let mut state = self.state.lock();
        state.asked.push(uri.to_owned());
        if state.down {
            return Err(Error::Unreachable("connection refused".into()));
        }
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let query: HashMap<String, String> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.replace("%3D", "=")))
            .collect();
        match path {
            "/readyz" => return Ok(whole(200, &json!("ok"), "text/plain")),
            "/version" => return Ok(whole(200, &json!({ "gitVersion": "v1.33.1" }), "application/json")),
            "/api" | "/apis" => return Ok(whole(200, &state.discovery(path), DISCOVERY)),
            _ => {}
        }
        let (of, namespace) = resource(path);
        if state.forbidden.contains(&of) {
            return Ok(refused(403, r#"pods is forbidden: User "bob" cannot list resource "pods""#));
        }
        let built_in = of.contains("customresourcedefinitions") || of.contains("apiservices");
        if !state.apis.contains_key(&of) && !built_in {
            return Ok(refused(404, "the server could not find the requested resource"));
        }
        let wanted = Wanted { of, namespace, labels: query.get("labelSelector").cloned() };
        if query.contains_key("watch") {
            let since = query["resourceVersion"].parse().unwrap();
            if since < state.oldest {
                return Ok(refused(410, "too old resource version"));
            }
            drop(state);
            return Ok(self.watch(wanted, since));
        }
        if state.stalls.contains(&wanted.of) {
            let nothing = stream::pending::<Result<Frame<Bytes>, BoxError>>();
            return Ok(json_response(200, StreamBody::new(nothing).boxed_unsync(), "application/json"));
        }
        let items: Vec<&Value> = state
            .objects
            .iter()
            .filter(|((of, _, _), (_, object))| *of == wanted.of && wanted.has(object))
            .map(|(_, (_, object))| object)
            .collect();
        let list = json!({ "metadata": { "resourceVersion": state.version.to_string() }, "items": items });
        Ok(whole(200, &list, "application/json"))
    }

    fn watch(self: &Arc<Self>, wanted: Wanted, since: u64) -> Response<Body> {
        let state = (Arc::clone(self), self.changed.subscribe(), wanted, since);
        let frames = stream::unfold(state, |(cluster, mut changed, wanted, mut since)| async move {
            loop {
                changed.borrow_and_update();
                let (text, down) = {
                    let state = cluster.state.lock();
                    let new = state
                        .history
                        .iter()
                        .filter(|(version, _, of, _)| *version > since && *of == wanted.of);
                    let mut text = String::new();
                    for (_, kind, _, object) in new {
                        text += &wanted.event(kind, object, &state);
                    }
                    since = since.max(state.version);
                    (text, state.down)
                };
                if down {
                    return Some((Err("connection reset".into()), (cluster, changed, wanted, since)));
                }
                if !text.is_empty() {
                    return Some((Ok(Frame::data(Bytes::from(text))), (cluster, changed, wanted, since)));
                }
                changed.changed().await.ok()?;
            }
        });
        json_response(200, StreamBody::new(frames).boxed_unsync(), "application/json")
    }
}

/// What a list or a watch asks for.
struct Wanted {
    of: String,
    namespace: Option<String>,
    /// One requirement, `key=value`.
    labels: Option<String>,
}

impl Wanted {
    fn has(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let here = self.namespace.as_deref().is_none_or(|namespace| metadata["namespace"] == namespace);
        here && self.labels.as_deref().is_none_or(|selector| {
            let (key, value) = selector.split_once('=').unwrap();
            metadata["labels"][key] == value
        })
    }

    /// As a server tells it: what no longer fits the selector is deleted for the watcher.
    fn event(&self, kind: &str, object: &Value, _: &State) -> String {
        let whole = Self { labels: None, of: String::new(), namespace: self.namespace.clone() };
        let kind = match (whole.has(object), self.has(object)) {
            (false, _) => return String::new(),
            (true, false) => "DELETED",
            (true, true) => kind,
        };
        format!("{}\n", json!({ "type": kind, "object": object }))
    }
}

impl State {
    fn discovery(&self, root: &str) -> Value {
        let mut groups: BTreeMap<String, BTreeMap<String, Vec<Value>>> = BTreeMap::new();
        for (path, (kind, namespaced)) in &self.apis {
            let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
            let (group, version, plural) = match (root, &parts[..]) {
                ("/api", ["api", version, plural]) => ("", *version, *plural),
                ("/apis", ["apis", group, version, plural]) => (*group, *version, *plural),
                _ => continue,
            };
            let entry = json!({
                "resource": plural,
                "responseKind": { "group": group, "version": version, "kind": kind },
                "scope": if *namespaced { "Namespaced" } else { "Cluster" },
                "singularResource": kind.to_lowercase(),
                "verbs": ["get", "list", "watch"],
            });
            groups.entry(group.to_owned()).or_default().entry(version.to_owned()).or_default().push(entry);
        }
        let items: Vec<Value> = groups
            .into_iter()
            .map(|(group, versions)| {
                let versions: Vec<Value> = versions
                    .into_iter()
                    .map(|(version, resources)| json!({ "version": version, "resources": resources }))
                    .collect();
                json!({ "metadata": { "name": group }, "versions": versions })
            })
            .collect();
        json!({ "kind": "APIGroupDiscoveryList", "items": items })
    }
}

const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The path of a resource and the namespace, from a path of either form.
fn resource(path: &str) -> (String, Option<String>) {
    match path.split_once("/namespaces/").and_then(|(base, rest)| Some((base, rest.split_once('/')?))) {
        Some((base, (namespace, plural))) => (format!("{base}/{plural}"), Some(namespace.to_owned())),
        None => (path.to_owned(), None),
    }
}

fn refused(code: u16, message: &str) -> Response<Body> {
    let status = json!({ "kind": "Status", "code": code, "message": message, "status": "Failure" });
    whole(code, &status, "application/json")
}

fn whole(code: u16, body: &Value, media: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {}).boxed_unsync();
    json_response(code, body, media)
}

fn json_response(code: u16, body: Body, media: &str) -> Response<Body> {
    Response::builder().status(code).header(header::CONTENT_TYPE, media).body(body).unwrap()
}

/// A transport to a fake cluster.
pub(crate) struct To(pub(crate) Arc<FakeCluster>);

impl Transport for To {
    fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let answer = self.0.answer(&request.uri().to_string());
        Box::pin(async { answer })
    }
}

/// A store whose writes can be made to fail.
pub(crate) struct FlakyStore {
    inner: Arc<SqliteStore>,
    fails: AtomicBool,
}

impl FlakyStore {
    pub(crate) fn new(inner: Arc<SqliteStore>) -> Arc<Self> {
        Arc::new(Self { inner, fails: AtomicBool::new(false) })
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    fn unless_it_fails<'a, T: Send + 'a>(&self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if self.fails.load(Ordering::Relaxed) {
            return Box::pin(async { Err(store::Error::Retry("disk full".into())) });
        }
        answer
    }
}

impl Store for FlakyStore {
    fn apply(&self, batch: Batch) -> Answer<'_, Applied> {
        self.unless_it_fails(self.inner.apply(batch))
    }

    fn begin_generation(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, Generation> {
        self.unless_it_fails(self.inner.begin_generation(cluster, resource))
    }

    fn sweep(&self, generation: Generation, checkpoint: Option<String>) -> Answer<'_, u64> {
        self.unless_it_fails(self.inner.sweep(generation, checkpoint))
    }

    fn remove_resource(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, ()> {
        self.unless_it_fails(self.inner.remove_resource(cluster, resource))
    }

    fn remove_cluster(&self, cluster: &ClusterName) -> Answer<'_, ()> {
        self.unless_it_fails(self.inner.remove_cluster(cluster))
    }

    fn checkpoints(&self, cluster: &ClusterName) -> Answer<'_, Vec<Checkpoint>> {
        self.inner.checkpoints(cluster)
    }

    fn clusters(&self) -> Answer<'_, Vec<ClusterName>> {
        self.inner.clusters()
    }

    fn resources(&self, clusters: Option<&[ClusterName]>) -> Answer<'_, Vec<Resource>> {
        self.inner.resources(clusters)
    }

    fn versions(
        &self,
        cluster: &ClusterName,
        resource: &Resource,
        after: Option<ObjectName>,
        limit: usize,
    ) -> Answer<'_, Vec<StoredVersion>> {
        self.inner.versions(cluster, resource, after, limit)
    }

    fn get(&self, cluster: &ClusterName, resource: &Resource, name: &ObjectName) -> Answer<'_, Option<Row>> {
        self.inner.get(cluster, resource, name)
    }

    fn head(&self) -> Answer<'_, u64> {
        self.inner.head()
    }

    fn describe(&self, cluster: &ClusterName, resource: &Resource, text: String) -> Answer<'_, ()> {
        self.unless_it_fails(self.inner.describe(cluster, resource, text))
    }

    fn description(
        &self,
        clusters: Option<&[ClusterName]>,
        resource: &Resource,
    ) -> Answer<'_, Option<String>> {
        self.inner.description(clusters, resource)
    }

    fn select(&self, query: Query) -> Answer<'_, Rows> {
        self.inner.select(query)
    }

    fn count(&self, query: Query) -> Answer<'_, u64> {
        self.inner.count(query)
    }
}
