//! Overrides that cannot be applied: which, where, and what to do about it.

use std::fmt;

use super::rule::InvalidRuleError;
use crate::{ClusterKey, text};

/// The longest path or name in a message, in bytes.
pub(super) const NAME: usize = 256;

/// One override: an item of a Globalization's or Localization's `spec.overrides`, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverrideRef {
    /// `Globalization` or `Localization`.
    pub kind: &'static str,
    /// The namespace of a Localization.
    pub namespace: Option<String>,
    /// The name of the Globalization or Localization.
    pub object: String,
    /// Which item, from 0; none where it is the Globalization or Localization as a whole.
    pub index: Option<usize>,
    /// The name of the item.
    pub name: Option<String>,
}

impl fmt::Display for OverrideRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        write!(f, "{}", self.object)?;
        if let Some(index) = self.index {
            write!(f, " spec.overrides[{index}]")?;
        }
        match self.name.as_deref() {
            Some(name) if !name.is_empty() => write!(f, " ({})", text::cut(name, NAME)),
            _ => Ok(()),
        }
    }
}

/// An override that cannot be applied, so that the feed cannot be deployed to the cluster. It names override, cluster and
/// path, and never repeats a value of the object or of the override.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideError {
    /// The override; none where the feed itself is at fault.
    pub by: Option<Box<OverrideRef>>,
    /// The cluster.
    pub cluster: ClusterKey,
    /// The path in the object, a JSON pointer; empty for the whole.
    pub path: String,
    /// What is wrong.
    pub problem: Problem,
}

/// An override that was not applied, although the feed is deployed. What else is in its value was not applied either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped(pub OverrideError);

impl std::error::Error for OverrideError {}

impl fmt::Display for OverrideError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            Some(by) => write!(f, "{by}, cluster {}", self.cluster)?,
            None => write!(f, "cluster {}", self.cluster)?,
        }
        if !self.path.is_empty() {
            write!(f, ", path {}", text::cut(&self.path, NAME))?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} The override was skipped.", self.0)
    }
}

