//! A parent in memory, for tests: enough of an API server to run whole registrations against, and to break off after
//! any call.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use api::names::HUB_POLICY;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use kube::{
    Client,
    client::Body,
    core::{ObjectMeta, Resource},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// One object's place: collection path and name.
type Key = (String, String);

/// A parent in memory. Cheap to clone; all clones are the same parent.
#[derive(Clone, Default)]
pub(crate) struct Parent(Arc<State>);

#[derive(Default)]
struct State {
    objects: Mutex<BTreeMap<Key, Value>>,
    versions: AtomicU64,
    writes: Mutex<Vec<String>>,
    calls: AtomicUsize,
    break_at: Mutex<Option<Break>>,
}

/// Where a hub dies: at this call, before or after the call had its effect. No later call gets through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Break {
    pub(crate) call: usize,
    pub(crate) after_effect: bool,
}

type Answer = Response<Full<bytes::Bytes>>;

impl Parent {
    /// A parent with everything the hub needs installed.
    pub(crate) fn installed() -> Self {
        let parent = Self::default();
        let admission = "/apis/admissionregistration.k8s.io/v1";
        parent.put(
            &format!("{admission}/validatingadmissionpolicies"),
            json!({
                "metadata": { "name": HUB_POLICY },
                "spec": { "failurePolicy": "Fail", "matchConstraints": {}, "validations": [{ "expression": "false" }] },
            }),
        );
        parent.put(
            &format!("{admission}/validatingadmissionpolicybindings"),
            json!({
                "metadata": { "name": HUB_POLICY },
                "spec": { "policyName": HUB_POLICY, "validationActions": ["Deny"] },
            }),
        );
        parent.put(
            "/api/v1/namespaces/clusternet-system/configmaps",
            json!({ "metadata": { "name": "kube-root-ca.crt" }, "data": { "ca.crt": "PEM" } }),
        );
        parent
    }

    /// A client of this parent.
    pub(crate) fn client(&self) -> Client {
        let parent = self.clone();
        let service = tower::service_fn(move |request| {
            let parent = parent.clone();
            async move { parent.serve(request).await }
        });
        Client::new(service, "default")
    }

    /// Lets the hub die at a call; counts calls from now on.
    pub(crate) fn break_at(&self, break_at: Option<Break>) {
        self.0.calls.store(0, Ordering::SeqCst);
        *self.0.break_at.lock() = break_at;
    }

