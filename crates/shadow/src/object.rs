//! Small hand-holds for objects as trees.

use serde_json::{Map, Value};

/// A field; made where it is not there. What holds no fields becomes an object.
pub(crate) fn entry<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    &mut value[key]
}

/// Takes a field away; nothing is made on the way there.
pub(crate) fn remove(value: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, path) = path.split_last()?;
    let mut place = value;
    for step in path {
        place = place.get_mut(*step)?;
    }
    place.as_object_mut()?.remove(*last)
}

/// A text field of `metadata`; empty where there is none.
pub(crate) fn metadata<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"][key].as_str().unwrap_or_default()
}

/// The API group and version in `apiVersion`.
pub(crate) fn group_version(object: &Value) -> (&str, &str) {
    let text = object["apiVersion"].as_str().unwrap_or_default();
    text.split_once('/').unwrap_or(("", text))
}
