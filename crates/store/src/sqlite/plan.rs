//! A [`Plan`] from the file, and reading what it is about.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params, types::Value};

use super::{error::Sorted as _, terms, values};
use crate::{
    ClusterName, Error, Query, Resource,
    relational::{
        body::Bodies,
        plan::{Candidate, Key, KeyOf, Plan, ScopeRef, TermKey},
    },
};

/// Reads what the query is about.
pub(super) fn plan<'q>(
    connection: &Connection,
    query: &'q Query,
    most_looked_up: u64,
) -> Result<Plan<'q>, Error> {
    let mut plan = Plan::new(query, most_looked_up);
    for (id, resource) in resources(connection, query)? {
        let term_key = |of: KeyOf<'_>| match of {
            KeyOf::Label(label) => term_key(connection, 0, label),
            KeyOf::Field(path) => term_key(connection, id, path),
        };
        if let Some(at) = plan.add_resource(resource, term_key)? {
            add_scopes(&mut plan, connection, id, at)?;
        }
    }
    plan.sort();
    Ok(plan)
}

fn add_scopes(plan: &mut Plan<'_>, connection: &Connection, id: i64, resource: usize) -> Result<(), Error> {
    let clusters = plan.query.clusters.as_ref();
    let mut keep = |row: &Row<'_>| -> rusqlite::Result<()> {
        plan.add_scope(row.get(0)?, ClusterName::new(row.get::<_, String>(1)?), resource, row.get(2)?);
        Ok(())
    };
    // A few named clusters are looked up; otherwise all scopes of the resource are read.
    if let Some(clusters) = clusters.filter(|clusters| clusters.len() <= 8) {
        let sql = "SELECT id, cluster, objects FROM scope WHERE resource = ? AND cluster = ?";
        let mut statement = connection.prepare_cached(sql).sorted()?;
        for cluster in clusters {
            statement.query_row(params![id, cluster.as_str()], &mut keep).optional().sorted()?;
        }
        return Ok(());
    }
    let sql = "SELECT id, cluster, objects FROM scope WHERE resource = ?";
    let mut statement = connection.prepare_cached(sql).sorted()?;
    let mut rows = statement.query([id]).sorted()?;
    while let Some(row) = rows.next().sorted()? {
        keep(row).sorted()?;
    }
    Ok(())
}

/// The condition on `column`, a namespace, to be in `scope`, and what stands for its mark.
///
/// Several namespaces are a filter that keeps the order of the index and passes others over within it. Where those
/// are too many, `Driver::Namespaces` is taken.
pub(super) fn within(scope: &ScopeRef<'_>, column: &str) -> (String, Option<Value>) {
    match &scope.namespaces {
        None => (String::new(), None),
        Some(set) if set.len() == 1 => (format!(" AND {column} = ?"), set.first().cloned().map(Value::Text)),
        Some(set) => {
            let list = set.iter().map(String::as_str).collect::<serde_json::Value>();
            let sql = format!(" AND +{column} IN (SELECT value FROM json_each(?))");
            (sql, Some(Value::Text(list.to_string())))
        }
    }
}

/// Whether an object satisfies everything but the owner. `row` is that of [`COLUMNS`].
pub(super) fn accepts(
    plan: &Plan<'_>,
    scope: usize,
    row: &Row<'_>,
    reader: &mut Reader<'_>,
) -> Result<bool, Error> {
    let candidate =
        Candidate { namespace: text(row, 1)?, name: text(row, 2)?, created: row.get(3).sorted()? };
    let terms = || terms::decode(row.get_ref(7).sorted()?.as_blob().unwrap_or_default());
    if !plan.accepts(scope, candidate, terms)? {
        return Ok(false);
    }
    if !plan.asks_bodies(scope) {
        return Ok(true);
    }
    let Some(json) = reader.json(row.get(0).sorted()?)? else { return Ok(false) };
    Ok(plan.accepts_body(scope, &json))
}

/// Every resource that a pattern of the query matches, by number, sorted.
fn resources(connection: &Connection, query: &Query) -> Result<Vec<(i64, Resource)>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT id, api_group, version, resource FROM resource").sorted()?;
    let mut rows = statement.query([]).sorted()?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next().sorted()? {
        let resource = Resource {
            group: row.get(1).sorted()?,
            version: row.get(2).sorted()?,
            resource: row.get(3).sorted()?,
        };
        if query.resources.iter().any(|pattern| pattern.matches(&resource)) {
            found.insert(resource, row.get(0).sorted()?);
        }
    }
    Ok(found.into_iter().map(|(resource, id)| (id, resource)).collect())
}

/// The number of a label key (of resource 0) or field path.
fn term_key(connection: &Connection, resource: i64, path: &str) -> Result<Option<TermKey>, Error> {
    connection
        .prepare_cached("SELECT id, filled IS NULL FROM term_key WHERE resource = ? AND path = ?")
        .sorted()?
        .query_row(params![resource, path], |row| Ok(TermKey { id: row.get(0)?, complete: row.get(1)? }))
        .optional()
        .sorted()
}

/// What is read of an object to order it and to ask conditions of it.
pub(super) const COLUMNS: &str =
    "o.id, o.namespace, o.name, o.created, o.version, o.sequence, o.uid, o.terms";

/// An object from a row of [`COLUMNS`].
pub(super) fn key(scope: usize, row: &Row<'_>) -> Result<Key, Error> {
    Ok(Key {
        scope,
        id: row.get(0).sorted()?,
        namespace: row.get(1).sorted()?,
        name: row.get(2).sorted()?,
        created: row.get(3).sorted()?,
        version: row.get(4).sorted()?,
        sequence: row.get(5).sorted()?,
        uid: row.get(6).sorted()?,
    })
}

fn text<'r>(row: &'r Row<'_>, at: usize) -> Result<&'r str, Error> {
    row.get_ref(at).sorted()?.as_str().map_err(|_| Error::Corrupt("an object's name".into()))
}

/// Reads bodies by object number.
pub(super) struct Reader<'c> {
    statement: rusqlite::CachedStatement<'c>,
    bodies: &'c mut Bodies,
}

impl<'c> Reader<'c> {
    pub(super) fn new(connection: &'c Connection, bodies: &'c mut Bodies) -> Result<Self, Error> {
        let statement = connection.prepare_cached("SELECT size, json FROM body WHERE id = ?").sorted()?;
        Ok(Self { statement, bodies })
    }

    /// The JSON of an object, if it has a body.
    pub(super) fn json(&mut self, object: i64) -> Result<Option<Vec<u8>>, Error> {
        let statement: &mut Statement<'_> = &mut self.statement;
        let mut rows = statement.query([object]).sorted()?;
        match rows.next().sorted()? {
            Some(row) => values::body(self.bodies, row, 0).map(Some),
            None => Ok(None),
        }
    }
}
