//! Whether what is stored is what is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Of two lists of objects of one cluster, which differ: one line for each, empty if they are the same.
///
/// `there` are objects as the cluster shows them, `stored` as the search does: without `managedFields`, what kubectl
/// remembers in an annotation, and the values of Secrets.
pub fn differences(there: &[Value], stored: &[Value]) -> Vec<String> {
    let there: BTreeMap<String, Value> = there.iter().map(|object| (name(object), pruned(object))).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for object in stored {
        let name = name(object);
        match there.get(&name) {
            None => found.push(format!("{name} is stored and not there")),
            Some(expected) => {
                if let Some(path) = first_difference(expected, &without_empty(object.clone()), "") {
                    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
                    let (expected, stored) = (version(expected), version(object));
                    found.push(format!(
                        "{name} differs in {path} (version {expected} there, {stored} stored)"
                    ));
                }
            }
        }
        if !seen.insert(name.clone()) {
            found.push(format!("{name} is stored twice"));
        }
    }
    found.extend(
        there.keys().filter(|name| !seen.contains(*name)).map(|name| format!("{name} is not stored")),
    );
    found
}

/// What an object is called among all of its cluster.
fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    let [api_version, kind, namespace, name] =
        [&object["apiVersion"], &object["kind"], &metadata["namespace"], &metadata["name"]].map(text);
    format!("{api_version} {kind} {namespace}/{name}")
}

/// What of an object is stored.
fn pruned(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    if object["kind"] == "Secret" && object["apiVersion"] == "v1" {
        for member in ["data", "stringData"] {
            let values = object.get_mut(member).and_then(Value::as_object_mut).into_iter();
            values.flat_map(serde_json::Map::values_mut).for_each(|value| *value = "".into());
        }
    }
    without_empty(object)
}

/// No annotations are as good as none.
fn without_empty(mut object: Value) -> Value {
    let empty = object.pointer("/metadata/annotations") == Some(&serde_json::json!({}));
    if empty && let Some(metadata) = object.pointer_mut("/metadata").and_then(Value::as_object_mut) {
        metadata.remove("annotations");
    }
    object
}

/// Where two values differ first, as a JSON pointer.
fn first_difference(one: &Value, other: &Value, path: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) => {
            let names = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name)));
            names.into_iter().find_map(|name| {
                let path = format!("{path}/{name}");
                match (a.get(name), b.get(name)) {
                    (Some(one), Some(other)) => first_difference(one, other, &path),
                    _ => Some(path),
                }
            })
        }
        _ => (one != other).then(|| path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, version: &str) -> Value {
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "resourceVersion": version } })
    }

    #[test]
    fn the_same_objects_do_not_differ_however_they_are_ordered() {
        let (a, b) = (pod("a", "1"), pod("b", "2"));
        assert!(differences(&[a.clone(), b.clone()], &[b, a]).is_empty());
    }

    #[test]
    fn what_is_missing_too_much_doubled_or_old_is_named() {
        let there = [pod("a", "2"), pod("b", "1")];
        let stored = [pod("a", "1"), pod("c", "1"), pod("c", "1")];
        let found = differences(&there, &stored);
        let expected = [
            r#"v1 Pod /a differs in /metadata/resourceVersion (version "2" there, "1" stored)"#,
            "v1 Pod /c is stored and not there",
            "v1 Pod /c is stored and not there",
            "v1 Pod /c is stored twice",
            "v1 Pod /b is not stored",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_never_stored_is_not_missed_and_values_of_secrets_must_be_gone() {
        let secret = |value: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" }, "data": { "a": value } });
        assert!(differences(&[secret("hunter2")], &[secret("")]).is_empty());
        assert_eq!(differences(&[secret("hunter2")], &[secret("hunter2")]).len(), 1);
        let mut managed = pod("a", "1");
        managed["metadata"]["managedFields"] = json!([{}]);
        assert!(differences(&[managed], &[pod("a", "1")]).is_empty());
    }
}
