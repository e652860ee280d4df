//! Scopes: found, made, locked, relisted, removed.
//!
//! Whoever writes to a scope holds the lock of its row until the commit. The row says which opening of the store was
//! the last to write it: one that finds another's number there where it expected its own has been overtaken, by a hub
//! that took over the cluster, and what it was about to write may be older than what is stored.

use tokio_postgres::Row;

use super::{
    error::Sorted as _,
    session::Channel,
    values,
    writer::{Memory, Shared},
};
use crate::{ClusterName, Error, Generation, Resource, relational::command::Sweep};

/// A scope's row, locked.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub(super) id: i32,
    pub(super) generation: i64,
    pub(super) last_object: i64,
}

const COLUMNS: &str = "s.id, s.generation, s.last_object, s.writer";

/// Locks the scope of a resource of a cluster, which is made if there is none. Between BEGIN and COMMIT.
pub(super) async fn lock(
    channel: &Channel,
    memory: &Memory,
    cluster: &ClusterName,
    resource: &Resource,
) -> Result<Scope, Error> {
    if let Some(row) = find(channel, cluster, resource, true).await? {
        return claimed(&memory.shared, memory.writer, &row);
    }
    let Resource { group, version, resource: name } = resource;
    let sql = "INSERT INTO clusterway.resource (api_group, version, resource) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    channel.execute(sql, &[group, version, name]).await?;
    // Another hub may make the same at this moment; then its commit was waited for.
    let sql = "INSERT INTO clusterway.scope (resource, cluster, writer) SELECT r.id, $4, $5 FROM clusterway.resource AS r \
               WHERE r.api_group = $1 AND r.version = $2 AND r.resource = $3 ON CONFLICT DO NOTHING";
    channel.execute(sql, &[group, version, name, &cluster.as_str(), &memory.writer]).await?;
    let row = find(channel, cluster, resource, true).await?;
    let row = row.ok_or_else(|| Error::Retry("another process removes the same resource".into()))?;
    claimed(&memory.shared, memory.writer, &row)
}

/// Refuses a scope that somebody else has written since we did, or since we looked.
fn claimed(shared: &Shared, writer: i64, row: &Row) -> Result<Scope, Error> {
    let scope = read(row)?;
    let found: i64 = row.try_get(3).sorted()?;
    let expected = shared.claims.lock().get(&scope.id).copied();
    if found != writer && expected.is_some_and(|expected| expected != found) {
        return Err(Error::Superseded);
    }
    Ok(scope)
}

fn read(row: &Row) -> Result<Scope, Error> {
    Ok(Scope {
        id: row.try_get(0).sorted()?,
        generation: row.try_get(1).sorted()?,
        last_object: row.try_get(2).sorted()?,
    })
}

async fn find(
    channel: &Channel,
    cluster: &ClusterName,
    resource: &Resource,
    lock: bool,
) -> Result<Option<Row>, Error> {
    let lock = if lock { " FOR UPDATE OF s" } else { "" };
    let sql = format!(
        "SELECT {COLUMNS} FROM clusterway.resource AS r JOIN clusterway.scope AS s ON s.resource = r.id \
         WHERE r.api_group = $1 AND r.version = $2 AND r.resource = $3 AND s.cluster = $4{lock}"
    );
    let Resource { group, version, resource } = resource;
    Ok(channel.query(&sql, &[group, version, resource, &cluster.as_str()]).await?.into_iter().next())
}

/// The scope of a resource of a cluster, if there is one.
pub(super) async fn id(
    channel: &Channel,
    cluster: &ClusterName,
    resource: &Resource,
) -> Result<Option<i32>, Error> {
    let texts = [cluster.as_str(), &resource.group, &resource.version, &resource.resource];
    if !texts.into_iter().all(values::storable) {
        return Ok(None);
    }
    let row = find(channel, cluster, resource, false).await?;
    row.map(|row| row.try_get(0).sorted()).transpose()
}

/// Takes so many numbers; the answer is the last of them, and the number of the registered fields. From here to the
/// commit nobody else gets any.
pub(super) async fn take_numbers(channel: &Channel, count: i64) -> Result<(i64, i64), Error> {
    let sql = "UPDATE clusterway.counter SET sequence = sequence + $1 RETURNING sequence, fields";
    let row = channel.one(sql, &[&count]).await?;
    Ok((row.try_get(0).sorted()?, row.try_get(1).sorted()?))
}

/// Begins a relist: whoever does so has the scope, whoever had it before.
pub(super) async fn begin(
    channel: &Channel,
    memory: &mut Memory,
    cluster: ClusterName,
    resource: Resource,
) -> Result<Generation, Error> {
    channel.batch("BEGIN").await?;
    if let Some(row) = find(channel, &cluster, &resource, true).await? {
        memory.shared.claims.lock().remove(&read(&row)?.id);
    }
    let scope = lock(channel, memory, &cluster, &resource).await?;
    let sql = "UPDATE clusterway.scope SET generation = generation + 1, writer = $2 WHERE id = $1";
    channel.execute(sql, &[&scope.id, &memory.writer]).await?;
    channel.batch("COMMIT").await?;
    memory.shared.claims.lock().insert(scope.id, memory.writer);
    Ok(Generation { cluster, resource, number: scope.generation as u64 + 1 })
}

