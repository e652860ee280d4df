//! JSONPath as kubectl and printer columns write it: a template of text and paths in braces.
//!
//! The dialect is older than RFC 9535 and another one. Of what a real API server and kubectl 1.37 do with it, two things
//! are different here: where they give up (an index beyond the end, a comparison of a number with a text), nothing is
//! found; and dots within quotes belong to the name, escaped or not.
//!
//! Work and results are bounded whatever the path: see [`JsonPath::find`].

mod eval;
mod parse;
mod print;
#[cfg(test)]
mod tests;

use serde_json::{Number, Value};

pub(crate) use print::printed;

/// A template such as `{range .items[*]}{.metadata.name}{"\n"}{end}`, or one path such as `.spec.replicas`.
///
/// | written | means |
/// |---|---|
/// | `.name`, `['name']`, `app\.x/y` | a field; `\` takes the special meaning from the character after it |
/// | `.*`, `[*]` | every field or element; every element |
/// | `..name` | the fields of this name in the object and everything within it |
/// | `[2]`, `[-1]`, `[1:4:2]`, `[:-1]` | elements of a list |
/// | `[0,2]`, `['a','b']` | several of them |
/// | `[?(@.name=="x")]`, `[?(@.ready)]` | elements for which it holds: `==` `!=` `<` `<=` `>` `>=`, or that there is something |
/// | `$`, `@` | the object the path starts from: the whole, within `{range}` and filters the element |
/// | `{range PATH}…{end}` | the template between for each value |
/// | `"text"`, `'text'` in braces | text, with escapes such as `\n` |
///
/// ```
/// let path = meta::JsonPath::parse(r#"{range .items[?(@.n>1)]}{.name}={.n}{"\n"}{end}"#)?;
/// let object = serde_json::json!({"items": [{"name": "a", "n": 1}, {"name": "b", "n": 2}]});
/// assert_eq!(path.to_text(&object), "b=2\n");
/// # Ok::<(), meta::ParseJsonPathError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    nodes: Vec<Node>,
}

/// The text is no JSONPath.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at position {position}: expected {expected}")]
pub struct ParseJsonPathError {
    /// Bytes before the place, from 0.
    pub position: usize,
    /// What should stand there.
    pub expected: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    Text(String),
    Path(Path),
    Range(Path, Vec<Node>),
}

type Path = Vec<Step>;

/// From each value found so far to others.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    /// All fields of an object, all elements of a list.
    Children,
    /// All elements of a list.
    Elements,
    Index(i64),
    Slice(Slice),
    Union(Vec<Step>),
    Filter(Filter),
    /// The value and everything within it.
    Descend,
}

/// Elements from `start` to before `end`, each `step`-th; negative ones count from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    start: Option<i64>,
    end: Option<i64>,
    step: usize,
}

/// Elements for which something is found at `left`, and compares if there is a comparison.
#[derive(Debug, Clone, PartialEq)]
struct Filter {
    left: Operand,
    comparison: Option<(Comparison, Operand)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Operand {
    Path(Path),
    Literal(Value),
}

/// A number as `f64`: what Go makes of those that are no integers of 64 bits.
pub(crate) fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or(f64::NAN)
}
