//! The values a template computes with: those of Go's decoded JSON, and the few more that functions make.
//!
//! Dictionaries are references, as in Go: what `set` changes is changed for everybody who holds the dictionary. Lists and
//! texts never change.

mod compare;
mod containers;
mod convert;
mod text;
mod walk;

pub(crate) use compare::{equal, less};
pub(crate) use containers::{Element, List, Map};
pub(crate) use text::Text;
pub(crate) use walk::{deep_copy, deep_equal, reaches};

use std::rc::Rc;

use crate::functions::{moment::Moment, version::Version};

/// A value, cheap to clone.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// No value at all, as of a key that a dictionary does not have. Fields of it are missing too.
    Missing,
    /// A value that is there and is null. Asking for fields of it is an error.
    Nil,
    Bool(bool),
    Int(i64, Int),
    Uint(u64, Uint),
    Float(f64),
    Text(Text),
    List(Rc<List>),
    Map(Rc<Map>),
    Moment(Rc<Moment>),
    Version(Rc<Version>),
}

/// Go's signed types that can occur. They compare with each other, but a function that wants one refuses the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Int {
    /// Constants, lengths, indices.
    Int,
    /// Data, and results of arithmetic.
    Int64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uint {
    /// A byte of a text.
    Uint8,
    /// A part of a version.
    Uint64,
}

impl Value {
    pub(crate) fn int(value: i64) -> Self {
        Value::Int(value, Int::Int)
    }

    pub(crate) fn int64(value: i64) -> Self {
        Value::Int(value, Int::Int64)
    }

    /// A list of any values.
    pub(crate) fn list(items: Vec<Value>) -> Self {
        Value::List(Rc::new(List::new(items, Element::Any)))
    }

    /// A list whose type says that it holds texts.
    pub(crate) fn texts(items: impl IntoIterator<Item = Text>) -> Self {
        Value::List(Rc::new(List::new(items.into_iter().map(Value::Text).collect(), Element::Text)))
    }

    pub(crate) fn map(map: Map) -> Self {
        Value::Map(Rc::new(map))
    }

    pub(crate) fn is_nil(&self) -> bool {
        matches!(self, Value::Missing | Value::Nil)
    }

    /// What `if`, `with`, `and`, `or` and `not` take for true; also the opposite of sprig's `empty`.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Value::Missing | Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value, _) => *value != 0,
            Value::Uint(value, _) => *value != 0,
            Value::Float(value) => *value != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(list) => !list.items().is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Moment(_) | Value::Version(_) => true,
        }
    }

    /// Go's name of the value's type, as `%T` and `typeOf` print it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Value::Missing | Value::Nil => "<nil>",
            Value::Bool(_) => "bool",
            Value::Int(_, Int::Int) => "int",
            Value::Int(_, Int::Int64) => "int64",
            Value::Uint(_, Uint::Uint8) => "uint8",
            Value::Uint(_, Uint::Uint64) => "uint64",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::List(list) => match list.element() {
                Element::Any => "[]interface {}",
                Element::Text => "[]string",
                Element::Int => "[]int",
                Element::List => "[][]interface {}",
            },
            Value::Map(map) => match map.element() {
                Element::Text => "map[string]string",
                _ => "map[string]interface {}",
            },
            Value::Moment(_) => "time.Time",
            Value::Version(_) => "*semver.Version",
        }
    }

    /// Go's name of the kind of the value's type, as `kindOf` prints it.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self {
            Value::Missing | Value::Nil => "invalid",
            Value::List(_) => "slice",
            Value::Map(_) => "map",
            Value::Moment(_) => "struct",
            Value::Version(_) => "ptr",
            simple => simple.type_name(),
        }
    }

    /// What an operand gives to a function that takes any value: null for what is missing.
    pub(crate) fn or_nil(self) -> Self {
        if matches!(self, Value::Missing) { Value::Nil } else { self }
    }

    /// What a pipeline passes on: missing for what is null.
    pub(crate) fn or_missing(self) -> Self {
        if matches!(self, Value::Nil) { Value::Missing } else { self }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Text::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Text::from(text))
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Value::Text(Text::from(bytes))
    }
}
