//! Writing single objects: the row, its body, its terms and its name, together.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{error::Sorted as _, terms as encoding};
use crate::{
    ClusterName, Error, ObjectName, Resource, Version,
    relational::{
        ids::ids,
        prepared::Upsert,
        terms::{self, Term},
        uid::Uid,
    },
};

/// What became of an upsert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upserted {
    Made,
    Changed,
    Unchanged,
}

/// A row of `scope`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope {
    pub(super) id: i64,
    pub(super) generation: i64,
}

/// What the writer remembers from one transaction to the next; made anew from the file after one that failed.
pub(super) struct Memory {
    /// The last sequence number given out.
    pub(super) sequence: i64,
    /// The numbers of label keys.
    keys: HashMap<String, i64>,
    /// The last object made, if it was in this scope.
    last_made: Option<(i64, i64)>,
}

/// Label keys remembered; with more of them the memory begins anew.
const MOST_KEYS: usize = 10_000;

impl Memory {
    pub(super) fn load(connection: &Connection) -> Result<Self, Error> {
        let sequence = connection.query_row("SELECT sequence FROM counter", [], |row| row.get(0)).sorted()?;
        Ok(Self { sequence, keys: HashMap::new(), last_made: None })
    }

    /// After a transaction that failed: what it made up is not there.
    pub(super) fn forget(&mut self, connection: &Connection) {
        self.keys.clear();
        self.last_made = None;
        // If not even this can be read, some numbers are left out, and none is given twice.
        if let Ok(memory) = Self::load(connection) {
            *self = memory;
        }
    }

    pub(super) fn save(&self, connection: &Connection) -> Result<(), Error> {
        connection
            .prepare_cached("UPDATE counter SET sequence = ?1 WHERE sequence <> ?1")
            .sorted()?
            .execute([self.sequence])
            .sorted()?;
        Ok(())
    }

    /// The number of a new object of `scope`.
    fn next_object(&mut self, connection: &Connection, scope: i64) -> Result<i64, Error> {
        let ids = ids(scope);
        let last = match self.last_made {
            Some((of, object)) if of == scope => object,
            _ => connection
                .prepare_cached("SELECT max(id) FROM object WHERE id BETWEEN ? AND ?")
                .sorted()?
                .query_row([ids.start(), ids.end()], |row| row.get::<_, Option<i64>>(0))
                .sorted()?
                .unwrap_or_else(|| *ids.start()),
        };
        if last >= *ids.end() {
            return Err(Error::Failed("a resource of a cluster has had too many objects".into()));
        }
        self.last_made = Some((scope, last + 1));
        Ok(last + 1)
    }

    fn label_key(&mut self, connection: &Connection, label: &str) -> Result<i64, Error> {
        if let Some(key) = self.keys.get(label) {
            return Ok(*key);
        }
        connection
            .prepare_cached("INSERT OR IGNORE INTO term_key (resource, path) VALUES (0, ?)")
            .sorted()?
            .execute([label])
            .sorted()?;
        let key = connection
            .prepare_cached("SELECT id FROM term_key WHERE resource = 0 AND path = ?")
            .sorted()?
            .query_row([label], |row| row.get(0))
            .sorted()?;
        if self.keys.len() >= MOST_KEYS {
            self.keys.clear();
        }
        self.keys.insert(label.to_owned(), key);
        Ok(key)
    }
}

/// The number of a resource, made if there is none.
pub(super) fn ensure_resource(connection: &Connection, resource: &Resource) -> Result<i64, Error> {
    let Resource { group, version, resource } = resource;
    connection
        .prepare_cached("INSERT OR IGNORE INTO resource (api_group, version, resource) VALUES (?, ?, ?)")
        .sorted()?
        .execute(params![group, version, resource])
        .sorted()?;
    connection
        .prepare_cached("SELECT id FROM resource WHERE api_group = ? AND version = ? AND resource = ?")
        .sorted()?
        .query_row(params![group, version, resource], |row| row.get(0))
        .sorted()
}

