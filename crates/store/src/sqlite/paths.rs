//! The indexed field paths in the file: registered, and filled in from what is stored already.

use std::sync::Arc;

use meta::FieldPath;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    change::{self, Place},
    error::Sorted as _,
    terms, values,
};
use crate::{
    Error, Resource,
    relational::{
        body::Bodies,
        fields::{self, MOST, Paths},
        ids,
        terms::Term,
    },
};

/// All that are registered.
pub(super) fn load(connection: &Connection) -> Result<Arc<Paths>, Error> {
    let sql = "SELECT k.id, k.path, r.api_group, r.version, r.resource \
               FROM term_key AS k JOIN resource AS r ON r.id = k.resource";
    let mut statement = connection.prepare_cached(sql).sorted()?;
    let mut rows = statement.query([]).sorted()?;
    let mut paths = Paths::default();
    while let Some(row) = rows.next().sorted()? {
        let resource = Resource {
            group: row.get(2).sorted()?,
            version: row.get(3).sorted()?,
            resource: row.get(4).sorted()?,
        };
        paths.add(resource, row.get(0).sorted()?, &row.get::<_, String>(1).sorted()?)?;
    }
    Ok(Arc::new(paths))
}

/// Registers a path for a resource, unless it is or there are too many.
pub(super) fn register(connection: &Connection, resource: i64, path: &FieldPath) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO term_key (resource, path, filled) SELECT ?1, ?2, 0 \
               WHERE (SELECT count(*) FROM term_key WHERE resource > 0) < ?3";
    connection.prepare_cached(sql).sorted()?.execute(params![resource, fields::text(path), MOST]).sorted()?;
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
    let path = fields::parse(&path)?;
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
    let ids = ids::ids(scope);
    let mut statement = connection.prepare_cached(sql).sorted()?;
    let mut rows =
        statement.query(params![*ids.start().max(&(filled + 1)), ids.end(), WINDOW as i64]).sorted()?;
    let mut update = connection.prepare_cached("UPDATE object SET terms = ? WHERE id = ?").sorted()?;
    let (mut found, mut seen, mut last) = (Vec::new(), 0, *ids.end());
    while let Some(row) = rows.next().sorted()? {
        let object: i64 = row.get(0).sorted()?;
        (seen, last) = (seen + 1, object);
        let json = values::body(bodies, row, 3)?;
        let added: Vec<Term> = fields::extract_one(key, path, &json);
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
