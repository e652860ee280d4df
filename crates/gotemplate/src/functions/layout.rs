//! Texts made from values, and text laid out: quoted, indented, joined, wrapped, shortened.

use super::{Args, Context, Function, Type};
use crate::{
    error::Fault,
    format,
    value::{Text, Value},
};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["toString"], &[Type::Any], |cx, args| {
        Ok(Value::Text(format::display(args.value(0), &mut cx.budget)?))
    }),
    Function::new(&["toStrings"], &[Type::Any], |cx, args| {
        let texts = texts(cx, args.value(0))?;
        cx.texts(texts)
    }),
    Function::new(&["join"], &[Type::Text, Type::Any], |cx, args| {
        let texts = texts(cx, args.value(1))?;
        join(cx, &texts, args.bytes(0))
    }),
    Function::variadic(&["quote"], &[], Type::Any, |cx, args| {
        quoted(cx, args, |text| format::quote(text, false).into_bytes())
    }),
    Function::variadic(&["squote"], &[], Type::Any, |cx, args| {
        quoted(cx, args, |text| [b"'", text, b"'"].concat())
    }),
    Function::variadic(&["cat"], &[], Type::Any, cat),
    Function::new(&["indent"], &[Type::Int, Type::Text], |cx, args| indent(cx, args, "")),
    Function::new(&["nindent"], &[Type::Int, Type::Text], |cx, args| indent(cx, args, "\n")),
    Function::new(&["abbrev"], &[Type::Int, Type::Text], |cx, args| {
        let (width, text) = (args.int(0), args.bytes(1));
        cx.text(if width < 4 { text.to_vec() } else { abbreviate(text, 0, width) })
    }),
    Function::new(&["abbrevboth"], &[Type::Int, Type::Int, Type::Text], |cx, args| {
        let (left, right, text) = (args.int(0), args.int(1), args.bytes(2));
        cx.text(if right < 4 || left > 0 && right < 7 {
            text.to_vec()
        } else {
            abbreviate(text, left, right)
        })
    }),
    Function::new(&["wrap"], &[Type::Int, Type::Text], |cx, args| {
        wrap(cx, args.bytes(1), args.int(0), b"\n", false)
    }),
    Function::new(&["wrapWith"], &[Type::Int, Type::Text, Type::Text], |cx, args| {
        let separator = if args.bytes(1).is_empty() { b"\n" } else { args.bytes(1) };
        wrap(cx, args.bytes(2), args.int(0), separator, true)
    }),
];

/// Sprig's `strslice`: the elements of a list as texts, without nulls; of another value, itself.
pub(super) fn texts(cx: &mut Context<'_>, value: &Value) -> Result<Vec<Text>, Fault> {
    match value {
        Value::List(list) => list
            .items()
            .iter()
            .filter(|item| !item.is_nil())
            .map(|item| format::display(item, &mut cx.budget))
            .collect(),
        nil if nil.is_nil() => Ok(Vec::new()),
        other => Ok(vec![format::display(other, &mut cx.budget)?]),
    }
}

pub(super) fn join(cx: &mut Context<'_>, texts: &[Text], separator: &[u8]) -> Result<Value, Fault> {
    let separators = separator.len().saturating_mul(texts.len().saturating_sub(1));
    cx.budget.make(texts.iter().map(|text| text.len()).sum::<usize>().saturating_add(separators))?;
    let pieces: Vec<&[u8]> = texts.iter().map(|text| &text[..]).collect();
    Ok(Value::from(pieces.join(separator)))
}

fn quoted(cx: &mut Context<'_>, args: Args<'_>, quote: fn(&[u8]) -> Vec<u8>) -> Result<Value, Fault> {
    let mut pieces = Vec::new();
    for value in args.from(0).iter().filter(|value| !value.is_nil()) {
        let text = format::display(value, &mut cx.budget)?;
        // Four for one is the longest an escape gets: `\\x00`.
        cx.budget.make(text.len().saturating_mul(4))?;
        pieces.push(Text::from(quote(&text)));
    }
    join(cx, &pieces, b" ")
}

fn cat(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let mut pieces = Vec::new();
    for value in args.from(0).iter().filter(|value| !value.is_nil()) {
        pieces.push(format::display(value, &mut cx.budget)?);
    }
    join(cx, &pieces, b" ")
}

fn indent(cx: &mut Context<'_>, args: Args<'_>, before: &str) -> Result<Value, Fault> {
    let count = usize::try_from(args.int(0)).map_err(|_| Fault::failed("negative repeat count"))?;
    let lines = args.bytes(1).split(|b| *b == b'\n').count();
    let length = count.saturating_mul(lines).saturating_add(args.bytes(1).len()).saturating_add(1);
    cx.budget.make(length)?;
    let mut text = Vec::with_capacity(length);
    text.extend_from_slice(before.as_bytes());
    for (at, line) in args.bytes(1).split(|b| *b == b'\n').enumerate() {
        if at > 0 {
            text.push(b'\n');
        }
        text.resize(text.len() + count, b' ');
        text.extend_from_slice(line);
    }
    Ok(Value::from(text))
}

/// At most `width` bytes, of which the dots are three; `offset` shows somewhere in them.
fn abbreviate(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    let width = usize::try_from(width).unwrap_or(0);
    if text.len() <= width || width < 4 {
        return if width < 4 { Vec::new() } else { text.to_vec() };
    }
    let kept = width - 3;
    let mut offset = usize::try_from(offset).unwrap_or(0).min(text.len());
    if text.len() - offset < kept {
        offset = text.len() - kept;
    }
    if offset <= 4 {
        return [&text[..kept], b"..."].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + kept < text.len() {
        return [b"...", &abbreviate(&text[offset..], 0, kept as i64)[..]].concat();
    }
    [b"...", &text[text.len() - kept..]].concat()
}

/// Breaks at spaces; words longer than a line only if `breaks_words`.
fn wrap(
    cx: &mut Context<'_>,
    text: &[u8],
    width: i64,
    separator: &[u8],
    breaks_words: bool,
) -> Result<Value, Fault> {
    let width = usize::try_from(width.max(1)).unwrap_or(1);
    let mut wrapped = Vec::new();
    let mut line = |cx: &mut Context<'_>, line: &[u8]| {
        cx.budget.make(line.len() + separator.len())?;
        wrapped.extend_from_slice(line);
        wrapped.extend_from_slice(separator);
        Ok::<(), Fault>(())
    };
    let mut at = 0;
    while text.len() - at > width {
        if text[at] == b' ' {
            at += 1;
            continue;
        }
        // Reading back from the end of the line costs what the line is long.
        cx.budget.read(width)?;
        if let Some(space) = text[at..=at + width].iter().rposition(|b| *b == b' ') {
            line(cx, &text[at..at + space])?;
            at += space + 1;
        } else if breaks_words {
            line(cx, &text[at..at + width])?;
            at += width;
        } else if let Some(space) = text[at + width..].iter().position(|b| *b == b' ') {
            line(cx, &text[at..at + width + space])?;
            at += width + space + 1;
        } else {
            break;
        }
    }
    cx.budget.make(text.len() - at)?;
    wrapped.extend_from_slice(&text[at..]);
    Ok(Value::from(wrapped))
}
