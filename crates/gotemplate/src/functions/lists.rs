//! Lists. None is changed: every function makes a new one. Those whose names begin with `must` are the same functions,
//! because an error always ends a template.

use std::rc::Rc;

use super::{Args, Context, Function, Type, cast::to_int, layout};
use crate::{
    error::Fault,
    format,
    value::{Element, List, Text, Value, deep_equal},
};

pub(super) const TABLE: &[Function] = &[
    Function::variadic(&["list", "tuple"], &[], Type::Any, |cx, args| cx.list(args.0.to_vec())),
    Function::new(&["append", "push", "mustAppend", "mustPush"], &[Type::Any, Type::Any], |cx, args| {
        let mut items = items(args.value(0), "push on")?.items().to_vec();
        items.push(args.value(1).clone());
        cx.list(items)
    }),
    Function::new(&["prepend", "mustPrepend"], &[Type::Any, Type::Any], |cx, args| {
        let list = items(args.value(0), "prepend on")?;
        let items = std::iter::once(args.value(1)).chain(list.items()).cloned().collect();
        cx.list(items)
    }),
    Function::new(&["first", "mustFirst"], &[Type::Any], |_, args| {
        Ok(items(args.value(0), "find first on")?.items().first().cloned().unwrap_or(Value::Nil))
    }),
    Function::new(&["last", "mustLast"], &[Type::Any], |_, args| {
        Ok(items(args.value(0), "find last on")?.items().last().cloned().unwrap_or(Value::Nil))
    }),
    Function::new(&["rest", "mustRest"], &[Type::Any], |cx, args| {
        part(cx, items(args.value(0), "find rest on")?.items().split_first().map(|(_, rest)| rest))
    }),
    Function::new(&["initial", "mustInitial"], &[Type::Any], |cx, args| {
        part(cx, items(args.value(0), "find initial on")?.items().split_last().map(|(_, initial)| initial))
    }),
    Function::new(&["reverse", "mustReverse"], &[Type::Any], |cx, args| {
        cx.list(items(args.value(0), "find reverse on")?.items().iter().rev().cloned().collect())
    }),
    Function::new(&["compact", "mustCompact"], &[Type::Any], |cx, args| {
        let list = items(args.value(0), "compact on")?;
        cx.list(list.items().iter().filter(|item| item.truth()).cloned().collect())
    }),
    Function::new(&["uniq", "mustUniq"], &[Type::Any], |cx, args| {
        let list = items(args.value(0), "find uniq on")?;
        let mut kept: Vec<Value> = Vec::new();
        for item in list.items() {
            if !holds(cx, &kept, item)? {
                kept.push(item.clone());
            }
        }
        cx.list(kept)
    }),
    Function::variadic(&["without", "mustWithout"], &[Type::Any], Type::Any, |cx, args| {
        let list = items(args.value(0), "find without on")?;
        let mut kept = Vec::new();
        for item in list.items() {
            if !holds(cx, args.from(1), item)? {
                kept.push(item.clone());
            }
        }
        cx.list(kept)
    }),
    Function::new(&["has", "mustHas"], &[Type::Any, Type::Any], |cx, args| {
        if args.value(1).is_nil() {
            return Ok(Value::Bool(false));
        }
        let list = items(args.value(1), "find has on")?;
        Ok(Value::Bool(holds(cx, list.items(), args.value(0))?))
    }),
    Function::variadic(&["slice", "mustSlice"], &[Type::Any], Type::Any, slice),
    Function::variadic(&["concat"], &[], Type::Any, concat),
    Function::new(&["chunk", "mustChunk"], &[Type::Int, Type::Any], chunk),
    Function::new(&["sortAlpha"], &[Type::Any], sort_alpha),
];

fn items<'v>(value: &'v Value, what: &str) -> Result<&'v Rc<List>, Fault> {
    match value {
        Value::List(list) => Ok(list),
        other => Err(Fault::wrong_type(format!("cannot {what} type {}", other.kind_name()))),
    }
}

/// Of an empty list there is no part: Go's nil.
fn part(cx: &mut Context<'_>, items: Option<&[Value]>) -> Result<Value, Fault> {
    match items {
        Some(items) => cx.list(items.to_vec()),
        None => Ok(Value::List(Rc::new(List::nil(Element::Any)))),
    }
}

fn holds(cx: &mut Context<'_>, items: &[Value], wanted: &Value) -> Result<bool, Fault> {
    for item in items {
        if deep_equal(item, wanted, &mut cx.budget)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Sprig's, which has replaced Go's: of lists only, and any number can be an index.
fn slice(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let Value::List(list) = args.value(0) else {
        let message = format!("list should be type of slice or array but {}", args.value(0).kind_name());
        return Err(Fault::wrong_type(message));
    };
    let length = list.items().len();
    if length == 0 {
        return Ok(Value::Nil);
    }
    let index = |at: usize, otherwise: usize| match args.from(1).get(at) {
        Some(value) => usize::try_from(to_int(value)).ok(),
        None => Some(otherwise),
    };
    let part = index(0, 0).zip(index(1, length)).and_then(|(start, end)| list.items().get(start..end));
    let part = part.ok_or_else(|| Fault::failed("slice index out of range"))?;
    cx.budget.make_values(part.len())?;
    Ok(Value::List(Rc::new(List::new(part.to_vec(), list.element()))))
}

fn concat(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let mut all = Vec::new();
    for value in args.from(0) {
        let list = items(value, "concat")?;
        cx.budget.make_values(list.items().len())?;
        all.extend_from_slice(list.items());
    }
    if all.is_empty() {
        return part(cx, None);
    }
    Ok(Value::list(all))
}

fn chunk(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let list = items(args.value(1), "chunk")?;
    let size = usize::try_from(args.int(0)).ok().filter(|size| *size > 0);
    let size = size.ok_or_else(|| Fault::failed("chunks must hold at least one element"))?;
    cx.budget.make_values(list.items().len().saturating_mul(2))?;
    let chunks = list.items().chunks(size).map(|chunk| Value::list(chunk.to_vec())).collect();
    Ok(Value::List(Rc::new(List::new(chunks, Element::List))))
}

fn sort_alpha(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let mut texts: Vec<Text> = match args.value(0) {
        list @ Value::List(_) => layout::texts(cx, list)?,
        other => vec![format::display(other, &mut cx.budget)?],
    };
    cx.budget.steps(texts.len() as u64)?;
    texts.sort();
    cx.texts(texts)
}
