//! `merge`, `mergeOverwrite`, `deepCopy`: dictionaries as trees.

use std::{collections::BTreeMap, rc::Rc};

use super::{Args, Context, Function, Type};
use crate::{
    error::{Fault, Limit},
    limits::VALUE_DEPTH,
    value::{Map, Value, deep_copy, reaches},
};

pub(super) const TABLE: &[Function] = &[
    Function::variadic(&["merge", "mustMerge"], &[Type::Map], Type::Map, |cx, args| merge(cx, args, false)),
    Function::variadic(&["mergeOverwrite", "mustMergeOverwrite"], &[Type::Map], Type::Map, |cx, args| {
        merge(cx, args, true)
    }),
    Function::new(&["deepCopy", "mustDeepCopy"], &[Type::Any], |cx, args| {
        if args.value(0).is_nil() {
            return Err(Fault::wrong_type("nothing cannot be copied"));
        }
        Ok(deep_copy(args.value(0), &mut cx.budget)?)
    }),
];

/// Writes into the first dictionary, which is also the result; a missing one becomes a new one.
fn merge(cx: &mut Context<'_>, args: Args<'_>, overwrites: bool) -> Result<Value, Fault> {
    let mut target = args.map(0);
    for source in args.from(1) {
        let Value::Map(source) = source else { continue };
        if target.is_nil() && !source.is_empty() {
            target = Rc::new(Map::new(BTreeMap::new()));
        }
        into(cx, &target, source, overwrites, VALUE_DEPTH)?;
    }
    Ok(Value::Map(target))
}

/// What the target lacks, or has empty, it takes from the source; dictionaries on both sides are merged.
fn into(
    cx: &mut Context<'_>,
    target: &Rc<Map>,
    source: &Rc<Map>,
    overwrites: bool,
    depth: usize,
) -> Result<(), Fault> {
    let depth = depth.checked_sub(1).ok_or(Limit::Depth)?;
    if Rc::ptr_eq(target, source) {
        return Ok(());
    }
    for (key, value) in source.snapshot() {
        cx.budget.step()?;
        let present = target.get(&key);
        if let (Some(Value::Map(inner)), Value::Map(value)) = (&present, &value) {
            into(cx, inner, value, overwrites, depth)?;
            continue;
        }
        let keeps = present.as_ref().is_some_and(Value::truth) && !overwrites;
        // A null in the source overwrites, but it fills nothing.
        if keeps || (value.is_nil() && !overwrites) {
            continue;
        }
        if reaches(&value, target, &mut cx.budget)? {
            return Err(Fault::failed("the dictionary would hold itself"));
        }
        cx.budget.make_values(1)?;
        target.insert(key, value);
    }
    Ok(())
}
