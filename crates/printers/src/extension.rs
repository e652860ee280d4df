//! What extends the API: definitions of custom resources, and services that serve groups of their own.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Condition, Error, List, Metadata, Text, cells, decode, fields},
    duration::age,
    text::join,
};

fields! { Definition<'a> { metadata: Metadata<'a>, spec: DefinitionSpec<'a>, status: Status<'a>, }}

fields! { DefinitionSpec<'a> {
    group: Text<'a>,
    scope: Text<'a>,
    names: Names<'a>,
    versions: List<Version<'a>>,
}}

fields! { Names<'a> { kind: Text<'a>, short_names: List<Text<'a>>, }}

fields! { Version<'a> { name: Text<'a>, served: bool, storage: bool, }}

fields! { Status<'a> { conditions: List<Condition<'a>>, }}

/// Name, Scope, Versions, Created At; Group, Kind, ShortNames, Established.
pub(crate) fn definitions(object: &[u8], _: Timestamp) -> Result<TableCells, Error> {
    let Definition { metadata, spec, status } = decode(object)?;
    let served = spec.versions.iter().filter(|version| version.served);
    let versions =
        served.map(|version| format!("{}{}", version.name, if version.storage { "(storage)" } else { "" }));
    Ok(cells![
        &*metadata.name,
        spec.scope,
        join(versions, ","),
        metadata.created_at(),
        spec.group,
        spec.names.kind,
        join(spec.names.short_names.iter(), ","),
        status.conditions.iter().any(|condition| condition.holds("Established")),
    ])
}

fields! { ApiService<'a> { metadata: Metadata<'a>, spec: ApiServiceSpec<'a>, status: Status<'a>, }}

fields! { ApiServiceSpec<'a> { service: Option<ServiceReference<'a>>, }}

fields! { ServiceReference<'a> { namespace: Text<'a>, name: Text<'a>, }}

/// Name, Service, Available, Age.
pub(crate) fn api_services(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let ApiService { metadata, spec, status } = decode(object)?;
    let available = match status.conditions.iter().find(|condition| &*condition.type_ == "Available") {
        None => "Unknown".into(),
        Some(Condition { status, .. }) if &**status == "True" => status.to_string(),
        Some(Condition { status, reason, .. }) => format!("{status} ({reason})"),
    };
    Ok(cells![
        &*metadata.name,
        spec.service
            .map_or_else(|| "Local".into(), |service| format!("{}/{}", service.namespace, service.name)),
        available,
        age(&metadata.creation_timestamp, now),
    ])
}
