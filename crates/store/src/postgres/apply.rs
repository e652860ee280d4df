//! Writing batches: some of them, of any clusters and resources, in one transaction.
//!
//! What is stored is read, what becomes of it is worked out in memory, and the difference is written with a few
//! statements, however many objects it has. In this order, for all hubs that write to the database:
//!
//! 1. the rows of the scopes are locked: of one scope there is one writer at a time
//! 2. what has no number is written: most of the work, beside that of other hubs
//! 3. the numbers are taken, with the lock of the one row in `counter`: from here on there is one writer at a time
//! 4. the objects are written with their numbers, and committed
//!
//! So numbers become visible in order. Whoever registers a field takes the same lock, so that no object is written
//! without a field that was registered before its commit.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use super::{
    change::{Changes, Now, Object, Stored},
    error::Sorted as _,
    scope::{self, Scope},
    session::Channel,
    values,
    writer::{Memory, load_paths},
};
use crate::{
    Applied, ClusterName, Error, Resource, Version,
    relational::{
        prepared::{Prepared, PreparedChange, Upsert},
        uid::Uid,
    },
};

/// How often a transaction begins anew because a field was registered meanwhile.
const ATTEMPTS: usize = 5;

/// Writes batches, all or nothing.
pub(super) async fn apply(
    channel: &Channel,
    memory: &mut Memory,
    batches: &mut [Prepared],
) -> Result<Vec<Applied>, Error> {
    for batch in &*batches {
        check(batch)?;
    }
    label_keys(channel, memory, batches).await?;
    for _ in 0..ATTEMPTS {
        let (fields, paths) = load_paths(channel, &memory.shared).await?;
        for batch in &mut *batches {
            batch.refresh(&paths);
        }
        if let Some(applied) = attempt(channel, memory, batches, fields).await? {
            return Ok(applied);
        }
        channel.batch("ROLLBACK").await?;
    }
    Err(Error::Retry("fields are being registered".into()))
}

/// Refuses what PostgreSQL would refuse, and say less about.
fn check(batch: &Prepared) -> Result<(), Error> {
    let Resource { group, version, resource } = &batch.resource;
    let texts =
        [batch.cluster.as_str(), group, version, resource, batch.checkpoint.as_deref().unwrap_or_default()];
    let names = batch.changes.iter().flat_map(|change| match change {
        PreparedChange::Delete(name) => [name.namespace.as_str(), name.name.as_str()],
        PreparedChange::Upsert(upsert) => [&*upsert.object.key.namespace, &*upsert.object.key.name],
    });
    if texts.into_iter().chain(names).all(values::storable) {
        Ok(())
    } else {
        Err(Error::Failed(format!("{} of {} has a NUL character in a name", batch.resource, batch.cluster)))
    }
}

/// Makes sure that all labels have numbers. These are committed apart: nobody waits for them behind a lock.
async fn label_keys(channel: &Channel, memory: &mut Memory, batches: &[Prepared]) -> Result<(), Error> {
    /// Label keys remembered; with more of them the memory begins anew.
    const MOST_KEYS: usize = 10_000;
    if memory.keys.len() > MOST_KEYS {
        memory.keys.clear();
    }
    let labels = upserts(batches).flat_map(|upsert| upsert.object.key.labels.keys());
    let mut unknown: Vec<&str> = labels
        .map(String::as_str)
        .filter(|key| values::storable(key) && !memory.keys.contains_key(*key))
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    unknown.sort_unstable();
    unknown.dedup();
    let find = "SELECT path, id FROM clusterway.term_key WHERE resource = 0 AND path = ANY($1)";
    let mut rows = channel.query(find, &[&unknown]).await?;
    if rows.len() < unknown.len() {
        let insert = "INSERT INTO clusterway.term_key (resource, path) SELECT 0, unnest($1::text[]) ON CONFLICT DO NOTHING";
        channel.execute(insert, &[&unknown]).await?;
        rows = channel.query(find, &[&unknown]).await?;
    }
    for row in rows {
        memory.keys.insert(row.try_get(0).sorted()?, row.try_get::<_, i32>(1).sorted()?.into());
    }
    Ok(())
}