/// What is wrong with an override.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A selector of the Globalization or Localization, so that nobody knows what it is for.
    #[error(
        "{0}; correct it, or delete the override. Until then nothing new is deployed to what it may be for, and what runs \
         stays as it is."
    )]
    SelectorInvalid(InvalidRuleError),
    /// The target of a JSON patch.
    #[error("the path does not exist; correct the path, or add what is missing with an operation before.")]
    PathMissing,
    /// The type is not for this sort of feed.
    #[error("an override of type {given} does nothing to {feed}; use one of the types {expected}.")]
    NotForThisFeed {
        /// The type.
        given: &'static str,
        /// What the feed is.
        feed: &'static str,
        /// The types that are.
        expected: &'static str,
    },
    /// A JSON patch, and no values so far.
    #[error("the chart has no values yet that a JSONPatch could change; use the type Helm or MergePatch.")]
    NoValues,
    /// A chart override of what identifies the release.
    #[error(
        "this field of a HelmChart cannot differ between clusters, and was left as it is; take it out of the override, and \
         make a HelmChart of its own where it is to be another."
    )]
    FieldFixed,
    /// Longer than [`Limits::value_bytes`](super::Limits::value_bytes).
    #[error("the value is larger than {limit} bytes; make it shorter.")]
    ValueTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Neither JSON nor YAML.
    #[error("the value is neither JSON nor YAML, line {line}, column {column}; correct it.")]
    ValueInvalid {
        /// From 1; 0 where it is not known.
        line: u64,
        /// From 1; 0 where it is not known.
        column: u64,
    },
    /// Not a mapping.
    #[error("the value is no mapping; write it as keys and values.")]
    NoMapping,
    /// The template cannot be rendered.
    #[error("the template of the value cannot be rendered: {0}; correct it.")]
    Template(#[from] gotemplate::Error),
    /// The template prints a fact that is not there.
    #[error(
        "the template of the value prints a label or annotation that the cluster does not have; add it to the ManagedCluster, or give a default: {{{{ .cluster.labels.x | default \"y\" }}}}."
    )]
    FactMissing,
    /// No list of operations.
    #[error(
        "the value is no JSON patch; write a list of operations, such as [{{\"op\": \"remove\", \"path\": \"/spec/paused\"}}]."
    )]
    NoPatch,
    /// An item of a JSON patch.
    #[error(
        "operation {operation} of the JSON patch is none; give it op and path, and value or from where op takes one."
    )]
    OperationInvalid {
        /// From 0.
        operation: usize,
    },
    /// More than [`Limits::operations`](super::Limits::operations).
    #[error("the JSON patch has more than {limit} operations; use fewer.")]
    TooManyOperations {
        /// The limit.
        limit: usize,
    },
    /// The operation `test`.
    #[error(
        "the operation test of the JSON patch found another value; correct the value it expects, or take the operation out."
    )]
    TestFailed,
    /// The operation `move`.
    #[error("the JSON patch moves a value into itself; correct from or path.")]
    MoveIntoItself,
    /// A field patch without a path.
    #[error("fieldPath is not set; name the field that holds the document, for example data/app.yaml.")]
    FieldPathUnset,
    /// A field patch of what is not there.
    #[error("the object has no such field; correct fieldPath.")]
    FieldMissing,
    /// A field patch of what is no text.
    #[error("the field is no text, so there is no document in it; correct fieldPath.")]
    FieldNoText,
    /// A field patch of what is not in the format.
    #[error(
        "the text in the field is not {format}, line {line}, column {column}; correct it, or fieldFormat."
    )]
    FieldInvalid {
        /// The format.
        format: &'static str,
        /// From 1; 0 where it is not known.
        line: u64,
        /// From 1; 0 where it is not known.
        column: u64,
    },
    /// Another object.
    #[error(
        "an override cannot change what identifies the object; take apiVersion, kind, metadata.name and metadata.namespace out of it, and make another object a feed of its own."
    )]
    IdentityChanged,
    /// Larger than [`Limits::result_bytes`](super::Limits::result_bytes).
    #[error("the result is larger than {limit} bytes, more than an API server takes; change less.")]
    ResultTooLarge {
        /// The limit.
        limit: usize,
    },
    /// Deeper than [`Limits::depth`](super::Limits::depth).
    #[error(
        "values are nested deeper than {limit} levels, counted from the whole; make them flatter, or keep this part as a text."
    )]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// More than [`Limits::work_bytes`](super::Limits::work_bytes).
    #[error(
        "the overrides of this feed take more work than allowed; use fewer operations on smaller objects."
    )]
    TooMuchWork,
    /// More than [`Limits::overrides`](super::Limits::overrides).
    #[error(
        "with this one the feed has more than {limit} overrides in this cluster; make one of several, or narrow the selectors \
         of those that are not for it."
    )]
    TooManyOverrides {
        /// The limit.
        limit: usize,
    },
}

impl Problem {
    /// The reason for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::PathMissing | Self::FieldMissing => "PathMissing",
            Self::NotForThisFeed { .. } | Self::NoValues | Self::FieldFixed => "OverrideNotApplicable",
            Self::Template(_) | Self::FactMissing => "TemplateInvalid",
            Self::TestFailed => "TestFailed",
            Self::ValueTooLarge { .. }
            | Self::ResultTooLarge { .. }
            | Self::TooDeep { .. }
            | Self::TooMuchWork
            | Self::TooManyOperations { .. }
            | Self::TooManyOverrides { .. } => "OverrideTooLarge",
            Self::SelectorInvalid(_)
            | Self::ValueInvalid { .. }
            | Self::NoMapping
            | Self::NoPatch
            | Self::OperationInvalid { .. }
            | Self::MoveIntoItself
            | Self::FieldPathUnset
            | Self::FieldNoText
            | Self::FieldInvalid { .. }
            | Self::IdentityChanged => "OverrideInvalid",
        }
    }

    /// Whether the feed is deployed without the override (contract 5.7): what the override is for is not there.
    pub(super) fn skips(&self) -> bool {
        matches!(self, Self::PathMissing | Self::NotForThisFeed { .. } | Self::NoValues | Self::FieldFixed)
    }

    /// The problem at a path.
    pub(super) fn at(self, path: impl Into<String>) -> Fault {
        Fault { path: path.into(), problem: self }
    }
}

/// A problem and its path, before it is known whose it is.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) path: String,
    pub(super) problem: Problem,
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        problem.at("")
    }
}
