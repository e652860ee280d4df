//! Which kinds are built in, and what prints them.

use std::{collections::BTreeMap, sync::LazyLock};

use jiff::Timestamp;
use meta::{TableCells, TableColumn};
use serde::Deserialize;

use crate::{
    admission, autoscaling, batch, certificates, core, decode::Error, devices, events, extension,
    flowcontrol, networking, nodes, pods, rbac, services, storage, system, workloads,
};

/// Prints the cells of one object.
type Cells = fn(&[u8], Timestamp) -> Result<TableCells, Error>;

/// Prints the objects of one kind.
#[derive(Debug)]
pub struct Printer {
    columns: Vec<TableColumn>,
    cells: Cells,
}

impl Printer {
    /// The columns, in their order. Those with a priority above 0 are shown with `-o wide`.
    pub fn columns(&self) -> &[TableColumn] {
        &self.columns
    }

    /// The cells of an object, one for each column; ages are counted up to `now`.
    ///
    /// What an object lacks is printed as a server prints it (`<none>`, `<unknown>`), and is no error.
    ///
    /// # Errors
    ///
    /// `object` is not the JSON of an object of this kind.
    pub fn cells(&self, object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
        (self.cells)(object, now)
    }
}

/// The printer of a built-in kind, which is named by its kind or its plural: `Pod` or `pods`.
///
/// The group of core kinds is empty. None for kinds and versions that Kubernetes 1.37 does not know.
pub fn printer(group: &str, version: &str, kind_or_plural: &str) -> Option<&'static Printer> {
    let index = KINDS.iter().position(|kind| {
        kind.group == group
            && kind.versions.contains(&version)
            && (kind.plural == kind_or_plural || kind.kind == kind_or_plural)
    })?;
    PRINTERS.get(index)
}

/// What an API server prints of a kind that has no columns of its own: Name and Created At.
///
/// Custom resources are not such kinds: without columns in their definition they have Name and Age.
pub fn generic() -> &'static Printer {
    &GENERIC
}

/// A built-in kind.
struct BuiltIn {
    group: &'static str,
    versions: &'static [&'static str],
    kind: &'static str,
    plural: &'static str,
    cells: Cells,
}

const fn kind(
    group: &'static str,
    versions: &'static [&'static str],
    kind: &'static str,
    plural: &'static str,
    cells: Cells,
) -> BuiltIn {
    BuiltIn { group, versions, kind, plural, cells }
}

const V1: &[&str] = &["v1"];

