//! Admission webhooks, policies and their bindings.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Count, Error, Metadata, Text, cells, decode, fields},
    duration::age,
    selector::LabelSelector,
    text::UNSET,
};

fields! { Webhooks<'a> { metadata: Metadata<'a>, webhooks: Count, }}

/// Name, Webhooks, Age.
pub(crate) fn webhooks(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Webhooks { metadata, webhooks } = decode(object)?;
    Ok(cells![&*metadata.name, webhooks, age(&metadata.creation_timestamp, now)])
}

fields! { Policy<'a> { metadata: Metadata<'a>, spec: PolicySpec<'a>, }}

// A policy either validates or mutates.
fields! { PolicySpec<'a> {
    #[serde(alias = "mutations")]
    validations: Count,
    param_kind: Option<ParamKind<'a>>,
}}

fields! { ParamKind<'a> { api_version: Text<'a>, kind: Text<'a>, }}

/// Name, Validations or Mutations, ParamKind, Age.
pub(crate) fn policies(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Policy { metadata, spec } = decode(object)?;
    let kind = spec.param_kind.map(|ParamKind { api_version, kind }| format!("{api_version}/{kind}"));
    Ok(cells![
        &*metadata.name,
        spec.validations,
        kind.unwrap_or_else(|| UNSET.into()),
        age(&metadata.creation_timestamp, now),
    ])
}

fields! { Binding<'a> { metadata: Metadata<'a>, spec: BindingSpec<'a>, }}

fields! { BindingSpec<'a> { policy_name: Text<'a>, param_ref: Option<ParamRef<'a>>, }}

fields! { ParamRef<'a> { name: Text<'a>, namespace: Text<'a>, selector: Option<LabelSelector<'a>>, }}

/// Name, PolicyName, ParamRef, Age.
pub(crate) fn bindings(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Binding { metadata, spec } = decode(object)?;
    let parameter = match spec.param_ref {
        Some(ParamRef { name, namespace, .. }) if !name.is_empty() => format!("{}/{name}", namespace.or("*")),
        Some(ParamRef { selector: Some(selector), .. }) => selector.print_go(),
        _ => UNSET.into(),
    };
    Ok(cells![&*metadata.name, spec.policy_name, parameter, age(&metadata.creation_timestamp, now)])
}
