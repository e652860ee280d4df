//! Patches: RFC 6902, RFC 7396, and Kubernetes' strategic merge.

mod strategic;

use http::{HeaderMap, header};
use json_patch::PatchOperation;
use meta::Status;
use serde_json::Value;

use crate::schema::Schema;

/// Operations of one JSON patch; and those among them that copy, of which thirty could double an object thirty times.
const OPERATIONS: usize = 1_000;
const COPIES: usize = 100;
/// Levels of an object. Inside its Manifest, the parser of JSON, which takes 128, still reads it.
pub(crate) const DEPTH: usize = 100;
/// What a patched object may have, in bytes of JSON: the parent takes no more either.
pub(crate) const OBJECT: usize = 3 << 20;

/// How a patch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `application/json-patch+json`
    Json,
    /// `application/merge-patch+json`
    Merge,
    /// `application/strategic-merge-patch+json`
    Strategic,
    /// `application/apply-patch+yaml`: no patch but a server-side apply.
    Apply,
}

impl Form {
    /// By the media type of the body.
    ///
    /// # Errors
    /// 415 for any other.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        let given =
            headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match given.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            other => Err(Status::unsupported_media_type(format!(
                "A patch of the type {other:?} is not understood; send application/json-patch+json, \
                 application/merge-patch+json, application/strategic-merge-patch+json or application/apply-patch+yaml."
            ))),
        }
    }
}

/// The object after a patch that is no server-side apply. A strategic merge needs the schema of the kind.
///
/// # Errors
/// 400 for a patch that is none, 422 for one that does not fit the object, 413 for one that makes too much, 415 for a
/// strategic merge of a kind that has no schema for it.
pub(crate) fn apply(
    form: Form,
    object: &Value,
    patch: Value,
    schema: Option<Schema<'_>>,
) -> Result<Value, Status> {
    let mut patched = object.clone();
    match form {
        Form::Json => json(&mut patched, patch)?,
        Form::Merge => {
            if !patch.is_object() {
                return Err(Status::bad_request("A merge patch is a JSON object."));
            }
            json_patch::merge(&mut patched, &patch);
        }
        Form::Strategic => {
            let schema = schema.ok_or_else(|| {
                Status::unsupported_media_type(
                    "Strategic merge patches are for kinds of Kubernetes itself; send application/merge-patch+json.",
                )
            })?;
            strategic::apply(&mut patched, &patch, schema)?;
        }
        Form::Apply => return Err(Status::internal("A server-side apply is the parent's to carry out.")),
    }
    if !patched.is_object() || size(&patched) > OBJECT {
        return Err(Status::too_large(format!(
            "The patched object is none, or has more than {OBJECT} bytes."
        )));
    }
    Ok(patched)
}

/// A JSON patch, operation by operation, so that none makes more than is allowed.
fn json(object: &mut Value, patch: Value) -> Result<(), Status> {
    let Value::Array(operations) = patch else {
        return Err(Status::bad_request("A JSON patch is a list of operations."));
    };
    if operations.len() > OPERATIONS {
        return Err(Status::too_large(format!("A JSON patch may have {OPERATIONS} operations at most.")));
    }
    let mut copies = 0;
    for (at, operation) in operations.into_iter().enumerate() {
        // The message of the error may repeat the value.
        let operation: PatchOperation = serde_json::from_value(operation)
            .map_err(|_| Status::bad_request(format!("Operation {at} of the JSON patch is none.")))?;
        if depth_after(object, &operation) > DEPTH {
            return Err(Status::too_large(format!(
                "A JSON patch may make an object {DEPTH} levels deep at most."
            )));
        }
        json_patch::patch(object, std::slice::from_ref(&operation)).map_err(|error| {
            Status::invalid(format!(
                "Operation {at} of the JSON patch does not fit the object at {:?}: {}",
                operation.path().as_str(),
                error.kind
            ))
        })?;
        if matches!(operation, PatchOperation::Copy(_)) {
            copies += 1;
            if copies > COPIES || size(object) > OBJECT {
                return Err(Status::too_large(format!(
                    "A JSON patch may copy {COPIES} times, and make an object of {OBJECT} bytes, at most."
                )));
            }
        }
    }
    Ok(())
}

