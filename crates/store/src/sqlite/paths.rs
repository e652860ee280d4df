//! The indexed field paths.
//!
//! A path that a query has used is registered for the query's resources: from then on the writer extracts it from
//! every object it writes, and in the background, in small transactions between batches, from every object that is
//! stored already. When all have been looked at, queries use the index; until then they read bodies.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use meta::{FieldPath, Step};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::Value;

use super::{
    body::Bodies,
    change::{self, Place},
    error::Sorted as _,
    terms::{self, Term},
};
use crate::{Error, Resource, field};

/// How many paths are indexed at most. Each costs a few percent of a write; beyond them queries read bodies.
const MOST: i64 = 64;

/// Which paths to extract from the objects of which resource, by their number in `term_key`.
#[derive(Debug, Default)]
pub(super) struct Paths(BTreeMap<Resource, Vec<(i64, FieldPath)>>);

impl Paths {
    /// All that are registered.
    pub(super) fn load(connection: &Connection) -> Result<Arc<Self>, Error> {
        let sql = "SELECT k.id, k.path, r.api_group, r.version, r.resource \
                   FROM term_key AS k JOIN resource AS r ON r.id = k.resource";
        let mut statement = connection.prepare_cached(sql).sorted()?;
        let mut rows = statement.query([]).sorted()?;
        let mut paths: BTreeMap<Resource, Vec<(i64, FieldPath)>> = BTreeMap::new();
        while let Some(row) = rows.next().sorted()? {
            let text: String = row.get(1).sorted()?;
            let path = parse(&text).ok_or_else(|| Error::Corrupt("an indexed field's path".into()))?;
            let resource = Resource {
                group: row.get(2).sorted()?,
                version: row.get(3).sorted()?,
                resource: row.get(4).sorted()?,
            };
            paths.entry(resource).or_default().push((row.get(0).sorted()?, path));
        }
        Ok(Arc::new(Self(paths)))
    }

    /// The terms of an object's indexed fields.
    pub(super) fn extract(&self, resource: &Resource, json: &[u8]) -> Vec<Term> {
        let Some(paths) = self.0.get(resource) else { return Vec::new() };
        let wanted: Vec<&FieldPath> = paths.iter().map(|(_, path)| path).collect();
        let found = field::extract(json, &wanted);
        paths.iter().zip(found).flat_map(|((key, _), values)| of_values(*key, values)).collect()
    }
}

fn of_values(key: i64, values: BTreeSet<field::FieldValue>) -> impl Iterator<Item = Term> {
    values.into_iter().map(move |value| Term { key, value: terms::indexed_value(value) })
}

/// A path as text: a JSON list of names, indexes, and null for any element.
pub(super) fn text(path: &FieldPath) -> String {
    let step = |step: &Step| match step {
        Step::Field(name) => Value::from(name.as_str()),
        Step::Index(at) => Value::from(*at),
        Step::Any => Value::Null,
    };
    Value::Array(path.steps.iter().map(step).collect()).to_string()
}

fn parse(text: &str) -> Option<FieldPath> {
    let steps: Vec<Value> = serde_json::from_str(text).ok()?;
    let step = |step: Value| match step {
        Value::String(name) => Some(Step::Field(name)),
        Value::Number(at) => Some(Step::Index(usize::try_from(at.as_u64()?).ok()?)),
        Value::Null => Some(Step::Any),
        _ => None,
    };
    Some(FieldPath { steps: steps.into_iter().map(step).collect::<Option<_>>()? })
}

/// Registers a path for a resource, unless it is or there are too many.
pub(super) fn register(connection: &Connection, resource: i64, path: &FieldPath) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO term_key (resource, path, filled) SELECT ?1, ?2, 0 \
               WHERE (SELECT count(*) FROM term_key WHERE resource > 0) < ?3";
    connection.prepare_cached(sql).sorted()?.execute(params![resource, text(path), MOST]).sorted()?;
    Ok(())
}

/// Objects looked at in one transaction.
const WINDOW: usize = 500;

/// Looks for one registered path in the next objects; `false` if all are filled.
pub(super) fn fill(connection: &Connection, bodies: &mut Bodies) -> Result<bool, Error> {
    let next = "SELECT id, resource, path, filled FROM term_key WHERE filled IS NOT NULL LIMIT 1";
    let unfilled: Option<(i64, i64, String, i64)> = connection
        .prepare_cached(next)
        .sorted()?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .optional()
        .sorted()?;
    let Some((key, resource, path, filled)) = unfilled else { return Ok(false) };
    let path = parse(&path).ok_or_else(|| Error::Corrupt("an indexed field's path".into()))?;
    // The scope that holds the next object; scopes made since have been written with this path.
    let scope: Option<i64> = connection
        .prepare_cached("SELECT min(id) FROM scope WHERE resource = ? AND id >= ? >> 32")
        .sorted()?
        .query_row([resource, filled + 1], |row| row.get(0))
        .sorted()?;
    let filled = match scope {
        Some(scope) => Some(fill_window(connection, bodies, key, scope, &path, filled)?),
        None => None,
    };
    connection
        .prepare_cached("UPDATE term_key SET filled = ? WHERE id = ?")
        .sorted()?
        .execute(params![filled, key])
        .sorted()?;
    Ok(true)
}

/// Fills the next objects of a scope; the answer is the last one that was looked at.
fn fill_window(
    connection: &Connection,
    bodies: &mut Bodies,
    key: i64,
    scope: i64,
    path: &FieldPath,
    filled: i64,
) -> Result<i64, Error> {
    let sql = "SELECT o.id, o.namespace, o.terms, b.size, b.json FROM object AS o \
               CROSS JOIN body AS b ON b.id = o.id WHERE o.id BETWEEN ? AND ? ORDER BY o.id LIMIT ?";
    let ids = change::ids(scope);
    let mut statement = connection.prepare_cached(sql).sorted()?;
    let mut rows =
        statement.query(params![*ids.start().max(&(filled + 1)), ids.end(), WINDOW as i64]).sorted()?;
    let mut update = connection.prepare_cached("UPDATE object SET terms = ? WHERE id = ?").sorted()?;
    let (mut found, mut seen, mut last) = (Vec::new(), 0, *ids.end());
    while let Some(row) = rows.next().sorted()? {
        let object: i64 = row.get(0).sorted()?;
        (seen, last) = (seen + 1, object);
        let json = bodies.read(row, 3)?;
        let added: Vec<Term> = of_values(key, field::extract(&json, &[path]).remove(0)).collect();
        if added.is_empty() {
            continue;
        }
        let mut all = terms::decode(row.get_ref(2).sorted()?.as_blob().unwrap_or_default())?;
        all.retain(|term| term.key != key);
        all.extend(added.iter().cloned());
        all.sort_unstable();
        found.push((object, row.get::<_, String>(1).sorted()?, all, added));
    }
    for (object, namespace, all, added) in found {
        update.execute(params![terms::encode(&all), object]).sorted()?;
        change::add_terms(connection, Place { scope, namespace: &namespace, object }, added.iter())?;
    }
    Ok(if seen < WINDOW { *ids.end() } else { last })
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
        assert_eq!(parse(&text(&path)), Some(path));
    }
}
