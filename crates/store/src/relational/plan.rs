//! A query against one snapshot: which scopes it is about, and what an object at hand must satisfy.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeSet};

use meta::{FieldPath, Operator};

use super::{
    fields,
    terms::{self, Term},
    uid::Uid,
};
use crate::{
    ClusterName, Error, OrderBy, OrderField, Position, Query, Resource, Version, Visible,
    field::{self, FieldValue},
};

/// A query made ready for the scopes, label keys and indexed fields of the moment.
pub(crate) struct Plan<'q> {
    pub(crate) query: &'q Query,
    /// How many objects are looked up and sorted in memory for an answer at most.
    pub(crate) most_looked_up: u64,
    /// The order with its tie-breakers.
    pub(crate) order: Vec<OrderBy>,
    /// Sorted by cluster and resource; none that can hold no match.
    pub(crate) scopes: Vec<ScopeRef<'q>>,
    /// Sorted; `ScopeRef::resource` points here.
    pub(crate) resources: Vec<Resource>,
    /// The conditions on labels and fields, for each of `resources`, in the same sequence for all.
    pub(crate) conditions: Vec<Vec<Condition>>,
    /// Fields that are not indexed yet, with their resource.
    pub(crate) unindexed: Vec<(Resource, FieldPath)>,
}

/// One resource of one cluster.
pub(crate) struct ScopeRef<'q> {
    pub(crate) id: i64,
    pub(crate) cluster: ClusterName,
    pub(crate) resource: usize,
    pub(crate) objects: u64,
    /// The namespaces asked for that the caller may see; `None` is all.
    pub(crate) namespaces: Option<Cow<'q, BTreeSet<String>>>,
}

/// A condition on a label or a field.
pub(crate) struct Condition {
    pub(crate) source: Source,
    /// As asked of indexed values where `source` is the index.
    pub(crate) operator: Operator,
}

/// Where the values of a condition come from.
pub(crate) enum Source {
    /// The index, under this key.
    Index(i64),
    /// No object has any.
    Nowhere,
    /// Each object's body.
    Body(FieldPath),
}

/// A key of `term_key`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TermKey {
    pub(crate) id: i64,
    /// Whether every object is in the index under it.
    pub(crate) complete: bool,
}

impl Condition {
    /// Whether no object at all can satisfy it.
    fn is_hopeless(&self) -> bool {
        matches!(self.source, Source::Nowhere) && !field::satisfies(&self.operator, [])
    }

