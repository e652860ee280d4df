//! Queries answered by looking at every object: what back ends are compared with.

use std::{cmp::Ordering, collections::BTreeSet};

use meta::{FieldPath, Operator, RawObject, Step};
use serde_json::Value;

use crate::{Ancestor, ClusterName, OrderField, OwnedBy, Query, Resource, Visible};

/// A stored object.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) cluster: ClusterName,
    pub(super) resource: Resource,
    pub(super) object: RawObject,
    pub(super) sequence: u64,
}

/// All objects that satisfy a query in its order, whatever its start and limit.
pub(super) fn select<'a>(objects: &'a [Known], query: &Query) -> Vec<&'a Known> {
    let mut found: Vec<&Known> = objects.iter().filter(|known| satisfies(objects, known, query)).collect();
    found.sort_by(|a, b| compare(a, b, query));
    found
}

fn compare(a: &Known, b: &Known, query: &Query) -> Ordering {
    let by = |field| match field {
        OrderField::Cluster => a.cluster.cmp(&b.cluster),
        OrderField::Namespace => a.object.key.namespace.cmp(&b.object.key.namespace),
        OrderField::Name => a.object.key.name.cmp(&b.object.key.name),
        OrderField::CreatedAt => a.object.key.created.cmp(&b.object.key.created),
        OrderField::Sequence => a.sequence.cmp(&b.sequence),
        OrderField::Resource => a.resource.cmp(&b.resource),
        OrderField::ResourceVersion => {
            let number = |known: &Known| known.object.key.resource_version.parse::<i64>().ok();
            match (number(a), number(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => a.object.key.resource_version.cmp(&b.object.key.resource_version),
            }
        }
    };
    for term in query.total_order() {
        let ordering = if term.descending { by(term.field).reverse() } else { by(term.field) };
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

fn satisfies(objects: &[Known], known: &Known, query: &Query) -> bool {
    let key = &known.object.key;
    let allowed = query.allowed.as_ref().is_none_or(|allowed| match allowed.get(&known.cluster) {
        None => false,
        Some(Visible::All) => true,
        Some(Visible::Namespaces(namespaces)) => namespaces.contains(&key.namespace),
    });
    allowed
        && query.resources.iter().any(|pattern| pattern.matches(&known.resource))
        && query.clusters.as_ref().is_none_or(|clusters| clusters.contains(&known.cluster))
        && (query.namespaces.is_empty() || query.namespaces.contains(&key.namespace))
        && (query.names.is_empty() || query.names.contains(&key.name))
        && query.fuzzy_names.iter().all(|part| key.name.contains(part.as_str()))
        && query.since.is_none_or(|since| key.created >= since)
        && query.before.is_none_or(|before| key.created < before)
        && query.owner.as_ref().is_none_or(|owned| owned_by(objects, known, owned, query))
        && query.labels.requirements.iter().all(|requirement| {
            holds(
                &requirement.operator,
                &key.labels.get(&requirement.key).cloned().into_iter().map(Some).collect(),
            )
        })
        && query.fields.requirements.iter().all(|requirement| {
            let value: Value = serde_json::from_slice(&known.object.json).unwrap();
            let mut found = BTreeSet::new();
            values(&value, &requirement.path, 0, &mut found);
            holds(&requirement.operator, &found)
        })
}

/// `None` is a value that is no text.
fn holds(operator: &Operator, values: &BTreeSet<Option<String>>) -> bool {
    let texts = || values.iter().flatten();
    let numbers = || texts().filter_map(|text| text.parse::<i64>().ok());
    match operator {
        Operator::In(set) => texts().any(|text| set.contains(text)),
        Operator::NotIn(set) => !texts().any(|text| set.contains(text)),
        Operator::Exists => !values.is_empty(),
        Operator::NotExists => values.is_empty(),
        Operator::GreaterThan(bound) => numbers().any(|number| number > *bound),
        Operator::LessThan(bound) => numbers().any(|number| number < *bound),
    }
}

fn values(value: &Value, path: &FieldPath, at: usize, found: &mut BTreeSet<Option<String>>) {
    match (path.steps.get(at), value) {
        (None, Value::Null) => {}
        (None, Value::String(text)) => drop(found.insert(Some(text.clone()))),
        (None, Value::Array(_) | Value::Object(_)) => drop(found.insert(None)),
        (None, scalar) => drop(found.insert(Some(scalar.to_string()))),
        (Some(Step::Field(name)), Value::Object(map)) => {
            if let Some(value) = map.get(name) {
                values(value, path, at + 1, found);
            }
        }
        (Some(Step::Index(index)), Value::Array(list)) => {
            if let Some(value) = list.get(*index) {
                values(value, path, at + 1, found);
            }
        }
        (Some(Step::Any), Value::Array(list)) => {
            for value in list {
                values(value, path, at + 1, found);
            }
        }
        _ => {}
    }
}

/// Goes up from the object, where back ends go down from the ancestor.
fn owned_by(objects: &[Known], known: &Known, owned: &OwnedBy, query: &Query) -> bool {
    let mut uids: BTreeSet<&str> = known.object.key.owner.iter().map(|owner| owner.uid.as_str()).collect();
    let with_uid = |uids: &BTreeSet<&str>| -> Vec<&Known> {
        let of_cluster = objects.iter().filter(|other| other.cluster == known.cluster);
        of_cluster.filter(|other| uids.contains(other.object.key.uid.as_str())).collect()
    };
    for _ in 0..owned.seniority {
        let owners = with_uid(&uids);
        uids =
            owners.iter().flat_map(|known| &known.object.key.owner).map(|owner| owner.uid.as_str()).collect();
    }
    match &owned.ancestor {
        Ancestor::Uid(uid) => uids.contains(uid.as_str()),
        Ancestor::Named { name, group_resource } => with_uid(&uids).iter().any(|owner| {
            let key = &owner.object.key;
            let kind = group_resource.as_ref().is_none_or(|(group, resource)| {
                (group, resource) == (&owner.resource.group, &owner.resource.resource)
            });
            let near = query.namespaces.is_empty()
                || key.namespace.is_empty()
                || query.namespaces.contains(&key.namespace);
            key.name == *name && kind && near
        }),
    }
}
