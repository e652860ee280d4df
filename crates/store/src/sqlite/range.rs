//! A part of one scope, from one place in its order to another, as SQL.

use std::{
    fmt::Write as _,
    ops::Bound::{Included, Unbounded},
};

use rusqlite::types::Value;

use super::plan::{Key, Plan};
use crate::{OrderBy, OrderField, Position, Query, Version};

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

/// From `index` the rows of a scope that come behind `from` and, if there is an `until`, not behind that. The text goes
/// after `SELECT …`; `namespace` is the only one wanted, if not all that the scope has.
pub(super) fn rows(
    plan: &Plan<'_>,
    scope: usize,
    namespace: Option<&str>,
    from: &Frontier,
    until: Option<&Bound>,
) -> (String, Vec<Value>) {
    let Query { since, before, .. } = plan.query;
    let scope = &plan.scopes[scope];
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
    let mut sql = format!(" FROM object AS o INDEXED BY {index} WHERE o.scope = ?");
    let (within, namespaces) = match namespace {
        Some(namespace) => (" AND o.namespace = ?".to_owned(), Some(Value::Text(namespace.to_owned()))),
        None => scope.within("o.namespace"),
    };
    sql.push_str(&within);
    params.extend(namespaces);
    for (condition, bound) in [(" AND o.created >= ?", since), (" AND o.created < ?", before)] {
        if let Some(bound) = bound {
            sql.push_str(condition);
            params.push(Value::Integer(*bound));
        }
    }
    if let Frontier::At(bound) = from {
        bound.write(&order, &mut sql, &mut params);
    }
    if let Some(until) = until {
        // Not behind it in this order is behind it in the opposite one.
        let opposite: Vec<OrderBy> =
            order.iter().map(|term| OrderBy { descending: !term.descending, ..*term }).collect();
        let bound = Bound { values: until.values.clone(), inclusive: !until.inclusive };
        bound.write(&opposite, &mut sql, &mut params);
    }
    (sql, params)
}

/// The order of [`rows`], to go after them.
pub(super) fn order_by(plan: &Plan<'_>) -> String {
    let mut sql = String::new();
    for (at, term) in inner_order(plan).iter().enumerate() {
        sql.push_str(if at == 0 { " ORDER BY " } else { ", " });
        sql.push_str(column(term.field));
        sql.push_str(if term.descending { " DESC" } else { "" });
    }
    sql
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
    /// At `key`, which is still to come if that is inclusive.
    pub(super) fn at(plan: &Plan<'_>, key: &Key, inclusive: bool) -> Self {
        Self { values: values(plan, key), inclusive }
    }

    /// Before everything in `namespace`, in an order by namespace.
    fn before_namespace(namespace: &str) -> Self {
        Self { values: vec![Value::Text(namespace.to_owned())], inclusive: true }
    }

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

/// The namespace in which a scope goes on at `frontier`, and where it goes on when that is through.
///
/// That is for an order by namespace of which only some are wanted: one after the other, so that nobody passes over
/// those between. `None` is any other order, or nothing left.
pub(super) fn namespace_at<'p>(
    plan: &'p Plan<'_>,
    scope: usize,
    frontier: &Frontier,
) -> Option<(&'p str, Frontier)> {
    let term = inner_order(plan).into_iter().next().filter(|term| term.field == OrderField::Namespace)?;
    let namespaces = plan.scopes[scope].namespaces.as_deref()?;
    let from = match frontier {
        Frontier::Done => return None,
        Frontier::At(Bound { values, .. }) => match values.first() {
            Some(Value::Text(namespace)) => Some(namespace.as_str()),
            _ => None,
        },
        Frontier::Beginning => None,
    };
    let rest: (std::ops::Bound<&str>, std::ops::Bound<&str>) = match (from, term.descending) {
        (None, _) => (Unbounded, Unbounded),
        (Some(from), false) => (Included(from), Unbounded),
        (Some(from), true) => (Unbounded, Included(from)),
    };
    let mut rest = namespaces.range::<str, _>(rest);
    let (now, next) =
        if term.descending { (rest.next_back(), rest.next_back()) } else { (rest.next(), rest.next()) };
    let next = next.map_or(Frontier::Done, |next| Frontier::At(Bound::before_namespace(next)));
    Some((now?, next))
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

/// Where `key` is.
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
