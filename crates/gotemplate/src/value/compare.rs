//! `eq` and `lt`: Go compares basic values of one kind, and refuses everything else.

use std::cmp::Ordering;

use super::Value;
use crate::error::{ErrorKind, Fault};

/// Kinds that compare among themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Float,
    Text,
    Other,
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Bool(_) => Kind::Bool,
        Value::Int(..) => Kind::Int,
        Value::Uint(..) => Kind::Uint,
        Value::Float(_) => Kind::Float,
        Value::Text(_) => Kind::Text,
        _ => Kind::Other,
    }
}

fn incompatible(a: &Value, b: &Value) -> Fault {
    let message = format!("incompatible types for comparison: {} and {}", a.type_name(), b.type_name());
    Fault::new(ErrorKind::Comparison, message)
}

/// Go's `eq` of two values.
pub(crate) fn equal(a: &Value, b: &Value) -> Result<bool, Fault> {
    if let (Value::Int(signed, _), Value::Uint(unsigned, _))
    | (Value::Uint(unsigned, _), Value::Int(signed, _)) = (a, b)
    {
        return Ok(u64::try_from(*signed) == Ok(*unsigned));
    }
    if kind(a) != kind(b) {
        return if a.is_nil() || b.is_nil() { Ok(false) } else { Err(incompatible(a, b)) };
    }
    if kind(a) != Kind::Other {
        return Ok(order(a, b) == Some(Ordering::Equal));
    }
    if a.is_nil() || b.is_nil() {
        return Ok(is_nil(a) == is_nil(b));
    }
    if a.kind_name() != b.kind_name() {
        return Err(incompatible(a, b));
    }
    match (a, b) {
        _ if is_nil(a) || is_nil(b) => Ok(is_nil(a) == is_nil(b)),
        (Value::Moment(a), Value::Moment(b)) => Ok(a == b),
        // Go compares where they are kept.
        (Value::Version(a), Value::Version(b)) => Ok(std::rc::Rc::ptr_eq(a, b)),
        _ => Err(Fault::new(
            ErrorKind::Comparison,
            format!("values of type {} cannot be compared", b.type_name()),
        )),
    }
}

/// Nil, or a nil slice or map.
fn is_nil(value: &Value) -> bool {
    match value {
        Value::List(list) => list.is_nil(),
        Value::Map(map) => map.is_nil(),
        other => other.is_nil(),
    }
}

/// Go's `lt` of two values.
pub(crate) fn less(a: &Value, b: &Value) -> Result<bool, Fault> {
    let invalid = || Fault::new(ErrorKind::Comparison, "invalid type for comparison");
    if kind(a) == Kind::Other || kind(b) == Kind::Other {
        return Err(invalid());
    }
    match (a, b) {
        (Value::Int(a, _), Value::Uint(b, _)) => return Ok(*a < 0 || (*a as u64) < *b),
        (Value::Uint(a, _), Value::Int(b, _)) => return Ok(*b >= 0 && *a < *b as u64),
        _ => {}
    }
    if kind(a) != kind(b) {
        return Err(incompatible(a, b));
    }
    if kind(a) == Kind::Bool {
        return Err(invalid());
    }
    Ok(order(a, b) == Some(Ordering::Less))
}

/// Of two basic values of one kind.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Int(a, _), Value::Int(b, _)) => Some(a.cmp(b)),
        (Value::Uint(a, _), Value::Uint(b, _)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
