//! The Bases of a Subscription as they should be, and the way there from those there are (contract 5.5). Pure.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    apps::Base,
    names::{
        apps::{LONGEST_LABELLED_SUBSCRIPTION, annotations::IS_DEFAULT_CLUSTER_INIT, finalizers, labels},
        labels::{CLUSTER_ID, CLUSTER_NAME, CONTROLLER_MANAGER, CREATED_BY},
    },
};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    key::Name,
    marks,
    parent::Write,
    world::{BaseRecord, ClusterRecord, Meta, SubscriptionRecord},
};

/// The longest name of a Subscription that leaves room for what the names of Base and Description add.
const LONGEST: usize = 253 - "-12345-generic".len();
/// The longest value of a label.
const LABEL: usize = 63;

/// What is to be written for one namespace.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    pub(crate) namespace: String,
    pub(crate) write: Write,
}

/// Which of a Subscription's Bases in one namespace is kept: the newest that is not going.
pub(crate) fn kept<'b>(bases: impl IntoIterator<Item = &'b BaseRecord>) -> Option<&'b BaseRecord> {
    let live = bases.into_iter().filter(|base| !base.meta.deleting);
    live.max_by_key(|base| (base.created, &base.meta.name.name))
}

/// Everything that has to be written, so that each bound cluster has one Base and nobody else has any. `clusters` are the bound
/// ones that exist, `bases` all that belong to the Subscription.
pub(crate) fn steps<'b>(
    subscription: &SubscriptionRecord,
    clusters: impl IntoIterator<Item = &'b ClusterRecord>,
    bases: &'b [impl AsRef<BaseRecord>],
    is_taken: impl Fn(&Name) -> bool,
) -> Vec<Step> {
    let mut here: BTreeMap<&str, Vec<&BaseRecord>> = BTreeMap::new();
    for base in bases.iter().map(AsRef::as_ref) {
        here.entry(&base.meta.name.namespace).or_default().push(base);
    }
    let mut steps = Vec::new();
    let mut bound = BTreeSet::new();
    for cluster in clusters {
        let namespace = cluster.meta.name.namespace.as_str();
        if !bound.insert(namespace) {
            // Two clusters of one namespace share what is in it.
            continue;
        }
        let bases = here.remove(namespace).unwrap_or_default();
        let kept = kept(bases.iter().copied());
        let write = match kept {
            Some(base) => update(subscription, cluster, base),
            // The name is free when the one that is going is gone.
            None if !bases.is_empty() => None,
            None => Some(create(subscription, cluster, &is_taken)),
        };
        steps.extend(write.map(|write| Step { namespace: namespace.to_owned(), write }));
        let surplus =
            bases.into_iter().filter(|base| kept.is_some_and(|kept| kept.meta.uid != base.meta.uid));
        steps.extend(surplus.filter_map(delete));
    }
    steps.extend(here.into_values().flatten().filter_map(delete));
    steps
}

/// Deletes a Base that is not going yet.
pub(crate) fn delete(base: &BaseRecord) -> Option<Step> {
    let write = Write::Delete(base.meta.name.path::<Base>(), base.meta.uid.clone());
    (!base.meta.deleting).then(|| Step { namespace: base.meta.name.namespace.clone(), write })
}

fn create(
    subscription: &SubscriptionRecord,
    cluster: &ClusterRecord,
    is_taken: impl Fn(&Name) -> bool,
) -> Write {
    let namespace = &cluster.meta.name.namespace;
    let names = (0..16).map(|salt| name(&subscription.meta, namespace, salt));
    // Sixteen times the name of another's Base: then the parent refuses the last, and it is tried again.
    let mut name = name(&subscription.meta, namespace, 16);
    if let Some(free) = names.into_iter().find(|name| !is_taken(name)) {
        name = free;
    }
    let mut metadata = json!({
        "name": name.name,
        "namespace": name.namespace,
        "labels": labels(subscription, cluster),
        "finalizers": [finalizers::APPS],
    });
    if let Some(value) = &subscription.initialises {
        metadata["annotations"] = json!({ IS_DEFAULT_CLUSTER_INIT: value });
    }
    let body = json!({
        "apiVersion": format!("{}/{}", api::apps::GROUP, api::apps::VERSION),
        "kind": "Base",
        "metadata": metadata,
        "spec": { "feeds": subscription.spec.feeds },
    });
    Write::Create(name.collection::<Base>(), body)
}

