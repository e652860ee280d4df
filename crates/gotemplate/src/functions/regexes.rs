//! Regular expressions in Go's syntax. Matching takes steps in proportion to the text and to the expression.

use std::rc::Rc;

use super::{Args, Context, Function, Type, pattern::Pattern};
use crate::{
    error::{ErrorKind, Fault, Limit},
    value::{Element, List, Text, Value},
};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["regexMatch"], &[Type::Text, Type::Text], |cx, args| match matches(cx, args) {
        // Sprig drops the error.
        Err(fault) if fault.kind == ErrorKind::Function => Ok(Value::Bool(false)),
        result => result,
    }),
    Function::new(&["mustRegexMatch"], &[Type::Text, Type::Text], matches),
    Function::new(&["regexFind", "mustRegexFind"], &[Type::Text, Type::Text], |cx, args| {
        let (pattern, text) = search(cx, args)?;
        let found = pattern.regex.find(&text).map_or("", |found| found.as_str()).to_owned();
        cx.text(found)
    }),
    Function::new(&["regexFindAll", "mustRegexFindAll"], &[Type::Text, Type::Text, Type::Int], |cx, args| {
        let (pattern, text) = search(cx, args)?;
        let limit = usize::try_from(args.int(2)).unwrap_or(usize::MAX);
        let found: Vec<Text> =
            found(&pattern, &text).take(limit).map(|(start, end)| Text::from(&text[start..end])).collect();
        if found.is_empty() {
            return Ok(Value::List(Rc::new(List::nil(Element::Text))));
        }
        cx.texts(found)
    }),
    Function::new(
        &["regexReplaceAll", "mustRegexReplaceAll"],
        &[Type::Text, Type::Text, Type::Text],
        |cx, args| replace_all(cx, args, true),
    ),
    Function::new(
        &["regexReplaceAllLiteral", "mustRegexReplaceAllLiteral"],
        &[Type::Text, Type::Text, Type::Text],
        |cx, args| replace_all(cx, args, false),
    ),
    Function::new(&["regexSplit", "mustRegexSplit"], &[Type::Text, Type::Text, Type::Int], split),
    Function::new(&["regexQuoteMeta"], &[Type::Text], |cx, args| {
        let mut quoted = Vec::with_capacity(args.bytes(0).len() + 8);
        for byte in args.bytes(0) {
            if br"\.+*?()|[]{}^$".contains(byte) {
                quoted.push(b'\\');
            }
            quoted.push(*byte);
        }
        cx.text(quoted)
    }),
];

/// The compiled first argument and the second, with the search paid for.
fn search(cx: &mut Context<'_>, args: Args<'_>) -> Result<(Rc<Pattern>, String), Fault> {
    cx.budget.steps(args.bytes(0).len() as u64)?;
    let compiled = match cx.patterns.get(args.bytes(0)).cloned() {
        Some(known) => known,
        None => compile(cx, args)?,
    };
    let pattern = compiled?;
    let text = args.chars(1).into_owned();
    cx.budget.steps((text.len() as u64).saturating_mul(pattern.size as u64) / 128)?;
    Ok((pattern, text))
}

/// Compiles the first argument, and keeps it or its error.
fn compile(cx: &mut Context<'_>, args: Args<'_>) -> Result<Result<Rc<Pattern>, Fault>, Fault> {
    let limit = cx.budget.regex_size;
    let compiled = if args.bytes(0).len() > limit {
        Err(Limit::Regex.into())
    } else {
        // Compiling takes as long as many steps.
        cx.budget.steps(100)?;
        Pattern::compile(&args.chars(0), limit).map(Rc::new)
    };
    if let Ok(pattern) = &compiled {
        cx.budget.steps(pattern.size as u64 * 10)?;
        cx.budget.make(pattern.size.saturating_mul(100))?;
    }
    cx.patterns.insert(args.text(0), compiled.clone());
    Ok(compiled)
}

