//! Kubernetes' own resources, as its discovery names them.

use crate::Kind;

/// A resource that is part of Kubernetes.
struct BuiltIn {
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    namespaced: bool,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
}

const fn at_cluster(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short_names: &'static [&'static str],
) -> BuiltIn {
    BuiltIn { group, plural, kind, namespaced: false, short_names, categories: &[] }
}

const fn namespaced(
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short_names: &'static [&'static str],
) -> BuiltIn {
    BuiltIn { group, plural, kind, namespaced: true, short_names, categories: &[] }
}

impl BuiltIn {
    const fn in_all(self) -> Self {
        Self { categories: &["all"], ..self }
    }

    const fn in_extensions(self) -> Self {
        Self { categories: &["api-extensions"], ..self }
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

#[rustfmt::skip]
const RESOURCES: &[BuiltIn] = &[
    namespaced("", "configmaps", "ConfigMap", &["cm"]),
    namespaced("", "endpoints", "Endpoints", &["ep"]),
    namespaced("", "events", "Event", &["ev"]),
    namespaced("", "limitranges", "LimitRange", &["limits"]),
    at_cluster("", "namespaces", "Namespace", &["ns"]),
    at_cluster("", "nodes", "Node", &["no"]),
    namespaced("", "persistentvolumeclaims", "PersistentVolumeClaim", &["pvc"]),
    at_cluster("", "persistentvolumes", "PersistentVolume", &["pv"]),
    namespaced("", "pods", "Pod", &["po"]).in_all(),
    namespaced("", "podtemplates", "PodTemplate", &[]),
    namespaced("", "replicationcontrollers", "ReplicationController", &["rc"]).in_all(),
    namespaced("", "resourcequotas", "ResourceQuota", &["quota"]),
    namespaced("", "secrets", "Secret", &[]),
    namespaced("", "serviceaccounts", "ServiceAccount", &["sa"]),
    namespaced("", "services", "Service", &["svc"]).in_all(),
    at_cluster(ADMISSION, "mutatingadmissionpolicies", "MutatingAdmissionPolicy", &[]).in_extensions(),
    at_cluster(ADMISSION, "mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding", &[]).in_extensions(),
    at_cluster(ADMISSION, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", &[]).in_extensions(),
    at_cluster(ADMISSION, "validatingadmissionpolicies", "ValidatingAdmissionPolicy", &[]).in_extensions(),
    at_cluster(ADMISSION, "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", &[]).in_extensions(),
    at_cluster(ADMISSION, "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", &[]).in_extensions(),
    at_cluster("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition", &["crd", "crds"]).in_extensions(),
    at_cluster("apiregistration.k8s.io", "apiservices", "APIService", &[]).in_extensions(),
    namespaced("apps", "controllerrevisions", "ControllerRevision", &[]),
    namespaced("apps", "daemonsets", "DaemonSet", &["ds"]).in_all(),
    namespaced("apps", "deployments", "Deployment", &["deploy"]).in_all(),
    namespaced("apps", "replicasets", "ReplicaSet", &["rs"]).in_all(),
    namespaced("apps", "statefulsets", "StatefulSet", &["sts"]).in_all(),
    namespaced("autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler", &["hpa"]).in_all(),
    namespaced("batch", "cronjobs", "CronJob", &["cj"]).in_all(),
    namespaced("batch", "jobs", "Job", &[]).in_all(),
    at_cluster("certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest", &["csr"]),
    at_cluster("certificates.k8s.io", "clustertrustbundles", "ClusterTrustBundle", &[]),
    namespaced("certificates.k8s.io", "podcertificaterequests", "PodCertificateRequest", &[]),
    namespaced("coordination.k8s.io", "leases", "Lease", &[]),
    namespaced("coordination.k8s.io", "leasecandidates", "LeaseCandidate", &[]),
    namespaced("discovery.k8s.io", "endpointslices", "EndpointSlice", &[]),
    namespaced("events.k8s.io", "events", "Event", &["ev"]),
    at_cluster("flowcontrol.apiserver.k8s.io", "flowschemas", "FlowSchema", &[]),
    at_cluster("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "PriorityLevelConfiguration", &[]),
    at_cluster("internal.apiserver.k8s.io", "storageversions", "StorageVersion", &[]),
    at_cluster("networking.k8s.io", "ingressclasses", "IngressClass", &[]),
    namespaced("networking.k8s.io", "ingresses", "Ingress", &["ing"]),
    at_cluster("networking.k8s.io", "ipaddresses", "IPAddress", &["ip"]),
    namespaced("networking.k8s.io", "networkpolicies", "NetworkPolicy", &["netpol"]),
    at_cluster("networking.k8s.io", "servicecidrs", "ServiceCIDR", &[]),
    at_cluster("node.k8s.io", "runtimeclasses", "RuntimeClass", &[]),
    namespaced("policy", "poddisruptionbudgets", "PodDisruptionBudget", &["pdb"]),
    at_cluster(RBAC, "clusterrolebindings", "ClusterRoleBinding", &[]),
    at_cluster(RBAC, "clusterroles", "ClusterRole", &[]),
    namespaced(RBAC, "rolebindings", "RoleBinding", &[]),
    namespaced(RBAC, "roles", "Role", &[]),
    at_cluster("resource.k8s.io", "deviceclasses", "DeviceClass", &[]),
    at_cluster("resource.k8s.io", "devicetaintrules", "DeviceTaintRule", &[]),
    namespaced("resource.k8s.io", "resourceclaims", "ResourceClaim", &[]),
    namespaced("resource.k8s.io", "resourceclaimtemplates", "ResourceClaimTemplate", &[]),
    at_cluster("resource.k8s.io", "resourceslices", "ResourceSlice", &[]),
    at_cluster("scheduling.k8s.io", "priorityclasses", "PriorityClass", &["pc"]),
    at_cluster("storage.k8s.io", "csidrivers", "CSIDriver", &[]),
    at_cluster("storage.k8s.io", "csinodes", "CSINode", &[]),
    namespaced("storage.k8s.io", "csistoragecapacities", "CSIStorageCapacity", &[]),
    at_cluster("storage.k8s.io", "storageclasses", "StorageClass", &["sc"]),
    at_cluster("storage.k8s.io", "volumeattachments", "VolumeAttachment", &[]),
    at_cluster("storage.k8s.io", "volumeattributesclasses", "VolumeAttributesClass", &["vac"]),
    at_cluster("storagemigration.k8s.io", "storageversionmigrations", "StorageVersionMigration", &[]),
];

/// What Kubernetes says of a resource of its own, in whatever version.
pub(crate) fn kind(group: &str, plural: &str) -> Option<Kind> {
    let resource = RESOURCES.iter().find(|resource| resource.group == group && resource.plural == plural)?;
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    Some(Kind {
        kind: resource.kind.to_owned(),
        singular: resource.kind.to_ascii_lowercase(),
        short_names: owned(resource.short_names),
        categories: owned(resource.categories),
        namespaced: resource.namespaced,
        columns: None,
    })
}

/// The API groups of Kubernetes, sorted; the core group is the empty text.
pub(crate) fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = RESOURCES.iter().map(|resource| resource.group).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}
