//! What one simulated cluster holds: objects by place, and what happened to them.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use serde_json::{Value, json};
use testkit::apply::applied;

/// A resource that every simulated cluster has.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) plural: &'static str,
    pub(super) kind: &'static str,
    pub(super) namespaced: bool,
}

const fn resource(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
) -> Resource {
    Resource { group, version: "v1", plural, kind, namespaced }
}

/// As many as deployed objects need.
pub(super) const RESOURCES: [Resource; 6] = [
    resource("", "namespaces", "Namespace", false),
    resource("", "configmaps", "ConfigMap", true),
    resource("", "secrets", "Secret", true),
    resource("", "services", "Service", true),
    resource("", "serviceaccounts", "ServiceAccount", true),
    resource("apps", "deployments", "Deployment", true),
];
const NAMESPACES: usize = 0;

/// Changes that a watch can begin before.
const HISTORY: usize = 2_000;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Of [`RESOURCES`].
    pub(super) resource: usize,
    /// Empty for an object without one.
    pub(super) namespace: String,
    pub(super) name: String,
}

/// An object as it is stored.
#[derive(Debug, Clone)]
struct Stored {
    /// As JSON.
    object: Bytes,
    /// What was applied last, as JSON.
    applied: Bytes,
    labels: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Change {
    version: u64,
    place: Place,
    type_: &'static str,
    object: Bytes,
    labels: BTreeMap<String, String>,
}

/// Which objects a list or a watch is about.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) resource: usize,
    pub(super) namespace: Option<String>,
    /// Labels that are asked for.
    pub(super) labels: Vec<(String, String)>,
}

impl Wanted {
    fn has(&self, place: &Place, labels: &BTreeMap<String, String>) -> bool {
        place.resource == self.resource
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == place.namespace)
            && self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// What became of a write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// It is stored so.
    Changed(Bytes),
    /// It was so before, or was only tried.
    Same(Bytes),
    /// Its namespace is missing.
    NoNamespace,
}

/// The objects of one cluster.
#[derive(Debug)]
pub(super) struct Objects {
    version: u64,
    stored: BTreeMap<Place, Stored>,
    history: VecDeque<Change>,
}

impl Default for Objects {
    /// A cluster with the namespace `default`.
    fn default() -> Self {
        let mut objects = Self { version: 1, stored: BTreeMap::new(), history: VecDeque::new() };
        let place = Place { resource: NAMESPACES, namespace: String::new(), name: String::from("default") };
        let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "default" } });
        objects.apply(&place, &namespace, false);
        objects
    }
}

impl Objects {
    /// The newest resource version.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The object at a place.
    pub(super) fn get(&self, place: &Place) -> Option<Bytes> {
        self.stored.get(place).map(|stored| stored.object.clone())
    }

    /// The objects that are asked for, as items of a list.
    pub(super) fn list(&self, wanted: &Wanted) -> Vec<Bytes> {
        let all = self.stored.iter().filter(|(place, stored)| wanted.has(place, &stored.labels));
        all.map(|(_, stored)| stored.object.clone()).collect()
    }

    /// Server-side apply, as if there were one manager: what it applied before and does not any more goes. Writes of what
    /// is there already change nothing.
    pub(super) fn apply(&mut self, place: &Place, body: &Value, dry_run: bool) -> Written {
        if !self.has_namespace(place) {
            return Written::NoNamespace;
        }
        let before = self.stored.get(place);
        let read = |json: &Bytes| serde_json::from_slice::<Value>(json).unwrap_or_default();
        let live = before.map(|stored| read(&stored.object));
        let last = before.map(|stored| read(&stored.applied)).unwrap_or_default();
        let mut object = applied(live.clone().unwrap_or_else(|| json!({})), &last, body);
        let version = self.version + 1;
        complete(&mut object, live.as_ref(), place, version);
        if live.as_ref().is_some_and(|live| is_same(live, &object)) {
            return Written::Same(before.map(|stored| stored.object.clone()).unwrap_or_default());
        }
        let json = Bytes::from(object.to_string());
        if dry_run {
            return Written::Same(json);
        }
        let labels = labels(&object);
        let stored =
            Stored { object: json.clone(), applied: Bytes::from(body.to_string()), labels: labels.clone() };
        let type_ = if live.is_some() { "MODIFIED" } else { "ADDED" };
        self.stored.insert(place.clone(), stored);
        self.remember(Change { version, place: place.clone(), type_, object: json.clone(), labels });
        Written::Changed(json)
    }

    /// Whether there was anything to delete. With a namespace goes what is in it.
    pub(super) fn delete(&mut self, place: &Place) -> bool {
        if place.resource == NAMESPACES {
            let inside: Vec<Place> =
                self.stored.keys().filter(|other| other.namespace == place.name).cloned().collect();
            for other in inside {
                self.delete(&other);
            }
        }
        let Some(stored) = self.stored.remove(place) else { return false };
        let version = self.version + 1;
        let mut object: Value = serde_json::from_slice(&stored.object).unwrap_or_default();
        object["metadata"]["resourceVersion"] = version.to_string().into();
        let object = Bytes::from(object.to_string());
        let change =
            Change { version, place: place.clone(), type_: "DELETED", object, labels: stored.labels };
        self.remember(change);
        true
    }