    /// How many calls there were since [`Parent::break_at`].
    pub(crate) fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    /// The writes so far, as `METHOD path`; forgets them.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.writes.lock())
    }

    /// Stores an object as an administrator would.
    pub(crate) fn put(&self, collection: &str, mut object: Value) -> Value {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let now = self.next_version();
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.entry("uid").or_insert_with(|| json!(format!("uid-{now}")));
        metadata.entry("creationTimestamp").or_insert_with(|| json!(now_in_seconds()));
        metadata.entry("generation").or_insert(json!(1));
        metadata.insert("resourceVersion".to_owned(), json!(now.to_string()));
        self.0.objects.lock().insert((collection.to_owned(), name), object.clone());
        object
    }

    /// The object of this type and name.
    pub(crate) fn get<K>(&self, namespace: Option<&str>, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + serde::de::DeserializeOwned,
    {
        let key = (K::url_path(&(), namespace), name.to_owned());
        self.0.objects.lock().get(&key).map(|object| serde_json::from_value(object.clone()).unwrap())
    }

    /// Stores the object.
    pub(crate) fn store<K: Resource<DynamicType = ()> + serde::Serialize>(&self, object: &K) {
        let ObjectMeta { namespace, .. } = object.meta();
        self.put(&K::url_path(&(), namespace.as_deref()), serde_json::to_value(object).unwrap());
    }

    /// Removes the object, whatever it says.
    pub(crate) fn remove<K: Resource<DynamicType = ()>>(&self, namespace: Option<&str>, name: &str) {
        self.0.objects.lock().remove(&(K::url_path(&(), namespace), name.to_owned()));
    }

    /// All objects whose collection ends so, as `collection/name`.
    pub(crate) fn all(&self, resource: &str) -> Vec<String> {
        let objects = self.0.objects.lock();
        let ours = objects.keys().filter(|(collection, _)| collection.ends_with(&format!("/{resource}")));
        ours.map(|(collection, name)| format!("{collection}/{name}")).collect()
    }

    fn next_version(&self) -> u64 {
        self.0.versions.fetch_add(1, Ordering::SeqCst) + 1
    }

    async fn serve(&self, request: Request<Body>) -> Result<Answer, std::io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        // Lets two hubs that run at once take turns at every call.
        tokio::task::yield_now().await;
        let path = parts.uri.path().to_owned();
        if path.contains("/events") {
            return Ok(ok(StatusCode::CREATED, &serde_json::from_slice(&body).unwrap_or_default()));
        }
        let call = self.0.calls.fetch_add(1, Ordering::SeqCst);
        let break_at = *self.0.break_at.lock();
        let dead = || Err(std::io::Error::other("the hub is dead"));
        if break_at.is_some_and(|at| call > at.call || (call == at.call && !at.after_effect)) {
            return dead();
        }
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let dry_run = query.contains("dryRun=All");
        if parts.method != Method::GET && !dry_run {
            self.0.writes.lock().push(format!("{} {path}", parts.method));
        }
        let answer =
            if dry_run { denied_by_policy() } else { self.answer(&parts.method, &path, &query, &body) };
        if break_at.is_some_and(|at| call == at.call) { dead() } else { Ok(answer) }
    }

    fn answer(&self, method: &Method, path: &str, query: &str, body: &[u8]) -> Answer {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let place = Place::parse(path);
        match (method, &place.name, place.subresource) {
            (&Method::GET, Some(name), None) => self.read(&place.collection, name),
            (&Method::GET, None, None) => self.list(&place.collection, query),
            (&Method::POST, None, None) => self.create(&place.collection, body),
            (&Method::POST, Some(name), Some("token")) => self.token(&place.collection, name, &body),
            (&Method::PUT | &Method::PATCH, Some(name), subresource) => {
                self.update(&place.collection, name, subresource, method, body)
            }
            (&Method::DELETE, Some(name), None) => self.delete(&place.collection, name, &body),
            _ => failure(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "not served here"),
        }
    }

    fn read(&self, collection: &str, name: &str) -> Answer {
        match self.0.objects.lock().get(&(collection.to_owned(), name.to_owned())) {
            Some(object) => ok(StatusCode::OK, object),
            None => not_found(),
        }
    }

    /// Lists a collection of one namespace, or of all when the path names none.
    fn list(&self, collection: &str, query: &str) -> Answer {
        let query: BTreeMap<_, _> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let (root, resource) = collection.rsplit_once('/').unwrap();
        let inside = |it: &str| {
            it == collection
                || it.strip_prefix(root).is_some_and(|rest| {
                    rest.starts_with("/namespaces/") && rest.ends_with(&format!("/{resource}"))
                })
        };
        let labels = query.get("labelSelector").cloned().unwrap_or_default();
        let name =
            query.get("fieldSelector").and_then(|it| it.strip_prefix("metadata.name=").map(str::to_owned));
        let chosen = |object: &&Value| {
            let labelled = labels.split(',').filter(|it| !it.is_empty()).all(|selector| {
                let (key, value) = selector.split_once('=').unwrap();
                object["metadata"]["labels"][key] == json!(value)
            });
            labelled && name.as_ref().is_none_or(|name| object["metadata"]["name"] == json!(name))
        };
        let objects = self.0.objects.lock();
        let all = objects.iter().filter(|((collection, _), _)| inside(collection)).map(|(_, object)| object);
        let items: Vec<_> = all.filter(chosen).cloned().collect();
        ok(StatusCode::OK, &json!({ "metadata": {}, "items": items }))
    }

    fn create(&self, collection: &str, mut object: Value) -> Answer {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        if let Some(namespace) = Place::namespace_of(collection) {
            let key = ("/api/v1/namespaces".to_owned(), namespace.to_owned());
            let ready = self.0.objects.lock().get(&key).is_some_and(|it| !is_leaving(it));
            if !ready {
                return failure(
                    StatusCode::FORBIDDEN,
                    "Forbidden",
                    "the namespace is missing or being deleted",
                );
            }
            object["metadata"]["namespace"] = json!(namespace);
        }
        if self.0.objects.lock().contains_key(&(collection.to_owned(), name)) {
            return failure(StatusCode::CONFLICT, "AlreadyExists", "already exists");
        }
        ok(StatusCode::CREATED, &self.put(collection, object))
    }

    fn token(&self, collection: &str, name: &str, body: &Value) -> Answer {
        if !self.0.objects.lock().contains_key(&(collection.to_owned(), name.to_owned())) {
            return not_found();
        }
        let seconds = body["spec"]["expirationSeconds"].as_i64().unwrap();
        let expires = Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap();
        let status = json!({ "token": format!("token-{}", self.next_version()), "expirationTimestamp": expires.to_string() });
        ok(StatusCode::CREATED, &json!({ "status": status }))
    }

    fn update(
        &self,
        collection: &str,
        name: &str,
        subresource: Option<&str>,
        method: &Method,
        body: Value,
    ) -> Answer {
        let existing = self.0.objects.lock().get(&(collection.to_owned(), name.to_owned())).cloned();
        let Some(existing) = existing else {
            // Only an apply creates what is not there.
            return if body["kind"].is_string() && *method == Method::PATCH {
                self.create(collection, body)
            } else {
                not_found()
            };
        };
        let version = &body["metadata"]["resourceVersion"];
        if version.is_string() && *version != existing["metadata"]["resourceVersion"] {
            return failure(StatusCode::CONFLICT, "Conflict", "the object has been modified");
        }
        let mut next = existing.clone();
        match subresource {
            Some(_) if *method == Method::PUT => next["status"] = body["status"].clone(),
            Some(_) => merge(&mut next["status"], &body["status"]),
            None => merge(&mut next, &body),
        }
        if subresource.is_none() && next["spec"] != existing["spec"] {
            next["metadata"]["generation"] =
                json!(existing["metadata"]["generation"].as_i64().unwrap_or(1) + 1);
        }
        if is_leaving(&next) && next["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            self.0.objects.lock().remove(&(collection.to_owned(), name.to_owned()));
            return ok(StatusCode::OK, &next);
        }
        ok(StatusCode::OK, &self.put(collection, next))
    }

    fn delete(&self, collection: &str, name: &str, body: &Value) -> Answer {
        let key = (collection.to_owned(), name.to_owned());
        let Some(mut object) = self.0.objects.lock().get(&key).cloned() else { return not_found() };
        let uid = &body["preconditions"]["uid"];
        if uid.is_string() && *uid != object["metadata"]["uid"] {
            return failure(StatusCode::CONFLICT, "Conflict", "another object of this name");
        }
        let waits = collection == "/api/v1/namespaces"
            || object["metadata"]["finalizers"].as_array().is_some_and(|it| !it.is_empty());
        if waits {
            object["metadata"]["deletionTimestamp"] = json!(now_in_seconds());
            return ok(StatusCode::OK, &self.put(collection, object));
        }
        self.0.objects.lock().remove(&key);
        ok(StatusCode::OK, &object)
    }
}

