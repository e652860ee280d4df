//! Server-side apply by one manager, as far as stand-ins for a cluster need it.

use serde_json::{Value, json};

/// The object that comes of applying `now` to `live`, of which `before` was applied last: fields that are applied no longer go,
/// and those of others stay. Lists are taken as a whole.
///
/// ```
/// use serde_json::json;
/// let live = json!({ "data": { "ours": 1, "theirs": 2 } });
/// let after = testkit::apply::applied(live, &json!({ "data": { "ours": 1 } }), &json!({ "data": { "new": 3 } }));
/// assert_eq!(after, json!({ "data": { "new": 3, "theirs": 2 } }));
/// ```
pub fn applied(mut live: Value, before: &Value, now: &Value) -> Value {
    forget(&mut live, before, now);
    merge(&mut live, now);
    live
}

/// Takes out of `object` what was applied `before` and is not any more.
fn forget(object: &mut Value, before: &Value, now: &Value) {
    let (Value::Object(fields), Value::Object(before)) = (object, before) else { return };
    for (key, value) in before {
        match (fields.get_mut(key), now.get(key)) {
            (Some(_), None) => {
                fields.remove(key);
            }
            (Some(inner), Some(now)) => forget(inner, value, now),
            (None, _) => {}
        }
    }
}

/// Sets what `patch` has.
fn merge(object: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            if !object.is_object() {
                *object = json!({});
            }
            for (key, value) in fields {
                merge(&mut object[key], value);
            }
        }
        other => *object = other.clone(),
    }
}
