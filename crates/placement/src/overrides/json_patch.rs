//! JSON patches (RFC 6902), operation by operation, so that none makes more than is allowed.

use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::Value;

use super::{
    bounds::Budget,
    error::{Fault, Problem},
};
use crate::json::{Extent, extent};

/// Applies a JSON patch. With an error the document is left half-changed: give a copy.
pub(super) fn apply(document: &mut Value, patch: Value, budget: &mut Budget<'_>) -> Result<(), Fault> {
    let Value::Array(operations) = patch else { return Err(Problem::NoPatch.into()) };
    let limit = budget.limits.operations;
    if operations.len() > limit {
        return Err(Problem::TooManyOperations { limit }.into());
    }
    let mut size = budget.check(document)?.bytes;
    for (at, operation) in operations.into_iter().enumerate() {
        // The message of the error may repeat the value.
        let operation: PatchOperation = serde_json::from_value(operation)
            .map_err(|_| Fault::from(Problem::OperationInvalid { operation: at }))?;
        let path = operation.path().as_str().to_owned();
        let grown = admit(document, size, &operation, budget).map_err(|problem| problem.at(path.clone()))?;
        json_patch::patch_unsafe(document, std::slice::from_ref(&operation))
            .map_err(|error| problem(&error.kind).at(path))?;
        size = grown;
    }
    // What was admitted is an upper bound; that it is within the limits is known by now.
    Ok(())
}

/// The size of the document after an operation, at most; refuses the operation if that or the depth is too much.
fn admit(
    document: &Value,
    size: usize,
    operation: &PatchOperation,
    budget: &mut Budget<'_>,
) -> Result<usize, Problem> {
    let path = operation.path();
    shift(document, path.as_str(), budget)?;
    let added = match operation {
        PatchOperation::Add(add) => extent(&add.value),
        PatchOperation::Replace(replace) => extent(&replace.value),
        PatchOperation::Copy(copy) => source(document, copy.from.as_str(), budget)?,
        PatchOperation::Move(from) => {
            shift(document, from.from.as_str(), budget)?;
            // It is taken away first: the size stays, and only the new key may be longer.
            Extent { bytes: 0, ..source(document, from.from.as_str(), budget)? }
        }
        PatchOperation::Remove(_) | PatchOperation::Test(_) => Extent { bytes: 0, depth: 0 },
    };
    budget.work(added.bytes + path.len())?;
    if added == (Extent { bytes: 0, depth: 0 }) {
        return Ok(size);
    }
    let key = path.last().map_or(0, |key| key.encoded().len() + 3);
    let depth = path.count() + added.depth;
    let after = |size: usize| Extent { bytes: size + added.bytes + key, depth };
    // Nothing was ever taken off the size: where that would refuse, it is measured.
    if budget.admit(after(size)).is_err() {
        let measured = budget.measure(document)?.bytes;
        budget.admit(after(measured))?;
        return Ok(after(measured).bytes);
    }
    Ok(after(size).bytes)
}

/// The work of making room in a list, or closing a gap.
fn shift(document: &Value, path: &str, budget: &mut Budget<'_>) -> Result<(), Problem> {
    let parent = path.rsplit_once('/').and_then(|(parent, _)| document.pointer(parent));
    budget.work(parent.and_then(Value::as_array).map_or(0, Vec::len))
}

/// What an operation copies or moves; what is not there is the operation's own error.
fn source(document: &Value, path: &str, budget: &mut Budget<'_>) -> Result<Extent, Problem> {
    document.pointer(path).map_or(Ok(Extent { bytes: 0, depth: 0 }), |value| budget.measure(value))
}

fn problem(kind: &PatchErrorKind) -> Problem {
    match kind {
        PatchErrorKind::TestFailed => Problem::TestFailed,
        PatchErrorKind::CannotMoveInsideItself => Problem::MoveIntoItself,
        _ => Problem::PathMissing,
    }
}
