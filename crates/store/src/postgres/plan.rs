//! A [`Plan`] from the database, its conditions as SQL, and reading the objects it is about.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use futures_util::{TryStreamExt as _, stream::FuturesOrdered};
use meta::Operator;
use tokio_postgres::{Row, types::ToSql};

use super::{
    error::Sorted as _,
    session::{Channel, Param},
    values,
};
use crate::{
    ClusterName, Content, Error, Query, Resource,
    relational::{
        body::{self, Bodies},
        fields,
        plan::{Key, KeyOf, Plan, Source, TermKey},
    },
};

/// Values for the marks of a statement.
pub(super) struct Params(Vec<Box<dyn ToSql + Sync + Send>>);

impl Params {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a value; the answer is its mark.
    pub(super) fn add(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.0.push(Box::new(value));
        format!("${}", self.0.len())
    }

    pub(super) fn all(&self) -> Vec<Param<'_>> {
        self.0.iter().map(|value| &**value as Param<'_>).collect()
    }
}

/// Reads what the query is about.
pub(super) async fn plan<'q>(
    channel: &Channel,
    query: &'q Query,
    most_looked_up: u64,
) -> Result<Plan<'q>, Error> {
    let mut plan = Plan::new(query, most_looked_up);
    // No name holds what PostgreSQL cannot store.
    if query.resources.is_empty() || !query.fuzzy_names.iter().all(|part| values::storable(part)) {
        return Ok(plan);
    }
    let (scopes, keys) = futures_util::try_join!(scopes(channel, query), term_keys(channel, query))?;
    let mut by_resource: BTreeMap<Resource, (i32, Vec<Row>)> = BTreeMap::new();
    for row in scopes {
        let resource = Resource::new(
            row.try_get::<_, String>(3).sorted()?,
            row.try_get::<_, String>(4).sorted()?,
            row.try_get::<_, String>(5).sorted()?,
        );
        let id = row.try_get(6).sorted()?;
        by_resource.entry(resource).or_insert_with(|| (id, Vec::new())).1.push(row);
    }
    for (resource, (id, rows)) in by_resource {
        let term_key = |of: KeyOf<'_>| {
            Ok(match of {
                KeyOf::Label(label) => keys.get(&(0, label.to_owned())).copied(),
                KeyOf::Field(path) => keys.get(&(id, path.to_owned())).copied(),
            })
        };
        let Some(at) = plan.add_resource(resource, term_key)? else { continue };
        for row in rows {
            let scope: i32 = row.try_get(0).sorted()?;
            let objects: i64 = row.try_get(2).sorted()?;
            let cluster = ClusterName::new(row.try_get::<_, String>(1).sorted()?);
            plan.add_scope(scope.into(), cluster, at, objects as u64);
        }
    }
    plan.sort();
    Ok(plan)
}

/// The scopes that a query may be about, with their resources.
async fn scopes(channel: &Channel, query: &Query) -> Result<Vec<Row>, Error> {
    let mut params = Params::new();
    let fits = |part: &Option<String>| part.as_deref().is_none_or(values::storable);
    let patterns: Vec<&crate::ResourcePattern> = query
        .resources
        .iter()
        .filter(|pattern| fits(&pattern.group) && fits(&pattern.version) && fits(&pattern.resource))
        .collect();
    let of = |get: fn(&crate::ResourcePattern) -> &Option<String>| -> Vec<Option<String>> {
        patterns.iter().map(|pattern| get(pattern).clone()).collect()
    };
    let groups = params.add(of(|pattern| &pattern.group));
    let versions = params.add(of(|pattern| &pattern.version));
    let resources = params.add(of(|pattern| &pattern.resource));
    let mut sql = format!(
        "WITH r AS MATERIALIZED (SELECT r.* FROM clusterway.resource AS r WHERE EXISTS \
         (SELECT 1 FROM unnest({groups}::text[], {versions}::text[], {resources}::text[]) AS p (g, v, n) \
         WHERE coalesce(p.g = r.api_group, true) AND coalesce(p.v = r.version, true) AND coalesce(p.n = r.resource, true))) \
         SELECT s.id, s.cluster, s.objects, r.api_group, r.version, r.resource, r.id \
         FROM r JOIN clusterway.scope AS s ON s.resource = r.id WHERE s.objects > 0"
    );
    let asked = query.clusters.as_ref().map(|set| set.iter().collect::<Vec<_>>());
    let clusters = asked.or_else(|| query.allowed.as_ref().map(|map| map.keys().collect()));
    if let Some(clusters) = clusters {
        let names: Vec<String> = clusters
            .into_iter()
            .map(|cluster| cluster.as_str().to_owned())
            .filter(|name| values::storable(name))
            .collect();
        sql += &format!(" AND s.cluster = ANY({})", params.add(names));
    }
    channel.query(&sql, &params.all()).await
}

