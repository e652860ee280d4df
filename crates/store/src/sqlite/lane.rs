//! The objects of one scope in order, from some place on.

use std::{collections::VecDeque, fmt::Write as _};

use rusqlite::{Connection, ToSql, params_from_iter, types::Value};

use super::{
    Deadline,
    error::Sorted as _,
    plan::{COLUMNS, Key, Plan, Reader},
};
use crate::{Error, OrderBy, OrderField, Position, Query, Version};

/// A place in the order of one scope: the leading values of an object there, or where one was.
#[derive(Debug, Clone)]
pub(super) struct Bound {
    values: Vec<Value>,
    /// Whether what is at the place itself is still to come.
    inclusive: bool,
}

/// How far one scope has been gone through.
#[derive(Debug, Clone)]
pub(super) enum Frontier {
    /// Nothing yet.
    Beginning,
    /// Up to here.
    At(Bound),
    /// To the end.
    Done,
}

/// One scope being gone through, some objects ahead.
pub(super) struct Lane {
    pub(super) scope: usize,
    /// Behind `ahead`.
    frontier: Frontier,
    /// Matching objects in order; the next is the first.
    pub(super) ahead: VecDeque<Key>,
    /// How many objects to read next time.
    chunk: usize,
}

/// The most objects read ahead in one scope.
const MOST_AHEAD: usize = 512;

impl Lane {
    pub(super) fn new(scope: usize, frontier: Frontier, chunk: usize) -> Self {
        Self { scope, frontier, ahead: VecDeque::new(), chunk: chunk.clamp(4, MOST_AHEAD) }
    }

    /// Where to begin when going on later: with what is ahead now.
    pub(super) fn into_frontier(mut self, plan: &Plan<'_>) -> Frontier {
        match self.ahead.pop_front() {
            Some(key) => Frontier::At(Bound { values: values(plan, &key), inclusive: true }),
            None => self.frontier,
        }
    }

    /// Reads on, if nothing is ahead, until something is or the scope ends; `false` if the time was over first.
    pub(super) fn refill(
        &mut self,
        connection: &Connection,
        plan: &Plan<'_>,
        reader: &mut Reader<'_>,
        deadline: &Deadline,
    ) -> Result<bool, Error> {
        if !self.ahead.is_empty() || matches!(self.frontier, Frontier::Done) {
            return Ok(true);
        }
        let looks_closer = plan.looks_closer();
        let limit = if looks_closer { -1 } else { self.chunk as i64 };
        let (sql, params) = self.sql(plan, limit);
        let mut statement = connection.prepare_cached(&sql).sorted()?;
        let mut rows =
            statement.query(params_from_iter(params.iter().map(|value| value as &dyn ToSql))).sorted()?;
        let mut read = 0_usize;
        let mut last: Option<Key> = None;
        while let Some(row) = rows.next().sorted()? {
            read += 1;
            if !looks_closer || plan.accepts(self.scope, row, reader)? {
                self.ahead.push_back(Key::read(self.scope, row)?);
                last = None;
                if self.ahead.len() == self.chunk {
                    break;
                }
            } else if read.is_multiple_of(64) && deadline.is_over() {
                last = Some(Key::read(self.scope, row)?);
                break;
            }
        }
        let full = self.ahead.len() == self.chunk;
        let interrupted = last.is_some();
        let reached = last.as_ref().or_else(|| self.ahead.back());
        self.frontier = match reached {
            Some(key) if full || interrupted => {
                Frontier::At(Bound { values: values(plan, key), inclusive: false })
            }
            _ => Frontier::Done,
        };
        self.chunk = (self.chunk * 2).min(MOST_AHEAD);
        Ok(!(interrupted && self.ahead.is_empty()))
    }

    fn sql(&self, plan: &Plan<'_>, limit: i64) -> (String, Vec<Value>) {
        let Query { since, before, .. } = plan.query;
        let scope = &plan.scopes[self.scope];
        let order = inner_order(plan);
        // With one namespace, the index that begins with namespaces gives its objects by name.
        let one_namespace = scope.namespaces.as_ref().is_some_and(|namespaces| namespaces.len() == 1);
        let index = match order.first().map(|term| term.field) {
            Some(OrderField::Name) if !one_namespace => "object_name",
            Some(OrderField::CreatedAt) => "object_created",
            Some(OrderField::ResourceVersion) => "object_version",
            Some(OrderField::Sequence) => "object_sequence",
            _ => "object_key",
        };
        let mut params = vec![Value::Integer(scope.id)];
        let mut sql = format!("SELECT {COLUMNS} FROM object AS o INDEXED BY {index} WHERE o.scope = ?");
        let (within, namespaces) = scope.within("o.namespace");
        sql.push_str(&within);
        params.extend(namespaces);
        for (condition, bound) in [(" AND o.created >= ?", since), (" AND o.created < ?", before)] {
            if let Some(bound) = bound {
                sql.push_str(condition);
                params.push(Value::Integer(*bound));
            }
        }
        if let Frontier::At(bound) = &self.frontier {
            bound.write(&order, &mut sql, &mut params);
        }
        for (at, term) in order.iter().enumerate() {
            sql.push_str(if at == 0 { " ORDER BY " } else { ", " });
            sql.push_str(column(term.field));
            sql.push_str(if term.descending { " DESC" } else { "" });
        }
        sql.push_str(" LIMIT ?");
        params.push(Value::Integer(limit));
        (sql, params)
    }
}

