//! A scripted parent: answers reviews, keeps a few objects, and remembers what it was asked.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::service_fn;

use crate::{Body, BoxError, full, status_response};

type Rule = Arc<dyn Fn(&Value) -> bool + Send + Sync>;

/// Cheap to clone; every clone is the same parent.
#[derive(Clone, Default)]
pub(crate) struct Parent {
    state: Arc<Mutex<State>>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    tokens: BTreeMap<String, Value>,
    allowed: Option<Rule>,
    broken: bool,
    reviews: Vec<Value>,
    writes: Vec<(Method, String, Value)>,
    objects: BTreeMap<String, Value>,
    version: u64,
}

impl Parent {
    pub(crate) fn client(&self) -> kube::Client {
        let parent = self.clone();
        let service = service_fn(move |request: Request<kube::client::Body>| {
            let parent = parent.clone();
            async move { Ok::<_, Infallible>(parent.answer(request).await) }
        });
        kube::Client::new(service, "default")
    }

    /// A token the parent knows.
    pub(crate) fn token(&self, token: &str, user: Value) {
        self.state.lock().tokens.insert(token.to_owned(), user);
    }

    /// What a SubjectAccessReview's `spec` must be for a yes. Without a rule everything is allowed.
    pub(crate) fn allow(&self, rule: impl Fn(&Value) -> bool + Send + Sync + 'static) {
        self.state.lock().allowed = Some(Arc::new(rule));
    }

    /// From now on reviews and reads are answered 500, or no longer.
    pub(crate) fn broken(&self, broken: bool) {
        self.state.lock().broken = broken;
    }

    /// Every review so far, by kind.
    pub(crate) fn reviews(&self, kind: &str) -> Vec<Value> {
        self.state.lock().reviews.iter().filter(|review| review["kind"] == kind).cloned().collect()
    }

    /// Every write so far: method, path, body.
    pub(crate) fn writes(&self) -> Vec<(Method, String, Value)> {
        self.state.lock().writes.clone()
    }

    pub(crate) fn object(&self, path: &str) -> Option<Value> {
        self.state.lock().objects.get(path).cloned()
    }

    /// Puts an object at its path, or takes it away.
    pub(crate) fn set(&self, path: &str, object: Option<Value>) {
        let mut state = self.state.lock();
        state.version += 1;
        let version = state.version;
        match object {
            Some(mut object) => {
                object["metadata"]["resourceVersion"] = json!(version.to_string());
                state.objects.insert(path.to_owned(), object);
            }
            None => drop(state.objects.remove(path)),
        }
        drop(state);
        self.changes.send_replace(version);
    }

    async fn answer(&self, request: Request<kube::client::Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default();
        if self.state.lock().broken {
            return status_response(&meta::Status::internal("broken"));
        }
        match (parts.method, body["kind"].as_str()) {
            (Method::POST, Some("TokenReview")) => self.token_review(body),
            (Method::POST, Some("SubjectAccessReview")) => self.access_review(body),
            (Method::GET, _) if query.contains("watch=true") => self.watch(path),
            (Method::GET, _) => self.read(&path),
            (method, _) => self.write(&method, &path, body),
        }
    }

    fn token_review(&self, mut review: Value) -> Response<Body> {
        let mut state = self.state.lock();
        state.reviews.push(review.clone());
        let user = review["spec"]["token"].as_str().and_then(|token| state.tokens.get(token));
        review["status"] = match user {
            Some(user) => json!({ "authenticated": true, "user": user }),
            None => json!({ "authenticated": false }),
        };
        Response::new(full(review.to_string()))
    }

    fn access_review(&self, mut review: Value) -> Response<Body> {
        let mut state = self.state.lock();
        state.reviews.push(review.clone());
        let allowed = state.allowed.as_ref().is_none_or(|rule| rule(&review["spec"]));
        review["status"] = json!({ "allowed": allowed, "reason": if allowed { "" } else { "no rule" } });
        Response::new(full(review.to_string()))
    }

    fn read(&self, path: &str) -> Response<Body> {
        let state = self.state.lock();
        if let Some(object) = state.objects.get(path) {
            return Response::new(full(object.to_string()));
        }
        let inside = format!("{path}/");
        let items: Vec<&Value> = state
            .objects
            .iter()
            .filter(|(path, _)| path.starts_with(&inside))
            .map(|(_, object)| object)
            .collect();
        if items.is_empty() && !["configmaps", "secrets"].iter().any(|kind| path.ends_with(kind)) {
            return status_response(&meta::Status::not_found("no such object"));
        }
        let version = state.version.to_string();
        Response::new(full(
            json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": version }, "items": items })
                .to_string(),
        ))
    }

    /// Every change of the one object in this collection.
    fn watch(&self, path: String) -> Response<Body> {
        let (parent, changes) = (self.clone(), self.changes.subscribe());
        let events = stream::unfold((parent, changes, path), |(parent, mut changes, path)| async move {
            changes.changed().await.ok()?;
            let inside = format!("{path}/");
            let object = parent
                .state
                .lock()
                .objects
                .iter()
                .find(|(p, _)| p.starts_with(&inside))
                .map(|(_, o)| o.clone());
            let event =
                object.map(|object| json!({ "type": "MODIFIED", "object": object }).to_string() + "\n");
            let frame = Frame::data(Bytes::from(event.unwrap_or_default()));
            Some((Ok::<_, BoxError>(frame), (parent, changes, path)))
        });
        Response::new(StreamBody::new(events).boxed_unsync())
    }

    fn write(&self, method: &Method, path: &str, body: Value) -> Response<Body> {
        let mut target = path.to_owned();
        {
            let mut state = self.state.lock();
            state.writes.push((method.clone(), path.to_owned(), body.clone()));
            if *method == Method::POST {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                target = format!("{path}/{name}");
                if state.objects.contains_key(&target) {
                    return status_response(&meta::Status::new(409, "AlreadyExists", "exists"));
                }
            } else if !state.objects.contains_key(&target) {
                return status_response(&meta::Status::not_found("no such object"));
            }
            let sent = &body["metadata"]["resourceVersion"];
            if *method == Method::PUT
                && !sent.is_null()
                && *sent != state.objects[&target]["metadata"]["resourceVersion"]
            {
                return status_response(&meta::Status::conflict("changed meanwhile"));
            }
        }
        let object = if *method == Method::PATCH {
            let mut object = self.object(&target).unwrap_or_default();
            merge(&mut object, &body);
            object
        } else {
            body
        };
        self.set(&target, Some(object));
        Response::new(full(self.object(&target).unwrap_or_default().to_string()))
    }
}

/// JSON merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}
