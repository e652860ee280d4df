//! Strategic merge: a merge patch that knows by which field the elements of a list are told apart. The schema says it
//! (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`); the patch may give directives:
//!
//! | directive | where | meaning |
//! |---|---|---|
//! | `$patch: replace`, `delete`, `merge` | object, element of a list | replace or delete instead of merging |
//! | `$retainKeys: […]` | object | drop every key that is not named |
//! | `$deleteFromPrimitiveList/f: […]` | object | drop these values from the list `f` |
//! | `$setElementOrder/f: […]` | object | the order of the list `f` after the merge |

use std::collections::BTreeMap;

use meta::Status;
use serde_json::{Map, Value};

use crate::schema::Schema;

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_PREFIX: &str = "$deleteFromPrimitiveList/";
const ORDER_PREFIX: &str = "$setElementOrder/";

/// Merges `patch` into `object`.
///
/// # Errors
/// 400 for a patch that is no object or has a directive that is none.
pub(super) fn apply(object: &mut Value, patch: &Value, schema: Schema<'_>) -> Result<(), Status> {
    let (Value::Object(fields), Value::Object(patch)) = (&mut *object, patch) else {
        return Err(Status::bad_request("A strategic merge patch is a JSON object, for an object."));
    };
    map(fields, patch, schema)
}

fn wrong(directive: &str) -> Status {
    Status::bad_request(format!("The directive {directive} of the strategic merge patch is not understood."))
}

fn list<'a>(value: &'a Value, directive: &str) -> Result<&'a Vec<Value>, Status> {
    value.as_array().ok_or_else(|| wrong(directive))
}

fn map(
    fields: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    schema: Schema<'_>,
) -> Result<(), Status> {
    match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or("?")) {
        None | Some("merge") => {}
        Some("replace") => {
            let mut replaced = patch.clone();
            replaced.remove(PATCH);
            *fields = replaced;
            return Ok(());
        }
        Some("delete") => {
            fields.clear();
            return Ok(());
        }
        Some(_) => return Err(wrong(PATCH)),
    }
    if let Some(kept) = patch.get(RETAIN) {
        let kept = list(kept, RETAIN)?;
        fields.retain(|key, _| kept.iter().any(|name| name == key.as_str()));
    }
    for (key, value) in patch {
        if let Some(name) = key.strip_prefix(DELETE_PREFIX) {
            let dropped = list(value, DELETE_PREFIX)?;
            if let Some(Value::Array(items)) = fields.get_mut(name) {
                items.retain(|item| !dropped.contains(item));
            }
        } else if !key.starts_with('$') {
            field(fields, key, value, schema.field(key))?;
        } else if key != PATCH && key != RETAIN && !key.starts_with(ORDER_PREFIX) {
            return Err(wrong(key));
        }
    }
    for (key, wanted) in patch {
        if let Some(name) = key.strip_prefix(ORDER_PREFIX)
            && let Some(Value::Array(items)) = fields.get_mut(name)
        {
            let wanted = list(wanted, ORDER_PREFIX)?;
            order(items, wanted, schema.field(name).merge_key());
        }
    }
    Ok(())
}

fn field(
    fields: &mut Map<String, Value>,
    key: &str,
    value: &Value,
    schema: Schema<'_>,
) -> Result<(), Status> {
    match value {
        Value::Null => drop(fields.remove(key)),
        Value::Object(patch) => {
            let deletes = patch.get(PATCH).is_some_and(|directive| directive == "delete");
            let place = fields.entry(key).or_insert_with(|| Value::Object(Map::new()));
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            if let Value::Object(inner) = place {
                map(inner, patch, schema)?;
            }
            if deletes {
                fields.remove(key);
            }
        }
        Value::Array(patch) if schema.has_strategy("merge") => {
            let place = fields.entry(key).or_insert_with(|| Value::Array(Vec::new()));
            if !place.is_array() {
                *place = Value::Array(Vec::new());
            }
            if let Value::Array(items) = place {
                elements(items, patch, schema)?;
            }
        }
        other => drop(fields.insert(key.to_owned(), other.clone())),
    }
    Ok(())
}

/// Merges a list into one whose elements are told apart, by a field or, if they are no objects, by their value.
fn elements(items: &mut Vec<Value>, patch: &[Value], schema: Schema<'_>) -> Result<(), Status> {
    let directive = |element: &Value| element.get(PATCH).and_then(Value::as_str).map(str::to_owned);
    if patch.iter().any(|element| directive(element).as_deref() == Some("replace")) {
        // The element that says so may be nothing but that.
        let plain = |element: &Value| {
            let mut element = element.clone();
            element.as_object_mut().map(|fields| fields.remove(PATCH));
            element
        };
        *items = patch.iter().map(plain).filter(|element| element != &Value::Object(Map::new())).collect();
        return Ok(());
    }
    let Some(key) = schema.merge_key() else {
        for value in patch {
            if !items.contains(value) {
                items.push(value.clone());
            }
        }
        return Ok(());
    };
    for element in patch {
        let Some(fields) = element.as_object() else {
            return Err(Status::bad_request(format!(
                "An element of a list that is merged by {key:?} in the strategic merge patch is no object."
            )));
        };
        let Some(name) = fields.get(key) else {
            return Err(Status::bad_request(format!(
                "An element of a list in the strategic merge patch lacks {key:?}, by which it is merged."
            )));
        };
        let found = items.iter().position(|item| item.get(key) == Some(name));
        match (directive(element).as_deref(), found) {
            (Some("delete"), Some(_)) => items.retain(|item| item.get(key) != Some(name)),
            (Some("delete"), None) => {}
            (_, Some(at)) => {
                if let Some(Value::Object(item)) = items.get_mut(at) {
                    map(item, fields, schema.item())?;
                }
            }
            (_, None) => {
                let mut made = Map::new();
                map(&mut made, fields, schema.item())?;
                items.push(Value::Object(made));
            }
        }
    }
    Ok(())
}

