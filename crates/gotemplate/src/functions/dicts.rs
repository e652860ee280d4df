//! Dictionaries. `set` and `unset` change the one they are given, for everybody who holds it.

use std::collections::BTreeMap;

use super::{Args, Context, Function, Type};
use crate::{
    error::Fault,
    format,
    value::{Map, Text, Value, reaches},
};

pub(super) const TABLE: &[Function] = &[
    Function::variadic(&["dict"], &[], Type::Any, dict),
    Function::new(&["get"], &[Type::Map, Type::Text], |_, args| {
        Ok(args.map(0).get(args.bytes(1)).unwrap_or_else(|| Value::from("")))
    }),
    Function::new(&["set"], &[Type::Map, Type::Text, Type::Any], |cx, args| {
        put(cx, &args, args.text(1), args.value(2).clone())?;
        Ok(args.value(0).clone())
    }),
    Function::new(&["unset"], &[Type::Map, Type::Text], |_, args| {
        args.map(0).remove(args.bytes(1));
        Ok(args.value(0).clone())
    }),
    Function::new(&["hasKey"], &[Type::Map, Type::Text], |_, args| {
        Ok(Value::Bool(args.map(0).get(args.bytes(1)).is_some()))
    }),
    Function::variadic(&["pluck"], &[Type::Text], Type::Map, |cx, args| {
        let maps = args.from(1).iter().filter_map(|value| match value {
            Value::Map(map) => map.get(args.bytes(0)),
            _ => None,
        });
        cx.list(maps.collect())
    }),
    Function::variadic(&["keys"], &[], Type::Map, |cx, args| {
        let mut keys: Vec<Text> = Vec::new();
        for value in args.from(0) {
            if let Value::Map(map) = value {
                cx.budget.make_values(map.len())?;
                keys.extend(map.entries().keys().cloned());
            }
        }
        Ok(Value::texts(keys))
    }),
    Function::new(&["values"], &[Type::Map], |cx, args| {
        cx.list(args.map(0).entries().values().cloned().collect())
    }),
    Function::variadic(&["pick"], &[Type::Map], Type::Text, |cx, args| {
        filter(cx, &args, |key, names| names.contains(&key))
    }),
    Function::variadic(&["omit"], &[Type::Map], Type::Text, |cx, args| {
        filter(cx, &args, |key, names| !names.contains(&key))
    }),
    Function::variadic(&["dig"], &[], Type::Any, dig),
];

/// Keys and values in turn; a last key without one has an empty text.
fn dict(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let mut entries = BTreeMap::new();
    cx.budget.make_values(args.0.len())?;
    for pair in args.0.chunks(2) {
        let key = format::display(&pair[0], &mut cx.budget)?;
        entries.insert(key, pair.get(1).cloned().unwrap_or_else(|| Value::from("")));
    }
    Ok(Value::map(Map::new(entries)))
}

/// Writes into the first argument. A dictionary that would hold itself could never be printed, and is refused.
fn put(cx: &mut Context<'_>, args: &Args<'_>, key: Text, value: Value) -> Result<(), Fault> {
    let map = args.map(0);
    if map.is_nil() {
        return Err(Fault::failed("assignment to entry in a missing dictionary"));
    }
    if reaches(&value, &map, &mut cx.budget)? {
        return Err(Fault::failed("the dictionary would hold itself"));
    }
    cx.budget.make_values(1)?;
    cx.budget.make(key.len())?;
    map.insert(key, value);
    Ok(())
}

fn filter(cx: &mut Context<'_>, args: &Args<'_>, keeps: fn(&[u8], &[&[u8]]) -> bool) -> Result<Value, Fault> {
    let names: Vec<&[u8]> = (1..args.0.len()).map(|at| args.bytes(at)).collect();
    let map = args.map(0);
    cx.budget.steps((map.len() as u64).saturating_mul(names.len() as u64) / 8)?;
    let entries: BTreeMap<_, _> = map.snapshot().into_iter().filter(|(key, _)| keeps(key, &names)).collect();
    cx.budget.make_values(entries.len())?;
    Ok(Value::map(Map::new(entries)))
}

/// Keys, a default, and the dictionary they lead into.
fn dig(_: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let [keys @ .., default, map] = args.0 else {
        return Err(Fault::failed("dig needs at least three arguments"));
    };
    if keys.is_empty() {
        return Err(Fault::failed("dig needs at least three arguments"));
    }
    let mut found = map.clone();
    for key in keys {
        let Value::Map(map) = &found else {
            return Err(Fault::wrong_type(format!("dig through a value of type {}", found.type_name())));
        };
        let Value::Text(key) = key else {
            return Err(Fault::wrong_type(format!(
                "dig needs texts for keys; one has type {}",
                key.type_name()
            )));
        };
        let Some(value) = map.get(key) else { return Ok(default.clone()) };
        found = value;
    }
    Ok(found)
}
