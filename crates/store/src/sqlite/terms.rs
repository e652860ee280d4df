//! The terms of an object as bytes in its own row.

use crate::{Error, field::FieldValue, relational::terms::Term};

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
}
