//! The query string, taken apart.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::Error;

/// The parameters of a request, decoded. Of a repeated one only the first counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Takes a query string apart: what follows the `?` of a URL, as it was sent.
    ///
    /// ```
    /// let parameters = search::language::Parameters::parse("names=web%2Ddb&orderby=name+desc&names=x")?;
    /// assert_eq!(parameters.get("names"), Some("web-db"));
    /// assert_eq!(parameters.get("orderby"), Some("name desc"));
    /// # Ok::<(), search::language::Error>(())
    /// ```
    ///
    /// # Errors
    /// When an escape is incomplete or a value is no UTF-8.
    pub fn parse(query: &str) -> Result<Self, Error> {
        let mut parameters = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).map_err(|reason| Error::new(name, reason))?;
            let value = decode(value).map_err(|reason| Error::new(&*name, reason))?;
            parameters.entry(name).or_insert(value);
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter if it is not empty: an empty one says nothing.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|text| !text.is_empty())
    }

    /// The value of a parameter, maybe empty; `None` if it is not there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn decode(text: &str) -> Result<String, &'static str> {
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let escapes = text.bytes().enumerate().filter(|(_, byte)| *byte == b'%').map(|(at, _)| at);
    for at in escapes {
        if !is_hex(text.as_bytes().get(at + 1)) || !is_hex(text.as_bytes().get(at + 2)) {
            return Err("has a % without two hexadecimal digits behind it; write % as %25");
        }
    }
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().map(Into::into).map_err(|_| "is not UTF-8")
}