    /// The events after `since`, as lines of JSON; nothing if that is too long ago.
    pub(super) fn events(&self, wanted: &Wanted, since: u64) -> Option<Vec<Bytes>> {
        let oldest = self.history.front().map_or(self.version, |change| change.version - 1);
        if since < oldest {
            return None;
        }
        let begin = self.history.partition_point(|change| change.version <= since);
        let told = self.history.range(begin..).filter(|change| wanted.has(&change.place, &change.labels));
        Some(told.map(Change::event).collect())
    }

    fn has_namespace(&self, place: &Place) -> bool {
        let (namespace, name) = (String::new(), place.namespace.clone());
        place.namespace.is_empty()
            || self.stored.contains_key(&Place { resource: NAMESPACES, namespace, name })
    }

    fn remember(&mut self, change: Change) {
        self.version = change.version;
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(change);
    }
}

impl Change {
    fn event(&self) -> Bytes {
        let mut line = Vec::with_capacity(self.object.len() + 40);
        line.extend_from_slice(format!(r#"{{"type":"{}","object":"#, self.type_).as_bytes());
        line.extend_from_slice(&self.object);
        line.extend_from_slice(b"}\n");
        Bytes::from(line)
    }
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    let labels = object["metadata"]["labels"].as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// What the server itself sets.
fn complete(object: &mut Value, before: Option<&Value>, place: &Place, version: u64) {
    let resource = &RESOURCES[place.resource];
    let generation = match before {
        Some(before) => {
            let was = before["metadata"]["generation"].as_u64().unwrap_or_default();
            if before["spec"] == object["spec"] { was } else { was + 1 }
        }
        None => 1,
    };
    let metadata = &mut object["metadata"];
    metadata["name"] = place.name.clone().into();
    if resource.namespaced {
        metadata["namespace"] = place.namespace.clone().into();
    }
    metadata["resourceVersion"] = version.to_string().into();
    if before.is_none() {
        metadata["uid"] = format!("00000000-0000-4000-8000-{version:012}").into();
        metadata["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    }
    metadata["managedFields"] = json!([{ "manager": "clusterway", "operation": "Apply" }]);
    match resource.kind {
        "Deployment" => {
            metadata["generation"] = generation.into();
            let replicas = object["spec"]["replicas"].as_u64().unwrap_or(1);
            object["status"] = json!({
                "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
                "readyReplicas": replicas, "availableReplicas": replicas,
                "conditions": [{ "type": "Available", "status": "True", "reason": "MinimumReplicasAvailable" },
                               { "type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable" }],
            });
        }
        "Namespace" => object["status"] = json!({ "phase": "Active" }),
        _ => {}
    }
}

/// Whether two states are one but for the version of the write.
fn is_same(one: &Value, other: &Value) -> bool {
    let plain = |value: &Value| {
        let mut value = value.clone();
        value["metadata"]["resourceVersion"] = Value::Null;
        value
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_map(name: &str) -> Place {
        Place { resource: 1, namespace: String::from("default"), name: name.to_owned() }
    }

    fn wanted() -> Wanted {
        let labels = vec![(String::from("ours"), String::from("true"))];
        Wanted { resource: 1, namespace: None, labels }
    }

    #[test]
    fn what_is_applied_again_changes_nothing_and_what_is_left_out_goes() {
        let mut objects = Objects::default();
        let first = json!({ "kind": "ConfigMap", "metadata": { "labels": { "ours": "true" } }, "data": { "a": "1", "b": "2" } });
        assert!(matches!(objects.apply(&config_map("x"), &first, false), Written::Changed(_)));
        let version = objects.version();
        assert!(matches!(objects.apply(&config_map("x"), &first, false), Written::Same(_)));
        assert_eq!(objects.version(), version);
        let second = json!({ "kind": "ConfigMap", "metadata": { "labels": { "ours": "true" } }, "data": { "a": "1" } });
        let Written::Changed(json) = objects.apply(&config_map("x"), &second, false) else { panic!() };
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap()["data"], json!({ "a": "1" }));
        assert_eq!(objects.events(&wanted(), version).unwrap().len(), 1);
    }

    #[test]
    fn a_dry_run_stores_nothing_and_a_missing_namespace_is_told() {
        let mut objects = Objects::default();
        let object = json!({ "kind": "ConfigMap" });
        assert!(matches!(objects.apply(&config_map("x"), &object, true), Written::Same(_)));
        assert_eq!(objects.get(&config_map("x")), None);
        let elsewhere = Place { namespace: String::from("elsewhere"), ..config_map("x") };
        assert_eq!(objects.apply(&elsewhere, &object, false), Written::NoNamespace);
    }

    #[test]
    fn a_watch_is_told_of_a_deletion() {
        let mut objects = Objects::default();
        let object = json!({ "kind": "ConfigMap", "metadata": { "labels": { "ours": "true" } } });
        objects.apply(&config_map("x"), &object, false);
        let version = objects.version();
        assert!(objects.delete(&config_map("x")) && !objects.delete(&config_map("x")));
        let told = objects.events(&wanted(), version).unwrap();
        assert!(told[0].starts_with(br#"{"type":"DELETED""#));
        assert!(objects.list(&wanted()).is_empty());
    }
}
