//! Kinds that keep the cluster going: disruption budgets, priorities, leases, runtimes, stored versions.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Condition, Error, IntOrText, List, Metadata, Text, cells, decode, fields},
    duration::age,
    text::{UNSET, join_some},
};

fields! { DisruptionBudget<'a> { metadata: Metadata<'a>, spec: BudgetSpec<'a>, status: BudgetStatus, }}

fields! { BudgetSpec<'a> { min_available: Option<IntOrText<'a>>, max_unavailable: Option<IntOrText<'a>>, }}

fields! { BudgetStatus { disruptions_allowed: i64, }}

/// Name, Min Available, Max Unavailable, Allowed Disruptions, Age.
pub(crate) fn disruption_budgets(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let DisruptionBudget { metadata, spec, status } = decode(object)?;
    let print = |bound: Option<IntOrText<'_>>| bound.map_or_else(|| "N/A".into(), |bound| bound.to_string());
    Ok(cells![
        &*metadata.name,
        print(spec.min_available),
        print(spec.max_unavailable),
        status.disruptions_allowed,
        age(&metadata.creation_timestamp, now),
    ])
}

fields! { PriorityClass<'a> {
    metadata: Metadata<'a>,
    value: i64,
    global_default: bool,
    preemption_policy: Text<'a>,
}}

/// Name, Value, Global-Default, Age, PreemptionPolicy.
pub(crate) fn priority_classes(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let PriorityClass { metadata, value, global_default, preemption_policy } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        value,
        global_default,
        age(&metadata.creation_timestamp, now),
        preemption_policy,
    ])
}

fields! { Lease<'a> { metadata: Metadata<'a>, spec: LeaseSpec<'a>, }}

fields! { LeaseSpec<'a> { holder_identity: Text<'a>, }}

/// Name, Holder, Age.
pub(crate) fn leases(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Lease { metadata, spec } = decode(object)?;
    Ok(cells![&*metadata.name, spec.holder_identity, age(&metadata.creation_timestamp, now)])
}

fields! { LeaseCandidate<'a> { metadata: Metadata<'a>, spec: LeaseCandidateSpec<'a>, }}

fields! { LeaseCandidateSpec<'a> { lease_name: Text<'a>, binary_version: Text<'a>, emulation_version: Text<'a>, }}

/// Name, LeaseName, BinaryVersion, EmulationVersion, Age.
pub(crate) fn lease_candidates(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let LeaseCandidate { metadata, spec } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        spec.lease_name,
        spec.binary_version,
        spec.emulation_version,
        age(&metadata.creation_timestamp, now),
    ])
}

fields! { RuntimeClass<'a> { metadata: Metadata<'a>, handler: Text<'a>, }}

/// Name, Handler, Age.
pub(crate) fn runtime_classes(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let RuntimeClass { metadata, handler } = decode(object)?;
    Ok(cells![&*metadata.name, handler, age(&metadata.creation_timestamp, now)])
}

fields! { StorageVersion<'a> { metadata: Metadata<'a>, status: StorageVersionStatus<'a>, }}

fields! { StorageVersionStatus<'a> {
    common_encoding_version: Option<Text<'a>>,
    storage_versions: List<ServerVersion<'a>>,
}}

fields! { ServerVersion<'a> {
    #[serde(rename = "apiServerID")]
    server: Text<'a>,
    encoding_version: Text<'a>,
}}

/// Name, CommonEncodingVersion, StorageVersions, Age.
pub(crate) fn storage_versions(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let StorageVersion { metadata, status } = decode(object)?;
    let each = status
        .storage_versions
        .iter()
        .map(|version| format!("{}={}", version.server, version.encoding_version));
    Ok(cells![
        &*metadata.name,
        status.common_encoding_version.as_deref().unwrap_or(UNSET),
        if status.storage_versions.is_empty() { UNSET.into() } else { join_some(each, 3, ",") },
        age(&metadata.creation_timestamp, now),
    ])
}

fields! { Migration<'a> { metadata: Metadata<'a>, spec: MigrationSpec<'a>, status: MigrationStatus<'a>, }}

fields! { MigrationSpec<'a> { resource: Resource<'a>, }}

fields! { Resource<'a> { group: Text<'a>, resource: Text<'a>, }}

fields! { MigrationStatus<'a> { conditions: List<Condition<'a>>, }}

/// Name, Resource, Status.
pub(crate) fn storage_version_migrations(object: &[u8], _: Timestamp) -> Result<TableCells, Error> {
    let Migration { metadata, spec, status } = decode(object)?;
    let Resource { group, resource } = spec.resource;
    let known = |condition: &&Condition<'_>| {
        ["Running", "Succeeded", "Failed"].iter().any(|type_| condition.holds(type_))
    };
    Ok(cells![
        &*metadata.name,
        if group.is_empty() { resource.to_string() } else { format!("{resource}.{group}") },
        status.conditions.iter().rfind(known).map_or("Unknown", |condition| &condition.type_),
    ])
}