fn update(subscription: &SubscriptionRecord, cluster: &ClusterRecord, base: &BaseRecord) -> Option<Write> {
    let labels = marks::labels(&base.meta.labels, &labels(subscription, cluster), |_, _| false);
    let mut patch = Map::new();
    if *base.feeds != *subscription.spec.feeds {
        patch.insert("spec".to_owned(), json!({ "feeds": subscription.spec.feeds }));
    }
    if patch.is_empty() && labels.is_empty() {
        return None;
    }
    let mut metadata = json!({ "resourceVersion": base.meta.resource_version });
    if !labels.is_empty() {
        metadata["labels"] = Value::Object(labels);
    }
    patch.insert("metadata".to_owned(), metadata);
    Some(Write::Merge(base.meta.name.path::<Base>(), Value::Object(patch)))
}

/// The name of the Base: always the same for a Subscription and a namespace, so that one who was interrupted does not make
/// another.
fn name(subscription: &Meta, namespace: &str, salt: u8) -> Name {
    const LETTERS: &[u8; 32] = b"bcdfghjklmnpqrstvwxz234567890aeu";
    let digest = Sha256::digest(format!("{}/{namespace}/{salt}", subscription.uid));
    let suffix: String =
        digest.iter().take(5).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    let name: String = subscription.name.name.chars().take(LONGEST).collect();
    Name::new(namespace, format!("{name}-{suffix}"))
}

/// The labels of contract 2.1.
fn labels(subscription: &SubscriptionRecord, cluster: &ClusterRecord) -> BTreeMap<String, String> {
    let Name { namespace, name } = &subscription.meta.name;
    let fits = |name: &&String| name.len() <= LONGEST_LABELLED_SUBSCRIPTION;
    let short = Some(name).filter(fits);
    [
        (CREATED_BY, Some(CONTROLLER_MANAGER)),
        (CLUSTER_ID, Some(cluster.cluster.id.as_str())),
        (CLUSTER_NAME, Some(cluster.cluster.name.as_str()).filter(|name| name.len() <= LABEL)),
        (labels::CONFIG_KIND, Some("Subscription")),
        (labels::CONFIG_NAMESPACE, Some(namespace)),
        (labels::CONFIG_NAME, short.map(String::as_str)),
        (labels::CONFIG_UID, Some(&subscription.meta.uid)),
        (labels::SUBSCRIPTION_UID, Some(&subscription.meta.uid)),
        (labels::SUBSCRIPTION_NAME, short.map(String::as_str)),
        (labels::SUBSCRIPTION_NAMESPACE, Some(namespace)),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned())))
    .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meta(name: &str) -> Meta {
        Meta { name: Name::new("default", name), uid: String::from("u"), ..Meta::default() }
    }

    proptest! {
        #[test]
        fn a_base_has_a_name_of_its_own_that_any_parent_takes(
            name in "[a-z]([-a-z0-9.]{0,250}[a-z0-9])?", namespace in "[a-z]{1,5}", salt in 0_u8..16,
        ) {
            let base = super::name(&meta(&name), &namespace, salt);
            prop_assert!(base.name.len() + "-generic".len() <= 253);
            prop_assert_eq!(&base, &super::name(&meta(&name), &namespace, salt));
            prop_assert_ne!(&base.name, &super::name(&meta(&name), "Other", salt).name);
            let (_, suffix) = base.name.rsplit_once('-').unwrap();
            prop_assert!(suffix.len() == 5 && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        }
    }
}
