//! The terms of an object: the values of its labels and of the indexed fields, as they stand in `term` and, encoded,
//! in the object's own row. The latter says what to take out of `term` when the object changes, and answers
//! conditions about an object at hand.

use std::collections::BTreeSet;

use meta::{Operator, RawObject};
use sha2::{Digest as _, Sha256};

use crate::{Error, field::FieldValue};

/// A value under a key of `term_key`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term {
    pub(super) key: i64,
    pub(super) value: FieldValue,
}

/// Longer texts are indexed by their digest: equal texts stay equal, and a page holds many entries.
const LONGEST: usize = 256;

/// `text` as it is indexed.
pub(super) fn indexed(text: String) -> String {
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
pub(super) fn indexed_value(value: FieldValue) -> FieldValue {
    match value {
        FieldValue::Text(text) => FieldValue::Text(indexed(text)),
        FieldValue::Structured => FieldValue::Structured,
    }
}

/// `operator` as it is asked of indexed values.
pub(super) fn indexed_operator(operator: &Operator) -> Operator {
    let set = |set: &BTreeSet<String>| set.iter().cloned().map(indexed).collect();
    match operator {
        Operator::In(values) => Operator::In(set(values)),
        Operator::NotIn(values) => Operator::NotIn(set(values)),
        other => other.clone(),
    }
}

/// The labels of an object as pairs, for whoever knows their keys' numbers.
pub(super) fn labels(object: &RawObject) -> impl Iterator<Item = (&str, FieldValue)> {
    object
        .key
        .labels
        .iter()
        .map(|(key, value)| (key.as_str(), indexed_value(FieldValue::Text(value.clone()))))
}

/// Sorted terms as bytes: for each the key, and either 0 or the length of its text plus one and the text.
pub(super) fn encode(terms: &[Term]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(terms.len() * 16);
    for term in terms {
        put_number(&mut bytes, term.key as u64);
        match &term.value {
            FieldValue::Structured => bytes.push(0),
            FieldValue::Text(text) => {
                put_number(&mut bytes, text.len() as u64 + 1);
                bytes.extend_from_slice(text.as_bytes());
            }
        }
    }
    bytes
}

/// What [`encode`] wrote.
pub(super) fn decode(mut bytes: &[u8]) -> Result<Vec<Term>, Error> {
    let mut terms = Vec::with_capacity(8);
    while !bytes.is_empty() {
        terms.push(decode_one(&mut bytes).ok_or_else(|| Error::Corrupt("an object's terms".into()))?);
    }
    Ok(terms)
}

fn decode_one(bytes: &mut &[u8]) -> Option<Term> {
    let key = take_number(bytes)? as i64;
    let value = match take_number(bytes)? {
        0 => FieldValue::Structured,
        length => {
            let (text, rest) = bytes.split_at_checked(usize::try_from(length - 1).ok()?)?;
            *bytes = rest;
            FieldValue::Text(String::from_utf8(text.to_vec()).ok()?)
        }
    };
    Some(Term { key, value })
}

/// Seven bits a byte, the lowest first.
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn term() -> impl Strategy<Value = Term> {
        let value = prop_oneof![Just(FieldValue::Structured), ".{0,8}".prop_map(FieldValue::Text)];
        (0..i64::MAX, value).prop_map(|(key, value)| Term { key, value })
    }

    proptest! {
        #[test]
        fn terms_come_back_as_they_were(terms in prop::collection::vec(term(), 0..6)) {
            prop_assert_eq!(decode(&encode(&terms)).unwrap(), terms);
        }

        #[test]
        fn damaged_terms_are_an_error_or_other_terms(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn long_values_stay_equal_only_to_themselves() {
        let (a, b) = ("a".repeat(1000), "b".repeat(1000));
        assert_eq!(indexed(a.clone()), indexed(a.clone()));
        assert_ne!(indexed(a.clone()), indexed(b));
        assert!(indexed(a).len() < 100);
    }
}
