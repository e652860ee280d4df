//! An API server that does on demand what no real one does.
//!
//! It keeps objects and their history in memory, and serves discovery, probes, lists in pages and watches. What goes
//! wrong is planted as a [`Trouble`]. It can be asked in memory ([`ApiServer::answer`]), where the clock of a test may
//! stand still, or over TLS and HTTP/2 on the loopback ([`ApiServer::listen`]).
//!
//! Deliberately absent: writing over HTTP, other representations than JSON, and everything of access control but
//! [`ApiServer::forbid`].

mod answer;
mod discovery;
mod listen;
mod state;
mod trouble;
mod watching;

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use self::state::State;
pub use self::{
    answer::{Body, BoxError},
    listen::Listening,
    state::Snapshot,
    trouble::{Ask, Fault, Trouble},
};

/// The path of the Pods.
pub const PODS: &str = "/api/v1/pods";
/// The path of the Secrets.
pub const SECRETS: &str = "/api/v1/secrets";
/// The path of the Nodes.
pub const NODES: &str = "/api/v1/nodes";

/// The server. Resources are named by the path at which all of their objects are listed, such as [`PODS`].
pub struct ApiServer {
    state: Mutex<State>,
    /// Wakes the watches.
    changed: watch::Sender<()>,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer").finish_non_exhaustive()
    }
}

impl ApiServer {
    /// A server that has Pods, Secrets and Nodes, and none of them.
    pub fn new() -> Arc<Self> {
        let server = Arc::new(Self { state: Mutex::default(), changed: watch::Sender::new(()) });
        for (path, kind, namespaced) in
            [(PODS, "Pod", true), (SECRETS, "Secret", true), (NODES, "Node", false)]
        {
            server.serve(path, kind, namespaced);
        }
        server
    }

    /// Has a resource from now on.
    pub fn serve(&self, path: &str, kind: &'static str, namespaced: bool) {
        self.change(|state| {
            state.apis.insert(path.to_owned(), (kind, namespaced));
        });
    }

    /// Whether it has a resource.
    pub fn serves(&self, path: &str) -> bool {
        self.state.lock().apis.contains_key(path)
    }

    /// Has a resource no longer, nor its objects.
    pub fn unserve(&self, path: &str) {
        self.change(|state| {
            state.apis.remove(path);
            state.objects.retain(|key, _| key.path != path);
        });
    }

    /// Makes or changes an object; `rest` is what it has beside its metadata, or adds to it.
    pub fn put(&self, path: &str, namespace: &str, name: &str, labels: &Value, rest: &Value) {
        self.change(|state| state.put(path, namespace, name, labels, rest));
    }

    /// Makes or changes a Pod.
    pub fn pod(&self, namespace: &str, name: &str) {
        self.put(PODS, namespace, name, &json!({}), &json!({}));
    }

    /// Deletes an object, if it is there.
    pub fn delete(&self, path: &str, namespace: &str, name: &str) {
        self.change(|state| state.delete(path, namespace, name));
    }

    /// Forgets the history and the pages of lists that are under way, as a server does after some minutes.
    pub fn forget(&self) {
        self.change(State::forget);
    }

    /// Breaks all watches, as a network does.
    pub fn cut(&self) {
        self.change(|state| state.epoch += 1);
    }

    /// Nobody answers any more, or somebody does again.
    pub fn set_down(&self, down: bool) {
        self.change(|state| {
            state.down = down;
            state.epoch += 1;
        });
    }

    /// The reader may not list or watch a resource.
    pub fn forbid(&self, path: &str) {
        self.change(|state| {
            state.forbidden.insert(path.to_owned());
        });
    }

    /// Lists have pages of so many objects at most, whatever is asked for.
    pub fn page_size(&self, objects: usize) {
        self.change(|state| state.page_size = Some(objects));
    }

    /// All there is now, as a backup has it.
    pub fn snapshot(&self) -> Snapshot {
        self.state.lock().snapshot()
    }

    /// Is again what it was: objects and resource versions go back, and every watch breaks.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.change(|state| state.restore(snapshot));
    }

    /// From now on this goes wrong. Of several that fit a request, the one planted first happens.
    pub fn plant(&self, trouble: Trouble) {
        self.change(|state| state.troubles.push(trouble));
    }

    /// Nothing goes wrong any more. Answers that are under way stay as they are.
    pub fn heal(&self) {
        self.change(|state| state.troubles.clear());
    }

    /// How often this was asked for of a resource.
    pub fn asked(&self, ask: Ask, path: &str) -> usize {
        self.state.lock().asked.iter().filter(|(other, of)| (*other, of.as_str()) == (ask, path)).count()
    }

    /// Requests of any kind.
    pub fn requests(&self) -> usize {
        self.state.lock().asked.len()
    }

    /// Bytes of bodies that were handed out.
    pub fn sent(&self) -> u64 {
        self.state.lock().sent
    }

    /// `namespace/name` of the objects of a resource.
    pub fn names(&self, path: &str) -> BTreeSet<String> {
        let state = self.state.lock();
        let of = state.objects.keys().filter(|key| key.path == path);
        of.map(|key| format!("{}/{}", key.namespace, key.name)).collect()
    }

    /// The objects of a resource, with `apiVersion` and `kind`, which lists do not say.
    pub fn objects(&self, path: &str) -> Vec<Value> {
        let state = self.state.lock();
        let kind = state.apis.get(path).map_or("", |(kind, _)| kind);
        let api_version = discovery::api_version(path);
        let of = state.objects.iter().filter(|(key, _)| key.path == path);
        of.map(|(_, object)| {
            let mut object = Value::clone(object);
            object["apiVersion"] = api_version.as_str().into();
            object["kind"] = kind.into();
            object
        })
        .collect()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.send_replace(());
    }

    /// Counts what a body hands out.
    fn hands_out(&self, bytes: &Bytes) {
        self.state.lock().sent += bytes.len() as u64;
    }
}
