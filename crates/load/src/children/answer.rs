//! The API of a simulated cluster: as much of Kubernetes' as whoever deploys into it asks for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tunnel::Body;
use url::form_urlencoded;

use super::objects::{Objects, Place, RESOURCES, Wanted, Written};

/// How often a watch says how far it has come while nothing happens.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// How long a watch lasts that names no time.
const LASTS: u64 = 300;
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What all simulated clusters were asked.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) reads: AtomicU64,
    /// Requests that write, dry runs left out.
    pub(super) writes: AtomicU64,
    /// Of those, the ones that changed something.
    pub(super) changes: AtomicU64,
    pub(super) dry_runs: AtomicU64,
}

impl Counts {
    pub(super) fn line(&self) -> Value {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        json!({ "reads": of(&self.reads), "writes": of(&self.writes), "changes": of(&self.changes),
                "dry_runs": of(&self.dry_runs) })
    }
}

/// One simulated cluster.
#[derive(Debug)]
pub(super) struct Child {
    objects: Mutex<Objects>,
    /// The newest resource version.
    changed: watch::Sender<u64>,
    counts: Arc<Counts>,
}

impl Child {
    pub(super) fn new(counts: Arc<Counts>) -> Arc<Self> {
        Arc::new(Self { objects: Mutex::default(), changed: watch::Sender::new(0), counts })
    }

    /// Whether the object at a path has a text in it.
    pub(super) fn has(&self, path: &str, text: &str) -> bool {
        let Some(about) = About::read(path) else { return false };
        let object = about.name.and_then(|name| self.objects.lock().get(&about.place(name)));
        object.is_some_and(|object| String::from_utf8_lossy(&object).contains(text))
    }

    /// The answer to a request.
    pub(super) fn answer(self: &Arc<Self>, method: &Method, target: &str, body: &[u8]) -> Response<Body> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path {
            "/readyz" | "/livez" | "/healthz" => return respond(200, "text/plain", tunnel::full("ok")),
            "/version" => return json(200, &json!({ "gitVersion": "v1.37.0", "platform": "linux/amd64" })),
            "/api" | "/apis" => return respond(200, DISCOVERY, tunnel::full(discovery(path).to_string())),
            _ => {}
        }
        let Some(about) = About::read(path) else { return missing(None) };
        let query = Query(query);
        match (method, about.name) {
            (&Method::GET, Some(name)) => self.get(&about.place(name)),
            (&Method::GET, None) if query.get("watch").is_some() => self.watch(about.wanted(&query), &query),
            (&Method::GET, None) => self.list(&about.wanted(&query)),
            (&Method::PATCH, Some(name)) => self.apply(&about.place(name), &query, body),
            (&Method::POST, None) => {
                let name = serde_json::from_slice::<Value>(body).unwrap_or_default()["metadata"]["name"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                self.apply(&about.place(&name), &query, body)
            }
            (&Method::DELETE, Some(name)) => self.delete(&about.place(name)),
            _ => status(405, "MethodNotAllowed", None),
        }
    }

