//! `%q`.

use std::{fmt::Write, sync::OnceLock};

use regex::Regex;

/// `strconv.Quote`: a Go string literal. With `ascii`, `strconv.QuoteToASCII`.
pub(crate) fn quote(bytes: &[u8], ascii: bool) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            escape(&mut text, c, '"', ascii);
        }
        for byte in chunk.invalid() {
            push_code(&mut text, 'x', 2, u32::from(*byte));
        }
    }
    text.push('"');
    text
}

pub(crate) fn quote_char(c: char, ascii: bool) -> String {
    let mut text = String::from("'");
    escape(&mut text, c, '\'', ascii);
    text.push('\'');
    text
}

fn escape(text: &mut String, c: char, quote: char, ascii: bool) {
    match c {
        '\x07' => text.push_str("\\a"),
        '\x08' => text.push_str("\\b"),
        '\x0c' => text.push_str("\\f"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        '\x0b' => text.push_str("\\v"),
        '\\' => text.push_str("\\\\"),
        c if c == quote => text.extend(['\\', c]),
        ' '..='~' => text.push(c),
        c if c.is_ascii() => push_code(text, 'x', 2, u32::from(c)),
        c if !ascii && is_printable(c) => text.push(c),
        c if u32::from(c) < 0x10000 => push_code(text, 'u', 4, u32::from(c)),
        c => push_code(text, 'U', 8, u32::from(c)),
    }
}

/// An escape by number, of `digits` hexadecimal digits.
fn push_code(text: &mut String, letter: char, digits: usize, code: u32) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\\{letter}{code:0digits$x}");
}

/// `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols.
fn is_printable(c: char) -> bool {
    static PRINTABLE: OnceLock<Option<Regex>> = OnceLock::new();
    // Most characters need no table.
    c.is_alphanumeric()
        || PRINTABLE
            .get_or_init(|| Regex::new(r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]$").ok())
            .as_ref()
            .is_some_and(|printable| printable.is_match(c.encode_utf8(&mut [0; 4])))
}
