//! Which object, and by which names its Manifest may be found.

use api::names::apps::{hashed_manifest, is_plain_manifest, legacy_manifest, manifest};
use meta::Status;

use crate::catalogue::Kind;

/// An object that is stored, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    /// None for kinds without namespaces.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    /// Whether its kind may take the plain names of its plural.
    plain: bool,
}

impl Identity {
    pub(crate) fn new(kind: &Kind, namespace: Option<&str>, name: &str) -> Self {
        Self {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            plural: kind.plural.clone(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
            plain: kind.plain,
        }
    }

    /// The plain name, where it can be the name of a Manifest and no other group goes before.
    pub(crate) fn plain(&self) -> Option<String> {
        let name = manifest(&self.plural, self.namespace.as_deref(), &self.name);
        (self.plain && is_plain_manifest(&name)).then_some(name)
    }

    /// The name that is always possible.
    pub(crate) fn hashed(&self) -> String {
        hashed_manifest(&self.group, &self.plural, self.namespace.as_deref(), &self.name)
    }

    /// Every name under which its Manifest may be, the likely ones first. Which group has the plain names of a plural may
    /// have been otherwise when it was stored, so the plain name is among them wherever it is possible.
    pub(crate) fn candidates(&self) -> Vec<String> {
        let namespace = self.namespace.as_deref();
        let plain = Some(manifest(&self.plural, namespace, &self.name));
        let legacy = Some(legacy_manifest(&self.plural, namespace, &self.name));
        let [plain, legacy] = [plain, legacy].map(|name| name.filter(|name| is_plain_manifest(name)));
        [plain, Some(self.hashed()), legacy].into_iter().flatten().collect()
    }

    /// 404 as Kubernetes says it.
    pub(crate) fn not_found(&self) -> Status {
        self.about(Status::not_found(format!("{} {:?} not found", self.qualified(), self.name)))
    }

    /// 409 as Kubernetes says it.
    pub(crate) fn already_exists(&self) -> Status {
        let message = format!("{} {:?} already exists", self.qualified(), self.name);
        self.about(Status::new(409, "AlreadyExists", message))
    }

    /// 409 for who had seen an earlier state.
    pub(crate) fn conflict(&self) -> Status {
        self.about(Status::conflict(format!(
            "Operation cannot be fulfilled on {} {:?}: the object has been modified; please apply your changes to the \
             latest version and try again",
            self.qualified(),
            self.name
        )))
    }

    /// Names the object, and not its Manifest, as what a failure is about.
    pub(crate) fn about(&self, status: Status) -> Status {
        status.about(&self.group, &self.plural, &self.name)
    }

    /// The parent's refusal of a Manifest that was to hold the object, as one of the object.
    pub(crate) fn of_manifest(&self, manifest: &str, mut status: Status) -> Status {
        let kind =
            if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) };
        let wrapped = format!("Manifest.{} {manifest:?}", api::apps::GROUP);
        status.message = status.message.replace(&wrapped, &format!("{kind} {:?}", self.name));
        self.about(status)
    }

    fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(group: &str, plural: &str, plain: bool) -> Kind {
        Kind { group: group.to_owned(), plural: plural.to_owned(), plain, ..Kind::default() }
    }

    #[test]
    fn h13_names_without_a_namespace_have_two_parts() {
        let role = Identity::new(&kind("rbac.authorization.k8s.io", "clusterroles", true), None, "viewer");
        assert_eq!(role.plain().as_deref(), Some("clusterroles.viewer"));
    }

    #[test]
    fn a_name_that_no_manifest_can_have_is_hashed() {
        let role =
            Identity::new(&kind("rbac.authorization.k8s.io", "clusterroles", true), None, "system:foo");
        assert_eq!((role.plain(), role.candidates()), (None, vec![role.hashed()]));
        let long = Identity::new(&kind("", "configmaps", true), Some("a"), &"x".repeat(253));
        assert_eq!(long.plain(), None);
    }

    #[test]
    fn a_group_that_another_one_goes_before_takes_no_plain_name() {
        let knative = Identity::new(&kind("serving.knative.dev", "services", false), Some("a"), "web");
        assert_eq!(knative.plain(), None);
        assert!(knative.candidates().contains(&"services.a.web".to_owned()));
    }

    proptest! {
        /// Two objects never want the same Manifest.
        #[test]
        fn different_objects_have_different_names(
            objects in proptest::collection::btree_set(
                ("[a-c]{1,2}", "[a-c.:]{1,12}", proptest::bool::ANY), 2..20),
        ) {
            let mut seen = std::collections::BTreeSet::new();
            for (namespace, name, core) in &objects {
                let kind = kind(if *core { "" } else { "g.io" }, "services", *core);
                let identity = Identity::new(&kind, Some(namespace), name);
                prop_assert!(seen.insert(identity.plain().unwrap_or_else(|| identity.hashed())));
            }
        }
    }
}
