//! `html`, `js` and `urlquery`: text made safe for a place. Nothing is escaped unasked.

use super::{Context, Function, Type};
use crate::{error::Fault, format, template::NO_VALUE, value::Value};

pub(super) const TABLE: &[Function] = &[
    Function::variadic(&["html"], &[], Type::Any, |cx, args| escape(cx, args.from(0), html)),
    Function::variadic(&["js"], &[], Type::Any, |cx, args| escape(cx, args.from(0), javascript)),
    Function::variadic(&["urlquery"], &[], Type::Any, |cx, args| {
        escape(cx, args.from(0), |text| percent(text, |byte| matches!(byte, b'-' | b'_' | b'.' | b'~'), true))
    }),
];

fn escape(cx: &mut Context<'_>, args: &[Value], escape: fn(&[u8]) -> Vec<u8>) -> Result<Value, Fault> {
    let shown = |value: &Value| if value.is_nil() { Value::from(NO_VALUE) } else { value.clone() };
    let values: Vec<Value> = args.iter().map(shown).collect();
    let text = format::print(&values, &mut cx.budget)?;
    // Six times is the longest any of them makes a text.
    cx.budget.make(text.len().saturating_mul(6))?;
    cx.text(escape(&text))
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => escaped.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => escaped.extend_from_slice(b"&#34;"),
            b'\'' => escaped.extend_from_slice(b"&#39;"),
            b'&' => escaped.extend_from_slice(b"&amp;"),
            b'<' => escaped.extend_from_slice(b"&lt;"),
            b'>' => escaped.extend_from_slice(b"&gt;"),
            other => escaped.push(*other),
        }
    }
    escaped
}

fn javascript(text: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '\\' | '\'' | '"' => escaped.extend_from_slice(format!("\\{c}").as_bytes()),
            '<' | '>' | '&' | '=' | '\0'..='\x1f' | '\x7f' | '\u{2028}' | '\u{2029}' => {
                escaped.extend_from_slice(format!("\\u{:04X}", u32::from(c)).as_bytes());
            }
            other => escaped.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    escaped
}

/// Percent encoding of all but letters, digits and what `keeps`; a space becomes `+` in a query.
pub(super) fn percent(text: &[u8], keeps: impl Fn(u8) -> bool, in_query: bool) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b' ' if in_query => escaped.push(b'+'),
            byte if byte.is_ascii_alphanumeric() || keeps(*byte) => escaped.push(*byte),
            byte => escaped.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    escaped
}
