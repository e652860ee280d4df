//! Queries, answered by looking at every object.

use std::collections::BTreeSet;

use store::{
    Ancestor, Content, OwnedBy, Query, Row, Visible,
    field::{self, FieldValue},
};

use crate::state::{Object, State};

/// All objects that satisfy a query, in its order.
pub(crate) fn all<'s>(state: &'s State, query: &Query) -> Vec<&'s Object> {
    let owners = query.owner.as_ref().map(|owned| owners(state, query, owned));
    let mut found: Vec<&Object> =
        objects(state).filter(|object| satisfies(object, query, owners.as_ref())).collect();
    let order = query.total_order();
    found.sort_by(|a, b| a.position.compare(&b.position, &order));
    found
}

/// As much of an object as is wanted.
pub(crate) fn row(object: &Object, content: Content) -> Row {
    let json = object.json.as_bytes();
    let json = match content {
        Content::Keys => Vec::new(),
        Content::Metadata => field::metadata_only(json).unwrap_or_default(),
        Content::Whole => json.to_vec(),
    };
    Row { position: object.position.clone(), uid: object.uid.clone(), json: json.into() }
}

fn objects(state: &State) -> impl Iterator<Item = &Object> {
    state.scopes.iter().flat_map(|scope| &scope.objects)
}

fn satisfies(object: &Object, query: &Query, owners: Option<&BTreeSet<String>>) -> bool {
    let position = &object.position;
    let visible = query.allowed.as_ref().is_none_or(|allowed| match allowed.get(&position.cluster) {
        None => false,
        Some(Visible::All) => true,
        Some(Visible::Namespaces(namespaces)) => namespaces.contains(&position.namespace),
    });
    visible
        && query.resources.iter().any(|pattern| pattern.matches(&position.resource))
        && query.clusters.as_ref().is_none_or(|clusters| clusters.contains(&position.cluster))
        && (query.namespaces.is_empty() || query.namespaces.contains(&position.namespace))
        && (query.names.is_empty() || query.names.contains(&position.name))
        && query.fuzzy_names.iter().all(|part| position.name.contains(part.as_str()))
        && query.since.is_none_or(|since| position.created >= since)
        && query.before.is_none_or(|before| position.created < before)
        && owners.is_none_or(|owners| object.owner.as_ref().is_some_and(|owner| owners.contains(owner)))
        && query.labels.requirements.iter().all(|requirement| {
            let value = object.labels.get(&requirement.key).cloned().map(FieldValue::Text);
            field::satisfies(&requirement.operator, &value)
        })
        && query.fields.requirements.iter().all(|requirement| {
            let values = field::extract(object.json.as_bytes(), &[&requirement.path]).remove(0);
            field::satisfies(&requirement.operator, &values)
        })
}

/// The uids of which one is the controlling owner of every wanted object: from the ancestor down.
fn owners(state: &State, query: &Query, owned: &OwnedBy) -> BTreeSet<String> {
    let of_cluster = || {
        objects(state)
            .filter(|object| query.clusters.iter().flatten().any(|it| *it == object.position.cluster))
    };
    let mut uids: BTreeSet<String> = match &owned.ancestor {
        Ancestor::Uid(uid) => [uid.clone()].into(),
        Ancestor::Named { name, group_resource } => of_cluster()
            .filter(|object| {
                let (namespace, resource) = (&object.position.namespace, &object.position.resource);
                object.position.name == *name
                    && (namespace.is_empty()
                        || query.namespaces.is_empty()
                        || query.namespaces.contains(namespace))
                    && group_resource.as_ref().is_none_or(|(group, plural)| {
                        (group, plural) == (&resource.group, &resource.resource)
                    })
            })
            .map(|object| object.uid.clone())
            .collect(),
    };
    for _ in 0..owned.seniority {
        uids = of_cluster()
            .filter(|object| object.owner.as_ref().is_some_and(|owner| uids.contains(owner)))
            .map(|object| object.uid.clone())
            .collect();
    }
    uids
}
