//! `urlParse` and `urlJoin`: URLs as Go's `net/url` reads and writes them.

use std::collections::BTreeMap;

use super::{Args, Context, Function, Type, escape::percent};
use crate::{
    error::Fault,
    value::{Map, Text, Value},
};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["urlParse"], &[Type::Text], |cx, args| {
        let url = Url::parse(args.bytes(0)).ok_or_else(|| Fault::failed("the text is not a URL"))?;
        cx.budget.make(args.bytes(0).len().saturating_mul(2))?;
        cx.budget.make_values(8)?;
        let hostname = url.hostname().to_vec();
        let entries = [
            ("scheme", url.scheme),
            ("opaque", url.opaque),
            ("userinfo", url.userinfo.unwrap_or_default()),
            ("host", url.host),
            ("hostname", hostname),
            ("path", url.path),
            ("query", url.query),
            ("fragment", url.fragment),
        ];
        let entries: BTreeMap<Text, Value> =
            entries.into_iter().map(|(key, value)| (Text::from(key), Value::from(value))).collect();
        Ok(Value::map(Map::new(entries)))
    }),
    Function::new(&["urlJoin"], &[Type::Map], url_join),
];

/// Percent signs are resolved in host, path and fragment.
#[derive(Debug, Default)]
struct Url {
    scheme: Vec<u8>,
    opaque: Vec<u8>,
    /// As it is written again.
    userinfo: Option<Vec<u8>>,
    host: Vec<u8>,
    path: Vec<u8>,
    query: Vec<u8>,
    fragment: Vec<u8>,
}

/// Whether a sign may stand unescaped in a path.
fn in_path(byte: u8) -> bool {
    b"-_.~$&+,/:;=@".contains(&byte)
}

fn in_fragment(byte: u8) -> bool {
    b"-_.~$&+,/:;=?@!()*".contains(&byte)
}

fn in_userinfo(byte: u8) -> bool {
    b"-_.~$&+,;=".contains(&byte)
}

fn in_host(byte: u8) -> bool {
    b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte)
}

impl Url {
    fn parse(text: &[u8]) -> Option<Self> {
        if text.iter().any(|b| *b < b' ' || *b == 0x7f) {
            return None;
        }
        let mut url = Url::default();
        let (text, fragment) = cut(text, b'#');
        url.fragment = unescape(fragment.unwrap_or(b""))?;
        if text == b"*" {
            url.path = b"*".to_vec();
            return Some(url);
        }
        let (scheme, rest) = scheme(text)?;
        url.scheme = scheme.to_ascii_lowercase();
        let (mut rest, query) = cut(rest, b'?');
        url.query = query.unwrap_or(b"").to_vec();
        if !rest.starts_with(b"/") {
            if !url.scheme.is_empty() {
                url.opaque = rest.to_vec();
                return Some(url);
            }
            // "a:b" could be taken for a scheme.
            if rest.split(|b| *b == b'/').next().is_some_and(|first| first.contains(&b':')) {
                return None;
            }
        }
        let is_authority = !url.scheme.is_empty() || !rest.starts_with(b"///");
        if is_authority && let Some(behind) = rest.strip_prefix(b"//") {
            let end = behind.iter().position(|b| *b == b'/').unwrap_or(behind.len());
            url.authority(&behind[..end])?;
            rest = &behind[end..];
        }
        url.path = unescape(rest)?;
        Some(url)
    }

