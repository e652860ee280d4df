//! What is done when nothing waits: deleting what was removed, and filling the index of a field from what is stored.

use meta::FieldPath;

use super::{
    change::array,
    error::Sorted as _,
    session::Channel,
    values,
    writer::{Memory, load_paths},
};
use crate::{
    Error, Resource,
    relational::{
        body::Bodies,
        fields::{self, MOST},
        ids::ids,
    },
};

/// Rows looked at in one step.
const STEP_ROWS: i64 = 500;

/// One step; `false` if there was nothing to do. What another hub is at is left to it.
pub(super) async fn step(channel: &Channel) -> Result<bool, Error> {
    channel.batch("BEGIN").await?;
    let worked = empty_garbage(channel).await? || fill(channel).await?;
    channel.batch("COMMIT").await?;
    Ok(worked)
}

/// Deletes some rows of a removed scope.
async fn empty_garbage(channel: &Channel) -> Result<bool, Error> {
    let next = "SELECT scope FROM clusterway.garbage ORDER BY scope LIMIT 1 FOR UPDATE SKIP LOCKED";
    let Some(row) = channel.query(next, &[]).await?.into_iter().next() else { return Ok(false) };
    let scope: i32 = row.try_get(0).sorted()?;
    let (first, last) = ids(scope.into()).into_inner();
    let mut deleted = 0;
    for (table, columns) in [("object", "id"), ("body", "id")] {
        let sql = format!(
            "DELETE FROM clusterway.{table} WHERE {columns} = ANY(ARRAY(SELECT {columns} FROM clusterway.{table} \
             WHERE id BETWEEN $1 AND $2 LIMIT $3))"
        );
        deleted += channel.execute(&sql, &[&first, &last, &STEP_ROWS]).await?;
    }
    let terms = "DELETE FROM clusterway.term AS t USING (SELECT * FROM clusterway.term WHERE scope = $1 LIMIT $2) AS d \
                 WHERE (t.scope, t.term, t.namespace, t.object) = (d.scope, d.term, d.namespace, d.object)";
    deleted += channel.execute(terms, &[&scope, &(STEP_ROWS * 5)]).await?;
    if deleted == 0 {
        channel.execute("DELETE FROM clusterway.garbage WHERE scope = $1", &[&scope]).await?;
    }
    Ok(true)
}

/// Registers a path for a resource, unless it is or there are too many. Who writes an object later has seen it.
pub(super) async fn register(
    channel: &Channel,
    memory: &mut Memory,
    resource: &Resource,
    path: &FieldPath,
) -> Result<(), Error> {
    let text = fields::text(path);
    if !values::storable(&text) {
        return Ok(());
    }
    channel.batch("BEGIN").await?;
    let sql = "INSERT INTO clusterway.term_key (resource, path, filled) SELECT r.id, $4, 0 FROM clusterway.resource AS r \
               WHERE r.api_group = $1 AND r.version = $2 AND r.resource = $3 \
               AND (SELECT count(*) FROM clusterway.term_key WHERE resource > 0) < $5 ON CONFLICT DO NOTHING";
    let Resource { group, version, resource } = resource;
    if channel.execute(sql, &[group, version, resource, &text, &MOST]).await? > 0 {
        channel.execute("UPDATE clusterway.counter SET fields = fields + 1", &[]).await?;
    }
    channel.batch("COMMIT").await?;
    load_paths(channel, &memory.shared).await.map(drop)
}

/// Looks for one registered path in the next objects.
async fn fill(channel: &Channel) -> Result<bool, Error> {
    let next = "SELECT id, resource, path, filled FROM clusterway.term_key WHERE filled IS NOT NULL \
                ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";
    let Some(row) = channel.query(next, &[]).await?.into_iter().next() else { return Ok(false) };
    let (key, resource): (i32, i32) = (row.try_get(0).sorted()?, row.try_get(1).sorted()?);
    let (path, filled): (FieldPath, i64) =
        (fields::parse(row.try_get(2).sorted()?)?, row.try_get(3).sorted()?);
    // The scope that holds the next object, locked: it is not written meanwhile. Scopes made since have been written
    // with this path.
    let scope =
        "SELECT id FROM clusterway.scope WHERE resource = $1 AND id >= $2 ORDER BY id LIMIT 1 FOR UPDATE";
    let from = ((filled + 1) >> 32) as i32;
    let filled = match channel.query(scope, &[&resource, &from]).await?.into_iter().next() {
        Some(scope) => Some(fill_window(channel, key, scope.try_get(0).sorted()?, &path, filled).await?),
        None => None,
    };
    channel.execute("UPDATE clusterway.term_key SET filled = $2 WHERE id = $1", &[&key, &filled]).await?;
    Ok(true)
}

/// Fills the next objects of a scope; the answer is the last one that was looked at.
async fn fill_window(
    channel: &Channel,
    key: i32,
    scope: i32,
    path: &FieldPath,
    filled: i64,
) -> Result<i64, Error> {
    let (first, last) = ids(scope.into()).into_inner();
    let sql = "SELECT o.id, o.namespace, o.terms, o.size, b.json FROM (SELECT * FROM clusterway.object AS o \
               WHERE o.id BETWEEN $1 AND $2 ORDER BY o.id LIMIT $3) AS o JOIN clusterway.body AS b ON b.id = o.id";
    let rows = channel.query(sql, &[&first.max(filled + 1), &last, &STEP_ROWS]).await?;
    let key_number = i64::from(key);
    let mut bodies = Bodies::new()?;
    let (mut ids, mut row_terms) = (Vec::new(), Vec::new());
    let (mut scopes, mut terms, mut namespaces, mut objects) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut reached = filled;
    for row in &rows {
        let id: i64 = row.try_get(0).sorted()?;
        reached = reached.max(id);
        let size: i32 = row.try_get(3).sorted()?;
        let json = bodies.unpack(row.try_get(4).sorted()?, size as usize)?;
        let found = values::row_terms(&fields::extract_one(key_number, path, &json));
        if found.is_empty() {
            continue;
        }
        for term in found.iter().filter(|term| values::is_term(term)) {
            scopes.push(scope);
            terms.push(term.clone());
            namespaces.push(row.try_get::<_, &str>(1).sorted()?);
            objects.push(id);
        }
        let mut all: Vec<Vec<u8>> = row.try_get(2).sorted()?;
        all.retain(|term| !values::is_of(term, key_number));
        all.extend(found);
        all.sort_unstable();
        ids.push(id);
        row_terms.push(array(&all));
    }
    if !ids.is_empty() {
        let update = "UPDATE clusterway.object AS o SET terms = u.terms::bytea[] \
                      FROM unnest($1::bigint[], $2::text[]) AS u (id, terms) WHERE o.id = u.id";
        channel.execute(update, &[&ids, &row_terms]).await?;
        let insert = "INSERT INTO clusterway.term (scope, term, namespace, object) \
                      SELECT * FROM unnest($1::int[], $2::bytea[], $3::text[], $4::bigint[]) ON CONFLICT DO NOTHING";
        channel.execute(insert, &[&scopes, &terms, &namespaces, &objects]).await?;
    }
    Ok(if (rows.len() as i64) < STEP_ROWS { last } else { reached })
}
