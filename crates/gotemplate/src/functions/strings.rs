//! Texts cut, compared, replaced and split.

use std::collections::{BTreeMap, HashSet};

use memchr::memmem;

use super::{Args, Context, Function, Type};
use crate::{
    error::Fault,
    value::{Map, Text, Value},
};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["hello"], &[], |_, _| Ok(Value::from("Hello!"))),
    Function::new(&["trim"], &[Type::Text], |cx, args| cx.text(args.chars(0).trim())),
    Function::new(&["trimAll", "trimall"], &[Type::Text, Type::Text], |cx, args| {
        let set: HashSet<char> = args.chars(0).chars().collect();
        cx.text(args.chars(1).trim_matches(|c| set.contains(&c)))
    }),
    Function::new(&["trimSuffix"], &[Type::Text, Type::Text], |cx, args| {
        cx.text(args.bytes(1).strip_suffix(args.bytes(0)).unwrap_or_else(|| args.bytes(1)))
    }),
    Function::new(&["trimPrefix"], &[Type::Text, Type::Text], |cx, args| {
        cx.text(args.bytes(1).strip_prefix(args.bytes(0)).unwrap_or_else(|| args.bytes(1)))
    }),
    Function::new(&["contains"], &[Type::Text, Type::Text], |_, args| {
        Ok(Value::Bool(memmem::find(args.bytes(1), args.bytes(0)).is_some()))
    }),
    Function::new(&["hasPrefix"], &[Type::Text, Type::Text], |_, args| {
        Ok(Value::Bool(args.bytes(1).starts_with(args.bytes(0))))
    }),
    Function::new(&["hasSuffix"], &[Type::Text, Type::Text], |_, args| {
        Ok(Value::Bool(args.bytes(1).ends_with(args.bytes(0))))
    }),
    Function::new(&["trunc"], &[Type::Int, Type::Text], trunc),
    Function::new(&["substr"], &[Type::Int, Type::Int, Type::Text], substr),
    Function::new(&["repeat"], &[Type::Int, Type::Text], repeat),
    Function::new(&["replace"], &[Type::Text, Type::Text, Type::Text], |cx, args| {
        let replaced = replace(cx, args.bytes(2), args.bytes(0), args.bytes(1))?;
        Ok(Value::from(replaced))
    }),
    Function::new(&["nospace"], &[Type::Text], nospace),
    Function::new(&["plural"], &[Type::Text, Type::Text, Type::Int], |_, args| {
        Ok(args.value(usize::from(args.int(2) != 1)).clone())
    }),
    Function::new(&["splitList"], &[Type::Text, Type::Text], |cx, args| {
        let parts = split(cx, args.bytes(1), args.bytes(0), -1)?;
        cx.texts(parts)
    }),
    Function::new(&["split"], &[Type::Text, Type::Text], |cx, args| {
        let parts = split(cx, args.bytes(1), args.bytes(0), -1)?;
        numbered(cx, parts)
    }),
    Function::new(&["splitn"], &[Type::Text, Type::Int, Type::Text], |cx, args| {
        let parts = split(cx, args.bytes(2), args.bytes(0), args.int(1))?;
        numbered(cx, parts)
    }),
];

/// The first `count` bytes, or the last for a negative count.
fn trunc(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let text = args.bytes(1);
    let count = usize::try_from(args.int(0).unsigned_abs()).unwrap_or(usize::MAX);
    if count >= text.len() {
        return Ok(args.value(1).clone());
    }
    cx.text(if args.int(0) < 0 { &text[text.len() - count..] } else { &text[..count] })
}

fn substr(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let text = args.bytes(2);
    let (start, end) = (usize::try_from(args.int(0)), usize::try_from(args.int(1)));
    let part = match (start, end) {
        (Err(_), Ok(end)) => text.get(..end),
        (Ok(start), Ok(end)) if end <= text.len() => text.get(start..end),
        (Ok(start), _) => text.get(start..),
        (Err(_), Err(_)) => None,
    };
    cx.text(part.ok_or_else(|| Fault::failed("slice bounds out of range"))?)
}

fn repeat(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let count = usize::try_from(args.int(0)).map_err(|_| Fault::failed("negative repeat count"))?;
    cx.budget.make(args.bytes(1).len().saturating_mul(count))?;
    Ok(Value::from(args.bytes(1).repeat(count)))
}

/// `strings.ReplaceAll`, taken from the budget.
pub(super) fn replace(cx: &mut Context<'_>, text: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut replaced = Vec::new();
    let mut last = 0;
    let mut push = |piece: &[u8]| {
        cx.budget.make(piece.len())?;
        replaced.extend_from_slice(piece);
        Ok::<(), Fault>(())
    };
    if old.is_empty() {
        // Before every character and at the end.
        for c in characters(text) {
            push(new)?;
            push(c)?;
        }
        push(new)?;
        return Ok(replaced);
    }
    for at in memmem::find_iter(text, old) {
        push(&text[last..at])?;
        push(new)?;
        last = at + old.len();
    }
    push(&text[last..])?;
    Ok(replaced)
}

/// `strings.SplitN`: at most `limit` parts, if it is not negative.
fn split(cx: &mut Context<'_>, text: &[u8], separator: &[u8], limit: i64) -> Result<Vec<Text>, Fault> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return Ok(Vec::new());
    }
    let count = match separator {
        b"" => text.len(),
        separator => memmem::find_iter(text, separator).take(limit).count() + 1,
    };
    cx.budget.make_values(count.min(limit))?;
    let mut parts = Vec::new();
    let mut last = 0;
    if separator.is_empty() {
        for c in characters(text) {
            if parts.len() + 1 == limit {
                break;
            }
            parts.push(Text::from(c));
            last += c.len();
        }
        if last < text.len() {
            parts.push(Text::from(&text[last..]));
        }
        return Ok(parts);
    }
    for at in memmem::find_iter(text, separator).take(limit - 1) {
        parts.push(Text::from(&text[last..at]));
        last = at + separator.len();
    }
    parts.push(Text::from(&text[last..]));
    Ok(parts)
}

/// `{_0: …, _1: …}`
fn numbered(cx: &mut Context<'_>, parts: Vec<Text>) -> Result<Value, Fault> {
    cx.budget.make_values(parts.len().saturating_mul(2))?;
    let entries: BTreeMap<Text, Value> = parts
        .into_iter()
        .enumerate()
        .map(|(at, part)| (Text::from(format!("_{at}")), Value::Text(part)))
        .collect();
    Ok(Value::map(Map::of_texts(entries)))
}

/// Characters as bytes; each byte that is not of one, alone.
fn characters(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.utf8_chunks().flat_map(|chunk| {
        let valid = chunk.valid();
        let chars = valid.char_indices().map(move |(at, c)| &valid.as_bytes()[at..at + c.len_utf8()]);
        chars.chain(chunk.invalid().chunks(1))
    })
}

/// Sprig's function looks at bytes, and takes each for a character of Latin-1 once there is any space to remove.
fn nospace(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let kept: String = args.bytes(0).iter().map(|b| char::from(*b)).filter(|c| !c.is_whitespace()).collect();
    if kept.chars().count() == args.bytes(0).len() {
        return Ok(args.value(0).clone());
    }
    cx.text(kept)
}
