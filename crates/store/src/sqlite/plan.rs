//! A query against one snapshot: which scopes it is about, and what an object at hand must satisfy.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use meta::{FieldPath, Operator};
use rusqlite::{Connection, OptionalExtension as _, Row, Statement, params, types::Value};

use super::{
    body::Bodies,
    error::Sorted as _,
    paths,
    terms::{self, Term},
    values::Uid,
};
use crate::{
    ClusterName, Error, OrderBy, OrderField, Position, Query, Resource, Version, Visible,
    field::{self, FieldValue},
};

/// A query made ready for the scopes, label keys and indexed fields of the moment.
pub(super) struct Plan<'q> {
    pub(super) query: &'q Query,
    /// [`super::SqliteOptions::most_looked_up`]
    pub(super) most_looked_up: u64,
    /// The order with its tie-breakers.
    pub(super) order: Vec<OrderBy>,
    /// Sorted by cluster and resource; none that can hold no match.
    pub(super) scopes: Vec<ScopeRef<'q>>,
    /// Sorted; `ScopeRef::resource` points here.
    pub(super) resources: Vec<Resource>,
    /// The conditions on labels and fields, for each of `resources`, in the same sequence for all.
    pub(super) conditions: Vec<Vec<Condition>>,
    /// Fields that are not indexed yet, with their resource.
    pub(super) unindexed: Vec<(Resource, FieldPath)>,
}

/// One resource of one cluster.
pub(super) struct ScopeRef<'q> {
    pub(super) id: i64,
    pub(super) cluster: ClusterName,
    pub(super) resource: usize,
    pub(super) objects: u64,
    /// The namespaces asked for that the caller may see; `None` is all.
    pub(super) namespaces: Option<Cow<'q, BTreeSet<String>>>,
}

impl ScopeRef<'_> {
    /// The condition on `column`, a namespace, and what stands for its mark.
    ///
    /// Several namespaces are a filter that keeps the order of the index and passes others over within it. Where those
    /// are too many, `Driver::Namespaces` is taken.
    pub(super) fn within(&self, column: &str) -> (String, Option<Value>) {
        match &self.namespaces {
            None => (String::new(), None),
            Some(set) if set.len() == 1 => {
                (format!(" AND {column} = ?"), set.first().cloned().map(Value::Text))
            }
            Some(set) => {
                let list = set.iter().map(String::as_str).collect::<serde_json::Value>();
                let sql = format!(" AND +{column} IN (SELECT value FROM json_each(?))");
                (sql, Some(Value::Text(list.to_string())))
            }
        }
    }
}

/// A condition on a label or a field.
pub(super) struct Condition {
    pub(super) source: Source,
    /// As asked of indexed values where `source` is the index.
    pub(super) operator: Operator,
}

/// Where the values of a condition come from.
pub(super) enum Source {
    /// The index, under this key.
    Index(i64),
    /// No object has any.
    Nowhere,
    /// Each object's body.
    Body(FieldPath),
}

impl Condition {
    /// Whether no object at all can satisfy it.
    fn is_hopeless(&self) -> bool {
        matches!(self.source, Source::Nowhere) && !field::satisfies(&self.operator, [])
    }
}

impl<'q> Plan<'q> {
    pub(super) fn new(connection: &Connection, query: &'q Query, most_looked_up: u64) -> Result<Self, Error> {
        let mut plan = Self {
            query,
            most_looked_up,
            order: query.total_order(),
            scopes: Vec::new(),
            resources: Vec::new(),
            conditions: Vec::new(),
            unindexed: Vec::new(),
        };
        for (id, resource) in resources(connection, query)? {
            let conditions = plan.conditions_for(connection, id, &resource)?;
            if conditions.iter().any(Condition::is_hopeless) {
                continue;
            }
            let at = plan.resources.len();
            plan.add_scopes(connection, id, at)?;
            plan.resources.push(resource);
            plan.conditions.push(conditions);
        }
        plan.scopes.sort_by(|a, b| (&a.cluster, a.resource).cmp(&(&b.cluster, b.resource)));
        Ok(plan)
    }

