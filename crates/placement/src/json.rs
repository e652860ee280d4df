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
    fn a_step_with_a_slash_is_escaped() {
        assert_eq!(join("/metadata/annotations", "a/b~c"), "/metadata/annotations/a~1b~0c");
    }
}
