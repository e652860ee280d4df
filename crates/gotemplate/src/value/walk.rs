//! Whole trees of values: copied, compared, searched. Everything here is charged and limited in depth.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashSet},
    rc::Rc,
};

use super::{Element, List, Map, Value};
use crate::{
    error::Limit,
    limits::{Budget, VALUE_DEPTH},
};

/// A copy that shares no dictionary with the original.
pub(crate) fn deep_copy(value: &Value, budget: &mut Budget) -> Result<Value, Limit> {
    copy(value, VALUE_DEPTH, budget)
}

fn copy(value: &Value, depth: usize, budget: &mut Budget) -> Result<Value, Limit> {
    let depth = depth.checked_sub(1).ok_or(Limit::Depth)?;
    budget.make_values(1)?;
    Ok(match value {
        Value::List(list) => {
            let items: Result<_, _> = list.items().iter().map(|item| copy(item, depth, budget)).collect();
            Value::List(Rc::new(List::new(items?, list.element())))
        }
        Value::Map(map) => {
            let mut entries = BTreeMap::new();
            for (key, value) in map.snapshot() {
                entries.insert(key, copy(&value, depth, budget)?);
            }
            Value::map(match map.element() {
                Element::Text => Map::of_texts(entries),
                _ => Map::new(entries),
            })
        }
        simple => simple.clone(),
    })
}

/// Go's `reflect.DeepEqual`: of one type, and equal all the way down.
pub(crate) fn deep_equal(a: &Value, b: &Value, budget: &mut Budget) -> Result<bool, Limit> {
    same(a, b, VALUE_DEPTH, budget)
}

fn same(a: &Value, b: &Value, depth: usize, budget: &mut Budget) -> Result<bool, Limit> {
    let depth = depth.checked_sub(1).ok_or(Limit::Depth)?;
    budget.step()?;
    if a.type_name() != b.type_name() {
        return Ok(false);
    }
    Ok(match (a, b) {
        (Value::Missing | Value::Nil, _) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a, _), Value::Int(b, _)) => a == b,
        (Value::Uint(a, _), Value::Uint(b, _)) => a == b,
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b) == Some(Ordering::Equal),
        (Value::Text(a), Value::Text(b)) => {
            budget.read(a.len().min(b.len()))?;
            a == b
        }
        (Value::Moment(a), Value::Moment(b)) => a == b,
        (Value::Version(a), Value::Version(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            if a.items().len() != b.items().len() || a.is_nil() != b.is_nil() {
                return Ok(false);
            }
            for (a, b) in a.items().iter().zip(b.items()) {
                if !same(a, b, depth, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.len() != b.len() || a.is_nil() != b.is_nil() {
                return Ok(false);
            }
            let (a, b) = (a.entries(), b.entries());
            for ((a_key, a), (b_key, b)) in a.iter().zip(b.iter()) {
                if a_key != b_key || !same(a, b, depth, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        _ => false,
    })
}

/// Whether `map` is `value` or somewhere in it. Looks at everything once, without recursion.
pub(crate) fn reaches(value: &Value, map: &Rc<Map>, budget: &mut Budget) -> Result<bool, Limit> {
    let mut seen = HashSet::new();
    let mut open = vec![value.clone()];
    while let Some(value) = open.pop() {
        budget.step()?;
        match value {
            Value::Map(found) => {
                if Rc::ptr_eq(&found, map) {
                    return Ok(true);
                }
                if seen.insert(Rc::as_ptr(&found).cast::<()>()) {
                    open.extend(found.entries().values().filter(|value| is_container(value)).cloned());
                }
            }
            Value::List(list) if seen.insert(Rc::as_ptr(&list).cast::<()>()) => {
                budget.steps(list.items().len() as u64 / 8)?;
                open.extend(list.items().iter().filter(|value| is_container(value)).cloned());
            }
            _ => {}
        }
    }
    Ok(false)
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Map(_))
}
