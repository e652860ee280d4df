//! Which requests an API server serves first.

use jiff::Timestamp;
use meta::TableCells;
use serde_json::Value;

use crate::{
    decode::{Condition, Error, List, Metadata, Text, cells, decode, fields},
    duration::age,
    text::NONE,
};

fields! { FlowSchema<'a> { metadata: Metadata<'a>, spec: FlowSchemaSpec<'a>, status: FlowSchemaStatus<'a>, }}

fields! { FlowSchemaSpec<'a> {
    priority_level_configuration: LevelReference<'a>,
    matching_precedence: i64,
    distinguisher_method: Option<Method<'a>>,
}}

fields! { LevelReference<'a> { name: Text<'a>, }}

fields! { Method<'a> {
    #[serde(rename = "type")]
    type_: Text<'a>,
}}

fields! { FlowSchemaStatus<'a> { conditions: List<Condition<'a>>, }}

/// Name, PriorityLevel, MatchingPrecedence, DistinguisherMethod, Age, MissingPL.
pub(crate) fn flow_schemas(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let FlowSchema { metadata, spec, status } = decode(object)?;
    let dangling = status.conditions.iter().find(|condition| &*condition.type_ == "Dangling");
    Ok(cells![
        &*metadata.name,
        spec.priority_level_configuration.name,
        spec.matching_precedence,
        spec.distinguisher_method.as_ref().map_or(NONE, |method| &method.type_),
        age(&metadata.creation_timestamp, now),
        dangling.map_or("?", |condition| &condition.status),
    ])
}

fields! { PriorityLevel<'a> { metadata: Metadata<'a>, spec: PriorityLevelSpec<'a>, }}

fields! { PriorityLevelSpec<'a> {
    #[serde(rename = "type")]
    type_: Text<'a>,
    limited: Option<Limited>,
}}

fields! { Limited { nominal_concurrency_shares: i64, limit_response: LimitResponse, }}

fields! { LimitResponse { queuing: Option<Queuing>, }}

fields! { Queuing { queues: i64, hand_size: i64, queue_length_limit: i64, }}

/// Name, Type, NominalConcurrencyShares, Queues, HandSize, QueueLengthLimit, Age.
pub(crate) fn priority_levels(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let PriorityLevel { metadata, spec } = decode(object)?;
    let limited = spec.limited.as_ref();
    let queuing = limited.and_then(|limited| limited.limit_response.queuing.as_ref());
    let or_none = |number: Option<i64>| number.map_or_else(|| Value::from(NONE), Value::from);
    Ok(cells![
        &*metadata.name,
        spec.type_,
        or_none(limited.map(|limited| limited.nominal_concurrency_shares)),
        or_none(queuing.map(|queuing| queuing.queues)),
        or_none(queuing.map(|queuing| queuing.hand_size)),
        or_none(queuing.map(|queuing| queuing.queue_length_limit)),
        age(&metadata.creation_timestamp, now),
    ])
}
