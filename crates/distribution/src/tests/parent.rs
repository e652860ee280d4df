//! A parent in memory: objects by path, what was written, and what a watch would show of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture};
use k8s_openapi::api::core::v1::ObjectReference;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::parent::{Note, Parent, Refusal, Write};

#[derive(Default)]
pub(super) struct FakeParent(Mutex<State>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    writes: Vec<String>,
    notes: Vec<(String, Note)>,
    /// What a watch has yet to show: the path, and the object, or that it is gone.
    changes: Vec<(String, Value, bool)>,
    /// Writes to what has this in its path are refused.
    refusal: Option<(&'static str, Refusal)>,
    /// The hub dies at this write, before or after it has its effect.
    death: Option<(usize, bool)>,
}

impl FakeParent {
    /// Stores an object as a user would; what is there keeps its status and what it is known by.
    pub(super) fn put(&self, path: &str, object: &Value) {
        self.0.lock().store(path, object.clone(), true);
    }

    pub(super) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().objects.get(path).cloned()
    }

    /// Changes an object as a user or a deployer would.
    pub(super) fn change(&self, path: &str, patch: &Value) {
        let mut state = self.0.lock();
        let mut object = state.objects[path].clone();
        let bumps = patch.as_object().unwrap().keys().any(|key| key != "metadata" && key != "status");
        merge(&mut object, patch);
        state.store(path, object, bumps);
    }

    /// Deletes an object as a user would.
    pub(super) fn delete(&self, path: &str) {
        self.0.lock().delete(path);
    }

    /// The paths of all objects of a kind, by its plural.
    pub(super) fn paths(&self, plural: &str) -> Vec<String> {
        let state = self.0.lock();
        let of = |path: &&String| path.rsplit('/').nth(1) == Some(plural);
        state.objects.keys().filter(of).cloned().collect()
    }

    /// The writes since it was asked last, as `VERB plural/name`.
    pub(super) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().writes)
    }

    /// The Events since it was asked last: `name reason`, and the text.
    pub(super) fn take_notes(&self) -> Vec<(String, String)> {
        let notes = std::mem::take(&mut self.0.lock().notes);
        notes.into_iter().map(|(about, note)| (format!("{about} {}", note.reason), note.text)).collect()
    }

    pub(super) fn take_changes(&self) -> Vec<(String, Value, bool)> {
        std::mem::take(&mut self.0.lock().changes)
    }

    /// Everything, as a list shows it.
    pub(super) fn all(&self) -> Vec<(String, Value)> {
        self.0.lock().objects.clone().into_iter().collect()
    }

    /// A list of what has a label, `KEY%3DVALUE`.
    fn list(&self, collection: &str, selector: &str) -> Value {
        let (key, value) = selector.split_once("%3D").unwrap();
        let state = self.0.lock();
        let inside = |path: &String| path.rsplit_once('/').is_some_and(|(parent, _)| parent == collection);
        let all = state.objects.iter().filter(|(path, _)| inside(path)).map(|(_, object)| object);
        let items: Vec<&Value> = all.filter(|object| object["metadata"]["labels"][key] == value).collect();
        json!({ "items": items })
    }

    pub(super) fn refuse(&self, refusal: Option<(&'static str, Refusal)>) {
        self.0.lock().refusal = refusal;
    }

    /// Lets the hub die at a write; nothing of it gets through after that.
    pub(super) fn die_at(&self, death: Option<(usize, bool)>) {
        let mut state = self.0.lock();
        (state.death, state.writes) = (death, Vec::new());
    }
}

impl State {
    fn store(&mut self, path: &str, mut object: Value, bumps: bool) -> Value {
        self.version += 1;
        let before = self.objects.get(path).cloned().unwrap_or(Value::Null);
        let version = self.version;
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.remove("resourceVersion");
        let known = |key: &str| before["metadata"].get(key).cloned();
        metadata.insert("uid".into(), known("uid").unwrap_or_else(|| json!(uid(version))));
        let created = known("creationTimestamp");
        metadata.insert("creationTimestamp".into(), created.unwrap_or_else(|| json!(time(version))));
        let generation = before["metadata"]["generation"].as_i64().unwrap_or(0) + i64::from(bumps);
        metadata.insert("generation".into(), json!(generation));
        let is_going = metadata.contains_key("deletionTimestamp");
        let held = metadata.get("finalizers").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
        let mut same = before.clone();
        if let Some(metadata) = same["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
            if same == object {
                return before;
            }
        }
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        if is_going && !held {
            self.objects.remove(path);
            self.changes.push((path.to_owned(), object.clone(), true));
            self.collect(&object);
        } else {
            self.objects.insert(path.to_owned(), object.clone());
            self.changes.push((path.to_owned(), object.clone(), false));
        }
        object
    }