/// How deep what an operation writes is going to reach. Whatever is done with an object later goes down into it by
/// recursion.
fn depth_after(object: &Value, operation: &PatchOperation) -> usize {
    let there = |pointer: &str| object.pointer(pointer).map_or(0, depth);
    let written = match operation {
        PatchOperation::Add(add) => depth(&add.value),
        PatchOperation::Replace(replace) => depth(&replace.value),
        PatchOperation::Copy(copy) => there(copy.from.as_str()),
        PatchOperation::Move(from) => there(from.from.as_str()),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => return 0,
    };
    operation.path().count() + written
}

/// Levels of objects and lists. What is measured has come through the JSON parser or this check, and is not deep.
pub(crate) fn depth(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Bytes as JSON.
fn size(value: &Value) -> usize {
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // A tree of values can always be written.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(form: Form, patch: Value) -> Result<Value, u16> {
        apply(form, &json!({ "a": [1], "b": { "c": 1 } }), patch, None).map_err(|status| status.code)
    }

    #[test]
    fn a_json_patch_and_a_merge_patch_change_what_they_name() {
        let operations = json!([{ "op": "test", "path": "/b/c", "value": 1 }, { "op": "add", "path": "/a/-", "value": 2 }]);
        assert_eq!(patched(Form::Json, operations), Ok(json!({ "a": [1, 2], "b": { "c": 1 } })));
        assert_eq!(
            patched(Form::Merge, json!({ "b": { "c": null }, "d": 1 })),
            Ok(json!({ "a": [1], "b": {}, "d": 1 }))
        );
    }

    #[test]
    fn a_patch_that_does_not_fit_is_refused_and_never_repeats_a_value() {
        assert_eq!(patched(Form::Json, json!([{ "op": "remove", "path": "/x" }])), Err(422));
        assert_eq!(patched(Form::Json, json!([{ "op": "test", "path": "/b/c", "value": 2 }])), Err(422));
        assert_eq!(patched(Form::Json, json!({})), Err(400));
        assert_eq!(patched(Form::Merge, json!([])), Err(400));
        assert_eq!(patched(Form::Strategic, json!({})), Err(415));
        let secret = json!([{ "op": "add", "path": 3, "value": "very-secret" }]);
        let status = apply(Form::Json, &json!({}), secret, None).unwrap_err();
        assert!(!status.message.contains("very-secret"), "{status}");
    }

    #[test]
    fn a_patch_cannot_make_an_object_explode() {
        let grow = |mut operations: Vec<Value>, copy: Value| {
            operations.extend(std::iter::repeat_n(copy, 90));
            patched(Form::Json, json!(operations))
        };
        let list = vec![json!({ "op": "add", "path": "/l", "value": ["y".repeat(1_000)] })];
        assert_eq!(grow(list, json!({ "op": "copy", "from": "/l", "path": "/l/-" })), Err(413));
        let mut deep = json!({});
        for _ in 0..60 {
            deep = json!({ "x": deep });
        }
        let deep = vec![json!({ "op": "add", "path": "/x", "value": deep })];
        assert_eq!(grow(deep, json!({ "op": "copy", "from": "", "path": "/x" })), Err(413));
        let many: Vec<_> =
            (0..=OPERATIONS).map(|_| json!({ "op": "test", "path": "/b/c", "value": 1 })).collect();
        assert_eq!(patched(Form::Json, json!(many)), Err(413));
    }

    #[test]
    fn the_media_type_says_which_patch_it_is() {
        let form =
            |text: &str| Form::of(&[(header::CONTENT_TYPE, text.parse().unwrap())].into_iter().collect());
        assert_eq!(form("application/merge-patch+json; charset=utf-8"), Ok(Form::Merge));
        assert_eq!(form("application/json").unwrap_err().code, 415);
    }
}
