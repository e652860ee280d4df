//! Rows of the store as a streamed answer: never more than a piece of it is in memory.

use std::collections::BTreeSet;

use api::search::{CollectionResource, CollectionResourceType};
use apiserver::{Body, BoxError, form::Include, with_type};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use jiff::Timestamp;
use meta::{Status, TableCells, TableColumn, human_age};
use serde_json::{Map, Value, json};
use store::{Row, Rows};

use crate::{
    events::Events,
    language,
    object::{Broken, Object, Shape},
    status,
    table::{self, Columns},
};

/// What is sent at once.
const CHUNK: usize = 64 << 10;

/// How the rows of an answer are written.
pub(crate) enum Format {
    /// A list of this kind and version.
    List { api_version: String, kind: String, shape: Shape },
    /// A Table of one resource.
    Table { version: &'static str, columns: Columns, include: Include, api_version: String },
    /// A collection's objects, under the API version that was asked.
    Collection { api_version: String, name: String, shape: Shape, types: BTreeSet<CollectionResourceType> },
    /// A Table of a collection's objects.
    CollectionTable { version: &'static str, include: Include },
}

/// What an answer tells of its place in the whole.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Paging {
    /// Whether it says where the next page begins.
    pub(crate) with_continue: bool,
    /// How many objects lie before this page, if that is known.
    pub(crate) passed: Option<u64>,
    /// How many there are altogether, if it is to be told how many follow.
    pub(crate) total: Option<u64>,
    /// The number of the last change that the answer certainly holds.
    pub(crate) head: u64,
}

/// Where an answer comes from.
pub(crate) struct Source {
    pub(crate) rows: Rows,
    /// Where the Events of the objects are, if they are to come along.
    pub(crate) events: Option<Events>,
}

/// Writes one answer.
struct Writer {
    format: Format,
    paging: Paging,
    now: Timestamp,
    written: u64,
}

/// Answers with all rows. The first piece is awaited, so that a store that fails at once is a Status; later failures
/// end the body before its end, which every client takes for what it is.
pub(crate) async fn stream_rows(
    source: Source,
    format: Format,
    paging: Paging,
    media_type: &str,
) -> Result<Response<Body>, Status> {
    let writer = Writer { format, paging, now: Timestamp::now(), written: 0 };
    let mut state = State { source, writer, over: false };
    let mut first = state.writer.head();
    state.fill(&mut first).await.map_err(|error| match error {
        Failed::Store(error) => status::of_store(&error),
        Failed::Broken(error) => status::broken(error),
    })?;
    let mut response = with_type(media_type, Bytes::new());
    if state.over {
        *response.body_mut() = apiserver::full(first);
        return Ok(response);
    }
    let first = stream::once(async { Ok::<_, BoxError>(Frame::data(Bytes::from(first))) });
    let rest = stream::try_unfold(state, |mut state| async move {
        if state.over {
            return Ok(None);
        }
        let mut chunk = Vec::with_capacity(CHUNK + CHUNK / 4);
        state.fill(&mut chunk).await.map_err(|error| {
            tracing::warn!(%error, "an answer breaks off");
            BoxError::from(error)
        })?;
        Ok(Some((Frame::data(Bytes::from(chunk)), state)))
    });
    *response.body_mut() = StreamBody::new(first.chain(rest)).boxed_unsync();
    Ok(response)
}

/// A single row: the object itself, or a Table of it.
pub(crate) fn single(row: &Row, format: Format, media_type: &str) -> Result<Response<Body>, Status> {
    let mut out = Vec::with_capacity(row.json.len() + 512);
    if let Format::List { shape, api_version, .. } = &format {
        let object = Object::of(row).map(|object| object.in_version(Some(api_version.as_str())));
        object.and_then(|object| object.write(*shape, &mut out)).map_err(status::broken)?;
    } else {
        let mut writer = Writer { format, paging: Paging::default(), now: Timestamp::now(), written: 0 };
        out = writer.head();
        writer.row(row, None, &mut out).map_err(status::broken)?;
        writer.tail(None, &mut out);
    }
    Ok(with_type(media_type, out))
}

/// A Table without objects.
pub(crate) fn plain_table(version: &str, columns: &[TableColumn], rows: Vec<TableCells>) -> Value {
    let rows: Vec<Value> = rows.into_iter().map(|cells| json!({ "cells": cells })).collect();
    json!({
        "kind": "Table",
        "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": {},
        "columnDefinitions": columns,
        "rows": rows,
    })
}

struct State {
    source: Source,
    writer: Writer,
    over: bool,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl State {
    /// Writes rows until a chunk is full or there are no more.
    async fn fill(&mut self, out: &mut Vec<u8>) -> Result<(), Failed> {
        while out.len() < CHUNK {
            let Source { rows, events } = &mut self.source;
            if let Some(row) = rows.next().await? {
                let events = match events {
                    Some(events) => events.about(&row).await?,
                    None => None,
                };
                self.writer.row(&row, events, out)?;
            } else {
                let token = rows.continue_token().map(|token| token.as_str().to_owned());
                self.writer.tail(token, out);
                self.over = true;
                break;
            }
        }
        Ok(())
    }
}

impl Writer {
    fn head(&self) -> Vec<u8> {
        let table = |version: &str, columns: &[TableColumn]| {
            format!(
                r#"{{"kind":"Table","apiVersion":"meta.k8s.io/{version}","columnDefinitions":{},"rows":["#,
                json!(columns)
            )
        };
        let head = match &self.format {
            Format::List { api_version, kind, shape: Shape::AsStored } => {
                format!(
                    r#"{{"kind":{},"apiVersion":{},"items":["#,
                    json!(format!("{kind}List")),
                    json!(api_version)
                )
            }
            Format::List { shape: Shape::Metadata(version), .. } => format!(
                r#"{{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/{version}","items":["#
            ),
            Format::Table { version, columns, .. } => table(version, &columns.definitions()),
            Format::CollectionTable { version, .. } => table(version, &collection_columns()),
            Format::Collection { api_version, name, .. } => format!(
                r#"{{"kind":"{}","apiVersion":{},"metadata":{{"name":{}}},"items":["#,
                CollectionResource::KIND,
                json!(api_version),
                json!(name)
            ),
        };
        head.into_bytes()
    }

