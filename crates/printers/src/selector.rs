//! Label selectors of objects, as an API server prints them.

use crate::{
    decode::{List, Text, TextMap, fields},
    text::{NONE, join},
};

fields! { LabelSelector<'a> {
    match_labels: TextMap<'a>,
    match_expressions: List<Expression<'a>>,
}}

fields! { Expression<'a> {
    key: Text<'a>,
    operator: Text<'a>,
    values: List<Text<'a>>,
}}

/// The selector makes no sense, so that nothing could be selected by it.
pub(crate) struct Invalid;

impl LabelSelector<'_> {
    /// As in `a=b,c in (d,e),!f`; `<none>` for one that selects everything.
    pub(crate) fn print(&self) -> String {
        match self.requirements() {
            Ok(text) if text.is_empty() => NONE.into(),
            Ok(text) => text,
            Err(Invalid) => "<error>".into(),
        }
    }

    /// As in `a=b,c in (d,e),!f`, sorted by key; empty for a selector that selects everything.
    pub(crate) fn requirements(&self) -> Result<String, Invalid> {
        let mut printed = Vec::new();
        for (key, value) in &self.match_labels {
            if !is_key(key) || !is_value(value) {
                return Err(Invalid);
            }
            printed.push((key, format!("{key}={value}")));
        }
        for expression in self.match_expressions.iter() {
            printed.push((&expression.key, expression.requirement()?));
        }
        printed.sort_by_key(|(key, _)| *key);
        Ok(join(printed.iter().map(|(_, text)| text), ","))
    }

    /// As a Go program prints the value, which is what bindings of admission policies show.
    pub(crate) fn print_go(&self) -> String {
        let labels = self.match_labels.iter().map(|(key, value)| format!("{key}: {value},"));
        let expressions = self.match_expressions.iter().map(|Expression { key, operator, values }| {
            let values = join(values.iter(), " ");
            format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},")
        });
        format!(
            "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
            join(labels, ""),
            join(expressions, ""),
        )
    }
}

impl Expression<'_> {
    fn requirement(&self) -> Result<String, Invalid> {
        let Self { key, operator, values } = self;
        if !is_key(key) || !values.iter().all(|value| is_value(value)) {
            return Err(Invalid);
        }
        let sorted = || {
            let mut values: Vec<_> = values.iter().collect();
            values.sort();
            join(values, ",")
        };
        match (&**operator, values.is_empty()) {
            ("In", false) => Ok(format!("{key} in ({})", sorted())),
            ("NotIn", false) => Ok(format!("{key} notin ({})", sorted())),
            ("Exists", true) => Ok(key.to_string()),
            ("DoesNotExist", true) => Ok(format!("!{key}")),
            _ => Err(Invalid),
        }
    }
}

/// A label's key: a name, or a DNS subdomain, a slash and a name.
fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(key),
    }
}

/// A label's value: a name or nothing.
fn is_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.len() <= 63 && has_ends(name, |byte| byte.is_ascii_alphanumeric()) && name.bytes().all(inner)
}

fn is_subdomain(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 253
        && name
            .split('.')
            .all(|part| has_ends(part, inner) && part.bytes().all(|byte| inner(byte) || byte == b'-'))
}

/// Whether the first and the last byte are allowed there.
fn has_ends(name: &str, allowed: impl Fn(u8) -> bool) -> bool {
    matches!(name.as_bytes(), [first, .., last] if allowed(*first) && allowed(*last))
        || matches!(name.as_bytes(), [only] if allowed(*only))
}