/// The keys of the query's labels (resource 0) and fields.
async fn term_keys(channel: &Channel, query: &Query) -> Result<HashMap<(i32, String), TermKey>, Error> {
    let labels = query.labels.requirements.iter().map(|requirement| requirement.key.clone());
    let fields = query.fields.requirements.iter().map(|requirement| fields::text(&requirement.path));
    let paths: Vec<String> = labels.chain(fields).filter(|path| values::storable(path)).collect();
    if paths.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT resource, path, id, filled IS NULL FROM clusterway.term_key WHERE path = ANY($1)";
    let mut keys = HashMap::new();
    for row in channel.query(sql, &[&paths]).await? {
        let key =
            TermKey { id: row.try_get::<_, i32>(2).sorted()?.into(), complete: row.try_get(3).sorted()? };
        keys.insert((row.try_get(0).sorted()?, row.try_get(1).sorted()?), key);
    }
    Ok(keys)
}

/// What of an object named `o` everything but its scope, its owner and its body must satisfy, for a resource of the
/// plan; begins with ` AND` unless that is nothing.
pub(super) fn conditions(plan: &Plan<'_>, resource: usize, params: &mut Params) -> String {
    let query = plan.query;
    let mut sql = String::new();
    if !query.names.is_empty() {
        let names: Vec<String> = query.names.iter().filter(|name| values::storable(name)).cloned().collect();
        // As an expression, or the trigram index would be taken for what is looked up in another.
        sql += &format!(" AND o.name || '' = ANY({})", params.add(names));
    }
    for part in &query.fuzzy_names {
        sql += &format!(" AND strpos(o.name, {}) > 0", params.add(part.clone()));
    }
    for condition in &plan.conditions[resource] {
        if let Source::Index(key) = condition.source {
            sql += &of_terms(key, &condition.operator, params);
        }
    }
    sql
}

fn of_terms(key: i64, operator: &Operator, params: &mut Params) -> String {
    let mut any = |not: &str, terms: Vec<Vec<u8>>| format!(" AND {not}o.terms && {}", params.add(terms));
    match operator {
        Operator::In(set) => any("", terms_of(key, set)),
        Operator::NotIn(set) => any("NOT ", terms_of(key, set)),
        Operator::Exists => any("", vec![values::term_key(key)]),
        Operator::NotExists => any("NOT ", vec![values::term_key(key)]),
        Operator::GreaterThan(bound) => numeric(key, '>', *bound, params),
        Operator::LessThan(bound) => numeric(key, '<', *bound, params),
    }
}

/// The terms of a key with one of these values.
pub(super) fn terms_of(key: i64, set: &std::collections::BTreeSet<String>) -> Vec<Vec<u8>> {
    set.iter().map(|value| values::term(key, &crate::field::FieldValue::Text(value.clone()))).collect()
}

/// A term is four bytes of key, one that says it is a text, and the text, which is a number of 64 bits or counts for
/// nothing. Escaped bytes are never an error, whatever they are.
fn numeric(key: i64, operator: char, bound: i64, params: &mut Params) -> String {
    let prefix = params.add([values::term_key(key), vec![1]].concat());
    let bound = params.add(bound);
    format!(
        " AND EXISTS (SELECT 1 FROM unnest(o.terms) AS t (term), encode(substring(t.term FROM 6), 'escape') AS v (text) \
         WHERE substring(t.term FROM 1 FOR 5) = {prefix} AND CASE WHEN v.text ~ '^[+-]?[0-9]+$' \
         THEN v.text::numeric BETWEEN -9223372036854775808 AND 9223372036854775807 \
         AND v.text::numeric {operator} {bound}::bigint ELSE false END)"
    )
}

/// What is read of an object `o` to order it.
pub(super) const COLUMNS: &str =
    "o.scope, o.id, o.namespace, o.name, o.created, o.version, o.sequence, o.uid, o.size";

/// An object, and the bytes of its JSON.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) key: Key,
    pub(super) size: usize,
}