fn upserts(batches: &[Prepared]) -> impl Iterator<Item = &Upsert> {
    batches.iter().flat_map(|batch| &batch.changes).filter_map(|change| match change {
        PreparedChange::Upsert(upsert) => Some(&**upsert),
        PreparedChange::Delete(_) => None,
    })
}

/// An object's scope, namespace and name.
type Name<'b> = (i32, &'b str, &'b str);

/// One scope of a transaction.
struct Part {
    scope: Scope,
    /// Objects that came, less those that went.
    objects: i64,
    checkpoint: Option<String>,
}

/// One transaction; `None` if fields were registered since `fields`.
async fn attempt(
    channel: &Channel,
    memory: &mut Memory,
    batches: &[Prepared],
    fields: i64,
) -> Result<Option<Vec<Applied>>, Error> {
    channel.batch("BEGIN").await?;
    let mut parts = lock(channel, memory, batches).await?;
    let (mut objects, scopes) = stored(channel, batches, &parts).await?;
    let (mut numbers, mut applied) = (0, Vec::new());
    for (batch, scope) in batches.iter().zip(&scopes) {
        let Some(part) = parts.values_mut().find(|part| part.scope.id == *scope) else { continue };
        applied.push(work_out(batch, part, &mut objects, &mut numbers));
    }

    let mut changes = Changes::default();
    for ((scope, namespace, name), object) in &objects {
        let Some(part) = parts.values_mut().find(|part| part.scope.id == *scope) else { continue };
        changes.add(memory, &mut part.scope, (*namespace, *name), object)?;
    }
    changes.write_bodies_and_terms(channel).await?;
    let mut base = 0;
    if numbers > 0 {
        let (last, registered) = scope::take_numbers(channel, numbers).await?;
        if registered != fields {
            return Ok(None);
        }
        base = last - numbers;
    }
    changes.write_objects(channel, base).await?;
    for part in parts.values() {
        part.write(channel, memory.writer).await?;
    }
    channel.batch("COMMIT").await?;
    for part in parts.values() {
        memory.shared.claims.lock().insert(part.scope.id, memory.writer);
    }
    for applied in &mut applied {
        if applied.sequence > 0 {
            applied.sequence += base as u64;
        }
    }
    Ok(Some(applied))
}

/// Locks the scopes of the batches, in the same order as everybody.
async fn lock<'b>(
    channel: &Channel,
    memory: &Memory,
    batches: &'b [Prepared],
) -> Result<BTreeMap<(&'b ClusterName, &'b Resource), Part>, Error> {
    let mut parts = BTreeMap::new();
    for batch in batches {
        let part = parts.entry((&batch.cluster, &batch.resource)).or_insert(None);
        if batch.checkpoint.is_some() {
            *part = batch.checkpoint.clone();
        }
    }
    let mut locked = BTreeMap::new();
    for ((cluster, resource), checkpoint) in parts {
        let scope = scope::lock(channel, memory, cluster, resource).await?;
        locked.insert((cluster, resource), Part { scope, objects: 0, checkpoint });
    }
    Ok(locked)
}

