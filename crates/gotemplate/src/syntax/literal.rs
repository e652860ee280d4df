//! Go's literals: quoted strings, characters, numbers.

/// A number constant: which of Go's number types it can be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Number {
    pub(crate) int: Option<i64>,
    pub(crate) float: f64,
    /// Where nothing asks for one type: a float.
    pub(crate) is_float: bool,
}

impl Number {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.ends_with('i') {
            return Err("complex numbers are not supported".into());
        }
        if let Some(int) = parse_int(text) {
            return Ok(Self { int: Some(int), float: int as f64, is_float: false });
        }
        if parse_uint(text).is_some() {
            return Err("integer overflow".into());
        }
        let float = parse_float(text).ok_or("illegal number syntax")?;
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err("integer overflow".into());
        }
        let int = (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64);
        Ok(Self { int, float, is_float: true })
    }

    pub(crate) fn character(quoted: &str) -> Result<Self, String> {
        let inner = &quoted[1..quoted.len() - 1];
        let mut chars = Unescape { rest: inner, quote: '\'' };
        let (Some(Ok(piece)), None) = (chars.next(), chars.next()) else {
            return Err("malformed character constant".into());
        };
        let code = match piece {
            Piece::Char(c) => i64::from(u32::from(c)),
            Piece::Byte(b) => i64::from(b),
        };
        Ok(Self { int: Some(code), float: code as f64, is_float: false })
    }
}

/// The bytes of a quoted or raw string: it can hold any bytes, by `\x`.
pub(crate) fn unquote(quoted: &str) -> Result<Vec<u8>, String> {
    let inner = &quoted[1..quoted.len() - 1];
    if quoted.starts_with('`') {
        return Ok(inner.bytes().filter(|b| *b != b'\r').collect());
    }
    let mut bytes = Vec::with_capacity(inner.len());
    for piece in (Unescape { rest: inner, quote: '"' }) {
        match piece? {
            Piece::Byte(byte) => bytes.push(byte),
            Piece::Char(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(bytes)
}

/// `strconv.ParseInt(text, 0, 64)`.
pub(crate) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let value = i128::from(parse_uint(digits)?);
    i64::try_from(if negative { -value } else { value }).ok()
}

/// `strconv.ParseUint(text, 0, 64)`.
fn parse_uint(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let (base, digits, prefixed) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..], true),
        Some("0o") => (8, &lower[2..], true),
        Some("0b") => (2, &lower[2..], true),
        Some(_) if lower.starts_with('0') => (8, &lower[1..], true),
        _ => (10, &lower[..], false),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u64::from_str_radix(&without_underscores(digits, prefixed)?, base).ok()
}

/// `strconv.ParseFloat(text, 64)`, decimal only.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let value: f64 = without_underscores(text, false)?.parse().ok()?;
    let unsigned = text.trim_start_matches(['+', '-']);
    // Rust reads a number that is too large as infinite; Go refuses it.
    (value.is_finite() || !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')).then_some(value)
}

/// Underscores stand between digits, or behind the base's prefix.
fn without_underscores(digits: &str, prefixed: bool) -> Option<String> {
    let bytes = digits.as_bytes();
    for (at, _) in bytes.iter().enumerate().filter(|(_, b)| **b == b'_') {
        let before = if at == 0 { prefixed } else { bytes[at - 1].is_ascii_alphanumeric() };
        if !before || !bytes.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) {
            return None;
        }
    }
    Some(digits.replace('_', ""))
}

enum Piece {
    Char(char),
    /// By `\x` or octal: part of a string, not a character.
    Byte(u8),
}

struct Unescape<'t> {
    rest: &'t str,
    quote: char,
}

impl Unescape<'_> {
    fn escape(&mut self) -> Result<Piece, String> {
        let bad = || "invalid syntax in a quoted string".to_owned();
        let mut chars = self.rest.chars();
        let c = chars.next().ok_or_else(bad)?;
        let rest = chars.as_str();
        let (length, radix, digits) = match c {
            'x' => (2, 16, rest),
            'u' => (4, 16, rest),
            'U' => (8, 16, rest),
            '0'..='7' => (3, 8, self.rest),
            _ => {
                self.rest = rest;
                return Ok(Piece::Char(match c {
                    'a' => '\x07',
                    'b' => '\x08',
                    'f' => '\x0c',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'v' => '\x0b',
                    '\\' => '\\',
                    c if c == self.quote => c,
                    _ => return Err(bad()),
                }));
            }
        };
        let digits = digits.get(..length).filter(|d| d.chars().all(|c| c.is_digit(radix))).ok_or_else(bad)?;
        let code = u32::from_str_radix(digits, radix).map_err(|_| bad())?;
        self.rest = if radix == 8 { &self.rest[3..] } else { &rest[length..] };
        if matches!(c, 'u' | 'U') {
            return char::from_u32(code).map(Piece::Char).ok_or_else(bad);
        }
        u8::try_from(code).map(Piece::Byte).map_err(|_| bad())
    }
}

impl Iterator for Unescape<'_> {
    type Item = Result<Piece, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(if c == '\\' { self.escape() } else { Ok(Piece::Char(c)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_gos_bases_and_underscores() {
        for (text, value) in
            [("017", 15), ("0x1f", 31), ("0b11", 3), ("0o17", 15), ("1_000", 1000), ("-5", -5), ("0", 0)]
        {
            assert_eq!(parse_int(text), Some(value), "{text}");
        }
        for text in ["", "08", "1__0", "_1", "1_", "0x", "9223372036854775808", "1.0"] {
            assert_eq!(parse_int(text), None, "{text}");
        }
        assert_eq!(parse_int("-9223372036854775808"), Some(i64::MIN));
    }

    #[test]
    fn strings_are_bytes() {
        assert_eq!(unquote(r#""\xff\u00e9\101\n""#).unwrap(), b"\xff\xc3\xa9A\n");
        assert!(unquote(r#""\q""#).is_err());
        assert!(unquote(r#""\'""#).is_err());
        assert_eq!(unquote("`a\\n\r\n`").unwrap(), b"a\\n\n");
    }
}
