//! From rules and what a cluster has to what of it is synchronised (contract 3.5, 3.6). Pure.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use api::pedia::{SecretData, SyncRule};
use kubeio::ApiResource;
use store::Resource;

/// Every group of Kubernetes itself. Their resources are synchronised in one version, those of others are custom.
pub(crate) const BUILT_IN: [&str; 21] = [
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];
/// Versions of a custom resource, if the rule names none.
const VERSIONS: usize = 3;
/// Selects everything.
const ALL: &str = "*";
/// Selects Events by what they are about. That never changes, so that Events of several kinds can be told apart.
const ABOUT: &str = "involvedObject.kind=";

/// The rules of one cluster: its own and those it refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) rules: Vec<SyncRule>,
    /// Every custom resource in every version, whatever the rules say.
    pub(crate) all_custom: bool,
}

/// What rules may ask for; the feature gates of the contract.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gates {
    /// `AllowSyncAllResources`: rules for the group `*`.
    pub all_resources: bool,
    /// `AllowSyncAllCustomResources`: `spec.syncAllCustomResources`.
    pub all_custom_resources: bool,
}

/// Rules that cannot be used. The text is for whoever wrote them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("the group * is only allowed with the hub's flag --feature-gates=AllowSyncAllResources=true")]
    AllResources,
    #[error(
        "syncAllCustomResources is only allowed with the hub's flag \
         --feature-gates=AllowSyncAllCustomResources=true"
    )]
    AllCustomResources,
    #[error("labelSelector {selector:?}: {why}")]
    LabelSelector { selector: String, why: String },
}

/// One resource of a cluster, and which of its objects are synchronised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    /// Whatever one of them selects is synchronised. Sorted, at least one, none within another.
    pub(crate) parts: Vec<Part>,
    /// Whether the values in Secrets are stored. If several rules select them, only if all say so.
    pub(crate) keep_secret_data: bool,
}

/// Objects that one list and watch can tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: Option<String>,
    pub(crate) fields: Option<String>,
}

impl Target {
    /// Whether it is about Secrets, whose values are nobody's business.
    pub(crate) fn is_secrets(&self) -> bool {
        self.resource.group.is_empty() && self.resource.resource == "secrets"
    }

    /// Whether an object can be in two parts: one of them cannot tell that it is gone.
    pub(crate) fn overlaps(&self) -> bool {
        let parts = &self.parts;
        parts.iter().enumerate().any(|(at, one)| parts[at + 1..].iter().any(|other| one.meets(other)))
    }
}

impl Part {
    fn meets(&self, other: &Self) -> bool {
        let about = |part: &'_ Self| part.fields.as_deref().is_some_and(|fields| fields.starts_with(ABOUT));
        if about(self) && about(other) && self.fields != other.fields {
            return false;
        }
        self.namespace.is_none() || other.namespace.is_none() || self.namespace == other.namespace
    }

    /// Whether everything `other` selects is selected by this too, as far as can be said without knowing the objects.
    fn covers(&self, other: &Self) -> bool {
        let wider = |own: &Option<String>, other: &Option<String>| own.is_none() || own == other;
        wider(&self.namespace, &other.namespace)
            && wider(&self.labels, &other.labels)
            && wider(&self.fields, &other.fields)
    }
}

impl Rules {
    /// Whether they can be used at all.
    pub(crate) fn validate(&self, gates: Gates) -> Result<(), RuleError> {
        if self.rules.iter().any(|rule| rule.group == ALL) && !gates.all_resources {
            return Err(RuleError::AllResources);
        }
        if self.all_custom && !gates.all_custom_resources {
            return Err(RuleError::AllCustomResources);
        }
        for selector in self.rules.iter().filter_map(|rule| rule.label_selector.as_deref()) {
            if let Err(error) = meta::LabelSelector::parse(selector) {
                return Err(RuleError::LabelSelector {
                    selector: selector.to_owned(),
                    why: error.to_string(),
                });
            }
        }
        Ok(())
    }

    /// What they select of `discovered`, which is sorted by group, plural name and the server's order of versions.
    pub(crate) fn select(&self, discovered: &[ApiResource]) -> BTreeMap<Resource, Target> {
        let mut targets = BTreeMap::new();
        let events = discovered.iter().find(|api| is_events(api) && api.can("list") && api.can("watch"));
        let same = |a: &ApiResource, b: &ApiResource| {
            a.resource.group == b.resource.group && a.resource.plural == b.resource.plural
        };
        for versions in discovered.chunk_by(same) {
            let usable: Vec<&ApiResource> =
                versions.iter().filter(|version| version.can("list") && version.can("watch")).collect();
            for rule in self.rules.iter().filter(|rule| selects(rule, &versions[0])) {
                for version in chosen(rule, &usable) {
                    add(&mut targets, version, rule);
                    if let Some((events, about)) = events.zip(about(rule, version)) {
                        add(&mut targets, events, &about);
                    }
                }
            }
            if self.all_custom && !is_built_in(&versions[0].resource.group) {
                for version in usable {
                    add(&mut targets, version, &SyncRule::default());
                }
            }
        }
        for target in targets.values_mut() {
            simplify(&mut target.parts);
        }
        targets
    }
}

