//! The terms of an object: the values of its labels and of the indexed fields, as they stand in `term` and, encoded,
//! in the object's own row. The latter says what to take out of `term` when the object changes, and answers
//! conditions about an object at hand.

use std::collections::BTreeSet;

use meta::{Operator, RawObject};
use sha2::{Digest as _, Sha256};

use crate::field::FieldValue;

/// A value under a key of `term_key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Term {
    pub(crate) key: i64,
    pub(crate) value: FieldValue,
}

/// Longer texts are indexed by their digest: equal texts stay equal, and a page holds many entries.
const LONGEST: usize = 256;

/// `text` as it is indexed.
pub(crate) fn indexed(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().fold(String::from("\0sha256:"), |mut hex, byte| {
        use std::fmt::Write as _;
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// `value` as it is indexed.
pub(crate) fn indexed_value(value: FieldValue) -> FieldValue {
    match value {
        FieldValue::Text(text) => FieldValue::Text(indexed(text)),
        FieldValue::Structured => FieldValue::Structured,
    }
}

/// `operator` as it is asked of indexed values.
pub(crate) fn indexed_operator(operator: &Operator) -> Operator {
    let set = |set: &BTreeSet<String>| set.iter().cloned().map(indexed).collect();
    match operator {
        Operator::In(values) => Operator::In(set(values)),
        Operator::NotIn(values) => Operator::NotIn(set(values)),
        other => other.clone(),
    }
}

/// The labels of an object as pairs, for whoever knows their keys' numbers.
pub(crate) fn labels(object: &RawObject) -> impl Iterator<Item = (&str, FieldValue)> {
    object
        .key
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), indexed_value(FieldValue::Text(value.clone()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_stay_equal_only_to_themselves() {
        let (a, b) = ("a".repeat(1000), "b".repeat(1000));
        assert_eq!(indexed(a.clone()), indexed(a.clone()));
        assert_ne!(indexed(a.clone()), indexed(b));
        assert!(indexed(a).len() < 100);
    }
}
