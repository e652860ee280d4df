//! What a transaction changes: the difference between objects as they were stored and as they are now, written with a
//! few statements, however many objects it has.

use std::collections::BTreeMap;

use futures_util::try_join;

use super::{
    scope::{self, Scope},
    session::{Channel, Param},
    values,
    writer::Memory,
};
use crate::{
    Error, Version,
    relational::{
        ids::ids,
        prepared::Upsert,
        terms::{self, Term},
        uid::Uid,
    },
};

/// An object as it was stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) id: i64,
    pub(super) uid: Uid,
    pub(super) version: Version,
    pub(super) generation: i64,
    pub(super) terms: Vec<Vec<u8>>,
}

/// An object that changes are about.
pub(super) struct Object<'b> {
    pub(super) stored: Option<Stored>,
    /// What it is now.
    pub(super) now: Now<'b>,
}

pub(super) enum Now<'b> {
    /// As it was stored, and whether a list has shown it.
    Same {
        seen: bool,
    },
    Gone,
    New {
        upsert: &'b Upsert,
        uid: Uid,
        version: Version,
        number: i64,
    },
}

/// What is written: a column of a statement each.
#[derive(Default)]
pub(super) struct Changes<'b> {
    deleted: BTreeMap<i32, Vec<i64>>,
    /// Objects as they were stored that a list has shown, by the generation of the list.
    seen: BTreeMap<i64, Vec<i64>>,
    made: Columns<'b>,
    changed: Columns<'b>,
    gone_terms: Terms<'b>,
    new_terms: Terms<'b>,
}

#[derive(Default)]
struct Columns<'b> {
    ids: Vec<i64>,
    scopes: Vec<i32>,
    namespaces: Vec<&'b str>,
    names: Vec<&'b str>,
    uids: Vec<Vec<u8>>,
    owners: Vec<Option<Vec<u8>>>,
    created: Vec<i64>,
    versions: Vec<Vec<u8>>,
    numbers: Vec<i64>,
    generations: Vec<i64>,
    sizes: Vec<i32>,
    terms: Vec<String>,
    bodies: Vec<&'b [u8]>,
}

#[derive(Default)]
struct Terms<'b> {
    scopes: Vec<i32>,
    encoded: Vec<Vec<u8>>,
    namespaces: Vec<&'b str>,
    objects: Vec<i64>,
}

impl<'b> Terms<'b> {
    fn add(&mut self, scope: i32, term: &[u8], namespace: &'b str, object: i64) {
        self.scopes.push(scope);
        self.encoded.push(term.to_vec());
        self.namespaces.push(namespace);
        self.objects.push(object);
    }
}

impl<'b> Changes<'b> {
    /// Adds what has become of the object with this namespace and name.
    pub(super) fn add(
        &mut self,
        memory: &Memory,
        scope: &mut Scope,
        (namespace, name): (&'b str, &'b str),
        object: &Object<'b>,
    ) -> Result<(), Error> {
        match (&object.now, &object.stored) {
            (Now::Gone, Some(stored)) => self.deleted.entry(scope.id).or_default().push(stored.id),
            (Now::Same { seen: true }, Some(stored)) if stored.generation != scope.generation => {
                self.seen.entry(scope.generation).or_default().push(stored.id);
            }
            (Now::Gone | Now::Same { .. }, _) => {}
            (Now::New { upsert, uid, version, number }, stored) => {
                let id = if let Some(stored) = stored {
                    stored.id
                } else {
                    scope.last_object += 1;
                    if scope.last_object >= 1 << 32 {
                        return Err(Error::Failed("a resource of a cluster has had too many objects".into()));
                    }
                    ids(scope.id.into()).start() | scope.last_object
                };
                let row_terms = values::row_terms(&all_terms(memory, upsert));
                let old: &[Vec<u8>] = stored.as_ref().map_or(&[], |stored| &stored.terms);
                let only = |these: &[Vec<u8>], others: &[Vec<u8>]| -> Vec<Vec<u8>> {
                    these
                        .iter()
                        .filter(|it| values::is_term(it) && others.binary_search(it).is_err())
                        .cloned()
                        .collect()
                };
                for term in only(old, &row_terms) {
                    self.gone_terms.add(scope.id, &term, namespace, id);
                }
                for term in only(&row_terms, old) {
                    self.new_terms.add(scope.id, &term, namespace, id);
                }
                let key = &upsert.object.key;
                let columns = if stored.is_some() { &mut self.changed } else { &mut self.made };
                columns.ids.push(id);
                columns.scopes.push(scope.id);
                columns.namespaces.push(namespace);
                columns.names.push(name);
                columns.uids.push(values::uid(uid));
                columns.owners.push(key.owner.as_ref().map(|owner| values::uid(&Uid::new(&owner.uid))));
                columns.created.push(key.created);
                columns.versions.push(values::version(version));
                columns.numbers.push(*number);
                columns.generations.push(scope.generation);
                columns.sizes.push(i32::try_from(upsert.object.json.len()).unwrap_or(i32::MAX));
                columns.terms.push(array(&row_terms));
                columns.bodies.push(&upsert.body);
            }
        }
        Ok(())
    }

