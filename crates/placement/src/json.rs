//! JSON values: how large and deep they are, and places in them.

use serde_json::Value;

/// Bytes and levels of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The size as JSON, without what escapes add: a measure, not the truth to the byte.
    pub(crate) bytes: usize,
    /// Lists and mappings inside each other.
    pub(crate) depth: usize,
}

/// Bytes and levels of a value.
pub(crate) fn extent(value: &Value) -> Extent {
    match value {
        Value::Null | Value::Bool(_) => Extent { bytes: 5, depth: 0 },
        Value::Number(_) => Extent { bytes: 8, depth: 0 },
        Value::String(text) => Extent { bytes: text.len() + 3, depth: 0 },
        Value::Array(items) => items.iter().fold(Extent { bytes: 2, depth: 1 }, |sum, item| {
            let inner = extent(item);
            Extent { bytes: sum.bytes + inner.bytes, depth: sum.depth.max(inner.depth + 1) }
        }),
        Value::Object(fields) => fields.iter().fold(Extent { bytes: 2, depth: 1 }, |sum, (key, field)| {
            let inner = extent(field);
            let bytes = sum.bytes + key.len() + 3 + inner.bytes;
            Extent { bytes, depth: sum.depth.max(inner.depth + 1) }
        }),
    }
}

/// Where the first value is that has more than `limit` lists and mappings around and in it, a JSON pointer.
pub(crate) fn too_deep(value: &Value, limit: usize) -> Option<String> {
    fn find(value: &Value, left: usize, path: &mut String) -> bool {
        if left == 0 {
            return matches!(value, Value::Array(_) | Value::Object(_));
        }
        let mut inner = |step: &str, value: &Value| {
            let length = path.len();
            path.push_str(&join("", step));
            let found = find(value, left - 1, path);
            if !found {
                path.truncate(length);
            }
            found
        };
        match value {
            Value::Array(items) => items.iter().enumerate().any(|(at, item)| inner(&at.to_string(), item)),
            Value::Object(fields) => fields.iter().any(|(key, field)| inner(key, field)),
            _ => false,
        }
    }
    let mut path = String::new();
    find(value, limit, &mut path).then_some(path)
}

/// The path with one more step, a JSON pointer (RFC 6901).
pub(crate) fn join(path: &str, step: &str) -> String {
    format!("{path}/{}", step.replace('~', "~0").replace('/', "~1"))
}

/// The text at a path of steps, if there is one.
pub(crate) fn text<'v>(value: &'v Value, path: &str) -> Option<&'v str> {
    value.pointer(path).and_then(Value::as_str)
}

/// Removes the field at a path of object keys, if it is there.
pub(crate) fn remove(value: &mut Value, parent: &str, key: &str) {
    if let Some(fields) = value.pointer_mut(parent).and_then(Value::as_object_mut) {
        fields.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_measure_grows_with_the_value_and_counts_levels() {
        assert_eq!(extent(&json!(1)).depth, 0);
        assert_eq!(extent(&json!({ "a": [{}] })).depth, 3);
        let small = extent(&json!({ "a": ["b"] })).bytes;
        assert!(small < extent(&json!({ "a": ["b", "c"] })).bytes);
        assert!(small < extent(&json!({ "aa": ["b"] })).bytes);
    }

    #[test]
    fn what_is_too_deep_has_a_path() {
        let value = json!({ "a": { "b": 1 }, "c/d": [1, [{}]] });
        assert_eq!(extent(&value).depth, 4);
        assert_eq!(too_deep(&value, 4), None);
        assert_eq!(too_deep(&value, 3).as_deref(), Some("/c~1d/1/0"));
        assert_eq!(too_deep(&value, 2).as_deref(), Some("/c~1d/1"));
        assert_eq!(too_deep(&value, 0).as_deref(), Some(""));
    }

    #[test]
    fn a_step_with_a_slash_is_escaped() {
        assert_eq!(join("/metadata/annotations", "a/b~c"), "/metadata/annotations/a~1b~0c");
    }
}