/// The objects that the changes are about, and the scope of each batch.
async fn stored<'b>(
    channel: &Channel,
    batches: &'b [Prepared],
    parts: &BTreeMap<(&ClusterName, &Resource), Part>,
) -> Result<(HashMap<Name<'b>, Object<'b>>, Vec<i32>), Error> {
    let mut objects: HashMap<Name<'b>, Object<'b>> = HashMap::new();
    let mut of_batches = Vec::new();
    let (mut keys, mut scopes, mut namespaces, mut names) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for batch in batches {
        let scope = parts.get(&(&batch.cluster, &batch.resource)).map_or(0, |part| part.scope.id);
        of_batches.push(scope);
        for change in &batch.changes {
            let (namespace, name): (&str, &str) = match change {
                PreparedChange::Delete(name) => (&name.namespace, &name.name),
                PreparedChange::Upsert(upsert) => (&upsert.object.key.namespace, &upsert.object.key.name),
            };
            if let Entry::Vacant(place) = objects.entry((scope, namespace, name)) {
                place.insert(Object { stored: None, now: Now::Gone });
                keys.push((scope, namespace, name));
                scopes.push(scope);
                namespaces.push(namespace);
                names.push(name);
            }
        }
    }
    if objects.is_empty() {
        return Ok((objects, of_batches));
    }
    let sql = "SELECT k.at, o.id, o.uid, o.version, o.generation, o.terms \
               FROM unnest($1::int[], $2::text[], $3::text[]) WITH ORDINALITY AS k (scope, namespace, name, at) \
               JOIN clusterway.object AS o ON o.scope = k.scope AND o.namespace = k.namespace AND o.name = k.name";
    for row in channel.query(sql, &[&scopes, &namespaces, &names]).await? {
        let at: i64 = row.try_get(0).sorted()?;
        let key = keys.get(at as usize - 1);
        if let Some(object) = key.and_then(|key| objects.get_mut(key)) {
            object.stored = Some(Stored {
                id: row.try_get(1).sorted()?,
                uid: values::read_uid(row.try_get(2).sorted()?)?,
                version: values::read_version(row.try_get(3).sorted()?)?,
                generation: row.try_get(4).sorted()?,
                terms: row.try_get(5).sorted()?,
            });
            object.now = Now::Same { seen: false };
        }
    }
    Ok((objects, of_batches))
}

/// What a batch does. Numbers begin with 1 here.
fn work_out<'b>(
    batch: &'b Prepared,
    part: &mut Part,
    objects: &mut HashMap<Name<'b>, Object<'b>>,
    numbers: &mut i64,
) -> Applied {
    let mut applied = Applied::default();
    let before = *numbers;
    for change in &batch.changes {
        match change {
            PreparedChange::Delete(name) => {
                let Some(object) = objects.get_mut(&(part.scope.id, &*name.namespace, &*name.name)) else {
                    continue;
                };
                if !matches!(object.now, Now::Gone) {
                    object.now = Now::Gone;
                    *numbers += 1;
                    applied.deleted += 1;
                    part.objects -= 1;
                }
            }
            PreparedChange::Upsert(upsert) => {
                let key = &upsert.object.key;
                let Some(object) = objects.get_mut(&(part.scope.id, &*key.namespace, &*key.name)) else {
                    continue;
                };
                let (uid, version) = (Uid::new(&key.uid), Version::new(&key.resource_version));
                let (known, made) = match (&object.now, &object.stored) {
                    (Now::Same { .. }, Some(stored)) => {
                        ((&stored.uid, &stored.version) == (&uid, &version), false)
                    }
                    (Now::New { uid: u, version: v, .. }, _) => ((u, v) == (&uid, &version), false),
                    _ => (false, true),
                };
                if known {
                    if let Now::Same { seen } = &mut object.now {
                        *seen = true;
                    }
                    applied.unchanged += 1;
                    continue;
                }
                *numbers += 1;
                applied.upserted += 1;
                part.objects += i64::from(made);
                object.now = Now::New { upsert, uid, version, number: *numbers };
            }
        }
    }
    if *numbers != before {
        applied.sequence = *numbers as u64;
    }
    applied
}

impl Part {
    async fn write(&self, channel: &Channel, writer: i64) -> Result<(), Error> {
        let sql = "UPDATE clusterway.scope SET objects = objects + $2, last_object = $3, writer = $4, \
                   checkpoint = coalesce($5, checkpoint) WHERE id = $1";
        let Self { scope, objects, checkpoint } = self;
        channel.execute(sql, &[&scope.id, objects, &scope.last_object, &writer, checkpoint]).await.map(drop)
    }
}