/// Leaves at most `most` of the targets: those that are `known` first, then others in order. So a new resource takes no
/// other's place. The answer is how many there were, if they were more.
pub(crate) fn bound(
    targets: &mut BTreeMap<Resource, Target>,
    most: usize,
    known: &BTreeSet<Resource>,
) -> Option<usize> {
    let selected = targets.len();
    if selected <= most {
        return None;
    }
    let mut order: Vec<Resource> = targets.keys().cloned().collect();
    order.sort_by_key(|resource| !known.contains(resource));
    for resource in &order[most..] {
        targets.remove(resource);
    }
    Some(selected)
}

/// Whether a group is one of Kubernetes itself.
fn is_built_in(group: &str) -> bool {
    BUILT_IN.contains(&group)
}

fn selects(rule: &SyncRule, resource: &ApiResource) -> bool {
    let group = &resource.resource.group;
    let any_group = rule.group == ALL;
    if !any_group && !rule.group.eq_ignore_ascii_case(group) {
        return false;
    }
    let is = |name: &str| is_called(resource, name);
    let excluded = |name: &String| {
        is(name)
            || any_group
                && name.split_once('.').is_some_and(|(name, of)| is(name) && of.eq_ignore_ascii_case(group))
    };
    rule.resources.iter().any(|name| name == ALL || is(name)) && !rule.exclude_resources.iter().any(excluded)
}

/// Whether these are the Events that the core group has.
fn is_events(api: &ApiResource) -> bool {
    api.resource.group.is_empty() && api.resource.plural == "events"
}

/// The Events of a resource that a rule selects, as a rule of their own, if it asks for them (contract 3.10): those about
/// objects of its kind, where the rule selects such objects.
fn about(rule: &SyncRule, resource: &ApiResource) -> Option<SyncRule> {
    let wanted = |name: &String| name == ALL || is_called(resource, name);
    // What the cluster calls a kind stands in a selector.
    let plain = !resource.kind.is_empty() && resource.kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !rule.events_involved_resources.iter().any(wanted) || is_events(resource) || !plain {
        return None;
    }
    // Events about what has no namespace are in some namespace or other.
    let namespaces = if resource.namespaced { rule.namespaces.clone() } else { Vec::new() };
    let field_selector = Some(format!("{ABOUT}{}", resource.kind));
    Some(SyncRule { namespaces, field_selector, ..SyncRule::default() })
}

/// Whether a rule that says `name` means this resource.
fn is_called(resource: &ApiResource, name: &str) -> bool {
    name.eq_ignore_ascii_case(&resource.resource.plural) || name.eq_ignore_ascii_case(&resource.singular)
}

/// The versions a rule means, of those a resource has.
fn chosen<'a>(rule: &SyncRule, versions: &[&'a ApiResource]) -> Vec<&'a ApiResource> {
    let Some(first) = versions.first() else { return Vec::new() };
    if is_built_in(&first.resource.group) {
        return vec![first];
    }
    let all = rule.versions.iter().any(|version| version == ALL);
    if all || (rule.versions.is_empty() && rule.group == ALL) {
        return versions.to_vec();
    }
    if rule.versions.is_empty() {
        return versions.iter().take(VERSIONS).copied().collect();
    }
    versions.iter().filter(|version| rule.versions.contains(&version.resource.version)).copied().collect()
}

fn add(targets: &mut BTreeMap<Resource, Target>, api: &ApiResource, rule: &SyncRule) {
    let kubeio::Resource { group, version, plural } = api.resource.clone();
    let resource = Resource::new(group, version, plural);
    let keep = rule.secret_data == Some(SecretData::Keep);
    let target = targets.entry(resource.clone()).or_insert_with(|| Target {
        resource,
        kind: api.kind.clone(),
        namespaced: api.namespaced,
        parts: Vec::new(),
        keep_secret_data: true,
    });
    target.keep_secret_data &= keep;
    let given = |selector: &Option<String>| {
        selector.as_deref().map(str::trim).filter(|selector| !selector.is_empty()).map(str::to_owned)
    };
    let part = |namespace| Part {
        namespace,
        labels: given(&rule.label_selector),
        fields: given(&rule.field_selector),
    };
    if api.namespaced && !rule.namespaces.is_empty() {
        target.parts.extend(rule.namespaces.iter().cloned().map(Some).map(part));
    } else {
        target.parts.push(part(None));
    }
}

/// Leaves out what is within another part.
fn simplify(parts: &mut Vec<Part>) {
    parts.sort();
    parts.dedup();
    let all = parts.clone();
    parts.retain(|part| !all.iter().any(|other| other != part && other.covers(part)));
}
