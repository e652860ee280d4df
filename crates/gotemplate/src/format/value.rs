//! Any value by any verb.

use super::{Out, float, integer, quote::quote, spec::Spec};
use crate::{error::Limit, limits::VALUE_DEPTH, value::Value};

/// An operand of `print` or `printf`.
pub(crate) fn print(out: &mut Out, value: &Value, verb: char, spec: &Spec) {
    match (value, verb) {
        (Value::Missing | Value::Nil, 'v') => spec.pad(out, b"<nil>"),
        (Value::Missing | Value::Nil, _) => bad_verb(out, value, verb),
        _ => nested(out, value, verb, spec, VALUE_DEPTH),
    }
}

/// A value the verb does not fit: `%!d(string=hello)`.
fn bad_verb(out: &mut Out, value: &Value, verb: char) {
    out.push(b"%!");
    out.push_char(verb);
    out.push(b"(");
    if value.is_nil() {
        out.push(b"<nil>");
    } else {
        out.push(value.type_name().as_bytes());
        out.push(b"=");
        nested(out, value, 'v', &Spec::default(), VALUE_DEPTH);
    }
    out.push(b")");
}

fn nested(out: &mut Out, value: &Value, verb: char, spec: &Spec, depth: usize) {
    if out.is_stopped() {
        return;
    }
    let Some(depth) = depth.checked_sub(1) else { return out.stop(Limit::Depth) };
    let known = match value {
        Value::Missing | Value::Nil => {
            // In a list or dictionary, whatever the verb.
            out.push(if spec.go_syntax { b"interface {}(nil)" } else { b"<nil>" });
            true
        }
        Value::Bool(value) => {
            let known = matches!(verb, 't' | 'v');
            if known {
                spec.pad(out, if *value { b"true" } else { b"false" });
            }
            known
        }
        Value::Int(value, _) => integer::print(out, *value < 0, value.unsigned_abs(), verb, spec),
        Value::Uint(value, _) if spec.go_syntax => integer::print(out, false, *value, 'x', &sharp(spec)),
        Value::Uint(value, _) => integer::print(out, false, *value, verb, spec),
        Value::Float(value) => {
            let known = matches!(verb, 'v' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G');
            if known {
                float::print(out, *value, verb, spec);
            }
            known
        }
        Value::Text(text) => print_text(out, text, verb, spec),
        Value::Moment(moment) => print_text(out, moment.to_string().as_bytes(), verb, spec),
        Value::Version(version) => print_text(out, version.to_string().as_bytes(), verb, spec),
        Value::List(list) => {
            let Some((between, close)) = open(out, value, list.is_nil(), b"[", spec) else { return };
            for (at, item) in list.items().iter().enumerate() {
                if at > 0 {
                    out.push(between);
                }
                nested(out, item, verb, spec, depth);
                if out.is_stopped() {
                    return;
                }
            }
            out.push(close);
            true
        }
        Value::Map(map) => {
            let Some((between, close)) = open(out, value, map.is_nil(), b"map[", spec) else { return };
            for (at, (key, item)) in map.entries().iter().enumerate() {
                if at > 0 {
                    out.push(between);
                }
                nested(out, &Value::Text(key.clone()), verb, spec, depth);
                out.push(b":");
                nested(out, item, verb, spec, depth);
                if out.is_stopped() {
                    return;
                }
            }
            out.push(close);
            true
        }
    };
    if !known {
        bad_verb(out, value, verb);
    }
}

/// Begins a list or a map with `plain`, or as Go's syntax does. The answer is what stands between its items and what
/// ends it; none if it is nil and that has been said.
fn open(
    out: &mut Out,
    value: &Value,
    is_nil: bool,
    plain: &[u8],
    spec: &Spec,
) -> Option<(&'static [u8], &'static [u8])> {
    if !spec.go_syntax {
        out.push(plain);
        return Some((b" ", b"]"));
    }
    out.push(value.type_name().as_bytes());
    if is_nil {
        out.push(b"(nil)");
        return None;
    }
    out.push(b"{");
    Some((b", ", b"}"))
}

fn sharp(spec: &Spec) -> Spec {
    Spec { sharp: true, go_syntax: false, ..spec.clone() }
}

/// A text by one of the verbs v, s, q, x and X. Whether the verb is one of them.
fn print_text(out: &mut Out, bytes: &[u8], verb: char, spec: &Spec) -> bool {
    let cut = || match spec.precision {
        Some(precision) => cut(bytes, precision),
        None => bytes,
    };
    match verb {
        'v' if spec.go_syntax => spec.pad(out, quote(bytes, false).as_bytes()),
        'v' | 's' => spec.pad(out, cut()),
        'q' => {
            let bytes = cut();
            let raw = std::str::from_utf8(bytes).ok().filter(|text| spec.sharp && can_backquote(text));
            match raw {
                Some(text) => spec.pad(out, format!("`{text}`").as_bytes()),
                None => spec.pad(out, quote(bytes, spec.plus).as_bytes()),
            }
        }
        'x' | 'X' => {
            let bytes = &bytes[..spec.precision.map_or(bytes.len(), |precision| precision.min(bytes.len()))];
            spec.pad(out, hex(bytes, verb == 'X', spec).as_bytes());
        }
        _ => return false,
    }
    true
}

/// The first `count` characters.
fn cut(bytes: &[u8], count: usize) -> &[u8] {
    let mut at = 0;
    for _ in 0..count {
        let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) else { break };
        let chunk = rest[..rest.len().min(4)].utf8_chunks().next();
        at += chunk.and_then(|chunk| chunk.valid().chars().next()).map_or(1, char::len_utf8);
    }
    &bytes[..at]
}

fn can_backquote(text: &str) -> bool {
    !text.contains(|c: char| c == '`' || c == '\u{7f}' || c == '\u{feff}' || (c < ' ' && c != '\t'))
}

fn hex(bytes: &[u8], upper: bool, spec: &Spec) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    let prefix = if upper { "0X" } else { "0x" };
    for (at, byte) in bytes.iter().enumerate() {
        if spec.space && at > 0 {
            text.push(' ');
        }
        if spec.sharp && (at == 0 || spec.space) {
            text.push_str(prefix);
        }
        let digits = if upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
        text.push_str(&digits);
    }
    text
}