    fn delete(&mut self, path: &str) {
        let Some(mut object) = self.objects.get(path).cloned() else { return };
        if object["metadata"].get("deletionTimestamp").is_none() {
            object["metadata"]["deletionTimestamp"] = json!(time(0));
            self.store(path, object, true);
        }
    }

    /// What a garbage collector does when an owner is gone.
    fn collect(&mut self, owner: &Value) {
        let uid = &owner["metadata"]["uid"];
        let owned = |object: &Value| object["metadata"]["ownerReferences"][0]["uid"] == *uid;
        let paths: Vec<String> =
            self.objects.iter().filter(|(_, object)| owned(object)).map(|(path, _)| path.clone()).collect();
        for path in &paths {
            self.delete(path);
        }
    }

    fn done(&mut self, write: Write) -> Result<Value, Refusal> {
        let (verb, path) = match &write {
            Write::Create(path, body) => {
                ("create", format!("{path}/{}", body["metadata"]["name"].as_str().unwrap()))
            }
            Write::Merge(path, _) => ("merge", path.clone()),
            Write::Status(path, _) => ("status", path.clone()),
            Write::Apply(..) => unreachable!("nothing is applied"),
            Write::Delete(path, _) => ("delete", path.clone()),
        };
        let number = self.writes.len();
        self.writes.push(format!("{verb} {}", short(&path)));
        if let Some((at, after)) = self.death
            && (number > at || (number == at && !after))
        {
            return Err(Refusal::Later(String::from("the hub is dead")));
        }
        if let Some((below, refusal)) = &self.refusal
            && path.contains(below)
        {
            return Err(refusal.clone());
        }
        let there = self.objects.get(&path).cloned();
        match write {
            Write::Create(_, body) => match there {
                Some(_) => Err(Refusal::Raced),
                None => Ok(self.store(&path, body, true)),
            },
            Write::Merge(_, patch) => {
                let mut object = there.ok_or(Refusal::Raced)?;
                let version = &patch["metadata"]["resourceVersion"];
                if version.is_string() && *version != object["metadata"]["resourceVersion"] {
                    return Err(Refusal::Raced);
                }
                let bumps = patch.get("spec").is_some();
                merge(&mut object, &patch);
                Ok(self.store(&path, object, bumps))
            }
            Write::Status(_, patch) => {
                let mut object = there.ok_or(Refusal::Raced)?;
                merge(&mut object["status"], &patch["status"]);
                Ok(self.store(&path, object, false))
            }
            Write::Apply(..) => unreachable!("nothing is applied"),
            Write::Delete(_, uid) => {
                if there.is_some_and(|there| there["metadata"]["uid"] == *uid) {
                    self.delete(&path);
                }
                Ok(Value::Null)
            }
        }
    }
}

impl Parent for FakeParent {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Bytes, Refusal>> {
        let mut state = self.0.lock();
        let result = state.done(write);
        let dies = state.death.is_some_and(|(at, _)| state.writes.len() == at + 1);
        let result = match result {
            Ok(_) if dies => Err(Refusal::Later(String::from("the hub is dead"))),
            Ok(Value::Null) => Ok(Bytes::new()),
            Ok(object) => Ok(Bytes::from(object.to_string())),
            Err(refusal) => Err(refusal),
        };
        std::future::ready(result).boxed()
    }

    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Bytes>, Refusal>> {
        let object = match path.split_once("?labelSelector=") {
            Some((collection, selector)) => Some(self.list(collection, selector)),
            None => self.get(path),
        };
        let object = object.map(|object| Bytes::from(object.to_string()));
        std::future::ready(Ok(object)).boxed()
    }

    fn tell<'a>(&'a self, about: &'a ObjectReference, note: &'a Note) -> BoxFuture<'a, ()> {
        self.0.lock().notes.push((about.name.clone().unwrap_or_default(), note.clone()));
        std::future::ready(()).boxed()
    }
}

/// Plural and name.
fn short(path: &str) -> String {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    format!("{}/{name}", parts.next().unwrap_or_default())
}

fn uid(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn time(number: u64) -> String {
    format!("2026-11-21T{:02}:{:02}:{:02}Z", number / 3600, number / 60 % 60, number % 60)
}

/// RFC 7396.
pub(super) fn merge(target: &mut Value, patch: &Value) {
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
