//! The grammar that label and field selectors share.
//!
//! White space separates; `= ! ( ) , > <` end a word; everything else belongs to words. `in` and `notin` are words like
//! others but where an operator stands.

use std::{collections::BTreeSet, fmt};

use super::Operator;

/// The text is no selector.
///
/// ```
/// let error = meta::LabelSelector::parse("app in web").unwrap_err();
/// assert_eq!(error.to_string(), r#"at position 7: expected '(', found "web""#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at position {position}: expected {expected}, found {}", Found(.found))]
pub struct ParseSelectorError {
    /// Bytes before the place, from 0.
    pub position: usize,
    /// What should stand there.
    pub expected: &'static str,
    /// What stands there, shortened; empty at the end.
    pub found: String,
}

struct Found<'a>(&'a str);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("the end") } else { write!(f, "{:?}", self.0) }
    }
}

impl ParseSelectorError {
    /// An error at `position`, where `found` stands.
    pub(super) fn new(position: usize, expected: &'static str, found: &str) -> Self {
        Self { position, expected, found: found.chars().take(80).collect() }
    }
}

/// A word, or a sign of one or two characters; empty at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// Bytes before it.
    pub(super) at: usize,
    pub(super) text: &'a str,
}

impl Token<'_> {
    fn is_word(self) -> bool {
        self.text.starts_with(|c| !is_sign(c))
    }

    /// The error that this should be something else.
    pub(super) fn expected(self, expected: &'static str) -> ParseSelectorError {
        ParseSelectorError::new(self.at, expected, self.text)
    }
}

fn is_sign(c: char) -> bool {
    matches!(c, '=' | '!' | '(' | ')' | ',' | '>' | '<')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// The requirements of a selector: keys as they are written, and what is demanded. Each value satisfies `is_value`, or
/// else was expected to be `value_form`.
pub(super) fn requirements<'a>(
    text: &'a str,
    is_value: fn(&str) -> bool,
    value_form: &'static str,
) -> Result<Vec<(Token<'a>, Operator)>, ParseSelectorError> {
    let mut parser = Parser { text, at: 0, is_value, value_form };
    let mut found = Vec::new();
    if parser.peek().text.is_empty() {
        return Ok(found);
    }
    loop {
        found.push(parser.requirement()?);
        let next = parser.take();
        match next.text {
            "" => return Ok(found),
            "," => {}
            _ => return Err(next.expected("a comma or the end")),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    is_value: fn(&str) -> bool,
    value_form: &'static str,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Token<'a> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches(is_blank).len();
        let rest = &self.text[self.at..];
        let length = if rest.starts_with("==") || rest.starts_with("!=") {
            2
        } else if rest.starts_with(is_sign) {
            1
        } else {
            rest.find(|c| is_sign(c) || is_blank(c)).unwrap_or(rest.len())
        };
        Token { at: self.at, text: &rest[..length] }
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.at += token.text.len();
        token
    }

    fn requirement(&mut self) -> Result<(Token<'a>, Operator), ParseSelectorError> {
        let absent = self.peek().text == "!";
        if absent {
            self.take();
        }
        let key = self.take();
        if !key.is_word() {
            return Err(key.expected(if absent { "a key" } else { "a key or '!'" }));
        }
        if absent {
            return Ok((key, Operator::NotExists));
        }
        let operator = self.peek();
        if !matches!(operator.text, "" | ",") {
            self.take();
        }
        let operator = match operator.text {
            "" | "," => Operator::Exists,
            "=" | "==" => Operator::In(self.one_value()?),
            "!=" => Operator::NotIn(self.one_value()?),
            "in" => Operator::In(self.values()?),
            "notin" => Operator::NotIn(self.values()?),
            ">" => Operator::GreaterThan(self.number()?),
            "<" => Operator::LessThan(self.number()?),
            _ => return Err(operator.expected("an operator: one of = == != > < in notin")),
        };
        Ok((key, operator))
    }

    fn one_value(&mut self) -> Result<BTreeSet<String>, ParseSelectorError> {
        Ok([self.value()?.text.to_owned()].into())
    }

    /// A word; empty before a sign, where only a comma, a parenthesis or the end can follow.
    fn value(&mut self) -> Result<Token<'a>, ParseSelectorError> {
        let next = self.peek();
        if !next.is_word() {
            return Ok(Token { text: "", ..next });
        }
        if !(self.is_value)(next.text) {
            return Err(next.expected(self.value_form));
        }
        Ok(self.take())
    }

    fn values(&mut self) -> Result<BTreeSet<String>, ParseSelectorError> {
        let open = self.take();
        if open.text != "(" {
            return Err(open.expected("'('"));
        }
        let mut values = BTreeSet::new();
        loop {
            values.insert(self.value()?.text.to_owned());
            let next = self.take();
            match next.text {
                "," => {}
                ")" => return Ok(values),
                _ => return Err(next.expected("a value, a comma or ')'")),
            }
        }
    }

    fn number(&mut self) -> Result<i64, ParseSelectorError> {
        let value = self.value()?;
        value.text.parse().map_err(|_| self.peek_back(value).expected("an integer of 64 bits"))
    }

    /// For an error message: the sign that stands where a value is missing.
    fn peek_back(&mut self, value: Token<'a>) -> Token<'a> {
        if value.text.is_empty() { self.peek() } else { value }
    }
}

/// Writes a requirement so that it is read again as the same.
pub(super) fn write(f: &mut fmt::Formatter<'_>, key: &dyn fmt::Display, operator: &Operator) -> fmt::Result {
    let list = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    match operator {
        Operator::In(values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
        Operator::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", list(values)),
        Operator::In(values) => write!(f, "{key} in ({})", list(values)),
        Operator::NotIn(values) => write!(f, "{key} notin ({})", list(values)),
        Operator::Exists => write!(f, "{key}"),
        Operator::NotExists => write!(f, "!{key}"),
        Operator::GreaterThan(bound) => write!(f, "{key}>{bound}"),
        Operator::LessThan(bound) => write!(f, "{key}<{bound}"),
    }
}

/// Writes requirements, separated by commas.
pub(super) fn write_all<T: fmt::Display>(f: &mut fmt::Formatter<'_>, requirements: &[T]) -> fmt::Result {
    for (at, requirement) in requirements.iter().enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        write!(f, "{requirement}")?;
    }
    Ok(())
}
