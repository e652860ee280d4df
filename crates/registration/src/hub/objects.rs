//! The objects that belong to a registered cluster, as they should be, and what it takes to get there.

use std::collections::BTreeMap;

use api::{
    apps::Content,
    names::{self, annotations, labels},
};
use k8s_openapi::{
    api::{
        core::v1::{Namespace, ServiceAccount},
        rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, ResourceExt as _};

/// The child that objects are made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Child {
    /// The cluster id.
    pub(crate) id: String,
    /// The ManagedCluster's name.
    pub(crate) name: String,
    /// The dedicated namespace.
    pub(crate) namespace: String,
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

/// The labels of namespace, ManagedCluster and ServiceAccount of a child.
pub(crate) fn identity_labels(id: &str, name: &str) -> BTreeMap<String, String> {
    map([(labels::CREATED_BY, labels::AGENT), (labels::CLUSTER_ID, id), (labels::CLUSTER_NAME, name)])
}

/// The dedicated namespace.
pub(crate) fn namespace(child: &Child) -> Namespace {
    Namespace {
        metadata: ObjectMeta {
            name: Some(child.namespace.clone()),
            labels: Some(identity_labels(&child.id, &child.name)),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// The identity of the child in the parent.
pub(crate) fn account(child: &Child) -> ServiceAccount {
    ServiceAccount {
        metadata: ObjectMeta {
            name: Some(names::CHILD_SERVICE_ACCOUNT.to_owned()),
            namespace: Some(child.namespace.clone()),
            labels: Some(identity_labels(&child.id, &child.name)),
            ..ObjectMeta::default()
        },
        // Its tokens are asked for by TokenRequest; no pod is meant to run under it.
        automount_service_account_token: Some(false),
        ..ServiceAccount::default()
    }
}

fn generated(child: &Child, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        labels: Some(map([
            (labels::BOOTSTRAPPING, labels::RBAC_DEFAULTS),
            (labels::CREATED_BY, labels::CONTROLLER_MANAGER),
            (labels::CLUSTER_ID, &child.id),
        ])),
        annotations: Some(map([(annotations::AUTOUPDATE, "true")])),
        ..ObjectMeta::default()
    }
}

fn role_ref(name: impl Into<String>) -> RoleRef {
    RoleRef {
        api_group: "rbac.authorization.k8s.io".to_owned(),
        kind: "ClusterRole".to_owned(),
        name: name.into(),
    }
}

fn account_subject(namespace: &str, name: &str) -> Vec<Subject> {
    vec![Subject {
        kind: "ServiceAccount".to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
        api_group: None,
    }]
}

/// What lets the hub itself work in the dedicated namespace.
pub(crate) fn hub_binding(child: &Child, hub_namespace: &str) -> RoleBinding {
    RoleBinding {
        metadata: ObjectMeta {
            namespace: Some(child.namespace.clone()),
            ..generated(child, names::HUB_NAMESPACE_ROLE.to_owned())
        },
        role_ref: role_ref(names::HUB_NAMESPACE_ROLE),
        subjects: Some(account_subject(hub_namespace, names::HUB_SERVICE_ACCOUNT)),
    }
}

/// What lets the child work in the dedicated namespace.
pub(crate) fn child_binding(child: &Child) -> RoleBinding {
    RoleBinding {
        metadata: ObjectMeta {
            namespace: Some(child.namespace.clone()),
            ..generated(child, names::CHILD_ROLE.to_owned())
        },
        role_ref: role_ref(names::CHILD_ROLE),
        subjects: Some(account_subject(&child.namespace, names::CHILD_SERVICE_ACCOUNT)),
    }
}

/// What the child may do outside its namespace: its own request, its own socket, and to get Contents, whose names are what it
/// has to know.
pub(crate) fn cluster_role(child: &Child) -> ClusterRole {
    let rule = |group: &str, resources: Vec<String>, verbs: Vec<String>, name: Option<String>| PolicyRule {
        api_groups: Some(strings([group])),
        resources: Some(resources),
        verbs,
        resource_names: name.map(|name| vec![name]),
        non_resource_urls: None,
    };
    ClusterRole {
        metadata: generated(child, names::of_cluster(&child.id)),
        rules: Some(vec![
            rule(
                "clusters.clusternet.io",
                strings(["clusterregistrationrequests"]),
                strings(["get", "patch"]),
                Some(names::of_cluster(&child.id)),
            ),
            rule(
                api::proxies::GROUP,
                strings(["sockets", "sockets/attach"]),
                strings(["get", "create"]),
                Some(child.id.clone()),
            ),
            rule(&Content::group(&()), strings([&*Content::plural(&())]), strings(["get"]), None),
        ]),
        aggregation_rule: None,
    }
}

/// Gives the child its ClusterRole.
pub(crate) fn cluster_binding(child: &Child) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: generated(child, names::of_cluster(&child.id)),
        role_ref: role_ref(names::of_cluster(&child.id)),
        subjects: Some(account_subject(&child.namespace, names::CHILD_SERVICE_ACCOUNT)),
    }
}

/// A generated object that is kept as generated while its annotation says so.
pub(crate) trait Generated: Resource<DynamicType = ()> + Clone {
    /// Whether both grant the same.
    fn grants_the_same(&self, other: &Self) -> bool;

    /// Whether one can be changed into the other: what a binding refers to cannot.
    fn can_become(&self, _other: &Self) -> bool {
        true
    }
}

impl Generated for ClusterRole {
    fn grants_the_same(&self, other: &Self) -> bool {
        self.rules == other.rules && self.aggregation_rule == other.aggregation_rule
    }
}

impl Generated for ClusterRoleBinding {
    fn grants_the_same(&self, other: &Self) -> bool {
        self.subjects == other.subjects && self.role_ref == other.role_ref
    }

    fn can_become(&self, other: &Self) -> bool {
        self.role_ref == other.role_ref
    }
}

impl Generated for RoleBinding {
    fn grants_the_same(&self, other: &Self) -> bool {
        self.subjects == other.subjects && self.role_ref == other.role_ref
    }

    fn can_become(&self, other: &Self) -> bool {
        self.role_ref == other.role_ref
    }
}

/// What it takes to make an object what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is, or a user keeps it otherwise.
    Keep,
    /// Create or change it.
    Apply,
    /// Delete it and create it again.
    Replace,
}

