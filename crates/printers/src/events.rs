//! Events, of both API groups.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Error, Metadata, Text, cells, decode, fields},
    duration::age,
};

// The aliases are the names of the same fields in events.k8s.io.
fields! { Event<'a> {
    metadata: Metadata<'a>,
    #[serde(alias = "regarding")]
    involved_object: Reference<'a>,
    #[serde(rename = "type")]
    type_: Text<'a>,
    reason: Text<'a>,
    #[serde(alias = "note")]
    message: Text<'a>,
    #[serde(alias = "deprecatedSource")]
    source: Source<'a>,
    #[serde(alias = "reportingController")]
    reporting_component: Text<'a>,
    reporting_instance: Text<'a>,
    #[serde(alias = "deprecatedFirstTimestamp")]
    first_timestamp: Text<'a>,
    #[serde(alias = "deprecatedLastTimestamp")]
    last_timestamp: Text<'a>,
    event_time: Text<'a>,
    #[serde(alias = "deprecatedCount")]
    count: i64,
    series: Option<Series<'a>>,
}}

fields! { Reference<'a> { kind: Text<'a>, name: Text<'a>, field_path: Text<'a>, }}

fields! { Source<'a> { component: Text<'a>, host: Text<'a>, }}

fields! { Series<'a> { count: i64, last_observed_time: Text<'a>, }}

/// Last Seen, Type, Reason, Object, Message; Subobject, Source, First Seen, Count, Name.
pub(crate) fn events(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let event: Event<'_> = decode(object)?;
    let first = if event.first_timestamp.is_empty() { &event.event_time } else { &event.first_timestamp };
    let (last, count) = match &event.series {
        Some(series) => (&series.last_observed_time, series.count),
        None if event.last_timestamp.is_empty() => (first, once_or_more(event.count)),
        None => (&event.last_timestamp, once_or_more(event.count)),
    };
    let Reference { kind, name, field_path } = &event.involved_object;
    let kind = kind.to_lowercase();
    Ok(cells![
        age(last, now),
        &*event.type_,
        &*event.reason,
        if name.is_empty() { kind } else { format!("{kind}/{name}") },
        &**field_path,
        event.source(),
        event.message.trim(),
        age(first, now),
        count,
        &*event.metadata.name,
    ])
}

impl Event<'_> {
    /// Who reported it, and on which host.
    fn source(&self) -> String {
        let component = self.source.component.or(&self.reporting_component);
        match self.source.host.or(&self.reporting_instance) {
            "" => component.to_owned(),
            host => format!("{component}, {host}"),
        }
    }
}

/// An event that was not counted happened once.
fn once_or_more(count: i64) -> i64 {
    if count == 0 { 1 } else { count }
}
