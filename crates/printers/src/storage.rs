//! Volumes, claims, and what provides them.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Count, Error, List, Metadata, Text, TextMap, cells, decode, fields},
    duration::age,
    text::{UNSET, join, or_unset},
};

fields! { AnnotatedMetadata<'a> {
    name: Text<'a>,
    creation_timestamp: Text<'a>,
    deletion_timestamp: Option<Text<'a>>,
    annotations: TextMap<'a>,
}}

impl AnnotatedMetadata<'_> {
    fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.iter().find(|(given, _)| &***given == key).map(|(_, value)| &**value)
    }

    /// The storage class; an annotation named it before there was a field.
    fn storage_class<'s>(&'s self, field: &'s str) -> &'s str {
        self.annotation("volume.beta.kubernetes.io/storage-class").unwrap_or(field)
    }

    fn phase<'s>(&self, phase: &'s str) -> &'s str {
        if self.deletion_timestamp.is_some() { "Terminating" } else { phase }
    }
}

fields! { Volume<'a> { metadata: AnnotatedMetadata<'a>, spec: VolumeSpec<'a>, status: VolumeStatus<'a>, }}

fields! { VolumeSpec<'a> {
    capacity: Capacity<'a>,
    access_modes: List<Text<'a>>,
    persistent_volume_reclaim_policy: Text<'a>,
    claim_ref: Option<ClaimReference<'a>>,
    storage_class_name: Text<'a>,
    volume_attributes_class_name: Option<Text<'a>>,
    volume_mode: Option<Text<'a>>,
}}

fields! { Capacity<'a> { storage: Text<'a>, }}

fields! { ClaimReference<'a> { namespace: Text<'a>, name: Text<'a>, }}

fields! { VolumeStatus<'a> { phase: Text<'a>, reason: Text<'a>, }}

/// Name, Capacity, Access Modes, Reclaim Policy, Status, Claim, StorageClass, VolumeAttributesClass, Reason, Age;
/// VolumeMode.
pub(crate) fn persistent_volumes(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Volume { metadata, spec, status } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        spec.capacity.storage.or("0"),
        access_modes(&spec.access_modes),
        spec.persistent_volume_reclaim_policy,
        metadata.phase(&status.phase),
        spec.claim_ref.map_or_else(String::new, |claim| format!("{}/{}", claim.namespace, claim.name)),
        metadata.storage_class(&spec.storage_class_name),
        or_unset(spec.volume_attributes_class_name.as_ref()),
        status.reason,
        age(&metadata.creation_timestamp, now),
        or_unset(spec.volume_mode.as_ref()),
    ])
}

fields! { Claim<'a> { metadata: AnnotatedMetadata<'a>, spec: ClaimSpec<'a>, status: ClaimStatus<'a>, }}

fields! { ClaimSpec<'a> {
    volume_name: Text<'a>,
    storage_class_name: Text<'a>,
    volume_attributes_class_name: Option<Text<'a>>,
    volume_mode: Option<Text<'a>>,
}}

fields! { ClaimStatus<'a> { phase: Text<'a>, access_modes: List<Text<'a>>, capacity: Capacity<'a>, }}

/// Name, Status, Volume, Capacity, Access Modes, StorageClass, VolumeAttributesClass, Age; VolumeMode.
pub(crate) fn persistent_volume_claims(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Claim { metadata, spec, status } = decode(object)?;
    let (capacity, modes) = match &*spec.volume_name {
        "" => ("", String::new()),
        _ => (status.capacity.storage.or("0"), access_modes(&status.access_modes)),
    };
    Ok(cells![
        &*metadata.name,
        metadata.phase(&status.phase),
        &*spec.volume_name,
        capacity,
        modes,
        metadata.storage_class(&spec.storage_class_name),
        or_unset(spec.volume_attributes_class_name.as_ref()),
        age(&metadata.creation_timestamp, now),
        or_unset(spec.volume_mode.as_ref()),
    ])
}

