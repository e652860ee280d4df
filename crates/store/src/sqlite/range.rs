//! A part of one scope, from one place in its order to another, as SQL.

use rusqlite::types::Value;

use super::plan::within;
use crate::{
    OrderBy, OrderField, Query, Version,
    relational::{
        place::{self, Bound, Frontier, inner_order},
        plan::Plan,
    },
};

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
        None => within(scope, "o.namespace"),
    };
    sql.push_str(&within);
    params.extend(namespaces);
    for (condition, bound) in [(" AND o.created >= ?", since), (" AND o.created < ?", before)] {
        if let Some(bound) = bound {
            sql.push_str(condition);
            params.push(Value::Integer(*bound));
        }
    }
    let mut add = |order: &[OrderBy], values: &[place::Value], inclusive| {
        let mark = |at: usize| {
            params.push(value(&values[at]));
            "?".to_owned()
        };
        sql.push_str(&place::behind(&order[..values.len()], inclusive, mark));
    };
    if let Frontier::At(bound) = from {
        add(&order, &bound.values, bound.inclusive);
    }
    if let Some(until) = until {
        add(&place::opposite(&order), &until.values, !until.inclusive);
    }
    (sql, params)
}

fn value(value: &place::Value) -> Value {
    match value {
        place::Value::Text(text) | place::Value::Version(Version::Text(text)) => Value::Text(text.clone()),
        place::Value::Number(number) | place::Value::Version(Version::Number(number)) => {
            Value::Integer(*number)
        }
    }
}