    fn get(&self, place: &Place) -> Response<Body> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        match self.objects.lock().get(place) {
            Some(object) => respond(200, JSON, tunnel::full(object)),
            None => missing(Some(RESOURCES[place.resource].plural)),
        }
    }

    fn list(&self, wanted: &Wanted) -> Response<Body> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let objects = self.objects.lock();
        let (version, items) = (objects.version(), objects.list(wanted));
        drop(objects);
        let kind = RESOURCES[wanted.resource].kind;
        let mut text = format!(
            r#"{{"kind":"{kind}List","apiVersion":"v1","metadata":{{"resourceVersion":"{version}"}},"items":["#
        )
        .into_bytes();
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                text.push(b',');
            }
            text.extend_from_slice(item);
        }
        text.extend_from_slice(b"]}");
        respond(200, JSON, tunnel::full(text))
    }

    fn apply(&self, place: &Place, query: &Query<'_>, body: &[u8]) -> Response<Body> {
        let Ok(object) = serde_json::from_slice::<Value>(body) else {
            return status(400, "BadRequest", None);
        };
        let dry_run = query.get("dryRun").is_some();
        let count = if dry_run { &self.counts.dry_runs } else { &self.counts.writes };
        count.fetch_add(1, Ordering::Relaxed);
        let (written, version) = {
            let mut objects = self.objects.lock();
            (objects.apply(place, &object, dry_run), objects.version())
        };
        match written {
            Written::Changed(object) => {
                self.counts.changes.fetch_add(1, Ordering::Relaxed);
                self.changed.send_replace(version);
                respond(201, JSON, tunnel::full(object))
            }
            Written::Same(object) => respond(200, JSON, tunnel::full(object)),
            Written::NoNamespace => missing(Some("namespaces")),
        }
    }

    fn delete(&self, place: &Place) -> Response<Body> {
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        let (deleted, version) = {
            let mut objects = self.objects.lock();
            (objects.delete(place), objects.version())
        };
        if !deleted {
            return missing(Some(RESOURCES[place.resource].plural));
        }
        self.counts.changes.fetch_add(1, Ordering::Relaxed);
        self.changed.send_replace(version);
        json(200, &json!({ "kind": "Status", "apiVersion": "v1", "status": "Success" }))
    }

    fn watch(self: &Arc<Self>, wanted: Wanted, query: &Query<'_>) -> Response<Body> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let number = |name: &str| query.get(name)?.parse::<u64>().ok();
        let since = number("resourceVersion").unwrap_or_default();
        if self.objects.lock().events(&wanted, since).is_none() {
            return status(410, "Expired", None);
        }
        let now = Instant::now();
        let watcher = Watcher {
            child: Arc::clone(self),
            changed: self.changed.subscribe(),
            wanted,
            since,
            bookmark: now + BOOKMARKS,
            end: now + Duration::from_secs(number("timeoutSeconds").unwrap_or(LASTS)),
        };
        let pieces = stream::unfold(watcher, |mut watcher| async move {
            let piece = watcher.next().await?;
            Some((Ok(http_body::Frame::data(piece)), watcher))
        });
        respond(200, JSON, http_body_util::StreamBody::new(pieces.boxed()).boxed_unsync())
    }
}

/// A watch under way.
struct Watcher {
    child: Arc<Child>,
    changed: watch::Receiver<u64>,
    wanted: Wanted,
    since: u64,
    bookmark: Instant,
    end: Instant,
}

impl Watcher {
    /// The next events in one piece; nothing at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.changed.borrow_and_update();
            {
                let objects = self.child.objects.lock();
                let events = objects.events(&self.wanted, self.since)?;
                self.since = objects.version();
                if !events.is_empty() {
                    return Some(Bytes::from(events.concat()));
                }
            }
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                () = sleep_until(self.end) => return None,
                () = sleep_until(self.bookmark) => {
                    self.bookmark += BOOKMARKS;
                    return Some(self.progress());
                }
            }
        }
    }

    fn progress(&self) -> Bytes {
        let resource = &RESOURCES[self.wanted.resource];
        let object = json!({
            "kind": resource.kind, "apiVersion": api_version(resource.group, resource.version),
            "metadata": { "resourceVersion": self.since.to_string(), "creationTimestamp": null },
        });
        Bytes::from(format!("{}\n", json!({ "type": "BOOKMARK", "object": object })))
    }
}

/// What a path is about.
struct About<'p> {
    resource: usize,
    namespace: &'p str,
    name: Option<&'p str>,
}

impl<'p> About<'p> {
    fn read(path: &'p str) -> Option<Self> {
        let mut parts = path.trim_matches('/').split('/');
        let group = match parts.next()? {
            "api" => "",
            "apis" => parts.next()?,
            _ => return None,
        };
        let version = parts.next()?;
        let rest: Vec<&str> = parts.collect();
        let (namespace, plural, name) = match rest[..] {
            [plural] => ("", plural, None),
            [plural, name] => ("", plural, Some(name)),
            ["namespaces", namespace, plural] => (namespace, plural, None),
            ["namespaces", namespace, plural, name] => (namespace, plural, Some(name)),
            _ => return None,
        };
        let resource = RESOURCES
            .iter()
            .position(|one| one.group == group && one.version == version && one.plural == plural)?;
        Some(Self { resource, namespace, name })
    }