/// The step from what there is to what should be.
pub(crate) fn step<T: Generated>(existing: Option<&T>, wanted: &T) -> Step {
    let Some(existing) = existing else { return Step::Apply };
    if existing.annotations().get(annotations::AUTOUPDATE).map(String::as_str) != Some("true") {
        return Step::Keep;
    }
    if !existing.can_become(wanted) {
        return Step::Replace;
    }
    let labelled =
        wanted.labels().iter().all(|(key, value)| existing.labels().get(key).is_some_and(|it| it == value));
    if labelled && existing.grants_the_same(wanted) { Step::Keep } else { Step::Apply }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child() -> Child {
        Child { id: "id".into(), name: "name".into(), namespace: "ns".into() }
    }

    #[test]
    fn a_child_may_touch_its_own_request_and_socket_and_get_contents_and_nothing_else() {
        let rules = cluster_role(&child()).rules.unwrap();
        let grants: Vec<_> = rules
            .iter()
            .map(|rule| {
                let resources = rule.resources.clone().unwrap_or_default().join(",");
                let names = rule.resource_names.clone().unwrap_or_default().join(",");
                format!("{} {resources} [{names}]", rule.verbs.join(","))
            })
            .collect();
        assert_eq!(
            grants,
            [
                "get,patch clusterregistrationrequests [clusternet-id]",
                "get,create sockets,sockets/attach [id]",
                "get contents []"
            ]
        );
    }

    #[test]
    fn generated_objects_are_kept_as_generated_while_their_annotation_is_true() {
        let wanted = cluster_role(&child());
        let edited = |edit: fn(&mut ClusterRole)| {
            let mut role = wanted.clone();
            edit(&mut role);
            role
        };
        assert_eq!(step(None, &wanted), Step::Apply);
        assert_eq!(step(Some(&wanted), &wanted), Step::Keep);
        assert_eq!(step(Some(&edited(|r| r.rules = None)), &wanted), Step::Apply);
        assert_eq!(step(Some(&edited(|r| r.labels_mut().clear())), &wanted), Step::Apply);
        let more = |r: &mut ClusterRole| {
            r.labels_mut().insert("mine".into(), "x".into());
        };
        assert_eq!(step(Some(&edited(more)), &wanted), Step::Keep, "labels of users stay");
    }

    #[test]
    fn objects_whose_annotation_is_not_true_are_left_alone() {
        let wanted = cluster_role(&child());
        for value in [Some("false"), None] {
            let mut existing = ClusterRole { rules: None, ..wanted.clone() };
            existing.annotations_mut().clear();
            if let Some(value) = value {
                existing.annotations_mut().insert(annotations::AUTOUPDATE.into(), value.into());
            }
            assert_eq!(step(Some(&existing), &wanted), Step::Keep, "{value:?}");
        }
    }

    #[test]
    fn a_binding_to_another_role_is_replaced() {
        let wanted = cluster_binding(&child());
        let mut other = wanted.clone();
        other.role_ref.name = "cluster-admin".into();
        assert_eq!(step(Some(&other), &wanted), Step::Replace);
        let mut other = wanted.clone();
        other.subjects = Some(account_subject("elsewhere", names::CHILD_SERVICE_ACCOUNT));
        assert_eq!(step(Some(&other), &wanted), Step::Apply);
    }
}
