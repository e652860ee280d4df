//! For tests: a cluster that objects can be applied to, and a parent in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use api::{
    apps::{Description, DescriptionSpec, DescriptionStatus},
    names::apps::finalizers,
};
use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, future::BoxFuture, stream};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use jiff::Timestamp;
use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::Time};
use kube::{ResourceExt as _, runtime::watcher::Event};
use kubeio::{Body, Error, Lane, Transport};
use meta::{Status, StatusDetails};
use parking_lot::Mutex;
use serde_json::{Value, json};
use testkit::{apiserver::ApiServer, apply::applied};
use tokio::{sync::mpsc, time::sleep};

use crate::parent::{NotWritten, Parent, Told, confirmed};

pub(crate) const NAMESPACES: &str = "/api/v1/namespaces";
pub(crate) const CONFIG_MAPS: &str = "/api/v1/configmaps";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/deployments";

/// A cluster: reads are answered by the test kit's API server, writes here.
pub(crate) struct FakeChild {
    pub(crate) server: Arc<ApiServer>,
    /// What was applied last, by path.
    applied: Mutex<HashMap<String, Value>>,
    writes: Mutex<Vec<String>>,
    /// Writes to what has this in its path are answered so, and with a lack of a right reads are, too.
    refusal: Mutex<Option<(String, Status)>>,
    /// So long answers about single objects are under way.
    pub(crate) lag: Mutex<Duration>,
}

/// A path of one object: its resource, namespace and name.
fn object(path: &str) -> Option<(String, String, String)> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (base, rest) = parts.split_at_checked(if parts.first() == Some(&"api") { 2 } else { 3 })?;
    let base = base.join("/");
    match rest {
        ["namespaces", namespace, plural, name] => {
            Some((format!("/{base}/{plural}"), (*namespace).to_owned(), (*name).to_owned()))
        }
        [plural, name] => Some((format!("/{base}/{plural}"), String::new(), (*name).to_owned())),
        _ => None,
    }
}

impl FakeChild {
    pub(crate) fn new() -> Arc<Self> {
        let server = ApiServer::new();
        server.serve(NAMESPACES, "Namespace", false);
        server.serve(CONFIG_MAPS, "ConfigMap", true);
        server.serve(DEPLOYMENTS, "Deployment", true);
        server.put(NAMESPACES, "", "qux", &json!({}), &json!({}));
        Arc::new(Self {
            server,
            applied: Mutex::default(),
            writes: Mutex::default(),
            refusal: Mutex::default(),
            lag: Mutex::default(),
        })
    }

    pub(crate) fn refuse(&self, below: &str, status: Option<Status>) {
        *self.refusal.lock() = status.map(|status| (below.to_owned(), status));
    }