    fn conditions_for(
        &mut self,
        connection: &Connection,
        id: i64,
        resource: &Resource,
    ) -> Result<Vec<Condition>, Error> {
        let mut conditions = Vec::new();
        for requirement in &self.query.labels.requirements {
            let key = term_key(connection, 0, &requirement.key)?;
            let source = key.map_or(Source::Nowhere, |(key, _)| Source::Index(key));
            conditions.push(Condition { source, operator: terms::indexed_operator(&requirement.operator) });
        }
        for requirement in &self.query.fields.requirements {
            let operator = &requirement.operator;
            let key = term_key(connection, id, &paths::text(&requirement.path))?;
            if key.is_none() {
                self.unindexed.push((resource.clone(), requirement.path.clone()));
            }
            conditions.push(match key {
                Some((key, None)) => {
                    Condition { source: Source::Index(key), operator: terms::indexed_operator(operator) }
                }
                _ => Condition { source: Source::Body(requirement.path.clone()), operator: operator.clone() },
            });
        }
        Ok(conditions)
    }

    fn add_scopes(&mut self, connection: &Connection, id: i64, resource: usize) -> Result<(), Error> {
        let query = self.query;
        let mut keep = |row: &Row<'_>| -> rusqlite::Result<()> {
            let cluster = ClusterName::new(row.get::<_, String>(1)?);
            let objects: u64 = row.get(2)?;
            if objects > 0
                && let Some(namespaces) = namespaces(query, &cluster)
            {
                self.scopes.push(ScopeRef { id: row.get(0)?, cluster, resource, objects, namespaces });
            }
            Ok(())
        };
        // A few named clusters are looked up; otherwise all scopes of the resource are read.
        let named = query.clusters.iter().flatten();
        if query.clusters.as_ref().is_some_and(|clusters| clusters.len() <= 8) {
            let sql = "SELECT id, cluster, objects FROM scope WHERE resource = ? AND cluster = ?";
            let mut statement = connection.prepare_cached(sql).sorted()?;
            for cluster in named {
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

    /// How many objects the scopes hold.
    pub(super) fn objects(&self) -> u64 {
        self.scopes.iter().map(|scope| scope.objects).sum()
    }

    /// Whether every object of the scopes is wanted, if none is passed over.
    pub(super) fn takes_all(&self) -> bool {
        !self.looks_closer()
            && self.query.since.is_none()
            && self.query.before.is_none()
            && self.query.owner.is_none()
            && self.scopes.iter().all(|scope| scope.namespaces.is_none())
    }

    /// Whether something has to be asked of each object beyond its namespace and creation time.
    pub(super) fn looks_closer(&self) -> bool {
        !self.query.names.is_empty()
            || !self.query.fuzzy_names.is_empty()
            || self.conditions.iter().any(|conditions| !conditions.is_empty())
    }

    /// Whether an object satisfies everything but the owner. `row` is that of [`COLUMNS`].
    pub(super) fn accepts(
        &self,
        scope: usize,
        row: &Row<'_>,
        bodies: &mut Reader<'_>,
    ) -> Result<bool, Error> {
        let query = self.query;
        if let Some(namespaces) = &self.scopes[scope].namespaces
            && !namespaces.contains(text(row, 1)?)
        {
            return Ok(false);
        }
        let name = text(row, 2)?;
        if !query.names.is_empty() && !query.names.contains(name) {
            return Ok(false);
        }
        if !query.fuzzy_names.iter().all(|part| name.contains(part.as_str())) {
            return Ok(false);
        }
        let created: i64 = row.get(3).sorted()?;
        if query.since.is_some_and(|since| created < since)
            || query.before.is_some_and(|before| created >= before)
        {
            return Ok(false);
        }
        let conditions = &self.conditions[self.scopes[scope].resource];
        if conditions.is_empty() {
            return Ok(true);
        }
        let terms = terms::decode(row.get_ref(7).sorted()?.as_blob().unwrap_or_default())?;
        if !conditions.iter().all(|condition| condition.accepts_terms(&terms)) {
            return Ok(false);
        }
        let fields: Vec<(&FieldPath, &Operator)> = conditions
            .iter()
            .filter_map(|condition| match &condition.source {
                Source::Body(path) => Some((path, &condition.operator)),
                Source::Index(_) | Source::Nowhere => None,
            })
            .collect();
        if fields.is_empty() {
            return Ok(true);
        }
        let Some(json) = bodies.json(row.get(0).sorted()?)? else { return Ok(false) };
        let wanted: Vec<&FieldPath> = fields.iter().map(|(path, _)| *path).collect();
        let found = field::extract(&json, &wanted);
        Ok(fields.iter().zip(&found).all(|((_, operator), values)| field::satisfies(operator, values)))
    }

    /// Where `key` is.
    pub(super) fn position(&self, key: &Key) -> Position {
        let scope = &self.scopes[key.scope];
        Position {
            cluster: scope.cluster.clone(),
            resource: self.resources[scope.resource].clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            created: key.created,
            version: key.version.clone(),
            sequence: key.sequence as u64,
        }
    }

    /// Which of two objects comes first.
    pub(super) fn compare(&self, a: &Key, b: &Key) -> std::cmp::Ordering {
        let by = |field| match field {
            // Scopes are sorted by cluster first.
            OrderField::Cluster => {
                let (a_scope, b_scope) = (&self.scopes[a.scope], &self.scopes[b.scope]);
                if a.scope == b.scope {
                    std::cmp::Ordering::Equal
                } else {
                    a_scope.cluster.cmp(&b_scope.cluster)
                }
            }
            OrderField::Namespace => a.namespace.cmp(&b.namespace),
            OrderField::Name => a.name.cmp(&b.name),
            OrderField::CreatedAt => a.created.cmp(&b.created),
            OrderField::ResourceVersion => a.version.cmp(&b.version),
            OrderField::Sequence => a.sequence.cmp(&b.sequence),
            OrderField::Resource => self.scopes[a.scope].resource.cmp(&self.scopes[b.scope].resource),
        };
        self.order
            .iter()
            .map(|term| term.directed(by(term.field)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    }
}

impl Condition {
    /// Whether the terms satisfy it, as far as it is about terms.
    fn accepts_terms(&self, terms: &[Term]) -> bool {
        match &self.source {
            Source::Body(_) => true,
            Source::Nowhere => field::satisfies(&self.operator, []),
            Source::Index(key) => {
                let values = terms.iter().filter(|term| term.key == *key).map(|term| &term.value);
                field::satisfies(&self.operator, values)
            }
        }
    }
}

/// The namespaces of a cluster that a query is about, all if that is `None`; `None` if it is not about the cluster.
#[expect(clippy::option_option, reason = "no namespaces, all of them, or some")]
fn namespaces<'q>(query: &'q Query, cluster: &ClusterName) -> Option<Option<Cow<'q, BTreeSet<String>>>> {
    if query.clusters.as_ref().is_some_and(|clusters| !clusters.contains(cluster)) {
        return None;
    }
    let asked = Some(&query.namespaces).filter(|namespaces| !namespaces.is_empty());
    let visible = match &query.allowed {
        None => &Visible::All,
        Some(allowed) => allowed.get(cluster)?,
    };
    Some(match (asked, visible) {
        (asked, Visible::All) => asked.map(Cow::Borrowed),
        (None, Visible::Namespaces(visible)) => Some(Cow::Borrowed(visible)),
        (Some(asked), Visible::Namespaces(visible)) => Some(Cow::Owned(asked & visible)),
    })
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

/// The number of a label key or field path, and how far it is filled.
fn term_key(connection: &Connection, resource: i64, path: &str) -> Result<Option<(i64, Option<i64>)>, Error> {
    connection
        .prepare_cached("SELECT id, filled FROM term_key WHERE resource = ? AND path = ?")
        .sorted()?
        .query_row(params![resource, path], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .sorted()
}

/// What is read of an object to order it and to ask conditions of it.
pub(super) const COLUMNS: &str =
    "o.id, o.namespace, o.name, o.created, o.version, o.sequence, o.uid, o.terms";

/// An object without its body.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: i64,
    /// In [`Plan::scopes`].
    pub(super) scope: usize,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) created: i64,
    pub(super) version: Version,
    pub(super) sequence: i64,
    pub(super) uid: Uid,
}

impl Key {
    /// From a row of [`COLUMNS`].
    pub(super) fn read(scope: usize, row: &Row<'_>) -> Result<Self, Error> {
        Ok(Self {
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
            Some(row) => self.bodies.read(row, 0).map(Some),
            None => Ok(None),
        }
    }
}

/// The values of a condition that can be looked up one by one.
pub(super) fn listed(operator: &Operator) -> Option<impl Iterator<Item = FieldValue> + '_> {
    match operator {
        Operator::In(values) => Some(values.iter().cloned().map(FieldValue::Text)),
        _ => None,
    }
}