    fn row(&mut self, row: &Row, events: Option<String>, out: &mut Vec<u8>) -> Result<(), Broken> {
        if self.written > 0 {
            out.push(b',');
        }
        self.written += 1;
        let now = self.now;
        match &mut self.format {
            Format::List { shape, api_version, .. } => {
                Object::of(row)?.with_events(events).in_version(Some(api_version.as_str())).write(*shape, out)
            }
            Format::Table { version, columns, include, api_version } => {
                let shown = Shown { row, events, api_version: Some(api_version.as_str()) };
                write_table_row(&columns.cells(row, now), shown, version, *include, out)
            }
            Format::Collection { shape, types, .. } => {
                let object = Object::of(row)?.with_events(events);
                let resource = &row.position.resource;
                types.insert(CollectionResourceType {
                    group: resource.group.clone(),
                    version: resource.version.clone(),
                    kind: object.kind(),
                    resource: resource.resource.clone(),
                });
                object.write(*shape, out)
            }
            Format::CollectionTable { version, include } => {
                let cells = collection_cells(row, &Object::of(row)?.kind(), now);
                write_table_row(&cells, Shown { row, events, api_version: None }, version, *include, out)
            }
        }
    }

    fn tail(&self, token: Option<String>, out: &mut Vec<u8>) {
        let Paging { with_continue, passed, total, head } = self.paging;
        let here = passed.map(|passed| passed.saturating_add(self.written));
        let mut paging = Map::new();
        if let Some(token) = token.filter(|_| with_continue) {
            paging.insert("continue".to_owned(), language::with_passed(token, here).into());
        }
        if let Some((total, here)) = total.zip(here) {
            paging.insert("remainingItemCount".to_owned(), total.saturating_sub(here).into());
        }
        let tail = if let Format::Collection { types, .. } = &self.format {
            paging.insert("resourceTypes".to_owned(), json!(types));
            let members = Value::Object(paging).to_string();
            format!("],{}", members.trim_start_matches('{'))
        } else {
            paging.insert("resourceVersion".to_owned(), head.to_string().into());
            format!("],\"metadata\":{}}}", Value::Object(paging))
        };
        out.extend_from_slice(tail.as_bytes());
    }
}

/// The object of a row of a Table.
struct Shown<'a> {
    row: &'a Row,
    events: Option<String>,
    /// The version it is given in, if not that it is stored in.
    api_version: Option<&'a str>,
}

fn write_table_row(
    cells: &TableCells,
    shown: Shown<'_>,
    version: &'static str,
    include: Include,
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    out.extend_from_slice(b"{\"cells\":");
    serde_json::to_writer(&mut *out, cells).map_err(|_| Broken)?;
    if include != Include::None {
        out.extend_from_slice(b",\"object\":");
    }
    let Shown { row, events, api_version } = shown;
    match include {
        Include::None => {}
        Include::Metadata => {
            Object::metadata_of(row)?.with_events(events).write(Shape::Metadata(version), out)?;
        }
        Include::Object => {
            Object::of(row)?.with_events(events).in_version(api_version).write(Shape::AsStored, out)?;
        }
    }
    out.push(b'}');
    Ok(())
}

fn collection_columns() -> Vec<TableColumn> {
    let name = TableColumn { format: "name".to_owned(), ..table::column("Name", "The object's name.") };
    vec![
        table::cluster(),
        table::column("Group", "The API group."),
        table::column("Version", "The API version."),
        table::column("Kind", "The kind."),
        table::column("Namespace", "The namespace."),
        name,
        table::column("Age", "How long ago the object was created."),
    ]
}

fn collection_cells(row: &Row, kind: &str, now: Timestamp) -> TableCells {
    let position = &row.position;
    let age = match position.created {
        0 => "<unknown>".to_owned(),
        created => human_age(now.as_second().saturating_sub(created)),
    };
    let resource = &position.resource;
    let (cluster, namespace, name) = (position.cluster.as_str(), &*position.namespace, &*position.name);
    [cluster, &resource.group, &resource.version, kind, namespace, name, &age].map(Value::from).into()
}