    /// What has no number: most of the work, beside that of other hubs.
    pub(super) async fn write_bodies_and_terms(&self, channel: &Channel) -> Result<(), Error> {
        for (scope, ids) in &self.deleted {
            scope::delete(channel, *scope, ids).await?;
        }
        let made = async {
            if !self.made.ids.is_empty() {
                let sql =
                    "INSERT INTO clusterway.body (id, json) SELECT * FROM unnest($1::bigint[], $2::bytea[])";
                channel.execute(sql, &[&self.made.ids, &self.made.bodies]).await?;
            }
            Ok(())
        };
        let changed = async {
            if !self.changed.ids.is_empty() {
                let sql = "UPDATE clusterway.body AS b SET json = u.json \
                           FROM unnest($1::bigint[], $2::bytea[]) AS u (id, json) WHERE b.id = u.id";
                channel.execute(sql, &[&self.changed.ids, &self.changed.bodies]).await?;
            }
            Ok(())
        };
        let gone_terms = async {
            let Terms { scopes, encoded, namespaces, objects } = &self.gone_terms;
            if !scopes.is_empty() {
                let sql = "DELETE FROM clusterway.term AS t USING unnest($1::int[], $2::bytea[], $3::text[], $4::bigint[]) \
                           AS u (scope, term, namespace, object) WHERE t.scope = u.scope AND t.term = u.term \
                           AND t.namespace = u.namespace AND t.object = u.object";
                channel.execute(sql, &[scopes, encoded, namespaces, objects]).await?;
            }
            Ok(())
        };
        let new_terms = async { self.new_terms.insert(channel).await };
        try_join!(made, changed, gone_terms, new_terms).map(drop)
    }

    /// The objects, whose numbers begin after `base`.
    pub(super) async fn write_objects(&self, channel: &Channel, base: i64) -> Result<(), Error> {
        for (generation, ids) in &self.seen {
            let sql = "UPDATE clusterway.object SET generation = $1 WHERE id = ANY($2)";
            channel.execute(sql, &[generation, ids]).await?;
        }
        let columns = "unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bigint[], \
                       $8::bytea[], $9::bigint[], $10::bigint[], $11::int[], $12::text[]) AS u (id, scope, namespace, name, \
                       uid, owner, created, version, sequence, generation, size, terms)";
        let made = async {
            let sql = format!(
                "INSERT INTO clusterway.object (id, scope, namespace, name, uid, owner, created, version, sequence, \
                 generation, size, terms) SELECT id, scope, namespace, name, uid, owner, created, version, sequence, \
                 generation, size, terms::bytea[] FROM {columns}"
            );
            self.made.write(channel, &sql, base).await
        };
        let changed = async {
            let sql = format!(
                "UPDATE clusterway.object AS o SET uid = u.uid, owner = u.owner, created = u.created, version = u.version, \
                 sequence = u.sequence, generation = u.generation, size = u.size, terms = u.terms::bytea[] \
                 FROM {columns} WHERE o.id = u.id"
            );
            self.changed.write(channel, &sql, base).await
        };
        try_join!(made, changed).map(drop)
    }
}

impl Columns<'_> {
    async fn write(&self, channel: &Channel, sql: &str, base: i64) -> Result<(), Error> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let numbers: Vec<i64> = self.numbers.iter().map(|number| base + number).collect();
        let Self { ids, scopes, namespaces, names, uids, owners, created, versions, .. } = self;
        let Self { generations, sizes, terms, .. } = self;
        let params: [Param<'_>; 12] = [
            ids,
            scopes,
            namespaces,
            names,
            uids,
            owners,
            created,
            versions,
            &numbers,
            generations,
            sizes,
            terms,
        ];
        channel.execute(sql, &params).await.map(drop)
    }
}

impl Terms<'_> {
    async fn insert(&self, channel: &Channel) -> Result<(), Error> {
        let Self { scopes, encoded, namespaces, objects } = self;
        if scopes.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO clusterway.term (scope, term, namespace, object) \
                   SELECT * FROM unnest($1::int[], $2::bytea[], $3::text[], $4::bigint[]) ON CONFLICT DO NOTHING";
        channel.execute(sql, &[scopes, encoded, namespaces, objects]).await.map(drop)
    }
}

/// The terms of an object: its labels and its indexed fields.
fn all_terms(memory: &Memory, upsert: &Upsert) -> Vec<Term> {
    let labels = terms::labels(&upsert.object)
        .filter_map(|(label, value)| Some(Term { key: *memory.keys.get(label)?, value }));
    labels.chain(upsert.fields.iter().cloned()).collect()
}

/// Terms as the text of an array.
pub(super) fn array(terms: &[Vec<u8>]) -> String {
    use std::fmt::Write as _;
    let mut text = String::from("{");
    for (at, term) in terms.iter().enumerate() {
        text.push_str(if at == 0 { "\"\\\\x" } else { ",\"\\\\x" });
        for byte in term {
            // Writing into a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('"');
    }
    text.push('}');
    text
}