#[rustfmt::skip]
const KINDS: &[BuiltIn] = &[
    kind("", V1, "Pod", "pods", pods::pods),
    kind("", V1, "PodTemplate", "podtemplates", workloads::pod_templates),
    kind("", V1, "ReplicationController", "replicationcontrollers", workloads::replication_controllers),
    kind("", V1, "Service", "services", services::services),
    kind("", V1, "Endpoints", "endpoints", services::endpoints),
    kind("", V1, "Node", "nodes", nodes::nodes),
    kind("", V1, "Event", "events", events::events),
    kind("", V1, "Namespace", "namespaces", core::namespaces),
    kind("", V1, "Secret", "secrets", core::secrets),
    kind("", V1, "ConfigMap", "configmaps", core::config_maps),
    kind("", V1, "ServiceAccount", "serviceaccounts", core::name_and_age),
    kind("", V1, "PersistentVolume", "persistentvolumes", storage::persistent_volumes),
    kind("", V1, "PersistentVolumeClaim", "persistentvolumeclaims", storage::persistent_volume_claims),
    kind("", V1, "ResourceQuota", "resourcequotas", core::resource_quotas),
    kind("", V1, "LimitRange", "limitranges", core::name_and_creation),
    kind("", V1, "ComponentStatus", "componentstatuses", core::component_statuses),
    kind("apps", V1, "Deployment", "deployments", workloads::deployments),
    kind("apps", V1, "ReplicaSet", "replicasets", workloads::replica_sets),
    kind("apps", V1, "StatefulSet", "statefulsets", workloads::stateful_sets),
    kind("apps", V1, "DaemonSet", "daemonsets", workloads::daemon_sets),
    kind("apps", V1, "ControllerRevision", "controllerrevisions", workloads::controller_revisions),
    kind("batch", V1, "Job", "jobs", batch::jobs),
    kind("batch", V1, "CronJob", "cronjobs", batch::cron_jobs),
    kind("autoscaling", &["v2"], "HorizontalPodAutoscaler", "horizontalpodautoscalers", autoscaling::v2),
    kind("autoscaling", V1, "HorizontalPodAutoscaler", "horizontalpodautoscalers", autoscaling::v1),
    kind("events.k8s.io", V1, "Event", "events", events::events),
    kind("networking.k8s.io", V1, "Ingress", "ingresses", networking::ingresses),
    kind("networking.k8s.io", V1, "IngressClass", "ingressclasses", networking::ingress_classes),
    kind("networking.k8s.io", V1, "NetworkPolicy", "networkpolicies", networking::network_policies),
    kind("networking.k8s.io", V1, "IPAddress", "ipaddresses", networking::ip_addresses),
    kind("networking.k8s.io", V1, "ServiceCIDR", "servicecidrs", networking::service_cidrs),
    kind("discovery.k8s.io", V1, "EndpointSlice", "endpointslices", services::endpoint_slices),
    kind("policy", V1, "PodDisruptionBudget", "poddisruptionbudgets", system::disruption_budgets),
    kind("rbac.authorization.k8s.io", V1, "Role", "roles", core::name_and_creation),
    kind("rbac.authorization.k8s.io", V1, "ClusterRole", "clusterroles", core::name_and_creation),
    kind("rbac.authorization.k8s.io", V1, "RoleBinding", "rolebindings", rbac::bindings),
    kind("rbac.authorization.k8s.io", V1, "ClusterRoleBinding", "clusterrolebindings", rbac::bindings),
    kind("storage.k8s.io", V1, "StorageClass", "storageclasses", storage::storage_classes),
    kind("storage.k8s.io", V1, "VolumeAttributesClass", "volumeattributesclasses", storage::volume_attributes_classes),
    kind("storage.k8s.io", V1, "VolumeAttachment", "volumeattachments", storage::volume_attachments),
    kind("storage.k8s.io", V1, "CSIDriver", "csidrivers", storage::csi_drivers),
    kind("storage.k8s.io", V1, "CSINode", "csinodes", storage::csi_nodes),
    kind("storage.k8s.io", V1, "CSIStorageCapacity", "csistoragecapacities", core::name_and_creation),
    kind("scheduling.k8s.io", V1, "PriorityClass", "priorityclasses", system::priority_classes),
    kind("coordination.k8s.io", V1, "Lease", "leases", system::leases),
    kind("coordination.k8s.io", &["v1beta1", "v1alpha2"], "LeaseCandidate", "leasecandidates", system::lease_candidates),
    kind("node.k8s.io", V1, "RuntimeClass", "runtimeclasses", system::runtime_classes),
    kind("certificates.k8s.io", V1, "CertificateSigningRequest", "certificatesigningrequests", certificates::signing_requests),
    kind("certificates.k8s.io", &["v1", "v1beta1"], "ClusterTrustBundle", "clustertrustbundles", certificates::trust_bundles),
    kind("certificates.k8s.io", &["v1", "v1beta1"], "PodCertificateRequest", "podcertificaterequests", certificates::pod_requests),
    kind("admissionregistration.k8s.io", V1, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", admission::webhooks),
    kind("admissionregistration.k8s.io", V1, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", admission::webhooks),
    kind("admissionregistration.k8s.io", V1, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", admission::policies),
    kind("admissionregistration.k8s.io", V1, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", admission::bindings),
    kind("admissionregistration.k8s.io", &["v1", "v1beta1", "v1alpha1"], "MutatingAdmissionPolicy", "mutatingadmissionpolicies", admission::policies),
    kind("admissionregistration.k8s.io", &["v1", "v1beta1", "v1alpha1"], "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", admission::bindings),
    kind("flowcontrol.apiserver.k8s.io", V1, "FlowSchema", "flowschemas", flowcontrol::flow_schemas),
    kind("flowcontrol.apiserver.k8s.io", V1, "PriorityLevelConfiguration", "prioritylevelconfigurations", flowcontrol::priority_levels),
    kind("resource.k8s.io", &["v1", "v1beta2", "v1beta1"], "ResourceClaim", "resourceclaims", devices::claims),
    kind("resource.k8s.io", &["v1", "v1beta2", "v1beta1"], "ResourceClaimTemplate", "resourceclaimtemplates", core::name_and_age),
    kind("resource.k8s.io", &["v1", "v1beta2", "v1beta1"], "DeviceClass", "deviceclasses", core::name_and_age),
    kind("resource.k8s.io", &["v1", "v1beta2", "v1beta1"], "ResourceSlice", "resourceslices", devices::slices),
    kind("resource.k8s.io", &["v1", "v1beta2", "v1alpha3"], "DeviceTaintRule", "devicetaintrules", devices::taint_rules),
    kind("resource.k8s.io", &["v1alpha3"], "ResourcePoolStatusRequest", "resourcepoolstatusrequests", devices::pool_status_requests),
    kind("internal.apiserver.k8s.io", &["v1alpha1"], "StorageVersion", "storageversions", system::storage_versions),
    kind("storagemigration.k8s.io", &["v1", "v1beta1"], "StorageVersionMigration", "storageversionmigrations", system::storage_version_migrations),
    kind("apiextensions.k8s.io", V1, "CustomResourceDefinition", "customresourcedefinitions", extension::definitions),
    kind("apiregistration.k8s.io", V1, "APIService", "apiservices", extension::api_services),
];

static PRINTERS: LazyLock<Vec<Printer>> = LazyLock::new(|| {
    let recorded = recorded_columns();
    let columns = |kind: &BuiltIn| {
        recorded.get(&format!("{}.{}", kind.plural, kind.group)).cloned().unwrap_or_default()
    };
    KINDS.iter().map(|kind| Printer { columns: columns(kind), cells: kind.cells }).collect()
});

/// Roles are one of the kinds without columns of their own.
static GENERIC: LazyLock<Printer> = LazyLock::new(|| Printer {
    columns: recorded_columns().remove("roles.rbac.authorization.k8s.io").unwrap_or_default(),
    cells: core::name_and_creation,
});

/// The columns that a real server answered with, by plural and group.
///
/// That the file is complete and can be read is what the golden tests show.
fn recorded_columns() -> BTreeMap<String, Vec<TableColumn>> {
    #[derive(Deserialize)]
    struct Column {
        name: String,
        #[serde(rename = "type")]
        type_: String,
        format: String,
        description: String,
        priority: i32,
    }

    impl From<Column> for TableColumn {
        fn from(Column { name, type_, format, description, priority }: Column) -> Self {
            Self { name, type_, format, description, priority }
        }
    }

    let recorded: BTreeMap<String, Vec<Column>> =
        serde_json::from_str(include_str!("columns.json")).unwrap_or_default();
    recorded
        .into_iter()
        .map(|(kind, columns)| (kind, columns.into_iter().map(Into::into).collect()))
        .collect()
}
