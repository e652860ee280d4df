//! `%q`.

use std::sync::OnceLock;

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
            text.push_str(&format!("\\x{byte:02x}"));
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
        c if c.is_ascii() => text.push_str(&format!("\\x{:02x}", u32::from(c))),
        c if !ascii && is_printable(c) => text.push(c),
        c if u32::from(c) < 0x10000 => text.push_str(&format!("\\u{:04x}", u32::from(c))),
        c => text.push_str(&format!("\\U{:08x}", u32::from(c))),
    }
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