    fn place(&self, name: &str) -> Place {
        Place { resource: self.resource, namespace: self.namespace.to_owned(), name: name.to_owned() }
    }

    fn wanted(&self, query: &Query<'_>) -> Wanted {
        let namespace = Some(self.namespace.to_owned()).filter(|namespace| !namespace.is_empty());
        let selector = query.get("labelSelector").unwrap_or_default();
        let labels = selector.split(',').filter_map(|one| one.split_once('='));
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Wanted { resource: self.resource, namespace, labels }
    }
}

pub(super) struct Query<'q>(pub(super) &'q str);

impl Query<'_> {
    pub(super) fn get(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.0.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// The document of `/api` or `/apis`.
fn discovery(root: &str) -> Value {
    let group = if root == "/api" { "" } else { "apps" };
    let resources: Vec<Value> = RESOURCES
        .iter()
        .filter(|resource| resource.group == group)
        .map(|resource| {
            json!({
                "resource": resource.plural, "singularResource": resource.kind.to_lowercase(),
                "responseKind": { "group": group, "version": resource.version, "kind": resource.kind },
                "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            })
        })
        .collect();
    let versions = json!([{ "version": "v1", "resources": resources, "freshness": "Current" }]);
    json!({ "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {},
            "items": [{ "metadata": { "name": group }, "versions": versions }] })
}

const JSON: &str = "application/json";

fn missing(kind: Option<&str>) -> Response<Body> {
    status(404, "NotFound", kind)
}

fn status(code: u16, reason: &str, kind: Option<&str>) -> Response<Body> {
    json(
        code,
        &json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
                 "message": format!("{reason} in a simulated cluster"), "details": { "kind": kind.unwrap_or_default() } }),
    )
}

pub(super) fn json(code: u16, value: &Value) -> Response<Body> {
    respond(code, JSON, tunnel::full(value.to_string()))
}

fn respond(code: u16, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or_default();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(child: &Arc<Child>, method: Method, target: &str, body: &Value) -> (u16, Value) {
        let response = child.answer(&method, target, body.to_string().as_bytes());
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (code, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn an_object_that_is_applied_can_be_read_and_counts_once() {
        let child = Child::new(Arc::default());
        let path = "/api/v1/namespaces/default/configmaps/a";
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "k": "v" } });
        assert_eq!(ask(&child, Method::GET, path, &Value::Null).await.0, 404);
        for code in [201, 200] {
            let target = format!("{path}?fieldManager=x&force=true");
            assert_eq!(ask(&child, Method::PATCH, &target, &object).await.0, code);
        }
        assert_eq!(ask(&child, Method::GET, path, &Value::Null).await.1["data"]["k"], "v");
        let line = child.counts.line();
        assert_eq!((line["writes"].as_u64(), line["changes"].as_u64()), (Some(2), Some(1)));
        let list = ask(&child, Method::GET, "/api/v1/configmaps?labelSelector=a%3Db", &Value::Null).await.1;
        assert_eq!(list["items"], json!([]));
    }

    #[tokio::test]
    async fn a_missing_namespace_is_told_as_an_api_server_tells_it() {
        let child = Child::new(Arc::default());
        let (code, status) = ask(&child, Method::PATCH, "/api/v1/namespaces/b/secrets/a", &json!({})).await;
        assert_eq!((code, &status["details"]["kind"]), (404, &json!("namespaces")));
    }

    #[tokio::test]
    async fn a_watch_tells_what_is_applied_after_it_began() {
        let child = Child::new(Arc::default());
        let response =
            child.answer(&Method::GET, "/apis/apps/v1/deployments?watch=true&resourceVersion=2", b"");
        let object =
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a" }, "spec": {} });
        ask(&child, Method::PATCH, "/apis/apps/v1/namespaces/default/deployments/a", &object).await;
        let frame = response.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
        let event: Value = serde_json::from_slice(&frame).unwrap();
        assert_eq!(
            (&event["type"], &event["object"]["status"]["observedGeneration"]),
            (&json!("ADDED"), &json!(1))
        );
    }
}
