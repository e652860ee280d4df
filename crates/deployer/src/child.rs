//! The child's API server: what it has, objects read as they are, and the writes.
//!
//! Nothing of an object is in an error. Requests under way are bounded, for all Descriptions of the cluster together.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use api::names::deployer::FIELD_MANAGER;
use bytes::Bytes;
use http::{Method, Request, header};
use kubeio::{Resource, Transport};
use serde_json::{Value, json};
use tokio::{
    sync::{Mutex, Semaphore},
    time::{Instant, timeout},
};

use crate::trouble::Refusal;

/// The largest object that is read; etcd allows 1.5 MiB.
const LARGEST: usize = 4 << 20;
/// How long an answer may take: an API server itself gives a request up after 60 s.
const PATIENCE: Duration = Duration::from_secs(65);
/// Whoever misses a kind asks again what the cluster has, but not more often than this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A kind of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Kind {
    pub(crate) resource: Resource,
    /// Its name: `Deployment`.
    pub(crate) name: String,
    pub(crate) namespaced: bool,
    /// Whether its objects can be watched.
    pub(crate) watchable: bool,
}

impl Kind {
    /// Where an object is. One without a namespace is in `default`, as with kubectl.
    pub(crate) fn path(&self, namespace: &str, name: &str) -> String {
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        self.resource.object_path(self.namespaced.then_some(namespace), name)
    }
}

/// Whether the cluster has a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Has {
    Yes(Kind),
    No,
    /// The server of its group does not answer: it may have it.
    Unknown,
}

/// The API server of one cluster.
pub(crate) struct Child {
    pub(crate) transport: Arc<dyn Transport>,
    permits: Semaphore,
    kinds: Mutex<Kinds>,
}

#[derive(Default)]
struct Kinds {
    known: BTreeMap<(String, String), Kind>,
    unavailable: BTreeSet<String>,
    read: Option<Instant>,
}

impl Child {
    /// At most `parallelism` requests at a time.
    pub(crate) fn new(transport: Arc<dyn Transport>, parallelism: usize) -> Self {
        Self { transport, permits: Semaphore::new(parallelism.max(1)), kinds: Mutex::default() }
    }

    /// Whether the cluster has a kind. What is missed is looked for again.
    pub(crate) async fn kind(&self, api_version: &str, kind: &str) -> Result<Has, Refusal> {
        let key = (api_version.to_owned(), kind.to_owned());
        // Held while it is asked: a hundred objects of a new kind need one answer.
        let mut kinds = self.kinds.lock().await;
        if let Some(known) = kinds.known.get(&key) {
            return Ok(Has::Yes(known.clone()));
        }
        if kinds.read.is_none_or(|when| when.elapsed() >= LOOK_AGAIN) {
            *kinds = self.discover().await?;
        }
        let unavailable = kinds.unavailable.contains(api_version);
        Ok(match kinds.known.get(&key) {
            Some(known) => Has::Yes(known.clone()),
            None if unavailable => Has::Unknown,
            None => Has::No,
        })
    }

    /// What was known of a kind is not true any more.
    pub(crate) async fn forget(&self, kind: &Kind) {
        self.kinds.lock().await.known.retain(|_, known| known != kind);
    }

    async fn discover(&self) -> Result<Kinds, Refusal> {
        let discovered = kubeio::discover(&*self.transport).await?;
        let mut kinds = Kinds { read: Some(Instant::now()), ..Kinds::default() };
        for api in discovered.resources {
            let kind = Kind {
                name: api.kind.clone(),
                namespaced: api.namespaced,
                watchable: api.can("list") && api.can("watch"),
                resource: api.resource,
            };
            let key = (kind.resource.api_version(), api.kind);
            // Of several resources of one kind the one that can be written is meant.
            if api.verbs.iter().any(|verb| verb == "patch") {
                kinds.known.entry(key).or_insert(kind);
            }
        }
        for group in discovered.unavailable {
            kinds.unavailable.insert(Resource::new(group.group, group.version, "").api_version());
        }
        Ok(kinds)
    }

    /// The object at a path; nothing if there is none.
    pub(crate) async fn read(&self, path: &str) -> Result<Option<Value>, Refusal> {
        match self.send(Method::GET, path, "", None).await {
            Ok(object) => Ok(Some(object)),
            Err(Refusal::NotFound | Refusal::NoNamespace) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Applies an object, or only says what would come of it.
    pub(crate) async fn apply(&self, path: &str, object: &Value, dry_run: bool) -> Result<Value, Refusal> {
        let dry_run = if dry_run { "&dryRun=All" } else { "" };
        let path = format!("{path}?fieldManager={FIELD_MANAGER}&force=true{dry_run}");
        self.send(Method::PATCH, &path, "application/apply-patch+yaml", Some(object)).await
    }

    /// Deletes the object at a path, if it still is the one with this uid; what belongs to it goes afterwards. That it is
    /// gone, or another one, is fine.
    pub(crate) async fn delete(&self, path: &str, uid: &str) -> Result<(), Refusal> {
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", "preconditions": { "uid": uid },
        });
        match self.send(Method::DELETE, path, "application/json", Some(&options)).await {
            Ok(_) | Err(Refusal::NotFound | Refusal::NoNamespace | Refusal::Raced) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Makes a namespace, if it is missing.
    pub(crate) async fn make_namespace(&self, name: &str) -> Result<(), Refusal> {
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        let path = format!("/api/v1/namespaces?fieldManager={FIELD_MANAGER}");
        match self.send(Method::POST, &path, "application/json", Some(&namespace)).await {
            Ok(_) | Err(Refusal::Raced) => Ok(()),
            Err(other) => Err(other),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refusal> {
        let unreachable = |why: &str| Refusal::Unreachable(why.to_owned());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, media)
            .header(header::ACCEPT, "application/json")
            .body(body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string())))
            .map_err(|_| Refusal::Refused(String::from("its name cannot stand in a path")))?;
        let _permit = self.permits.acquire().await.map_err(|_| unreachable("it is being given up"))?;
        let answer = async {
            let body = kubeio::call(&*self.transport, request, LARGEST).await??;
            let answer = serde_json::from_slice::<Value>(&body).ok();
            answer.filter(Value::is_object).ok_or_else(|| unreachable("the answer is no object as JSON"))
        };
        timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(unreachable("no answer in time")))
    }
}
