//! How single values stand in columns.

use crate::{
    Error, Version,
    field::FieldValue,
    relational::{terms::Term, uid::Uid},
};

/// Whether PostgreSQL can store a text: it has no NUL. No object of Kubernetes has one in its names.
pub(super) fn storable(text: &str) -> bool {
    !text.contains('\0')
}

/// A uid: 0 and the 16 bytes of a UUID, or 1 and the text.
pub(super) fn uid(uid: &Uid) -> Vec<u8> {
    match uid {
        Uid::Uuid(bytes) => [&[0], &bytes[..]].concat(),
        Uid::Text(text) => [&[1], text.as_bytes()].concat(),
    }
}

/// What [`uid`] wrote.
pub(super) fn read_uid(bytes: &[u8]) -> Result<Uid, Error> {
    let damaged = || Error::Corrupt("an object's uid".into());
    match bytes.split_first() {
        Some((0, uuid)) => uuid.try_into().map(Uid::Uuid).map_err(|_| damaged()),
        Some((1, text)) => {
            std::str::from_utf8(text).map(|text| Uid::Text(text.into())).map_err(|_| damaged())
        }
        _ => Err(damaged()),
    }
}

/// A resourceVersion, so that bytes come in its order: 0 and a number, the most significant byte first, shifted so that
/// negative ones come before; or 1 and the text.
pub(super) fn version(version: &Version) -> Vec<u8> {
    match version {
        Version::Number(number) => [&[0], &shifted(*number).to_be_bytes()[..]].concat(),
        Version::Text(text) => [&[1], text.as_bytes()].concat(),
    }
}

/// What [`version`] wrote.
pub(super) fn read_version(bytes: &[u8]) -> Result<Version, Error> {
    let damaged = || Error::Corrupt("an object's resourceVersion".into());
    match bytes.split_first() {
        Some((0, number)) => {
            let number = number.try_into().map(u64::from_be_bytes).map_err(|_| damaged())?;
            Ok(Version::Number((number ^ 1 << 63) as i64))
        }
        Some((1, text)) => {
            std::str::from_utf8(text).map(|text| Version::Text(text.into())).map_err(|_| damaged())
        }
        _ => Err(damaged()),
    }
}

fn shifted(number: i64) -> u64 {
    number as u64 ^ 1 << 63
}

/// The bytes that a term begins with: the number of its key.
pub(super) fn term_key(key: i64) -> Vec<u8> {
    (key as u32).to_be_bytes().to_vec()
}

/// A term: the number of its key, and 0 for an object or a list, or 1 and the text.
pub(super) fn term(key: i64, value: &FieldValue) -> Vec<u8> {
    let mut bytes = term_key(key);
    match value {
        FieldValue::Structured => bytes.push(0),
        FieldValue::Text(text) => {
            bytes.push(1);
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// The terms of an object as its row has them: each, and the key of each, sorted.
pub(super) fn row_terms(terms: &[Term]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        terms.iter().flat_map(|it| [term_key(it.key), term(it.key, &it.value)]).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether an element of [`row_terms`] is a term, and not a key alone.
pub(super) fn is_term(bytes: &[u8]) -> bool {
    bytes.len() > 4
}

/// Whether an element of [`row_terms`] is of a key.
pub(super) fn is_of(bytes: &[u8], key: i64) -> bool {
    bytes.starts_with(&(key as u32).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn versions() -> impl Strategy<Value = Version> {
        prop_oneof![any::<i64>().prop_map(Version::Number), ".{0,6}".prop_map(Version::Text)]
    }

    proptest! {
        #[test]
        fn versions_come_back_and_their_bytes_are_in_their_order(a in versions(), b in versions()) {
            prop_assert_eq!(read_version(&version(&a)).unwrap(), a.clone());
            prop_assert_eq!(version(&a).cmp(&version(&b)), a.cmp(&b));
        }

        #[test]
        fn uids_come_back(text in prop_oneof![".{0,20}", Just("8f2d6f3c-1f0e-4a57-9c0b-0123456789ab".to_owned())]) {
            let known = Uid::new(&text);
            prop_assert_eq!(read_uid(&uid(&known)).unwrap(), known);
        }

        #[test]
        fn foreign_bytes_are_an_error_or_another_value(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = (read_version(&bytes), read_uid(&bytes));
        }
    }
}