/// Keeps a text about a scope, whoever writes its objects.
pub(super) async fn describe(
    channel: &Channel,
    memory: &mut Memory,
    cluster: &ClusterName,
    resource: &Resource,
    text: &str,
) -> Result<(), Error> {
    channel.batch("BEGIN").await?;
    let id = match find(channel, cluster, resource, true).await? {
        Some(row) => read(&row)?.id,
        None => lock(channel, memory, cluster, resource).await?.id,
    };
    let sql = "UPDATE clusterway.scope SET description = $2 WHERE id = $1";
    channel.execute(sql, &[&id, &text]).await?;
    channel.batch("COMMIT").await
}

/// Objects looked at in one step of a sweep.
const STEP_ROWS: i64 = 500;

/// Looks at the next objects; `true` when those were the last.
pub(super) async fn sweep(channel: &Channel, memory: &mut Memory, sweep: &mut Sweep) -> Result<bool, Error> {
    let Generation { cluster, resource, number } = &sweep.generation;
    channel.batch("BEGIN").await?;
    let row = find(channel, cluster, resource, true).await?.ok_or(Error::Superseded)?;
    let scope = claimed(&memory.shared, memory.writer, &row)?;
    if scope.generation as u64 != *number {
        return Err(Error::Superseded);
    }
    let sql = "SELECT o.id, o.namespace, o.name, o.generation < $4 FROM clusterway.object AS o \
               WHERE o.scope = $1 AND (o.namespace, o.name) > ($2, $3) ORDER BY o.namespace, o.name LIMIT $5";
    let after = &sweep.after;
    let rows = channel
        .query(sql, &[&scope.id, &after.namespace, &after.name, &scope.generation, &STEP_ROWS])
        .await?;
    let mut doomed: Vec<i64> = Vec::new();
    for row in &rows {
        if row.try_get(3).sorted()? {
            doomed.push(row.try_get(0).sorted()?);
        }
    }
    delete(channel, scope.id, &doomed).await?;
    let last = (rows.len() as i64) < STEP_ROWS;
    if !doomed.is_empty() {
        take_numbers(channel, doomed.len() as i64).await?;
    }
    let checkpoint = sweep.checkpoint.as_deref().filter(|_| last);
    if !doomed.is_empty() || checkpoint.is_some() {
        let sql = "UPDATE clusterway.scope SET objects = objects - $2, checkpoint = coalesce($3, checkpoint), writer = $4 \
                   WHERE id = $1";
        channel.execute(sql, &[&scope.id, &(doomed.len() as i64), &checkpoint, &memory.writer]).await?;
    }
    channel.batch("COMMIT").await?;
    sweep.deleted += doomed.len() as u64;
    if let Some(row) = rows.last() {
        sweep.after =
            crate::ObjectName { namespace: row.try_get(1).sorted()?, name: row.try_get(2).sorted()? };
    }
    Ok(last)
}

/// The one place where the rows of an object go: where a trace of it would be left.
pub(super) async fn delete(channel: &Channel, scope: i32, objects: &[i64]) -> Result<(), Error> {
    if objects.is_empty() {
        return Ok(());
    }
    // Its row says which rows it has in term; those that are keys alone are not there.
    let terms = "DELETE FROM clusterway.term AS t USING \
                 (SELECT o.id, o.namespace, unnest(o.terms) AS term FROM clusterway.object AS o WHERE o.id = ANY($2)) AS o \
                 WHERE t.scope = $1 AND t.term = o.term AND t.namespace = o.namespace AND t.object = o.id";
    channel.execute(terms, &[&scope, &objects]).await?;
    channel.execute("DELETE FROM clusterway.body WHERE id = ANY($1)", &[&objects]).await?;
    channel.execute("DELETE FROM clusterway.object WHERE id = ANY($1)", &[&objects]).await?;
    Ok(())
}

/// Takes scopes out of sight; their rows go step by step behind.
pub(super) async fn remove(
    channel: &Channel,
    memory: &mut Memory,
    cluster: &ClusterName,
    resource: Option<&Resource>,
) -> Result<(), Error> {
    channel.batch("BEGIN").await?;
    let rows = if let Some(resource) = resource {
        find(channel, cluster, resource, true).await?.into_iter().collect()
    } else {
        let sql = format!(
            "SELECT {COLUMNS} FROM clusterway.scope AS s WHERE s.cluster = $1 ORDER BY s.id FOR UPDATE"
        );
        channel.query(&sql, &[&cluster.as_str()]).await?
    };
    let ids: Vec<i32> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().sorted()?;
    if !ids.is_empty() {
        take_numbers(channel, ids.len() as i64).await?;
        channel.execute("DELETE FROM clusterway.scope WHERE id = ANY($1)", &[&ids]).await?;
        channel.execute("INSERT INTO clusterway.garbage SELECT unnest($1::int[])", &[&ids]).await?;
    }
    channel.batch("COMMIT").await?;
    memory.shared.claims.lock().retain(|id, _| !ids.contains(id));
    Ok(())
}
