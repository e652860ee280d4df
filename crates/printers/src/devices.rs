//! Dynamic resource allocation: devices, and who has claimed them.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Condition, Count, Error, List, Metadata, Text, cells, decode, fields},
    duration::{age, human_duration, time},
    text::{NONE, join},
};

fields! { Claim<'a> { metadata: Metadata<'a>, status: ClaimStatus, }}

fields! { ClaimStatus { allocation: Option<Allocation>, reserved_for: Count, }}

fields! { Allocation {}}

/// Name, State, Age.
pub(crate) fn claims(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Claim { metadata, status } = decode(object)?;
    let deleted = metadata.deletion_timestamp.is_some();
    let allocated = status.allocation.is_some();
    let states = [
        (deleted, "deleted"),
        (allocated, "allocated"),
        (allocated && status.reserved_for.0 > 0, "reserved"),
        (!deleted && !allocated, "pending"),
    ];
    let states = states.iter().filter(|(holds, _)| *holds).map(|(_, state)| state);
    Ok(cells![&*metadata.name, join(states, ","), age(&metadata.creation_timestamp, now)])
}

fields! { Slice<'a> { metadata: Metadata<'a>, spec: SliceSpec<'a>, }}

fields! { SliceSpec<'a> { node_name: Text<'a>, driver: Text<'a>, pool: Pool<'a>, }}

fields! { Pool<'a> { name: Text<'a>, }}

/// Name, Node, Driver, Pool, Age.
pub(crate) fn slices(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Slice { metadata, spec } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        spec.node_name,
        spec.driver,
        spec.pool.name,
        age(&metadata.creation_timestamp, now),
    ])
}

fields! { TaintRule<'a> { metadata: Metadata<'a>, spec: TaintRuleSpec<'a>, }}

fields! { TaintRuleSpec<'a> { taint: Taint<'a>, }}

fields! { Taint<'a> { key: Text<'a>, value: Text<'a>, effect: Text<'a>, time_added: Text<'a>, }}

/// Name, Key, Value, Effect, TimeAdded, Age.
pub(crate) fn taint_rules(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let TaintRule { metadata, spec } = decode(object)?;
    let Taint { key, value, effect, time_added } = spec.taint;
    Ok(cells![
        &*metadata.name,
        key,
        value,
        effect,
        age(&time_added, now),
        age(&metadata.creation_timestamp, now),
    ])
}

fields! { PoolStatusRequest<'a> {
    metadata: Metadata<'a>,
    spec: PoolStatusSpec<'a>,
    status: Option<PoolStatus<'a>>,
}}

fields! { PoolStatusSpec<'a> { driver: Text<'a>, }}

fields! { PoolStatus<'a> { pool_count: i64, conditions: List<Condition<'a>>, pools: List<Devices<'a>>, }}

// The numbers of devices in one pool.
fields! { Devices<'a> {
    total_devices: i64,
    available_devices: i64,
    allocated_devices: i64,
    unavailable_devices: i64,
    validation_error: Option<Text<'a>>,
}}

/// Name, Driver, Total, Available, Allocated, Unavailable, Errors, Pools, Status, Completed.
pub(crate) fn pool_status_requests(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let PoolStatusRequest { metadata, spec, status } = decode(object)?;
    let end = status.as_ref().and_then(|status| {
        status.conditions.iter().find(|condition| condition.holds("Complete") || condition.holds("Failed"))
    });
    let failed = end.is_some_and(|condition| &*condition.type_ == "Failed");
    let completed = end.filter(|_| !failed);
    let pools = status.as_ref().filter(|_| !failed);
    let sum = |devices: fn(&Devices<'_>) -> i64| match pools {
        Some(status) => status.pools.iter().map(devices).fold(0, i64::saturating_add).to_string(),
        None => "-".into(),
    };
    let count = status.as_ref().map_or(0, |status| status.pool_count);
    let listed = status.as_ref().map_or(0, |status| status.pools.len() as i64);
    let progress = match completed {
        _ if failed => "Failed".into(),
        Some(_) if listed < count => format!("Complete ({listed}/{count} pools)"),
        Some(_) => "Complete".to_owned(),
        None => "Pending".into(),
    };
    let since = completed.and_then(|condition| time(&condition.last_transition_time));
    Ok(cells![
        &*metadata.name,
        spec.driver,
        sum(|pool| pool.total_devices),
        sum(|pool| pool.available_devices),
        sum(|pool| pool.allocated_devices),
        sum(|pool| pool.unavailable_devices),
        sum(|pool| i64::from(pool.validation_error.is_some())),
        count,
        progress,
        since.map_or_else(|| NONE.into(), |since| human_duration(now.duration_since(since))),
    ])
}
