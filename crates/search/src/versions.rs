//! Versions of Kubernetes' own kinds that are the same in JSON (contract 4.6).
//!
//! An object that is stored in one of them can be given in another by writing its `apiVersion`. What is not here is not
//! claimed: HorizontalPodAutoscalers, Ingresses, EndpointSlices, PodDisruptionBudgets, CertificateSigningRequests and
//! CustomResourceDefinitions have other fields, or other meanings, from version to version.

use store::Resource;

use crate::discovery::Kinds;

/// Resources of one group, and the versions in which each has the same fields. Of `v1beta1` Deployments that is to be
/// read so: the one field that later versions lack, `rollbackTo`, belongs to a command and is on no stored object.
struct Same {
    group: &'static str,
    resources: &'static [&'static str],
    versions: &'static [&'static str],
}

const fn same(
    group: &'static str,
    versions: &'static [&'static str],
    resources: &'static [&'static str],
) -> Same {
    Same { group, resources, versions }
}

const SAME: &[Same] = &[
    same("apps", &["v1", "v1beta2", "v1beta1"], &["controllerrevisions", "deployments", "statefulsets"]),
    same("apps", &["v1", "v1beta2"], &["daemonsets", "replicasets"]),
    same("batch", &["v1", "v1beta1"], &["cronjobs"]),
    same("coordination.k8s.io", &["v1", "v1beta1"], &["leases"]),
    same("networking.k8s.io", &["v1", "v1beta1"], &["ingressclasses", "ipaddresses", "servicecidrs"]),
    same("node.k8s.io", &["v1", "v1beta1"], &["runtimeclasses"]),
    same(
        "rbac.authorization.k8s.io",
        &["v1", "v1beta1"],
        &["clusterrolebindings", "clusterroles", "rolebindings", "roles"],
    ),
    same("scheduling.k8s.io", &["v1", "v1beta1"], &["priorityclasses"]),
    same(
        "storage.k8s.io",
        &["v1", "v1beta1"],
        &["csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"],
    ),
];

/// The resource in every version that is the same as the one asked for, that one first.
pub(crate) fn same_as(resource: &Resource) -> Vec<Resource> {
    let fits = |same: &&Same| {
        same.group == resource.group
            && same.resources.contains(&resource.resource.as_str())
            && same.versions.contains(&resource.version.as_str())
    };
    let versions = SAME.iter().find(fits).map_or(&[][..], |same| same.versions);
    let others = versions.iter().filter(|version| **version != resource.version);
    let others = others.map(|version| Resource::new(&*resource.group, *version, &*resource.resource));
    std::iter::once(resource.clone()).chain(others).collect()
}

/// Adds the versions in which the resources can be given beside their own.
pub(crate) fn complete(kinds: &mut Kinds) {
    let given: Vec<_> = kinds.iter().map(|(resource, kind)| (resource.clone(), kind.clone())).collect();
    for (resource, kind) in given {
        for other in same_as(&resource) {
            kinds.entry(other).or_insert_with(|| kind.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(group: &str, version: &str, resource: &str) -> Vec<String> {
        let same = same_as(&Resource::new(group, version, resource));
        same.into_iter().map(|resource| resource.version).collect()
    }

    #[test]
    fn number_29_versions_with_the_same_fields_stand_for_each_other() {
        assert_eq!(versions("apps", "v1", "deployments"), ["v1", "v1beta2", "v1beta1"]);
        assert_eq!(versions("apps", "v1beta1", "deployments"), ["v1beta1", "v1", "v1beta2"]);
        assert_eq!(versions("apps", "v1", "daemonsets"), ["v1", "v1beta2"]);
        for (group, version, resource) in [
            ("autoscaling", "v2", "horizontalpodautoscalers"),
            ("networking.k8s.io", "v1beta1", "ingresses"),
            ("apps", "v1alpha1", "deployments"),
            ("demo.io", "v1", "deployments"),
        ] {
            assert_eq!(versions(group, version, resource), [version], "{group} {resource}");
        }
    }
}