    /// `user:password@host:port`
    fn authority(&mut self, text: &[u8]) -> Option<()> {
        let host = match text.iter().rposition(|b| *b == b'@') {
            None => text,
            Some(at) => {
                let userinfo = &text[..at];
                if !userinfo.iter().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b)) {
                    return None;
                }
                let (user, password) = cut(userinfo, b':');
                let mut written = percent(&unescape(user)?, in_userinfo, false);
                if let Some(password) = password {
                    written.push(b':');
                    written.extend(percent(&unescape(password)?, in_userinfo, false));
                }
                self.userinfo = Some(written);
                &text[at + 1..]
            }
        };
        let port = match host.strip_prefix(b"[") {
            Some(_) => &host[host.iter().rposition(|b| *b == b']')? + 1..],
            None => host.iter().rposition(|b| *b == b':').map_or(&b""[..], |colon| &host[colon..]),
        };
        let is_port = port.is_empty() || port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit);
        let is_host =
            host.iter().all(|b| b.is_ascii_alphanumeric() || *b >= 0x80 || *b == b'%' || in_host(*b));
        if !is_port || !is_host {
            return None;
        }
        self.host = if host.starts_with(b"[") { host.to_vec() } else { unescape(host)? };
        Some(())
    }

    /// Without port and brackets.
    fn hostname(&self) -> &[u8] {
        if let Some(behind) = self.host.strip_prefix(b"[") {
            let end = behind.iter().rposition(|b| *b == b']').unwrap_or(behind.len());
            return &behind[..end];
        }
        let colon = self.host.iter().rposition(|b| *b == b':');
        let end = colon.filter(|colon| self.host[colon + 1..].iter().all(u8::is_ascii_digit));
        &self.host[..end.unwrap_or(self.host.len())]
    }

    fn write(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if !self.scheme.is_empty() {
            text.extend_from_slice(&self.scheme);
            text.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_path(&mut text);
        } else {
            text.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            text.push(b'?');
            text.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            text.push(b'#');
            text.extend(percent(&self.fragment, in_fragment, false));
        }
        text
    }

    fn write_path(&self, text: &mut Vec<u8>) {
        if !self.scheme.is_empty() || !self.host.is_empty() || self.userinfo.is_some() {
            if !self.host.is_empty() || self.path.starts_with(b"//") || self.userinfo.is_some() {
                text.extend_from_slice(b"//");
            }
            if let Some(userinfo) = &self.userinfo {
                text.extend_from_slice(userinfo);
                text.push(b'@');
            }
            text.extend(percent(&self.host, in_host, false));
        }
        let path = percent(&self.path, in_path, false);
        if !path.is_empty() && !path.starts_with(b"/") && !self.host.is_empty() {
            text.push(b'/');
        }
        // The first part of a relative path must not look like a scheme.
        let first = path.split(|b| *b == b'/').next().unwrap_or(b"");
        if text.is_empty() && first.contains(&b':') {
            text.extend_from_slice(b"./");
        }
        text.extend(path);
    }
}

/// What is before the first `sign`, and behind it.
fn cut(text: &[u8], sign: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|b| *b == sign) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// None, if there is a colon and nothing before it.
fn scheme(text: &[u8]) -> Option<(&[u8], &[u8])> {
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b if b.is_ascii_alphabetic() => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return None,
            b':' => return Some((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Some((b"", text))
}

/// None for a percent sign without two hexadecimal digits.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        if *byte == b'%' {
            let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
            if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &behind[2..];
        } else {
            bytes.push(*byte);
            rest = behind;
        }
    }
    Some(bytes)
}

fn url_join(cx: &mut Context<'_>, args: Args<'_>) -> Result<Value, Fault> {
    let map = args.map(0);
    let part = |key: &str| match map.get(key.as_bytes()) {
        None => Ok(Vec::new()),
        Some(Value::Text(text)) => Ok(text.to_vec()),
        Some(other) => Err(Fault::wrong_type(format!(
            "the {key} of a URL is a text, and not of type {}",
            other.type_name()
        ))),
    };
    let mut url = Url {
        scheme: part("scheme")?,
        opaque: part("opaque")?,
        userinfo: None,
        host: part("host")?,
        path: part("path")?,
        query: part("query")?,
        fragment: part("fragment")?,
    };
    let userinfo = part("userinfo")?;
    if !userinfo.is_empty() {
        let parsed = Url::parse(&[b"proto://", &userinfo[..], b"@host"].concat());
        url.userinfo = parsed.ok_or_else(|| Fault::failed("the userinfo of the URL is malformed"))?.userinfo;
    }
    let text = url.write();
    cx.text(text)
}