/// The scope of a resource of a cluster, if there is one.
pub(super) fn find_scope(
    connection: &Connection,
    cluster: &ClusterName,
    resource: &Resource,
) -> Result<Option<Scope>, Error> {
    let sql = "SELECT s.id, s.generation FROM resource AS r JOIN scope AS s ON s.resource = r.id \
               WHERE r.api_group = ? AND r.version = ? AND r.resource = ? AND s.cluster = ?";
    connection
        .prepare_cached(sql)
        .sorted()?
        .query_row(params![resource.group, resource.version, resource.resource, cluster.as_str()], |row| {
            Ok(Scope { id: row.get(0)?, generation: row.get(1)? })
        })
        .optional()
        .sorted()
}

/// The scope of a resource of a cluster, made if there is none.
pub(super) fn ensure_scope(
    connection: &Connection,
    cluster: &ClusterName,
    resource: &Resource,
) -> Result<Scope, Error> {
    if let Some(scope) = find_scope(connection, cluster, resource)? {
        return Ok(scope);
    }
    let resource = ensure_resource(connection, resource)?;
    connection
        .prepare_cached("INSERT INTO scope (resource, cluster) VALUES (?, ?)")
        .sorted()?
        .execute(params![resource, cluster.as_str()])
        .sorted()?;
    Ok(Scope { id: connection.last_insert_rowid(), generation: 0 })
}

