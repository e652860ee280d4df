//! JSON, as Go's `encoding/json` writes and reads it.

use super::{Args, Context, Function, Type};
use crate::{
    error::{Fault, Limit},
    format::{Layout, Out, format_float},
    limits::VALUE_DEPTH,
    value::Value,
};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["toJson"], &[Type::Any], |cx, args| lenient(encode(cx, args, Style::Escaped))),
    Function::new(&["mustToJson"], &[Type::Any], |cx, args| encode(cx, args, Style::Escaped)),
    Function::new(&["toPrettyJson"], &[Type::Any], |cx, args| lenient(encode(cx, args, Style::Indented))),
    Function::new(&["mustToPrettyJson"], &[Type::Any], |cx, args| encode(cx, args, Style::Indented)),
    Function::new(&["toRawJson", "mustToRawJson"], &[Type::Any], |cx, args| encode(cx, args, Style::Raw)),
    Function::new(&["fromJson"], &[Type::Text], |cx, args| Ok(decode(cx, args)?.unwrap_or(Value::Nil))),
    Function::new(&["mustFromJson"], &[Type::Text], |cx, args| {
        decode(cx, args)?.ok_or_else(|| Fault::failed("the text is not JSON"))
    }),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `<`, `>` and `&` by their numbers.
    Escaped,
    /// The same, over many lines.
    Indented,
    Raw,
}

/// Sprig drops the error of a value that has no JSON, and gives an empty text. A limit stays an error.
fn lenient(result: Result<Value, Fault>) -> Result<Value, Fault> {
    match result {
        Err(fault) if fault.kind == crate::ErrorKind::Function => Ok(Value::from("")),
        other => other,
    }
}

fn encode(cx: &mut Context<'_>, args: Args<'_>, style: Style) -> Result<Value, Fault> {
    let mut writer = Writer { out: Out::new(&cx.budget), style, level: 0, has_no_json: false };
    writer.value(args.value(0));
    if writer.has_no_json {
        return Err(Fault::failed("a number that is not finite has no JSON"));
    }
    Ok(Value::from(writer.out.finish(&mut cx.budget)?))
}

struct Writer {
    out: Out,
    style: Style,
    level: usize,
    has_no_json: bool,
}

impl Writer {
    fn value(&mut self, value: &Value) {
        if self.out.is_stopped() || self.has_no_json {
            return;
        }
        match value {
            Value::Missing | Value::Nil => self.out.push(b"null"),
            Value::Bool(true) => self.out.push(b"true"),
            Value::Bool(false) => self.out.push(b"false"),
            Value::Int(value, _) => self.out.push(value.to_string().as_bytes()),
            Value::Uint(value, _) => self.out.push(value.to_string().as_bytes()),
            Value::Float(value) => self.float(*value),
            Value::Text(text) => self.text(text),
            Value::Moment(moment) => self.text(moment.rfc3339().as_bytes()),
            Value::Version(version) => self.text(version.to_string().as_bytes()),
            Value::List(list) if list.is_nil() => self.out.push(b"null"),
            Value::List(list) => self.members(b"[", b"]", list.items(), Self::value),
            Value::Map(map) if map.is_nil() => self.out.push(b"null"),
            Value::Map(map) => self.members(b"{", b"}", &map.snapshot(), |writer, (key, value)| {
                writer.text(key);
                writer.out.push(if writer.style == Style::Indented { b": " } else { b":" });
                writer.value(value);
            }),
        }
    }

    fn members<T>(&mut self, open: &[u8], close: &[u8], members: &[T], write: fn(&mut Self, &T)) {
        self.out.push(open);
        self.level += 1;
        if self.level > VALUE_DEPTH {
            self.out.stop(Limit::Depth);
        }
        for (at, member) in members.iter().enumerate() {
            if self.out.is_stopped() {
                return;
            }
            if at > 0 {
                self.out.push(b",");
            }
            self.line();
            write(self, member);
        }
        self.level -= 1;
        if !members.is_empty() {
            self.line();
        }
        self.out.push(close);
    }

    fn line(&mut self) {
        if self.style == Style::Indented {
            self.out.push(b"\n");
            self.out.repeat(b' ', self.level * 2);
        }
    }

    fn float(&mut self, value: f64) {
        if !value.is_finite() {
            self.has_no_json = true;
            return;
        }
        let magnitude = value.abs();
        let text = if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
            // e-09 is e-9.
            format_float(value, Layout::Exponent, None).replace("e-0", "e-")
        } else {
            format_float(value, Layout::Fixed, None)
        };
        self.out.push(text.as_bytes());
    }

    fn text(&mut self, bytes: &[u8]) {
        self.out.push(b"\"");
        for chunk in bytes.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' => self.out.push(b"\\\""),
                    '\\' => self.out.push(b"\\\\"),
                    '\x08' => self.out.push(b"\\b"),
                    '\x0c' => self.out.push(b"\\f"),
                    '\n' => self.out.push(b"\\n"),
                    '\r' => self.out.push(b"\\r"),
                    '\t' => self.out.push(b"\\t"),
                    '<' | '>' | '&' if self.style != Style::Raw => self.number(c),
                    c if c < ' ' || matches!(c, '\u{2028}' | '\u{2029}') => self.number(c),
                    c => self.out.push_char(c),
                }
            }
            for _ in chunk.invalid() {
                self.out.push(b"\\ufffd");
            }
        }
        self.out.push(b"\"");
    }

    fn number(&mut self, c: char) {
        self.out.push(format!("\\u{:04x}", u32::from(c)).as_bytes());
    }
}

/// Nothing, if the text is not JSON.
fn decode(cx: &mut Context<'_>, args: Args<'_>) -> Result<Option<Value>, Fault> {
    // A value takes many times the bytes of its text: "[[[" is three lists.
    cx.budget.make(args.bytes(0).len().saturating_mul(16))?;
    let json: Option<serde_json::Value> = serde_json::from_slice(args.bytes(0)).ok();
    Ok(json.map(|json| Value::from_json_floats(&json)))
}
