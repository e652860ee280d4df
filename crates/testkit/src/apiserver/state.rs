//! What the server knows: objects, their history, and what it was asked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use serde_json::{Value, json};

use super::trouble::{Ask, Trouble};

/// An object's place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) path: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// A change of an object: when, how, of which resource, and what it was afterwards, or last.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) kind: &'static str,
    pub(super) path: String,
    pub(super) object: Arc<Value>,
}

/// A list of which some pages were shown.
#[derive(Debug, Clone)]
pub(super) struct Rest {
    pub(super) version: u64,
    pub(super) objects: Vec<Arc<Value>>,
}

pub(super) struct State {
    pub(super) version: u64,
    /// What happened before is forgotten.
    pub(super) oldest: u64,
    pub(super) objects: BTreeMap<Key, Arc<Value>>,
    pub(super) history: Vec<Change>,
    /// Paths of resources, with kind and whether there are namespaces.
    pub(super) apis: BTreeMap<String, (&'static str, bool)>,
    pub(super) forbidden: BTreeSet<String>,
    pub(super) page_size: Option<usize>,
    /// By continue token.
    pub(super) pages: HashMap<String, Rest>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) down: bool,
    /// A watch of an earlier epoch is broken.
    pub(super) epoch: u64,
    /// Continue tokens and objects of endless lists are numbered.
    pub(super) number: u64,
    pub(super) asked: Vec<(Ask, String)>,
    pub(super) sent: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            // Not 0, which means something else.
            version: 10,
            oldest: 0,
            objects: BTreeMap::new(),
            history: Vec::new(),
            apis: BTreeMap::new(),
            forbidden: BTreeSet::new(),
            page_size: None,
            pages: HashMap::new(),
            troubles: Vec::new(),
            down: false,
            epoch: 0,
            number: 0,
            asked: Vec::new(),
            sent: 0,
        }
    }
}

/// All that a server had at one time.
#[derive(Debug, Clone)]
pub struct Snapshot {
    version: u64,
    oldest: u64,
    objects: BTreeMap<Key, Arc<Value>>,
    history: Vec<Change>,
    apis: BTreeMap<String, (&'static str, bool)>,
}

impl State {
    pub(super) fn put(&mut self, path: &str, namespace: &str, name: &str, labels: &Value, rest: &Value) {
        self.version += 1;
        let version = self.version.to_string();
        let key = Key { path: path.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
        let before = self.objects.get(&key);
        let uid = match before {
            Some(before) => before["metadata"]["uid"].clone(),
            // One that is made again is another.
            None => format!("{name}-{version}").into(),
        };
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        let mut object = json!({
            "metadata": { "name": name, "uid": uid, "labels": labels, "resourceVersion": version },
        });
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = namespace.into();
        }
        for (member, value) in rest.as_object().into_iter().flatten() {
            match (member.as_str(), value) {
                ("metadata", Value::Object(more)) => {
                    more.iter().for_each(|(name, value)| object["metadata"][name] = value.clone());
                }
                _ => object[member] = value.clone(),
            }
        }
        let object = Arc::new(object);
        self.happened(kind, path, Arc::clone(&object));
        self.objects.insert(key, object);
    }

    pub(super) fn delete(&mut self, path: &str, namespace: &str, name: &str) {
        let key = Key { path: path.to_owned(), namespace: namespace.to_owned(), name: name.to_owned() };
        if let Some(object) = self.objects.remove(&key) {
            self.version += 1;
            let mut last = Value::clone(&object);
            last["metadata"]["resourceVersion"] = self.version.to_string().into();
            self.happened("DELETED", path, Arc::new(last));
        }
    }

    fn happened(&mut self, kind: &'static str, path: &str, object: Arc<Value>) {
        self.history.push(Change { version: self.version, kind, path: path.to_owned(), object });
    }

    pub(super) fn forget(&mut self) {
        self.version += 1;
        self.oldest = self.version;
        self.history.clear();
        self.pages.clear();
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            version: self.version,
            oldest: self.oldest,
            objects: self.objects.clone(),
            history: self.history.clone(),
            apis: self.apis.clone(),
        }
    }

    pub(super) fn restore(&mut self, snapshot: &Snapshot) {
        let Snapshot { version, oldest, objects, history, apis } = snapshot.clone();
        self.version = version;
        self.oldest = oldest;
        self.objects = objects;
        self.history = history;
        self.apis = apis;
        self.pages.clear();
        self.epoch += 1;
    }

    /// What goes wrong with this request. Counts it.
    pub(super) fn trouble(&mut self, ask: Ask, path: &str) -> Option<super::Fault> {
        let trouble = self.troubles.iter_mut().find(|trouble| trouble.fits(ask, path))?;
        Some(trouble.happens())
    }
}