/// Writes an object, unless it is stored in this version.
pub(super) fn upsert(
    connection: &Connection,
    memory: &mut Memory,
    scope: Scope,
    upsert: &Upsert,
) -> Result<Upserted, Error> {
    let key = &upsert.object.key;
    let (uid, version) = (Uid::new(&key.uid), Version::new(&key.resource_version));
    let sql = "SELECT id, uid, version, generation, terms FROM object \
               WHERE scope = ? AND namespace = ? AND name = ?";
    let known: Option<(i64, Uid, Version, i64, Vec<u8>)> = connection
        .prepare_cached(sql)
        .sorted()?
        .query_row(params![scope.id, key.namespace, key.name], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()
        .sorted()?;
    if let Some((id, known_uid, known_version, generation, _)) = &known
        && (known_uid, known_version) == (&uid, &version)
    {
        if *generation != scope.generation {
            connection
                .prepare_cached("UPDATE object SET generation = ? WHERE id = ?")
                .sorted()?
                .execute([scope.generation, *id])
                .sorted()?;
        }
        return Ok(Upserted::Unchanged);
    }

    memory.sequence += 1;
    let mut new_terms = upsert.fields.clone();
    for (label, value) in terms::labels(&upsert.object) {
        new_terms.push(Term { key: memory.label_key(connection, label)?, value });
    }
    new_terms.sort_unstable();
    let encoded = encoding::encode(&new_terms);
    let owner = key.owner.as_ref().map(|owner| Uid::new(&owner.uid));
    let size = upsert.object.json.len();

    let Some((id, _, _, _, old_encoded)) = known else {
        let id = memory.next_object(connection, scope.id)?;
        let sql = "INSERT INTO object \
                   (id, scope, namespace, name, uid, owner, created, version, sequence, generation, terms) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        connection
            .prepare_cached(sql)
            .sorted()?
            .execute(params![
                id,
                scope.id,
                key.namespace,
                key.name,
                uid,
                owner,
                key.created,
                version,
                memory.sequence,
                scope.generation,
                encoded
            ])
            .sorted()?;
        connection
            .prepare_cached("INSERT INTO body (id, size, json) VALUES (?, ?, ?)")
            .sorted()?
            .execute(params![id, size, upsert.body])
            .sorted()?;
        connection
            .prepare_cached("INSERT INTO name_trigram (rowid, name) VALUES (?, ?)")
            .sorted()?
            .execute(params![id, key.name])
            .sorted()?;
        add_terms(
            connection,
            Place { scope: scope.id, namespace: &key.namespace, object: id },
            new_terms.iter(),
        )?;
        return Ok(Upserted::Made);
    };

    let sql = "UPDATE object SET uid = ?, owner = ?, created = ?, version = ?, sequence = ?, generation = ?, \
               terms = ? WHERE id = ?";
    connection
        .prepare_cached(sql)
        .sorted()?
        .execute(params![uid, owner, key.created, version, memory.sequence, scope.generation, encoded, id])
        .sorted()?;
    connection
        .prepare_cached("UPDATE body SET size = ?, json = ? WHERE id = ?")
        .sorted()?
        .execute(params![size, upsert.body, id])
        .sorted()?;
    if encoded != old_encoded {
        let old_terms = encoding::decode(&old_encoded)?;
        let gone = old_terms.iter().filter(|term| new_terms.binary_search(term).is_err());
        let place = Place { scope: scope.id, namespace: &key.namespace, object: id };
        remove_terms(connection, place, gone)?;
        let added = new_terms.iter().filter(|term| old_terms.binary_search(term).is_err());
        add_terms(connection, place, added)?;
    }
    Ok(Upserted::Changed)
}

/// Deletes an object; `false` if there is none.
pub(super) fn delete(
    connection: &Connection,
    memory: &mut Memory,
    scope: Scope,
    name: &ObjectName,
) -> Result<bool, Error> {
    let sql = "SELECT id, name, terms, namespace FROM object WHERE scope = ? AND namespace = ? AND name = ?";
    let known = connection
        .prepare_cached(sql)
        .sorted()?
        .query_row(params![scope.id, name.namespace, name.name], Doomed::read)
        .optional()
        .sorted()?;
    let Some(doomed) = known else { return Ok(false) };
    memory.sequence += 1;
    doomed.delete(connection, scope.id)?;
    Ok(true)
}

/// An object about to be deleted: columns `id`, `name`, `terms`, `namespace`.
pub(super) struct Doomed {
    id: i64,
    name: String,
    terms: Vec<u8>,
    namespace: String,
}

impl Doomed {
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, name: row.get(1)?, terms: row.get(2)?, namespace: row.get(3)? })
    }

    /// The one place where the rows of an object go: where a trace of it would be left.
    pub(super) fn delete(&self, connection: &Connection, scope: i64) -> Result<(), Error> {
        for sql in ["DELETE FROM object WHERE id = ?", "DELETE FROM body WHERE id = ?"] {
            connection.prepare_cached(sql).sorted()?.execute([self.id]).sorted()?;
        }
        connection
            .prepare_cached("INSERT INTO name_trigram (name_trigram, rowid, name) VALUES ('delete', ?, ?)")
            .sorted()?
            .execute(params![self.id, self.name])
            .sorted()?;
        let place = Place { scope, namespace: &self.namespace, object: self.id };
        remove_terms(connection, place, encoding::decode(&self.terms)?.iter())
    }
}

/// Where an object stands in the index of terms.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) scope: i64,
    pub(super) namespace: &'a str,
    pub(super) object: i64,
}

pub(super) fn add_terms<'a>(
    connection: &Connection,
    Place { scope, namespace, object }: Place<'_>,
    terms: impl Iterator<Item = &'a Term>,
) -> Result<(), Error> {
    let sql = "INSERT OR IGNORE INTO term (scope, key, value, namespace, object) VALUES (?, ?, ?, ?, ?)";
    let mut insert = connection.prepare_cached(sql).sorted()?;
    for term in terms {
        insert.execute(params![scope, term.key, term.value, namespace, object]).sorted()?;
    }
    Ok(())
}

fn remove_terms<'a>(
    connection: &Connection,
    Place { scope, namespace, object }: Place<'_>,
    terms: impl Iterator<Item = &'a Term>,
) -> Result<(), Error> {
    let sql = "DELETE FROM term WHERE scope = ? AND key = ? AND value = ? AND namespace = ? AND object = ?";
    let mut delete = connection.prepare_cached(sql).sorted()?;
    for term in terms {
        delete.execute(params![scope, term.key, term.value, namespace, object]).sorted()?;
    }
    Ok(())
}
