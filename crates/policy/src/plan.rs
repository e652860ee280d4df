//! What has to be written for the lifecycles of a policy to be what its source objects say. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use api::{
    conditions,
    names::policy::{finalizers, lifecycle::CREATED},
    policy::{ClusterImportPolicy, PediaClusterLifecycle},
};
use kube::ResourceExt as _;
use serde_json::json;

use crate::{
    examine::LIFECYCLES,
    imports::{Negotiated, lifecycle},
    parent::Write,
    sources::{Key, Sources, Wanted, shown},
};

/// What is to be written.
#[derive(Default)]
pub(crate) struct Plan {
    /// By the name of the lifecycle.
    pub(crate) writes: Vec<(String, Write)>,
    /// What cannot be done, and why.
    pub(crate) failures: Vec<String>,
    /// How many of the wanted have a PediaCluster.
    pub(crate) imported: usize,
}

/// The source object that each lifecycle of the policy is for: it has the name, and newcomers do not.
pub(crate) fn holders(
    policy: &ClusterImportPolicy,
    negotiated: &Negotiated,
    there: &[Arc<PediaClusterLifecycle>],
) -> BTreeMap<String, Key> {
    let ours = there.iter().filter(|lifecycle| {
        let source = &lifecycle.spec.source;
        owns(policy, lifecycle)
            && (&source.group, &source.resource) == (&negotiated.source.group, &negotiated.source.plural)
    });
    ours.map(|lifecycle| (lifecycle.name_any(), key(lifecycle))).collect()
}

/// What has to be written for the lifecycles to be what is wanted.
pub(crate) fn plan(
    policy: &ClusterImportPolicy,
    negotiated: &Negotiated,
    there: &[Arc<PediaClusterLifecycle>],
    sources: &Sources,
    wanted: &Wanted<'_>,
) -> Plan {
    let by_name: HashMap<&str, &PediaClusterLifecycle> = there
        .iter()
        .filter_map(|lifecycle| Some((lifecycle.metadata.name.as_deref()?, &**lifecycle)))
        .collect();
    let mut plan = Plan::default();
    for (name, source) in &wanted.lifecycles {
        let (namespace, source_name) = source;
        let spec = lifecycle(&policy.spec, negotiated, namespace, source_name);
        let existing = by_name.get(name).copied();
        if let Some(owner) = existing.and_then(|existing| other_owner(policy, existing)) {
            plan.failures
                .push(format!("{}: the PediaClusterLifecycle {name} belongs to {owner}", shown(source)));
            continue;
        }
        let status = existing.and_then(|existing| existing.status.as_ref());
        if status.is_some_and(|status| conditions::is_true(&status.conditions, CREATED)) {
            plan.imported += 1;
        }
        let keeps = existing.is_some_and(|existing| {
            existing.metadata.deletion_timestamp.is_some()
                || (owns(policy, existing) && existing.spec == spec)
        });
        if !keeps {
            let object = json!({
                "apiVersion": "policy.clusterpedia.io/v1alpha1",
                "kind": "PediaClusterLifecycle",
                "metadata": {
                    "name": name,
                    "finalizers": [finalizers::LIFECYCLE],
                    "ownerReferences": [{
                        "apiVersion": "policy.clusterpedia.io/v1alpha1",
                        "kind": "ClusterImportPolicy",
                        "name": policy.metadata.name,
                        "uid": policy.metadata.uid,
                        "controller": true,
                    }],
                },
                "spec": spec,
            });
            plan.writes.push(((*name).to_owned(), Write::Apply(format!("{LIFECYCLES}/{name}"), object)));
        }
    }
    for (name, existing) in by_name {
        let stays = wanted.lifecycles.contains_key(name)
            || !owns(policy, existing)
            || existing.metadata.deletion_timestamp.is_some()
            || sources.is_undecided(&key(existing));
        if !stays {
            plan.writes.push((name.to_owned(), delete(existing)));
        }
    }
    plan
}

/// Whether the policy controls a lifecycle.
pub(crate) fn owns(policy: &ClusterImportPolicy, lifecycle: &PediaClusterLifecycle) -> bool {
    let uid = policy.metadata.uid.as_deref();
    lifecycle
        .owner_references()
        .iter()
        .any(|owner| owner.controller == Some(true) && Some(&*owner.uid) == uid)
}

/// Who else controls a lifecycle, and for which object.
fn other_owner(policy: &ClusterImportPolicy, lifecycle: &PediaClusterLifecycle) -> Option<String> {
    let owner = lifecycle.owner_references().iter().find(|owner| owner.controller == Some(true))?;
    let source = || format!("{} {}", lifecycle.spec.source.resource, shown(&key(lifecycle)));
    (!owns(policy, lifecycle)).then(|| format!("{} {}, for {}", owner.kind, owner.name, source()))
}

fn key(lifecycle: &PediaClusterLifecycle) -> Key {
    (lifecycle.spec.source.namespace.clone(), lifecycle.spec.source.name.clone())
}

/// Deletes a lifecycle.
pub(crate) fn delete(lifecycle: &PediaClusterLifecycle) -> Write {
    let path = format!("{LIFECYCLES}/{}", lifecycle.name_any());
    Write::Delete(path, lifecycle.uid().unwrap_or_default())
}

/// How much of what there is is imported, for people.
pub(crate) fn summary(resource: &str, wanted: &Wanted<'_>, imported: usize, selects: bool) -> String {
    let (sources, selected) = (wanted.sources, wanted.selected);
    let taken = match (sources, selected) {
        (0, _) => return format!("there are no {resource}: nothing is imported"),
        (_, 0) if selects => {
            return format!(
                "spec.source.selectorTemplate selects none of {sources} {resource}: nothing is imported"
            );
        }
        _ if selected == sources && selects => {
            format!("spec.source.selectorTemplate selects every one of {sources} {resource}")
        }
        _ if selects => format!("spec.source.selectorTemplate selects {selected} of {sources} {resource}"),
        _ => format!("there are {sources} {resource}"),
    };
    match selected.saturating_sub(imported) {
        0 => format!("{taken}, {imported} are imported"),
        waiting => format!(
            "{taken}, {imported} are imported and {waiting} wait: kubectl get pediaclusterlifecycles tells why"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_imports_nothing_or_everything_says_so() {
        let told = |sources, selected, imported, selects| {
            let wanted = Wanted { sources, selected, ..Wanted::default() };
            summary("secrets", &wanted, imported, selects)
        };
        assert_eq!(told(0, 0, 0, true), "there are no secrets: nothing is imported");
        assert_eq!(
            told(9, 0, 0, true),
            "spec.source.selectorTemplate selects none of 9 secrets: nothing is imported"
        );
        assert_eq!(
            told(9, 9, 9, true),
            "spec.source.selectorTemplate selects every one of 9 secrets, 9 are imported"
        );
        assert_eq!(
            told(9, 3, 1, true),
            "spec.source.selectorTemplate selects 3 of 9 secrets, 1 are imported and 2 wait: kubectl get \
             pediaclusterlifecycles tells why"
        );
        assert_eq!(told(2, 2, 2, false), "there are 2 secrets, 2 are imported");
    }
}