    /// Whether the terms satisfy it, as far as it is about terms.
    pub(crate) fn accepts_terms(&self, terms: &[Term]) -> bool {
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

impl<'q> Plan<'q> {
    /// For a query, about nothing yet.
    pub(crate) fn new(query: &'q Query, most_looked_up: u64) -> Self {
        Self {
            query,
            most_looked_up,
            order: query.total_order(),
            scopes: Vec::new(),
            resources: Vec::new(),
            conditions: Vec::new(),
            unindexed: Vec::new(),
        }
    }

    /// Adds a resource, unless none of its objects can satisfy the query; the answer is its place. Resources come
    /// sorted. `term_key` looks up a label, or a field of this resource.
    pub(crate) fn add_resource(
        &mut self,
        resource: Resource,
        mut term_key: impl FnMut(KeyOf<'_>) -> Result<Option<TermKey>, Error>,
    ) -> Result<Option<usize>, Error> {
        let mut conditions = Vec::new();
        for requirement in &self.query.labels.requirements {
            let key = term_key(KeyOf::Label(&requirement.key))?;
            let source = key.map_or(Source::Nowhere, |key| Source::Index(key.id));
            conditions.push(Condition { source, operator: terms::indexed_operator(&requirement.operator) });
        }
        for requirement in &self.query.fields.requirements {
            let operator = &requirement.operator;
            let key = term_key(KeyOf::Field(&fields::text(&requirement.path)))?;
            if key.is_none() {
                self.unindexed.push((resource.clone(), requirement.path.clone()));
            }
            conditions.push(match key {
                Some(TermKey { id, complete: true }) => {
                    Condition { source: Source::Index(id), operator: terms::indexed_operator(operator) }
                }
                _ => Condition { source: Source::Body(requirement.path.clone()), operator: operator.clone() },
            });
        }
        if conditions.iter().any(Condition::is_hopeless) {
            return Ok(None);
        }
        self.resources.push(resource);
        self.conditions.push(conditions);
        Ok(Some(self.resources.len() - 1))
    }

    /// Adds a resource of a cluster, unless it holds nothing that is asked for and may be seen.
    pub(crate) fn add_scope(&mut self, id: i64, cluster: ClusterName, resource: usize, objects: u64) {
        if objects > 0
            && let Some(namespaces) = namespaces(self.query, &cluster)
        {
            self.scopes.push(ScopeRef { id, cluster, resource, objects, namespaces });
        }
    }

    /// After the last scope.
    pub(crate) fn sort(&mut self) {
        self.scopes.sort_by(|a, b| (&a.cluster, a.resource).cmp(&(&b.cluster, b.resource)));
    }

    /// How many objects the scopes hold.
    pub(crate) fn objects(&self) -> u64 {
        self.scopes.iter().map(|scope| scope.objects).sum()
    }

    /// Whether every object of the scopes is wanted, if none is passed over.
    pub(crate) fn takes_all(&self) -> bool {
        !self.looks_closer()
            && self.query.since.is_none()
            && self.query.before.is_none()
            && self.query.owner.is_none()
            && self.scopes.iter().all(|scope| scope.namespaces.is_none())
    }

    /// Whether something has to be asked of each object beyond its namespace and creation time.
    pub(crate) fn looks_closer(&self) -> bool {
        !self.query.names.is_empty()
            || !self.query.fuzzy_names.is_empty()
            || self.conditions.iter().any(|conditions| !conditions.is_empty())
    }

    /// Whether an object satisfies everything but the owner and what is in bodies only.
    pub(crate) fn accepts(
        &self,
        scope: usize,
        Candidate { namespace, name, created }: Candidate<'_>,
        terms: impl FnOnce() -> Result<Vec<Term>, Error>,
    ) -> Result<bool, Error> {
        let query = self.query;
        if self.scopes[scope].namespaces.as_ref().is_some_and(|set| !set.contains(namespace))
            || !query.names.is_empty() && !query.names.contains(name)
            || !query.fuzzy_names.iter().all(|part| name.contains(part.as_str()))
            || query.since.is_some_and(|since| created < since)
            || query.before.is_some_and(|before| created >= before)
        {
            return Ok(false);
        }
        let conditions = &self.conditions[self.scopes[scope].resource];
        if conditions.is_empty() {
            return Ok(true);
        }
        let terms = terms()?;
        Ok(conditions.iter().all(|condition| condition.accepts_terms(&terms)))
    }

    /// Whether something has to be asked of the bodies of a scope's objects.
    pub(crate) fn asks_bodies(&self, scope: usize) -> bool {
        self.body_conditions(scope).next().is_some()
    }

    /// Whether a body satisfies what is asked of it.
    pub(crate) fn accepts_body(&self, scope: usize, json: &[u8]) -> bool {
        let (paths, operators): (Vec<&FieldPath>, Vec<&Operator>) = self.body_conditions(scope).unzip();
        let found = field::extract(json, &paths);
        operators.iter().zip(&found).all(|(operator, values)| field::satisfies(operator, values))
    }

    fn body_conditions(&self, scope: usize) -> impl Iterator<Item = (&FieldPath, &Operator)> {
        self.conditions[self.scopes[scope].resource].iter().filter_map(|condition| match &condition.source {
            Source::Body(path) => Some((path, &condition.operator)),
            Source::Index(_) | Source::Nowhere => None,
        })
    }

    /// Where `key` is.
    pub(crate) fn position(&self, key: &Key) -> Position {
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
    pub(crate) fn compare(&self, a: &Key, b: &Key) -> Ordering {
        let by = |field| match field {
            // Scopes are sorted by cluster first.
            OrderField::Cluster => {
                let (a_scope, b_scope) = (&self.scopes[a.scope], &self.scopes[b.scope]);
                if a.scope == b.scope { Ordering::Equal } else { a_scope.cluster.cmp(&b_scope.cluster) }
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
            .unwrap_or(Ordering::Equal)
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

/// What a key of `term_key` is of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyOf<'a> {
    /// A label, by its key.
    Label(&'a str),
    /// A field, by its path as [`fields::text`] writes it.
    Field(&'a str),
}

/// What conditions ask of an object in its row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'r> {
    pub(crate) namespace: &'r str,
    pub(crate) name: &'r str,
    pub(crate) created: i64,
}

/// An object without its body.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) id: i64,
    /// In [`Plan::scopes`].
    pub(crate) scope: usize,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) created: i64,
    pub(crate) version: Version,
    pub(crate) sequence: i64,
    pub(crate) uid: Uid,
}

/// The values of a condition that can be looked up one by one.
pub(crate) fn listed(operator: &Operator) -> Option<impl Iterator<Item = FieldValue> + '_> {
    match operator {
        Operator::In(values) => Some(values.iter().cloned().map(FieldValue::Text)),
        _ => None,
    }
}