    /// The writes since it was asked last, as `VERB NAME`.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.writes.lock())
    }

    pub(crate) fn get(&self, of: &str, name: &str) -> Option<Value> {
        self.server.objects(of).into_iter().find(|object| object["metadata"]["name"] == name)
    }

    /// Changes an object as somebody in the cluster would.
    pub(crate) fn change(&self, of: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(of, name).unwrap();
        change(&mut object);
        self.store(of, &object);
    }

    pub(crate) fn store(&self, of: &str, object: &Value) {
        let metadata = &object["metadata"];
        let text = |key: &str| metadata[key].as_str().unwrap_or_default();
        let mut rest = object.clone();
        for field in ["apiVersion", "kind"] {
            rest.as_object_mut().unwrap().remove(field);
        }
        for field in ["resourceVersion", "uid", "labels", "name", "namespace"] {
            rest["metadata"].as_object_mut().unwrap().remove(field);
        }
        self.server.put(of, text("namespace"), text("name"), &metadata["labels"], &rest);
    }

    fn answer(&self, request: &Request<Bytes>) -> Result<Value, Status> {
        let path = request.uri().path();
        let query = request.uri().query().unwrap_or_default();
        let dry_run = query.contains("dryRun=All");
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        if request.method() == Method::POST {
            let name = body["metadata"]["name"].as_str().unwrap_or_default();
            self.writes.lock().push(format!("make {name}"));
            self.server.put(path, "", name, &json!({}), &json!({}));
            return Ok(body);
        }
        let not_found = |kind: &str| {
            let details = StatusDetails { kind: kind.to_owned(), ..StatusDetails::default() };
            Status { details: Some(Box::new(details)), ..Status::not_found("not found") }
        };
        let (of, namespace, name) = object(path).ok_or_else(|| not_found("?"))?;
        let refusal = self.refusal.lock().clone().filter(|(below, _)| path.contains(below.as_str()));
        if request.method() == Method::GET {
            if let Some((_, status)) = refusal.filter(|(_, status)| status.code == 403) {
                return Err(status);
            }
            return self.get_in(&of, &namespace, &name).ok_or_else(|| not_found("objects"));
        }
        let verb = match (request.method(), dry_run) {
            (&Method::DELETE, _) => "delete",
            (_, true) => "ask",
            _ => "apply",
        };
        self.writes.lock().push(format!("{verb} {name}"));
        if let Some((_, status)) = refusal {
            return Err(status);
        }
        if !namespace.is_empty() && !self.server.names(NAMESPACES).contains(&format!("/{namespace}")) {
            return Err(not_found("namespaces"));
        }
        if request.method() == Method::DELETE {
            self.applied.lock().remove(path);
            self.server.delete(&of, &namespace, &name);
            return Ok(json!({}));
        }
        let live = self.get_in(&of, &namespace, &name);
        let before = self.applied.lock().get(path).cloned().unwrap_or_default();
        let mut next = applied(live.clone().unwrap_or_else(|| json!({})), &before, &body);
        // What servers do: set what is left open, and write some things in a way of their own.
        if of == DEPLOYMENTS && next["spec"]["strategy"].is_null() {
            next["spec"]["strategy"] = json!({ "type": "RollingUpdate" });
        }
        if next["spec"]["timeout"] == "60s" {
            next["spec"]["timeout"] = json!("1m0s");
        }
        if dry_run {
            return Ok(next);
        }
        self.applied.lock().insert(path.to_owned(), body);
        if live.as_ref() != Some(&next) {
            self.store(&of, &next);
        }
        Ok(self.get_in(&of, &namespace, &name).unwrap())
    }

    fn get_in(&self, of: &str, namespace: &str, name: &str) -> Option<Value> {
        self.server.objects(of).into_iter().find(|object| {
            let metadata = &object["metadata"];
            metadata["name"] == name && metadata["namespace"].as_str().unwrap_or_default() == namespace
        })
    }
}

impl Transport for FakeChild {
    fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let about_one = object(request.uri().path()).is_some_and(|(of, ..)| self.server.serves(&of));
        let answer = if request.method() == Method::GET && !about_one {
            self.server.answer(&request.uri().to_string())
        } else if self.server.answer("/readyz").is_none() {
            None
        } else {
            let (code, body) = match self.answer(&request) {
                Ok(object) => (200, object.to_string()),
                Err(status) => (status.code, status.to_json()),
            };
            let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync();
            Some(Response::builder().status(code).body(body).unwrap())
        };
        let lag = if about_one { *self.lag.lock() } else { Duration::ZERO };
        let answer = answer.ok_or_else(|| Error::Unreachable("connection refused".into()));
        sleep(lag).map(|()| answer).boxed()
    }
}

/// A parent that holds the Descriptions of one namespace.
#[derive(Default)]
pub(crate) struct FakeParent {
    descriptions: Mutex<BTreeMap<String, Description>>,
    /// Objects in Contents, by the names of these.
    pub(crate) contents: Mutex<BTreeMap<String, Value>>,
    /// How often a Content was asked for.
    pub(crate) read: Mutex<usize>,
    listeners: Mutex<Vec<mpsc::Sender<Event<Description>>>>,
    version: Mutex<u64>,
    told: Mutex<Vec<Told>>,
    /// Writes to the parent since it was asked last.
    writes: Mutex<usize>,
}

/// A Description of these objects. A higher `age` is an older one.
pub(crate) fn description(name: &str, age: i64, objects: &[Value]) -> Description {
    let raw = objects.iter().map(|object| ByteString(object.to_string().into_bytes())).collect();
    let spec = DescriptionSpec::generic(raw);
    let mut description = Description::new(name, spec);
    description.metadata.namespace = Some(String::from("n"));
    description.metadata.generation = Some(1);
    description.metadata.creation_timestamp = Timestamp::from_second(1_000_000 - age).ok().map(Time);
    description
}

impl FakeParent {
    /// What the worker reads: everything, and then what happens.
    pub(crate) fn follow(&self) -> impl Stream<Item = anyhow::Result<Event<Description>>> + use<> {
        let (sender, receiver) = mpsc::channel(10_000);
        let all: Vec<Description> = self.descriptions.lock().values().cloned().collect();
        let list =
            [Event::Init].into_iter().chain(all.into_iter().map(Event::InitApply)).chain([Event::InitDone]);
        for event in list {
            sender.try_send(event).unwrap();
        }
        self.listeners.lock().push(sender);
        stream::unfold(receiver, |mut receiver| async move { Some((Ok(receiver.recv().await?), receiver)) })
    }

