//! Go's own functions, without the escaping ones.

use super::{Args, Context, Function, Type};
use crate::{
    error::Fault,
    format,
    value::{Element, Uint, Value, equal, less},
};

pub(super) const TABLE: &[Function] = &[
    // These two end at the first argument that decides; the evaluator does them itself.
    Function::variadic(&["and"], &[Type::Raw], Type::Raw, |_, args| {
        Ok(args.0.last().cloned().unwrap_or(Value::Missing))
    }),
    Function::variadic(&["or"], &[Type::Raw], Type::Raw, |_, args| {
        Ok(args.0.last().cloned().unwrap_or(Value::Missing))
    }),
    Function::new(&["not"], &[Type::Raw], |_, args| Ok(Value::Bool(!args.value(0).truth()))),
    Function::variadic(&["eq"], &[Type::Raw], Type::Raw, |_, args| {
        if args.from(1).is_empty() {
            return Err(Fault::failed("missing argument for comparison"));
        }
        for other in args.from(1) {
            if equal(args.value(0), other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    Function::new(&["ne"], &[Type::Raw, Type::Raw], |_, args| {
        Ok(Value::Bool(!equal(args.value(0), args.value(1))?))
    }),
    Function::new(&["lt"], &[Type::Raw, Type::Raw], |_, args| {
        Ok(Value::Bool(less(args.value(0), args.value(1))?))
    }),
    Function::new(&["le"], &[Type::Raw, Type::Raw], |_, args| Ok(Value::Bool(less_or_equal(args)?))),
    Function::new(&["gt"], &[Type::Raw, Type::Raw], |_, args| Ok(Value::Bool(!less_or_equal(args)?))),
    Function::new(&["ge"], &[Type::Raw, Type::Raw], |_, args| {
        Ok(Value::Bool(!less(args.value(0), args.value(1))?))
    }),
    Function::new(&["len"], &[Type::Raw], len),
    Function::variadic(&["index"], &[Type::Raw], Type::Raw, index),
    Function::variadic(&["print"], &[], Type::Any, |cx, args| {
        Ok(Value::from(format::print(args.from(0), &mut cx.budget)?))
    }),
    Function::variadic(&["println"], &[], Type::Any, |cx, args| {
        Ok(Value::from(format::println(args.from(0), &mut cx.budget)?))
    }),
    Function::variadic(&["printf"], &[Type::Text], Type::Any, |cx, args| {
        Ok(Value::from(format::printf(args.bytes(0), args.from(1), &mut cx.budget)?))
    }),
    Function::variadic(&["call"], &[Type::Raw], Type::Raw, |_, args| {
        Err(Fault::wrong_type(format!("a value of type {} is not a function", args.value(0).type_name())))
    }),
];

fn less_or_equal(args: Args<'_>) -> Result<bool, Fault> {
    Ok(less(args.value(0), args.value(1))? || equal(args.value(0), args.value(1))?)
}

fn len(_: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let length = match args.value(0) {
        Value::Text(text) => text.len(),
        Value::List(list) => list.items().len(),
        Value::Map(map) => map.len(),
        other => {
            return Err(Fault::wrong_type(format!("a value of type {} has no length", other.type_name())));
        }
    };
    Ok(Value::int(length as i64))
}

/// `index x 1 "k"` is `x[1]["k"]`.
fn index(_: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let mut item = args.value(0).clone();
    if item.is_nil() {
        return Err(Fault::wrong_type("index of untyped nil"));
    }
    for index in args.from(1) {
        item = match &item {
            Value::Text(text) => {
                let at = position(index, text.len())?;
                Value::Uint(u64::from(text[at]), Uint::Uint8)
            }
            Value::List(list) => list.items()[position(index, list.items().len())?].clone(),
            Value::Map(map) => match index {
                Value::Text(key) => map.get(key).unwrap_or(match map.element() {
                    Element::Text => Value::from(""),
                    _ => Value::Nil,
                }),
                other => {
                    let message = format!("a key has type {}; it should be string", other.type_name());
                    return Err(Fault::wrong_type(message));
                }
            },
            Value::Missing | Value::Nil => return Err(Fault::wrong_type("index of nil pointer")),
            other => {
                return Err(Fault::wrong_type(format!(
                    "a value of type {} cannot be indexed",
                    other.type_name()
                )));
            }
        };
    }
    Ok(item)
}

fn position(index: &Value, length: usize) -> Result<usize, Fault> {
    let at = match index {
        Value::Int(value, _) => usize::try_from(*value).ok(),
        Value::Uint(value, _) => usize::try_from(*value).ok(),
        other => {
            return Err(Fault::wrong_type(format!(
                "an index has type {}; it should be a number",
                other.type_name()
            )));
        }
    };
    at.filter(|at| *at < length).ok_or_else(|| Fault::failed("index out of range"))
}