impl Frontier {
    /// What of a scope comes after an object at `position`, which may be of another scope.
    pub(super) fn after(plan: &Plan<'_>, scope: usize, position: &Position) -> Self {
        let scope = &plan.scopes[scope];
        let mut values = Vec::new();
        for term in &plan.order {
            let ordering = match term.field {
                OrderField::Cluster => scope.cluster.cmp(&position.cluster),
                OrderField::Resource => plan.resources[scope.resource].cmp(&position.resource),
                field => {
                    values.push(value_at(field, position));
                    // The number is an object's own: nothing decides after it.
                    if field == OrderField::Sequence {
                        break;
                    }
                    continue;
                }
            };
            // Of equal values so far, all of this scope come before the position, or all after it.
            match (term.directed(ordering), values.is_empty()) {
                (std::cmp::Ordering::Equal, _) => {}
                (std::cmp::Ordering::Less, true) => return Self::Done,
                (std::cmp::Ordering::Greater, true) => return Self::Beginning,
                (ordering, false) => {
                    return Self::At(Bound { values, inclusive: ordering == std::cmp::Ordering::Greater });
                }
            }
        }
        Self::At(Bound { values, inclusive: false })
    }
}

impl Bound {
    /// Adds the condition to be behind this place. Writing into a String cannot fail.
    fn write(&self, order: &[OrderBy], sql: &mut String, params: &mut Vec<Value>) {
        let terms = &order[..self.values.len()];
        let Some(first) = terms.first() else { return };
        let operator = |descending: bool| if descending { '<' } else { '>' };
        if terms.iter().all(|term| term.descending == first.descending) {
            let columns: Vec<&str> = terms.iter().map(|term| column(term.field)).collect();
            let marks = vec!["?"; terms.len()];
            let equal = if self.inclusive { "=" } else { "" };
            let operator = operator(first.descending);
            let (columns, marks) = (columns.join(", "), marks.join(", "));
            let _ = write!(sql, " AND ({columns}) {operator}{equal} ({marks})");
            params.extend(self.values.iter().cloned());
            return;
        }
        // a >= ? AND (a > ? OR (a = ? AND (b < ? OR (…)))): the first is for the index.
        let _ = write!(sql, " AND {} {}= ? AND (", column(first.field), operator(first.descending));
        params.push(self.values[0].clone());
        for (at, (term, value)) in terms.iter().zip(&self.values).enumerate() {
            let (column, operator) = (column(term.field), operator(term.descending));
            let last = at + 1 == terms.len();
            let equal = if last && self.inclusive { "=" } else { "" };
            let _ = write!(sql, "{column} {operator}{equal} ?");
            params.push(value.clone());
            if !last {
                let _ = write!(sql, " OR ({column} = ? AND (");
                params.push(value.clone());
            }
        }
        *sql += &"))".repeat(terms.len() - 1);
        sql.push(')');
    }
}

/// The order within one scope.
fn inner_order(plan: &Plan<'_>) -> Vec<OrderBy> {
    let mut order: Vec<OrderBy> = plan
        .order
        .iter()
        .copied()
        .filter(|term| !matches!(term.field, OrderField::Cluster | OrderField::Resource))
        .collect();
    if let Some(at) = order.iter().position(|term| term.field == OrderField::Sequence) {
        order.truncate(at + 1);
    }
    order
}

fn column(field: OrderField) -> &'static str {
    match field {
        OrderField::Namespace => "o.namespace",
        OrderField::CreatedAt => "o.created",
        OrderField::ResourceVersion => "o.version",
        OrderField::Sequence => "o.sequence",
        OrderField::Name => "o.name",
        // The same in all of a scope.
        OrderField::Cluster | OrderField::Resource => "o.scope",
    }
}

fn values(plan: &Plan<'_>, key: &Key) -> Vec<Value> {
    let position = plan.position(key);
    inner_order(plan).iter().map(|term| value_at(term.field, &position)).collect()
}

fn value_at(field: OrderField, position: &Position) -> Value {
    match field {
        OrderField::Cluster => Value::Text(position.cluster.as_str().to_owned()),
        OrderField::Resource => Value::Text(position.resource.to_string()),
        OrderField::Namespace => Value::Text(position.namespace.clone()),
        OrderField::Name => Value::Text(position.name.clone()),
        OrderField::CreatedAt => Value::Integer(position.created),
        OrderField::ResourceVersion => match &position.version {
            Version::Number(number) => Value::Integer(*number),
            Version::Text(text) => Value::Text(text.clone()),
        },
        OrderField::Sequence => Value::Integer(position.sequence as i64),
    }
}
