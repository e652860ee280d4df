//! Names of what is deployed to clusters (contract sections 2.1, 2.2, 2.4, 2.7 and 2.8).

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

/// The namespace of all Manifests, unless the hub is told another.
pub const RESERVED_NAMESPACE: &str = "clusternet-reserved";
/// The name of the scheduler that a Subscription without a `schedulerName` is for.
pub const DEFAULT_SCHEDULER: &str = "default";
/// The priority of a Globalization or Localization that sets none.
pub const DEFAULT_PRIORITY: i32 = 500;
/// The longest name of a Subscription that fits into a label of its Bases.
pub const LONGEST_LABELLED_SUBSCRIPTION: usize = 57;

/// Label keys and values.
pub mod labels {
    /// The API group of the object that is wrapped; empty for the core group.
    pub const CONFIG_GROUP: &str = "apps.clusternet.io/config.group";
    /// The API version of the object that is wrapped.
    pub const CONFIG_VERSION: &str = "apps.clusternet.io/config.version";
    /// The kind of the object that is wrapped; on Bases, Descriptions and HelmReleases the kind of their owner.
    pub const CONFIG_KIND: &str = "apps.clusternet.io/config.kind";
    /// The name of the object that is wrapped.
    pub const CONFIG_NAME: &str = "apps.clusternet.io/config.name";
    /// The namespace of the object that is wrapped; maybe empty.
    pub const CONFIG_NAMESPACE: &str = "apps.clusternet.io/config.namespace";
    /// The UID of the owner of a Base, Description or HelmRelease.
    pub const CONFIG_UID: &str = "apps.clusternet.io/config.uid";
    /// The UID of the Subscription something belongs to.
    pub const SUBSCRIPTION_UID: &str = "apps.clusternet.io/subs.uid";
    /// The name of that Subscription.
    pub const SUBSCRIPTION_NAME: &str = "apps.clusternet.io/subs.name";
    /// The namespace of that Subscription.
    pub const SUBSCRIPTION_NAMESPACE: &str = "apps.clusternet.io/subs.namespace";
    /// Value of [`CREATED_BY`](crate::names::labels::CREATED_BY) on what came through the shadow API: on the Manifest and in
    /// its template. Drift is looked for on objects with it.
    pub const CREATED_BY_HUB: &str = "clusternet-hub";

    /// Whether a label's key is the uid of an object, which marks what belongs to it.
    ///
    /// ```
    /// use api::names::apps::labels::is_uid;
    /// assert!(is_uid("0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a"));
    /// assert!(!is_uid("app") && !is_uid("clusters.clusternet.io/cluster-id-abc"));
    /// ```
    pub fn is_uid(key: &str) -> bool {
        key.len() == 36 && !key.contains('/')
    }
}

/// Annotation keys.
pub mod annotations {
    /// On a Manifest or HelmChart: why it cannot be deleted, for people.
    pub const FEED_PROTECTION: &str = "apps.clusternet.io/feed-protection";
    /// On an object sent to the shadow API: `"true"` stores it without a dry run against the parent.
    pub const SKIP_VALIDATING: &str = "apps.clusternet.io/skip-validating";
    /// On every object applied in a child: namespace and name of its Description, with a dot between.
    pub const OWNED_BY_DESCRIPTION: &str = "apps.clusternet.io/owned-by-description";
    /// On every object applied in a child: the object as it was last applied, JSON.
    pub const LAST_APPLIED: &str = "clusternet.io/last-applied-configuration";
    /// The same, of kubectl. It is never sent to a child.
    pub const KUBECTL_LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    /// On a Subscription or Base: `"true"` initialises new clusters with it.
    pub const IS_DEFAULT_CLUSTER_INIT: &str = "apps.clusternet.io/is-default-cluster-init";
    /// On a ManagedCluster: the name of the Base that initialises it.
    pub const CLUSTER_INIT_BASE: &str = "apps.clusternet.io/cluster-init-base";
    /// On a ManagedCluster: `"true"` leaves it uninitialised.
    pub const SKIP_CLUSTER_INIT: &str = "clusters.clusternet.io/skip-cluster-init";
    /// On a Description: from what it was rendered and what that gave, two digests. It tells whether there is a reason to
    /// render it again.
    pub const RENDERED: &str = "clusterway.io/rendered";
}

/// Types of the conditions of a Subscription.
pub mod conditions {
    /// Whether clusters were chosen; the message names them, and those that refused and why.
    pub const SCHEDULED: &str = "Scheduled";
    /// Whether every feed can be deployed.
    pub const FEEDS_FOUND: &str = "FeedsFound";
    /// Whether every override is applied; the message names override, cluster and path.
    pub const OVERRIDES_APPLIED: &str = "OverridesApplied";
    /// Whether every chosen cluster has everything, and it is healthy.
    pub const READY: &str = "Ready";
    /// Whether a cluster is on the way to a newer state.
    pub const PROGRESSING: &str = "Progressing";
    /// Whether a cluster will not get there by itself.
    pub const DEGRADED: &str = "Degraded";
}

