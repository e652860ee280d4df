//! In which order objects are applied in a cluster: what others need comes first.
//!
//! There is no list of dependencies, only what is true of every cluster: objects are in namespaces, custom resources need
//! their definition, pods need their accounts and configuration, and a webhook that nobody answers stops everything that
//! comes after it. Within a stage the order does not matter. A custom resource whose definition is not served yet is refused
//! by the API server, and tried again by the caller.

use std::collections::BTreeSet;

use api::apps::Feed;

/// When an object is applied; lower stages are first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Namespaces.
    Namespaces,
    /// Definitions of custom resources.
    Definitions,
    /// Classes and quotas, which others are measured by.
    Classes,
    /// Accounts and their rights.
    Rights,
    /// What pods read and mount.
    Configuration,
    /// How pods are found; before the pods, whose environment names Services.
    Services,
    /// Everything else: workloads and custom resources.
    Rest,
    /// What stands in the way of other requests, or speaks for pods that have to run: webhooks, policies, aggregated APIs.
    Gates,
}

/// The stage of an object.
///
/// ```
/// use placement::order::{Stage, stage};
/// assert!(stage("v1", "Namespace") < stage("apps/v1", "Deployment"));
/// assert_eq!(stage("example.com/v1", "Namespace"), Stage::Rest);
/// ```
pub fn stage(api_version: &str, kind: &str) -> Stage {
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", "Namespace") => Stage::Namespaces,
        ("apiextensions.k8s.io", _) => Stage::Definitions,
        ("" | "policy", "ResourceQuota" | "LimitRange" | "PodSecurityPolicy")
        | ("scheduling.k8s.io", "PriorityClass")
        | ("node.k8s.io", "RuntimeClass")
        | ("networking.k8s.io", "IngressClass" | "NetworkPolicy")
        | ("gateway.networking.k8s.io", "GatewayClass")
        | ("storage.k8s.io", _) => Stage::Classes,
        ("", "ServiceAccount") | ("rbac.authorization.k8s.io", _) => Stage::Rights,
        ("", "Secret" | "ConfigMap" | "PersistentVolume" | "PersistentVolumeClaim") => Stage::Configuration,
        ("", "Service" | "Endpoints") | ("discovery.k8s.io", "EndpointSlice") => Stage::Services,
        ("admissionregistration.k8s.io" | "apiregistration.k8s.io", _) => Stage::Gates,
        _ => Stage::Rest,
    }
}

/// The indexes of feeds, stage by stage, each in the order of the feeds. Removal is the other way round.
pub fn stages(feeds: &[Feed]) -> Vec<Vec<usize>> {
    let mut indexes: Vec<usize> = (0..feeds.len()).collect();
    let stage_of = |at: &usize| stage(&feeds[*at].api_version, &feeds[*at].kind);
    indexes.sort_by_key(stage_of);
    indexes.chunk_by(|one, other| stage_of(one) == stage_of(other)).map(<[usize]>::to_vec).collect()
}

/// The namespaces that the feeds are in and that are no feeds themselves: what has to be made where it is missing.
pub fn foreign_namespaces(feeds: &[Feed]) -> BTreeSet<&str> {
    let is_namespace = |feed: &&Feed| stage(&feed.api_version, &feed.kind) == Stage::Namespaces;
    let own: BTreeSet<&str> = feeds.iter().filter(is_namespace).map(|feed| feed.name.as_str()).collect();
    feeds.iter().filter_map(Feed::namespace).filter(|namespace| !own.contains(namespace)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feeds(all: &[(&str, &str, &str)]) -> Vec<Feed> {
        let feed = |(api_version, kind, namespace): &(&str, &str, &str)| Feed {
            kind: (*kind).to_owned(),
            api_version: (*api_version).to_owned(),
            namespace: Some((*namespace).to_owned()).filter(|namespace| !namespace.is_empty()),
            name: String::from("qux"),
        };
        all.iter().map(feed).collect()
    }

    #[test]
    fn namespaces_then_definitions_then_what_pods_need_then_the_rest_then_gates() {
        let feeds = feeds(&[
            ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", ""),
            ("apps/v1", "Deployment", "qux"),
            ("example.com/v1", "Widget", "qux"),
            ("v1", "Service", "qux"),
            ("v1", "ConfigMap", "qux"),
            ("rbac.authorization.k8s.io/v1", "ClusterRole", ""),
            ("scheduling.k8s.io/v1", "PriorityClass", ""),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", ""),
            ("v1", "Namespace", ""),
        ]);
        assert_eq!(
            stages(&feeds),
            [vec![8], vec![7], vec![6], vec![5], vec![4], vec![3], vec![1, 2], vec![0]]
        );
        assert!(stages(&[]).is_empty());
    }

    #[test]
    fn namespaces_that_nobody_makes_are_known() {
        let feeds = feeds(&[("v1", "Namespace", ""), ("v1", "Service", "qux"), ("v1", "Service", "other")]);
        assert_eq!(foreign_namespaces(&feeds), ["other"].into());
    }
}
