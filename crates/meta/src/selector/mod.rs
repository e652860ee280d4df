//! Label and field selectors, parsed.
//!
//! Both are written in Kubernetes' grammar of selectors; they differ in what a key and a value may be. Whether an
//! object's labels match is said here; its fields are read where objects are stored.

mod field;
mod grammar;
mod label;
mod name;

use std::collections::BTreeSet;

pub use grammar::ParseSelectorError;
pub use label::{InvalidSelectorError, LabelExpression, StructuredLabelSelector};
pub use name::{is_dns_subdomain, is_label_value};

/// What a selector demands of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// The value is there and one of these (`=`, `==`, `in`).
    In(BTreeSet<String>),
    /// The value is absent or none of these (`!=`, `notin`).
    NotIn(BTreeSet<String>),
    /// There is a value.
    Exists,
    /// There is no value.
    NotExists,
    /// The value is an integer above this one.
    GreaterThan(i64),
    /// The value is an integer below this one.
    LessThan(i64),
}

/// Requirements on labels; all of them hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// In the order they were written.
    pub requirements: Vec<LabelRequirement>,
}

/// A requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRequirement {
    /// The label's key.
    pub key: String,
    /// What its value must be.
    pub operator: Operator,
}

/// Requirements on any fields of an object; all of them hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    /// In the order they were written.
    pub requirements: Vec<FieldRequirement>,
}

/// A requirement on one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRequirement {
    /// Where the field is.
    pub path: FieldPath,
    /// What its value must be, as text.
    pub operator: Operator,
}

/// The way to a field from the top of an object; it begins and ends with a [`Step::Field`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath {
    /// From the outermost to the innermost.
    pub steps: Vec<Step>,
}

/// One step into an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Into the field of this name.
    Field(String),
    /// Into this element of a list, counted from 0.
    Index(usize),
    /// Into any element of a list.
    Any,
}