/// Puts elements in the order of `wanted`; those that are not in it stay behind the one they stood behind.
fn order(items: &mut Vec<Value>, wanted: &[Value], key: Option<&str>) {
    let name = |item: &Value| match key {
        Some(key) => item.get(key).cloned().unwrap_or(Value::Null).to_string(),
        None => item.to_string(),
    };
    let places: BTreeMap<String, usize> =
        wanted.iter().enumerate().map(|(at, item)| (name(item), at)).collect();
    // Each element that is not wanted in a place goes with the last one before it that is.
    let mut last = None;
    let mut placed: Vec<(Option<usize>, Value)> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        let own = places.get(&name(&item)).copied();
        last = own.or(last);
        placed.push((last, item));
    }
    placed.sort_by_key(|(place, _)| *place);
    items.extend(placed.into_iter().map(|(_, item)| item));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::schema::tests::apps;

    fn patched(object: Value, patch: &Value) -> Value {
        let document = apps();
        let mut object = object;
        apply(&mut object, patch, document.kind("apps", "v1", "Deployment").unwrap()).unwrap();
        object
    }

    fn containers(containers: Value) -> Value {
        let mut object = json!({ "spec": { "template": { "spec": {} } } });
        object["spec"]["template"]["spec"]["containers"] = containers;
        object
    }

    #[test]
    fn containers_are_merged_by_name() {
        let before = containers(
            json!([{ "name": "a", "image": "a:1", "env": [{ "name": "X", "value": "1" }] }, { "name": "b" }]),
        );
        let patch = containers(json!([
            { "name": "a", "image": "a:2", "env": [{ "name": "Y", "value": "2" }] }, { "name": "c", "image": "c:1" }]));
        assert_eq!(
            patched(before, &patch),
            containers(json!([
                { "name": "a", "image": "a:2", "env": [{ "name": "X", "value": "1" }, { "name": "Y", "value": "2" }] },
                { "name": "b" }, { "name": "c", "image": "c:1" }]))
        );
    }

    #[test]
    fn a_list_without_a_strategy_is_replaced() {
        let before = containers(json!([{ "name": "a", "args": ["1", "2"] }]));
        let patch = containers(json!([{ "name": "a", "args": ["3"] }]));
        assert_eq!(patched(before, &patch), patch);
    }

    #[test]
    fn directives_delete_replace_and_order() {
        let before = containers(json!([{ "name": "a" }, { "name": "b" }, { "name": "c" }]));
        let patch = containers(json!([{ "name": "b", "$patch": "delete" }]));
        assert_eq!(patched(before.clone(), &patch), containers(json!([{ "name": "a" }, { "name": "c" }])));
        let patch = containers(json!([{ "$patch": "replace" }, { "name": "z" }]));
        assert_eq!(patched(before.clone(), &patch), containers(json!([{ "name": "z" }])));
        let patch = json!({ "spec": { "template": { "spec": {
            "$setElementOrder/containers": [{ "name": "c" }, { "name": "a" }] } } } });
        assert_eq!(
            patched(before, &patch),
            containers(json!([{ "name": "c" }, { "name": "a" }, { "name": "b" }]))
        );
    }

    #[test]
    fn an_object_is_deleted_replaced_or_keeps_what_is_named() {
        let before = json!({ "spec": { "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } } } });
        let retain = json!({ "spec": { "strategy": { "$retainKeys": ["type"], "type": "Recreate" } } });
        assert_eq!(
            patched(before.clone(), &retain),
            json!({ "spec": { "strategy": { "type": "Recreate" } } })
        );
        let delete = json!({ "spec": { "strategy": { "$patch": "delete" } } });
        assert_eq!(patched(before.clone(), &delete), json!({ "spec": {} }));
        let replace = json!({ "spec": { "strategy": { "$patch": "replace", "type": "Recreate" } } });
        assert_eq!(patched(before, &replace), json!({ "spec": { "strategy": { "type": "Recreate" } } }));
    }

    #[test]
    fn values_are_united_and_taken_out_of_a_list_of_values() {
        let before = json!({ "metadata": { "finalizers": ["a", "b"] } });
        let patch =
            json!({ "metadata": { "finalizers": ["c", "a"], "$deleteFromPrimitiveList/finalizers": ["b"] } });
        assert_eq!(patched(before, &patch), json!({ "metadata": { "finalizers": ["a", "c"] } }));
    }

    #[test]
    fn a_directive_that_is_none_is_refused() {
        let document = apps();
        let schema = document.kind("apps", "v1", "Deployment").unwrap();
        for bad in [
            json!({ "$patch": "explode" }),
            json!({ "$what": 1 }),
            json!([]),
            json!({ "$retainKeys": 1 }),
            containers(json!(["a"])),
            containers(json!([{ "image": "a" }])),
        ] {
            assert_eq!(apply(&mut json!({}), &bad, schema).unwrap_err().code, 400, "{bad}");
        }
    }

    proptest! {
        /// A patch without lists and directives does what a merge patch does.
        #[test]
        fn without_lists_it_is_a_merge_patch(
            before in proptest::collection::btree_map("[a-c]", 0..3, 0..4),
            patch in proptest::collection::btree_map("[a-c]", proptest::option::of(0..3), 0..4),
        ) {
            let before = json!({ "metadata": { "labels": before } });
            let patch = json!({ "metadata": { "labels": patch } });
            let mut merged = before.clone();
            json_patch::merge(&mut merged, &patch);
            prop_assert_eq!(patched(before, &patch), merged);
        }
    }
}
