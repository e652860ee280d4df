//! The indexed field paths.
//!
//! A path that a query has used is registered for the query's resources: from then on the writer extracts it from
//! every object it writes, and in the background, in small transactions between batches, from every object that is
//! stored already. When all have been looked at, queries use the index; until then they read bodies.

use std::collections::{BTreeMap, BTreeSet};

use meta::{FieldPath, Step};
use serde_json::Value;

use super::terms::{self, Term};
use crate::{Error, Resource, field};

/// How many paths are indexed at most. Each costs a few percent of a write; beyond them queries read bodies.
pub(crate) const MOST: i64 = 64;

/// Which paths to extract from the objects of which resource, by their number in `term_key`.
#[derive(Debug, Default)]
pub(crate) struct Paths(BTreeMap<Resource, Vec<(i64, FieldPath)>>);

impl Paths {
    /// Adds a registered path by its text.
    pub(crate) fn add(&mut self, resource: Resource, key: i64, path: &str) -> Result<(), Error> {
        self.0.entry(resource).or_default().push((key, parse(path)?));
        Ok(())
    }

    /// The terms of an object's indexed fields.
    pub(crate) fn extract(&self, resource: &Resource, json: &[u8]) -> Vec<Term> {
        let Some(paths) = self.0.get(resource) else { return Vec::new() };
        let wanted: Vec<&FieldPath> = paths.iter().map(|(_, path)| path).collect();
        let found = field::extract(json, &wanted);
        paths.iter().zip(found).flat_map(|((key, _), values)| of_values(*key, values)).collect()
    }
}

/// The terms of one field of an object.
pub(crate) fn extract_one(key: i64, path: &FieldPath, json: &[u8]) -> Vec<Term> {
    of_values(key, field::extract(json, &[path]).remove(0)).collect()
}

fn of_values(key: i64, values: BTreeSet<field::FieldValue>) -> impl Iterator<Item = Term> {
    values.into_iter().map(move |value| Term { key, value: terms::indexed_value(value) })
}

/// A path as text: a JSON list of names, indexes, and null for any element.
pub(crate) fn text(path: &FieldPath) -> String {
    let step = |step: &Step| match step {
        Step::Field(name) => Value::from(name.as_str()),
        Step::Index(at) => Value::from(*at),
        Step::Any => Value::Null,
    };
    Value::Array(path.steps.iter().map(step).collect()).to_string()
}

/// What [`text`] wrote.
pub(crate) fn parse(text: &str) -> Result<FieldPath, Error> {
    parsed(text).ok_or_else(|| Error::Corrupt("an indexed field's path".into()))
}

fn parsed(text: &str) -> Option<FieldPath> {
    let steps: Vec<Value> = serde_json::from_str(text).ok()?;
    let step = |step: Value| match step {
        Value::String(name) => Some(Step::Field(name)),
        Value::Number(at) => Some(Step::Index(usize::try_from(at.as_u64()?).ok()?)),
        Value::Null => Some(Step::Any),
        _ => None,
    };
    Some(FieldPath { steps: steps.into_iter().map(step).collect::<Option<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_comes_back_from_its_text() {
        let path = FieldPath {
            steps: vec![Step::Field("a.\"b".into()), Step::Index(3), Step::Any, Step::Field("null".into())],
        };
        assert_eq!(text(&path), r#"["a.\"b",3,null,"null"]"#);
        assert_eq!(parse(&text(&path)).unwrap(), path);
    }
}
