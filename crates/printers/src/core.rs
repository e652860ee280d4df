//! The smaller kinds of the core group.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Count, Error, List, Metadata, Plain, Text, TextMap, cells, decode, fields},
    duration::age,
    text::join,
};

/// Name, Age: all that is said of a ServiceAccount and some others.
pub(crate) fn name_and_age(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Plain { metadata } = decode(object)?;
    Ok(cells![&*metadata.name, age(&metadata.creation_timestamp, now)])
}

/// Name, Created At: what is said of a kind nobody made columns for.
pub(crate) fn name_and_creation(object: &[u8], _: Timestamp) -> Result<TableCells, Error> {
    let Plain { metadata } = decode(object)?;
    Ok(cells![&*metadata.name, metadata.created_at()])
}

impl Metadata<'_> {
    /// The time of creation as it is written; Go's first moment if there is none.
    pub(crate) fn created_at(&self) -> &str {
        self.creation_timestamp.or("0001-01-01T00:00:00Z")
    }
}

fields! { Namespace<'a> { metadata: Metadata<'a>, status: NamespaceStatus<'a>, }}

fields! { NamespaceStatus<'a> { phase: Text<'a>, }}

/// Name, Status, Age.
pub(crate) fn namespaces(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Namespace { metadata, status } = decode(object)?;
    Ok(cells![&*metadata.name, status.phase, age(&metadata.creation_timestamp, now)])
}

fields! { Secret<'a> {
    metadata: Metadata<'a>,
    #[serde(rename = "type")]
    type_: Text<'a>,
    data: Count,
}}

/// Name, Type, Data, Age.
pub(crate) fn secrets(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Secret { metadata, type_, data } = decode(object)?;
    Ok(cells![&*metadata.name, type_, data, age(&metadata.creation_timestamp, now)])
}

fields! { ConfigMap<'a> { metadata: Metadata<'a>, data: Count, binary_data: Count, }}

/// Name, Data, Age.
pub(crate) fn config_maps(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let ConfigMap { metadata, data, binary_data } = decode(object)?;
    Ok(cells![&*metadata.name, data.0 + binary_data.0, age(&metadata.creation_timestamp, now)])
}

fields! { ResourceQuota<'a> { metadata: Metadata<'a>, status: QuotaStatus<'a>, }}

fields! { QuotaStatus<'a> { hard: TextMap<'a>, used: TextMap<'a>, }}

/// Name, Request, Limit, Age.
pub(crate) fn resource_quotas(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let ResourceQuota { metadata, status } = decode(object)?;
    let print = |limits: bool| {
        let hard = status.hard.iter().filter(|(name, _)| name.starts_with("limits.") == limits);
        let uses = hard.map(|(name, hard)| {
            let used = status.used.get(name).map_or("0", |used| used.or("0"));
            format!("{name}: {used}/{}", hard.or("0"))
        });
        join(uses, ", ")
    };
    Ok(cells![&*metadata.name, print(false), print(true), age(&metadata.creation_timestamp, now)])
}

fields! { ComponentStatus<'a> { metadata: Metadata<'a>, conditions: List<ComponentCondition<'a>>, }}

fields! { ComponentCondition<'a> {
    #[serde(rename = "type")]
    type_: Text<'a>,
    status: Text<'a>,
    message: Text<'a>,
    error: Text<'a>,
}}

/// Name, Status, Message, Error.
pub(crate) fn component_statuses(object: &[u8], _: Timestamp) -> Result<TableCells, Error> {
    let ComponentStatus { metadata, conditions } = decode(object)?;
    let name = &*metadata.name;
    Ok(match conditions.iter().find(|condition| &*condition.type_ == "Healthy") {
        Some(ComponentCondition { status, message, error, .. }) => {
            let status = if &**status == "True" { "Healthy" } else { "Unhealthy" };
            cells![name, status, &**message, &**error]
        }
        None => cells![name, "Unknown", "", ""],
    })
}