/// Finalizers.
pub mod finalizers {
    /// On every kind of the group but FeedInventory: something else has to go first.
    pub const APPS: &str = "apps.clusternet.io/finalizer";
    /// On a Manifest or HelmChart: a Subscription still deploys it.
    pub const FEED_PROTECTION: &str = "apps.clusternet.io/feed-protection";
}

/// The plain name of the Manifest that wraps an object: `deployments.qux.web`, `namespaces.qux`. Not every object can have
/// it: see [`is_plain_manifest`] and [`hashed_manifest`].
///
/// ```
/// use api::names::apps::manifest;
/// assert_eq!(manifest("deployments", Some("qux"), "web"), "deployments.qux.web");
/// assert_eq!(manifest("namespaces", None, "qux"), "namespaces.qux");
/// ```
pub fn manifest(plural: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() => format!("{plural}.{namespace}.{name}"),
        _ => format!("{plural}.{name}"),
    }
}

/// The name that Manifests of earlier releases have: `deployments-qux-web`. Such a Manifest still counts, none is made.
pub fn legacy_manifest(plural: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) if !namespace.is_empty() => format!("{plural}-{namespace}-{name}"),
        _ => format!("{plural}-{name}"),
    }
}

/// The name of the Manifest of an object that cannot have the plain one: it would be too long, or hold characters that the
/// name of a Manifest may not have, or the Manifest of an object of another group has it.
///
/// ```
/// use api::names::apps::{hashed_manifest, is_plain_manifest};
/// let name = hashed_manifest("rbac.authorization.k8s.io", "clusterroles", None, "system:foo");
/// assert_eq!(name, "clusterroles.system-foo.h030874f91d12ef13553b614f52624c19b77ff82d");
/// assert!(!is_plain_manifest(&name));
/// ```
pub fn hashed_manifest(group: &str, plural: &str, namespace: Option<&str>, name: &str) -> String {
    let namespace = namespace.unwrap_or_default();
    // No part but the name may hold the separator, and the name is the last.
    let hash = hash(&format!("{group}/{plural}/{namespace}/{name}"));
    format!("{plural}.{}.h{hash}", slug(name, 60))
}

/// Whether `name` can be the plain name of a Manifest. No hashed name can: so none of the two kinds is ever taken for the
/// other.
pub fn is_plain_manifest(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    meta::is_dns_subdomain(name) && !last.strip_prefix('h').is_some_and(is_hash)
}

/// The value of a label that names something: the name, or a short form of it where no label can hold it. Different names
/// have different values.
///
/// ```
/// use api::names::apps::label_value;
/// assert_eq!(label_value("web"), "web");
/// assert_eq!(label_value("system:foo").len(), "system-foo_".len() + 40);
/// ```
pub fn label_value(name: &str) -> Cow<'_, str> {
    let looks_hashed = name.rsplit_once('_').is_some_and(|(_, last)| is_hash(last));
    if meta::is_label_value(name) && !looks_hashed {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("{}_{}", slug(name, 20), hash(name)))
}

const HASH: usize = 40;

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(HASH / 2).fold(String::with_capacity(HASH), |mut hex, byte| {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
        }
        hex
    })
}

fn is_hash(text: &str) -> bool {
    text.len() == HASH && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// What a person recognises of a name, as a part of a DNS name.
fn slug(name: &str, limit: usize) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let text: String = name.chars().take(limit).map(plain).collect();
    let text = text.trim_matches('-');
    if text.is_empty() { String::from("x") } else { text.to_owned() }
}

/// The name of the Description of a Base's ordinary objects.
pub fn generic_description(base: &str) -> String {
    format!("{base}-generic")
}

/// The name of the Description of a Base's charts.
pub fn helm_description(base: &str) -> String {
    format!("{base}-helm")
}

/// The name of the HelmRelease of a chart in a Description.
pub fn helm_release(description: &str, chart_namespace: &str, chart: &str) -> String {
    format!("{description}-{chart_namespace}-{chart}")
}

/// The value of [`annotations::OWNED_BY_DESCRIPTION`].
pub fn owned_by_description(namespace: &str, description: &str) -> String {
    format!("{namespace}.{description}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashed_name_is_a_legal_one_however_long_the_object_is_called() {
        for name in ["a:b", &"x".repeat(2_000), "Ünï", "::", &format!("x.h{}", "0".repeat(40))] {
            let hashed = hashed_manifest("g.io", &"p".repeat(63), Some("ns"), name);
            assert!(meta::is_dns_subdomain(&hashed) && !is_plain_manifest(&hashed), "{hashed}");
            assert!(meta::is_label_value(&label_value(name)), "{name}");
        }
    }

    #[test]
    fn what_looks_like_a_hashed_name_is_not_taken_as_it_is() {
        let hashed = label_value("a:b").into_owned();
        assert_ne!(label_value(&hashed), hashed);
        assert!(!is_plain_manifest(&manifest("things", None, &hashed_manifest("g", "things", None, "a:b"))));
    }

    #[test]
    fn group_and_namespace_are_part_of_the_hash() {
        let of = |group: &str, namespace| hashed_manifest(group, "services", namespace, "a");
        let names =
            [of("", Some("b")), of("serving.knative.dev", Some("b")), of("", Some("c")), of("", None)];
        let different: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}