/// An object from a row whose columns from `at` on are [`COLUMNS`]; `places` says where its scope is in the plan.
pub(super) fn found(places: &Places, row: &Row, at: usize) -> Result<Option<Found>, Error> {
    let Some(scope) = places.get(&row.try_get::<_, i32>(at).sorted()?) else { return Ok(None) };
    let size: i32 = row.try_get(at + 8).sorted()?;
    let key = Key {
        scope: *scope,
        id: row.try_get(at + 1).sorted()?,
        namespace: row.try_get(at + 2).sorted()?,
        name: row.try_get(at + 3).sorted()?,
        created: row.try_get(at + 4).sorted()?,
        version: values::read_version(row.try_get(at + 5).sorted()?)?,
        sequence: row.try_get(at + 6).sorted()?,
        uid: values::read_uid(row.try_get(at + 7).sorted()?)?,
    };
    Ok(Some(Found { key, size: size as usize }))
}

/// Where in a plan a scope is, by its number.
pub(super) type Places = HashMap<i32, usize>;

pub(super) fn places(plan: &Plan<'_>) -> Places {
    plan.scopes.iter().enumerate().map(|(at, scope)| (scope.id as i32, at)).collect()
}

/// Bytes of JSON that are in memory at a time to be looked at.
const LOOKED_AT: usize = 4 << 20;

/// Those of `objects` whose bodies satisfy what the query asks of bodies.
pub(super) async fn with_bodies(
    channel: &Channel,
    plan: &Plan<'_>,
    objects: Vec<Found>,
) -> Result<Vec<Found>, Error> {
    if !(0..plan.scopes.len()).any(|scope| plan.asks_bodies(scope)) {
        return Ok(objects);
    }
    let mut accepted = Vec::new();
    let mut rest = objects.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut some, mut size) = (Vec::new(), 0);
        while size < LOOKED_AT
            && some.len() < 512
            && let Some(object) = rest.next()
        {
            size += object.size;
            some.push(object);
        }
        let asked = some.iter().filter(|object| plan.asks_bodies(object.key.scope));
        let mut packed = bodies(channel, asked).await?;
        let mut unpacker = Bodies::new()?;
        for object in some {
            let accepts = match packed.remove(&object.key.id) {
                // Microseconds each, and never more than the few megabytes above.
                Some(bytes) => plan.accepts_body(object.key.scope, &unpacker.unpack(&bytes, object.size)?),
                None => !plan.asks_bodies(object.key.scope),
            };
            if accepts {
                accepted.push(object);
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(accepted)
}

/// The compressed bodies of objects, by their numbers.
async fn bodies<'o>(
    channel: &Channel,
    objects: impl IntoIterator<Item = &'o Found>,
) -> Result<HashMap<i64, Vec<u8>>, Error> {
    let ids: Vec<i64> = objects.into_iter().map(|object| object.key.id).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = channel.query("SELECT id, json FROM clusterway.body WHERE id = ANY($1)", &[&ids]).await?;
    rows.iter().map(|row| Ok((row.try_get(0).sorted()?, row.try_get(1).sorted()?))).collect()
}

/// Objects whose bodies are asked for at once.
const FETCHED_AT_ONCE: usize = 100;

/// Hands `take` as much of the objects' JSON as is wanted, in their order, until it wants no more.
pub(super) async fn contents(
    channel: &Channel,
    objects: &[Found],
    content: Content,
    mut take: impl FnMut(&Found, Bytes) -> bool,
) -> Result<(), Error> {
    // Everything is asked for at once, so that the database finds some while others are unpacked and written.
    let portions = objects.chunks(FETCHED_AT_ONCE);
    let fetched = portions.map(async |some| Ok((some, unpacked(channel, some, content).await?)));
    let mut fetched = fetched.collect::<FuturesOrdered<_>>();
    while let Some((some, json)) = fetched.try_next().await? {
        if !some.iter().zip(json).all(|(object, json)| take(object, json)) {
            break;
        }
    }
    Ok(())
}

/// As much of a few objects' JSON as is wanted, in their order.
pub(super) async fn unpacked(
    channel: &Channel,
    objects: &[Found],
    content: Content,
) -> Result<Vec<Bytes>, Error> {
    if content == Content::Keys {
        return Ok(vec![Bytes::new(); objects.len()]);
    }
    let mut packed = bodies(channel, objects).await?;
    let packed: Option<Vec<(Vec<u8>, usize)>> =
        objects.iter().map(|object| Some((packed.remove(&object.key.id)?, object.size))).collect();
    let packed = packed.ok_or_else(body::damaged)?;
    let unpack = move || -> Result<Vec<Bytes>, Error> {
        let mut bodies = Bodies::new()?;
        packed.iter().map(|(bytes, size)| body::cut(bodies.unpack(bytes, *size)?, content)).collect()
    };
    if objects.len() <= 16 {
        return unpack();
    }
    tokio::task::spawn_blocking(unpack)
        .await
        .map_err(|_| Error::Failed("reading bodies has panicked".into()))?
}
