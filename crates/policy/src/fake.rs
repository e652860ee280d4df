//! A parent in memory, for tests: objects by path, and what was written.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{FutureExt as _, future::BoxFuture};
use kubeio::Error;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::parent::{Parent, Reader, Refusal, Write};

#[derive(Default)]
pub(crate) struct FakeParent {
    objects: Mutex<BTreeMap<String, Value>>,
    forbidden: Mutex<BTreeSet<String>>,
    /// To writes below which path, and how.
    refusal: Mutex<Option<(&'static str, Refusal)>>,
    writes: Mutex<Vec<String>>,
}

impl FakeParent {
    /// Stores an object as a user would.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.objects.lock().insert(path.to_owned(), object);
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.objects.lock().get(path).cloned()
    }

    pub(crate) fn remove(&self, path: &str) {
        self.objects.lock().remove(path);
    }

    /// The names of the objects of a collection.
    pub(crate) fn names(&self, path: &str) -> BTreeSet<String> {
        let objects = self.objects.lock();
        objects.keys().filter_map(|key| Some(key.strip_prefix(path)?.strip_prefix('/')?.to_owned())).collect()
    }

    /// The hub may not read this.
    pub(crate) fn forbid(&self, path: &str) {
        self.forbidden.lock().insert(path.to_owned());
    }

    /// Writes of PediaClusters are answered so, or done.
    pub(crate) fn refuse(&self, refusal: Option<Refusal>) {
        self.refuse_below("/pediaclusters", refusal);
    }

    /// Writes to what has this in its path are answered so; with nothing, all writes are done.
    pub(crate) fn refuse_below(&self, path: &'static str, refusal: Option<Refusal>) {
        *self.refusal.lock() = refusal.map(|refusal| (path, refusal));
    }

    /// The writes since it was asked last, as `VERB path`.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.writes.lock())
    }

    fn done(&self, write: Write) -> Result<(), Refusal> {
        let (verb, path) = match &write {
            Write::Create(path, _) => ("create", path.clone()),
            Write::Merge(path, _) => ("merge", path.clone()),
            Write::Status(path, _) => ("merge", format!("{path}/status")),
            Write::Apply(path, _) => ("apply", path.clone()),
            Write::Delete(path, _) => ("delete", path.clone()),
        };
        self.writes.lock().push(format!("{verb} {}", path.rsplit("/v1alpha").next().unwrap_or_default()));
        if let Some((below, refusal)) = &*self.refusal.lock()
            && path.contains(below)
        {
            return Err(refusal.clone());
        }
        let mut objects = self.objects.lock();
        match write {
            Write::Create(path, mut object) => {
                let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
                object["metadata"]["uid"] = json!(format!("uid of {path}"));
                if objects.contains_key(&path) {
                    return Err(Refusal::Raced);
                }
                objects.insert(path, object);
            }
            Write::Merge(path, patch) | Write::Status(path, patch) => {
                let object = objects.get_mut(&path).ok_or_else(|| Refusal::Later(String::from("gone")))?;
                merge(object, &patch);
            }
            Write::Apply(path, object) => {
                objects.insert(path, object);
            }
            Write::Delete(path, uid) => {
                if objects.get(&path).is_some_and(|object| object["metadata"]["uid"] == *uid) {
                    objects.remove(&path);
                }
            }
        }
        Ok(())
    }
}

fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (field, value) in fields {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(field);
        } else {
            merge(&mut object[field], value);
        }
    }
}

impl Reader for FakeParent {
    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Value>, Error>> {
        let answer = if self.forbidden.lock().contains(path) {
            Err(Error::Forbidden(String::from("no")))
        } else {
            Ok(self.get(path))
        };
        std::future::ready(answer).boxed()
    }
}

impl Parent for FakeParent {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<(), Refusal>> {
        std::future::ready(self.done(write)).boxed()
    }
}
