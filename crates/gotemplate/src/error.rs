//! What can go wrong, and where in the template.

use std::fmt;

/// Why a template could not be parsed or rendered, and at which place of its text.
///
/// Messages name positions, functions, fields and kinds of values. They never hold a value of the data: a template that
/// reads Secrets can fail without telling anybody what it read.
///
/// ```
/// use gotemplate::{ErrorKind, Template};
///
/// let error = Template::parse("name", "{{ range .l }}\n  {{ nope . }}{{ end }}").unwrap_err();
/// assert_eq!((error.line, error.column), (2, 6));
/// assert_eq!(error.kind, ErrorKind::UnknownFunction);
/// assert_eq!(error.to_string(), r#"name:2:6: function "nope" is not defined"#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{template}:{line}:{column}: {message}")]
#[non_exhaustive]
pub struct Error {
    /// The name given to [`Template::parse`](crate::Template::parse).
    pub template: String,
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
    /// What kind of mistake it is.
    pub kind: ErrorKind,
    /// A sentence without a position.
    pub message: String,
}

/// Kinds of [`Error`]s, by who can do what about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text is not a template.
    Syntax,
    /// A function that neither Go nor sprig has.
    UnknownFunction,
    /// A function that sprig has and that is refused here: it would reach outside of the template, or make keys.
    RefusedFunction,
    /// A value of a kind that cannot be used in this place: a field of a text, a number where a text is due.
    Type,
    /// Values of unlike kinds were compared, or values that cannot be compared at all.
    Comparison,
    /// A function could not do its work.
    Function,
    /// The template called `fail`.
    Fail,
    /// A function needs a clock or random bytes, and the [`Environment`](crate::Environment) has none.
    Environment,
    /// One of the [`Limits`](crate::Limits) was reached.
    Limit(Limit),
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::output_bytes`](crate::Limits::output_bytes).
    Output,
    /// [`Limits::steps`](crate::Limits::steps).
    Steps,
    /// [`Limits::depth`](crate::Limits::depth), or the fixed depth of nested text, lists and dictionaries.
    Depth,
    /// [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    Memory,
    /// [`Limits::regex_size`](crate::Limits::regex_size).
    Regex,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Output => "the result is larger than allowed",
            Limit::Steps => "the template takes more steps than allowed",
            Limit::Depth => "the template or a value is nested deeper than allowed",
            Limit::Memory => "the template makes more data than allowed",
            Limit::Regex => "a regular expression is larger than allowed",
        })
    }
}

/// A place in a template: line and column, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// An error that does not know its place yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// A function could not do its work.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Function, message)
    }

    /// A value of the wrong kind.
    pub(crate) fn wrong_type(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Type, message)
    }

    pub(crate) fn at(self, template: &str, position: Position) -> Error {
        Error {
            template: template.to_owned(),
            line: position.line,
            column: position.column,
            kind: self.kind,
            message: self.message,
        }
    }
}

impl From<Limit> for Fault {
    fn from(limit: Limit) -> Self {
        Self::new(ErrorKind::Limit(limit), limit.to_string())
    }
}