fn matches(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let (pattern, text) = search(cx, args)?;
    Ok(Value::Bool(pattern.regex.is_match(&text)))
}

/// All matches, without an empty one directly behind another match: those Go leaves out.
fn found<'m>(pattern: &'m Pattern, text: &'m str) -> impl Iterator<Item = (usize, usize)> + 'm {
    pattern.regex.find_iter(text).map(|found| (found.start(), found.end()))
}

fn replace_all(cx: &mut Context<'_>, args: Args<'_>, expands: bool) -> Result<Value, Fault> {
    let (pattern, text) = search(cx, args)?;
    let replacement = args.bytes(2);
    let mut result = Vec::new();
    let mut last = 0;
    let mut push = |cx: &mut Context<'_>, piece: &[u8]| {
        cx.budget.make(piece.len())?;
        result.extend_from_slice(piece);
        Ok::<(), Fault>(())
    };
    for captures in pattern.regex.captures_iter(&text) {
        let Some(whole) = captures.get(0) else { continue };
        cx.budget.step()?;
        push(cx, &text.as_bytes()[last..whole.start()])?;
        if expands {
            for piece in template(replacement) {
                let piece = match piece {
                    Piece::Literal(bytes) => bytes,
                    Piece::Number(number) => {
                        captures.get(number).map_or("", |group| group.as_str()).as_bytes()
                    }
                    Piece::Name(name) => captures.name(name).map_or("", |group| group.as_str()).as_bytes(),
                };
                push(cx, piece)?;
            }
        } else {
            push(cx, replacement)?;
        }
        last = whole.end();
    }
    push(cx, &text.as_bytes()[last..])?;
    Ok(Value::from(result))
}

/// A part of a replacement such as `a${1}b$name`.
enum Piece<'r> {
    Literal(&'r [u8]),
    Number(usize),
    Name(&'r str),
}

fn template(replacement: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = replacement;
    while let Some(dollar) = rest.iter().position(|b| *b == b'$') {
        pieces.push(Piece::Literal(&rest[..dollar]));
        let behind = &rest[dollar + 1..];
        if behind.first() == Some(&b'$') {
            pieces.push(Piece::Literal(b"$"));
            rest = &behind[1..];
            continue;
        }
        let (name, length) = match behind.strip_prefix(b"{") {
            Some(braced) => {
                let length = name_length(braced);
                let name = if braced.get(length) == Some(&b'}') { &braced[..length] } else { b"" };
                (name, length + 2)
            }
            None => (&behind[..name_length(behind)], name_length(behind)),
        };
        match std::str::from_utf8(name) {
            Ok(name) if !name.is_empty() => {
                pieces.push(if name.bytes().all(|b| b.is_ascii_digit()) {
                    name.parse().map_or(Piece::Literal(b""), Piece::Number)
                } else {
                    Piece::Name(name)
                });
                rest = &behind[length..];
            }
            // Malformed: the sign stands for itself.
            _ => {
                pieces.push(Piece::Literal(b"$"));
                rest = behind;
            }
        }
    }
    pieces.push(Piece::Literal(rest));
    pieces
}

/// Of letters, digits and underscores.
fn name_length(text: &[u8]) -> usize {
    let valid = text.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    valid.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(valid.len())
}

fn split(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let (pattern, text) = search(cx, args)?;
    let limit = usize::try_from(args.int(2)).unwrap_or(usize::MAX);
    if limit == 0 {
        return Ok(Value::List(Rc::new(List::nil(Element::Text))));
    }
    if !args.bytes(0).is_empty() && text.is_empty() {
        return cx.texts(vec![Text::from("")]);
    }
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for (start, stop) in found(&pattern, &text) {
        if parts.len() + 1 == limit {
            break;
        }
        end = start;
        if stop != 0 {
            parts.push(Text::from(&text[begin..end]));
        }
        begin = stop;
    }
    if end != text.len() {
        parts.push(Text::from(&text[begin..]));
    }
    cx.texts(parts)
}