/// Where a path points.
struct Place<'a> {
    collection: String,
    name: Option<String>,
    subresource: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn parse(path: &'a str) -> Self {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let root = if parts[0] == "api" { 2 } else { 3 };
        // `namespaces/NAME/RESOURCE` is a place in a namespace, `namespaces[/NAME]` are namespaces themselves.
        let resource = if parts[root] == "namespaces" && parts.len() > root + 2 { root + 2 } else { root };
        Self {
            collection: format!("/{}", parts[..=resource].join("/")),
            name: parts.get(resource + 1).map(|it| (*it).to_owned()),
            subresource: parts.get(resource + 2).copied(),
        }
    }

    fn namespace_of(collection: &str) -> Option<&str> {
        let (_, rest) = collection.split_once("/namespaces/")?;
        rest.split('/').next()
    }
}

/// As the API server writes times.
fn now_in_seconds() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn is_leaving(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// RFC 7396. Good enough for applies of objects with one writer.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return *target = patch.clone() };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key.as_str()], value);
        }
    }
}

fn ok(code: StatusCode, body: &Value) -> Answer {
    let bytes = serde_json::to_vec(body).unwrap();
    Response::builder().status(code).header("content-type", "application/json").body(bytes.into()).unwrap()
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "code": code.as_u16(), "reason": reason, "message": message,
    });
    ok(code, &status)
}

fn not_found() -> Answer {
    failure(StatusCode::NOT_FOUND, "NotFound", "not found")
}

fn denied_by_policy() -> Answer {
    let message = format!(
        "forbidden: ValidatingAdmissionPolicy '{HUB_POLICY}' with binding '{HUB_POLICY}' denied request"
    );
    failure(StatusCode::FORBIDDEN, "Forbidden", &message)
}
