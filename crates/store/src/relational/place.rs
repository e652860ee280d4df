//! Places in the order of one scope: where an object is or was, and how far a scope has been gone through.

use std::{
    fmt::Write as _,
    ops::Bound::{Included, Unbounded},
};

use super::plan::{Key, Plan};
use crate::{OrderBy, OrderField, Position, Version};

/// One value of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(i64),
    Version(Version),
}

/// A place in the order of one scope: the leading values of an object there, or where one was.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) values: Vec<Value>,
    /// Whether what is at the place itself is still to come.
    pub(crate) inclusive: bool,
}

/// How far one scope has been gone through.
#[derive(Debug, Clone)]
pub(crate) enum Frontier {
    /// Nothing yet.
    Beginning,
    /// Up to here.
    At(Bound),
    /// To the end.
    Done,
}

impl Frontier {
    /// What of a scope comes after an object at `position`, which may be of another scope.
    pub(crate) fn after(plan: &Plan<'_>, scope: usize, position: &Position) -> Self {
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
    pub(crate) fn at(plan: &Plan<'_>, key: &Key, inclusive: bool) -> Self {
        Self { values: values(plan, key), inclusive }
    }

    /// Before everything in `namespace`, in an order by namespace.
    fn before_namespace(namespace: &str) -> Self {
        Self { values: vec![Value::Text(namespace.to_owned())], inclusive: true }
    }
}

/// The namespaces in which a scope goes on from `frontier`, in order.
///
/// That is for an order by namespace of which only some are wanted: one after the other, so that nobody passes over
/// those between. `None` is any other order, or no limit.
pub(crate) fn namespaces_from<'p>(
    plan: &'p Plan<'_>,
    scope: usize,
    frontier: &Frontier,
) -> Option<Box<dyn Iterator<Item = &'p str> + Send + 'p>> {
    let term = inner_order(plan).into_iter().next().filter(|term| term.field == OrderField::Namespace)?;
    let namespaces = plan.scopes[scope].namespaces.as_deref()?;
    let from = match frontier {
        Frontier::Done => return Some(Box::new(std::iter::empty())),
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
    let rest = namespaces.range::<str, _>(rest).map(String::as_str);
    Some(if term.descending { Box::new(rest.rev()) } else { Box::new(rest) })
}

/// The first of [`namespaces_from`], and where the scope goes on when that is through.
pub(crate) fn namespace_at<'p>(
    plan: &'p Plan<'_>,
    scope: usize,
    frontier: &Frontier,
) -> Option<(&'p str, Frontier)> {
    let mut rest = namespaces_from(plan, scope, frontier)?;
    let now = rest.next()?;
    let next = rest.next().map_or(Frontier::Done, |next| Frontier::At(Bound::before_namespace(next)));
    Some((now, next))
}

/// The order within one scope.
pub(crate) fn inner_order(plan: &Plan<'_>) -> Vec<OrderBy> {
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
        OrderField::CreatedAt => Value::Number(position.created),
        OrderField::ResourceVersion => Value::Version(position.version.clone()),
        OrderField::Sequence => Value::Number(position.sequence as i64),
    }
}

/// The condition on an object `o` to be behind a place, in the leading terms of an order. `mark` says what stands for a
/// value of the place; it is asked for each time that it is needed.
pub(crate) fn behind(terms: &[OrderBy], inclusive: bool, mut mark: impl FnMut(usize) -> String) -> String {
    let Some(first) = terms.first() else { return String::new() };
    let operator = |descending: bool| if descending { '<' } else { '>' };
    if terms.iter().all(|term| term.descending == first.descending) {
        let columns: Vec<&str> = terms.iter().map(|term| column(term.field)).collect();
        let marks: Vec<String> = (0..terms.len()).map(mark).collect();
        let equal = if inclusive { "=" } else { "" };
        let operator = operator(first.descending);
        return format!(" AND ({}) {operator}{equal} ({})", columns.join(", "), marks.join(", "));
    }
    // a >= ? AND (a > ? OR (a = ? AND (b < ? OR (…)))): the first is for the index.
    let mut sql = format!(" AND {} {}= {} AND (", column(first.field), operator(first.descending), mark(0));
    for (at, term) in terms.iter().enumerate() {
        let (column, operator) = (column(term.field), operator(term.descending));
        let last = at + 1 == terms.len();
        let equal = if last && inclusive { "=" } else { "" };
        // Writing into a String cannot fail.
        let _ = write!(sql, "{column} {operator}{equal} {}", mark(at));
        if !last {
            let _ = write!(sql, " OR ({column} = {} AND (", mark(at));
        }
    }
    sql += &"))".repeat(terms.len() - 1);
    sql.push(')');
    sql
}

/// The opposite order: what is not behind a place in an order, is behind it in the opposite one, or at it.
pub(crate) fn opposite(order: &[OrderBy]) -> Vec<OrderBy> {
    order.iter().map(|term| OrderBy { descending: !term.descending, ..*term }).collect()
}

/// An order within one scope as SQL.
pub(crate) fn order_by(plan: &Plan<'_>) -> String {
    let mut sql = String::new();
    for (at, term) in inner_order(plan).iter().enumerate() {
        sql.push_str(if at == 0 { " ORDER BY " } else { ", " });
        sql.push_str(column(term.field));
        sql.push_str(if term.descending { " DESC" } else { "" });
    }
    sql
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