/// `RWO,RWX`: the known modes in their own order, each once.
fn access_modes(modes: &[Text<'_>]) -> String {
    const SHORT: [(&str, &str); 4] = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    join(
        SHORT.iter().filter(|(long, _)| modes.iter().any(|mode| &**mode == *long)).map(|(_, short)| short),
        ",",
    )
}

fields! { StorageClass<'a> {
    metadata: AnnotatedMetadata<'a>,
    provisioner: Text<'a>,
    reclaim_policy: Option<Text<'a>>,
    volume_binding_mode: Option<Text<'a>>,
    allow_volume_expansion: bool,
}}

/// Name, Provisioner, ReclaimPolicy, VolumeBindingMode, AllowVolumeExpansion, Age.
///
/// A server marks only the newest of several default classes of a list. One object does not tell which that is, so
/// every class that is annotated as the default is marked here.
pub(crate) fn storage_classes(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let class: StorageClass<'_> = decode(object)?;
    let is_default =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
            .iter()
            .any(|key| class.metadata.annotation(key) == Some("true"));
    let mark = if is_default { " (default)" } else { "" };
    Ok(cells![
        format!("{}{mark}", class.metadata.name),
        class.provisioner,
        class.reclaim_policy.as_deref().unwrap_or("Delete"),
        class.volume_binding_mode.as_deref().unwrap_or("Immediate"),
        class.allow_volume_expansion,
        age(&class.metadata.creation_timestamp, now),
    ])
}

fields! { AttributesClass<'a> { metadata: Metadata<'a>, driver_name: Text<'a>, }}

/// Name, DriverName, Age.
pub(crate) fn volume_attributes_classes(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let AttributesClass { metadata, driver_name } = decode(object)?;
    Ok(cells![&*metadata.name, driver_name, age(&metadata.creation_timestamp, now)])
}

fields! { Driver<'a> { metadata: Metadata<'a>, spec: DriverSpec<'a>, }}

fields! { DriverSpec<'a> {
    attach_required: Option<bool>,
    pod_info_on_mount: bool,
    storage_capacity: bool,
    token_requests: Option<List<TokenRequest<'a>>>,
    requires_republish: bool,
    volume_lifecycle_modes: List<Text<'a>>,
}}

fields! { TokenRequest<'a> { audience: Text<'a>, }}

/// Name, AttachRequired, PodInfoOnMount, StorageCapacity, TokenRequests, RequiresRepublish, Modes, Age.
pub(crate) fn csi_drivers(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Driver { metadata, spec } = decode(object)?;
    let audiences =
        |requests: List<TokenRequest<'_>>| join(requests.iter().map(|request| &request.audience), ",");
    Ok(cells![
        &*metadata.name,
        spec.attach_required.unwrap_or(true),
        spec.pod_info_on_mount,
        spec.storage_capacity,
        spec.token_requests.map_or_else(|| UNSET.into(), audiences),
        spec.requires_republish,
        join(spec.volume_lifecycle_modes.iter(), ","),
        age(&metadata.creation_timestamp, now),
    ])
}

fields! { Node<'a> { metadata: Metadata<'a>, spec: NodeSpec, }}

fields! { NodeSpec { drivers: Count, }}

/// Name, Drivers, Age.
pub(crate) fn csi_nodes(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Node { metadata, spec } = decode(object)?;
    Ok(cells![&*metadata.name, spec.drivers, age(&metadata.creation_timestamp, now)])
}

fields! { Attachment<'a> { metadata: Metadata<'a>, spec: AttachmentSpec<'a>, status: AttachmentStatus, }}

fields! { AttachmentSpec<'a> { attacher: Text<'a>, node_name: Text<'a>, source: AttachmentSource<'a>, }}

fields! { AttachmentSource<'a> { persistent_volume_name: Text<'a>, }}

fields! { AttachmentStatus { attached: bool, }}

/// Name, Attacher, PV, Node, Attached, Age.
pub(crate) fn volume_attachments(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Attachment { metadata, spec, status } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        spec.attacher,
        spec.source.persistent_volume_name,
        spec.node_name,
        status.attached,
        age(&metadata.creation_timestamp, now),
    ])
}
