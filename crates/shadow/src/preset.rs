//! The kinds whose objects the parent tries out before they are stored.

/// A resource that the hub may create in the reserved namespace, as a dry run and not otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DryRun {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The plural names.
    pub plurals: &'static [&'static str],
}

/// What applications are made of. The same list stands in the hub's Role in the reserved namespace and in the admission
/// policy that fences it to dry runs (`deploy/hub`).
///
/// Absent on purpose: kinds without namespaces and those of RBAC, for which the hub would need the rights it is to try out;
/// and Pods, in which the parent would write its own tokens and defaults.
pub const DRY_RUN: [DryRun; 6] = [
    DryRun {
        group: "",
        plurals: &[
            "configmaps",
            "endpoints",
            "limitranges",
            "persistentvolumeclaims",
            "podtemplates",
            "replicationcontrollers",
            "resourcequotas",
            "secrets",
            "serviceaccounts",
            "services",
        ],
    },
    DryRun { group: "apps", plurals: &["daemonsets", "deployments", "replicasets", "statefulsets"] },
    DryRun { group: "autoscaling", plurals: &["horizontalpodautoscalers"] },
    DryRun { group: "batch", plurals: &["cronjobs", "jobs"] },
    DryRun { group: "networking.k8s.io", plurals: &["ingresses", "networkpolicies"] },
    DryRun { group: "policy", plurals: &["poddisruptionbudgets"] },
];

/// Whether the parent tries out objects of this resource.
pub(crate) fn is_tried(group: &str, plural: &str) -> bool {
    DRY_RUN.iter().any(|known| known.group == group && known.plurals.contains(&plural))
}