    /// Somebody writes a Description; its status and finalizers stay.
    pub(crate) fn put(&self, mut description: Description) {
        if let Some(before) = self.get(&description.name_any()) {
            description.metadata.finalizers = before.metadata.finalizers;
            description.metadata.generation = before.metadata.generation.map(|generation| generation + 1);
            description.status = before.status;
        }
        self.store(description);
    }

    pub(crate) fn annotate(&self, name: &str, key: &str, value: &str) {
        let mut description = self.get(name).unwrap();
        description.annotations_mut().insert(key.to_owned(), value.to_owned());
        self.store(description);
    }

    /// Somebody deletes a Description.
    pub(crate) fn delete(&self, name: &str) {
        let mut description = self.get(name).unwrap();
        description.metadata.deletion_timestamp = Timestamp::from_second(2_000_000).ok().map(Time);
        description.metadata.generation = description.metadata.generation.map(|generation| generation + 1);
        self.store(description);
    }

    /// A Description is gone, and nobody has heard of it yet.
    pub(crate) fn lose(&self, name: &str) {
        self.descriptions.lock().remove(name);
    }

    pub(crate) fn get(&self, name: &str) -> Option<Description> {
        self.descriptions.lock().get(name).cloned()
    }

    pub(crate) fn condition(&self, name: &str, type_: &str) -> (String, String, String) {
        let conditions = self.get(name).and_then(|found| found.status).unwrap_or_default().conditions;
        let found = api::conditions::find(&conditions, type_);
        found.map(|c| (c.status.clone(), c.reason.clone(), c.message.clone())).unwrap_or_default()
    }

    pub(crate) fn take_told(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock())
    }

    pub(crate) fn take_writes(&self) -> usize {
        std::mem::take(&mut self.writes.lock())
    }

    fn store(&self, mut description: Description) -> Description {
        let mut version = self.version.lock();
        *version += 1;
        description.metadata.resource_version = Some(version.to_string());
        let goes = description.metadata.deletion_timestamp.is_some() && description.finalizers().is_empty();
        let event = if goes {
            self.descriptions.lock().remove(&description.name_any());
            Event::Delete(description.clone())
        } else {
            self.descriptions.lock().insert(description.name_any(), description.clone());
            Event::Apply(description.clone())
        };
        self.listeners.lock().retain(|listener| listener.try_send(event.clone()).is_ok());
        description
    }

    fn write(
        &self,
        description: &Description,
        change: impl FnOnce(&mut Description),
    ) -> Result<Description, NotWritten> {
        *self.writes.lock() += 1;
        let mut current = self.get(&description.name_any()).ok_or(NotWritten::Gone)?;
        if current.metadata.resource_version != description.metadata.resource_version {
            return Err(NotWritten::Raced);
        }
        change(&mut current);
        Ok(self.store(current))
    }
}

impl Parent for FakeParent {
    fn confirm<'a>(&'a self, description: &'a Description) -> BoxFuture<'a, Result<(), NotWritten>> {
        let now = self.get(&description.name_any()).ok_or(NotWritten::Gone);
        std::future::ready(now.and_then(|now| confirmed(description, &now.metadata))).boxed()
    }

    fn write_status<'a>(
        &'a self,
        description: &'a Description,
        status: &'a DescriptionStatus,
    ) -> BoxFuture<'a, Result<Description, NotWritten>> {
        std::future::ready(self.write(description, |current| current.status = Some(status.clone()))).boxed()
    }

    fn set_finalizer<'a>(
        &'a self,
        description: &'a Description,
        wanted: bool,
    ) -> BoxFuture<'a, Result<Description, NotWritten>> {
        let all = if wanted { Some(vec![finalizers::APPS.to_owned()]) } else { None };
        std::future::ready(self.write(description, |current| current.metadata.finalizers = all)).boxed()
    }

    fn content<'a>(&'a self, _: &'a str, name: &'a str) -> BoxFuture<'a, Option<ByteString>> {
        *self.read.lock() += 1;
        let found = self.contents.lock().get(name).map(|object| ByteString(object.to_string().into_bytes()));
        std::future::ready(found).boxed()
    }

    fn tell<'a>(&'a self, _: &'a Description, told: Told) -> BoxFuture<'a, ()> {
        self.told.lock().push(told);
        std::future::ready(()).boxed()
    }
}
