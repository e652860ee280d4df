//! The answer to a watch request, event by event.

use bytes::Bytes;
use serde::Deserialize;

use super::{
    DEFAULT_OBJECT_LIMIT, ScanError,
    cursor::Cursor,
    fields::{Fields, Part},
};
use crate::Status;

/// Cuts a watch stream (JSON objects one after the other) into its events while it arrives.
///
/// ```
/// use meta::{WatchEvent, WatchScanner};
/// let mut scanner = WatchScanner::default();
/// scanner.push(r#"{"type":"ADDED","object":{"kind":"Pod"}}{"type":"MODI"#.into());
/// assert_eq!(scanner.next_event()?, Some(WatchEvent::Added(r#"{"kind":"Pod"}"#.into())));
/// assert_eq!(scanner.next_event()?, None);
/// assert!(scanner.finish().is_err());
/// # Ok::<(), meta::ScanError>(())
/// ```
#[derive(Debug)]
pub struct WatchScanner {
    cursor: Cursor,
    fields: Fields,
    at: At,
    type_: Option<String>,
    object: Option<Bytes>,
    failed: Option<ScanError>,
}

/// What a watch tells. The objects are JSON as it came, from `{` to `}`; their bytes share memory with the chunk they
/// came in, and keep it alive: who keeps them copies them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// The object is new, or was there when the watch began.
    Added(Bytes),
    /// The object changed.
    Modified(Bytes),
    /// The object is gone; this was its last state.
    Deleted(Bytes),
    /// Everything up to here has been told.
    Bookmark(Bookmark),
    /// The watch has failed; 410 says that its place is gone. Nothing follows.
    Error(Status),
}

/// A place in the history of a resource to which a watch has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bookmark {
    /// Where another watch may go on.
    pub resource_version: String,
    /// With this bookmark the objects that were there at the beginning have all been told
    /// (annotation `k8s.io/initial-events-end`).
    pub initial_events_end: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between the fields of an event.
    Fields,
    /// Before the colon of a field.
    Colon(Field),
    /// In a field.
    Value(Field),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Type,
    Object,
    Other,
}

impl Default for WatchScanner {
    /// With [`DEFAULT_OBJECT_LIMIT`].
    fn default() -> Self {
        Self::with_limit(DEFAULT_OBJECT_LIMIT)
    }
}

impl WatchScanner {
    /// A scanner that fails on an object of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            cursor: Cursor::new(limit),
            fields: Fields::default(),
            at: At::Fields,
            type_: None,
            object: None,
            failed: None,
        }
    }

    /// The next bytes of the stream. Take the events with [`Self::next_event`] before pushing more: then nothing is
    /// copied but the objects that lie across two chunks.
    pub fn push(&mut self, chunk: Bytes) {
        self.cursor.push(chunk);
    }

    /// The next event; nothing until more is pushed.
    pub fn next_event(&mut self) -> Result<Option<WatchEvent>, ScanError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.advance().inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// Whether the stream ended between two events, after the last byte was pushed and the last event taken.
    pub fn finish(mut self) -> Result<(), ScanError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if !self.fields.is_outside() || self.cursor.peek().is_some() {
            return Err(self.cursor.truncated());
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<Option<WatchEvent>, ScanError> {
        loop {
            let next = match self.at {
                At::Fields => match self.fields.next(&mut self.cursor)? {
                    Some(Part::Field(name)) => Some(At::Colon(Field::of(&name))),
                    Some(Part::End) => return self.event().map(Some),
                    None => None,
                },
                At::Colon(field) => match self.cursor.peek() {
                    Some(b':') => {
                        self.cursor.step();
                        Some(At::Value(field))
                    }
                    Some(_) => return Err(self.cursor.expected("a colon")),
                    None => None,
                },
                At::Value(field) => self.cursor.value()?.map(|value| self.keep(field, value)).transpose()?,
            };
            match next {
                Some(next) => self.at = next,
                None => return Ok(None),
            }
        }
    }

    fn keep(&mut self, field: Field, value: Bytes) -> Result<At, ScanError> {
        match field {
            Field::Type => self.type_ = Some(self.read(&value, "the type of an event")?),
            Field::Object if value.first() == Some(&b'{') => self.object = Some(value),
            Field::Object => return Err(self.cursor.expected("the object of an event")),
            Field::Other => {
                self.read::<serde::de::IgnoredAny>(&value, "a value")?;
            }
        }
        Ok(At::Fields)
    }

    /// The event whose fields have been read.
    fn event(&mut self) -> Result<WatchEvent, ScanError> {
        self.at = At::Fields;
        let (Some(type_), Some(object)) = (self.type_.take(), self.object.take()) else {
            return Err(self.cursor.expected("an event with type and object"));
        };
        Ok(match type_.as_str() {
            "ADDED" => WatchEvent::Added(object),
            "MODIFIED" => WatchEvent::Modified(object),
            "DELETED" => WatchEvent::Deleted(object),
            "BOOKMARK" => WatchEvent::Bookmark(self.read::<BookmarkObject>(&object, "a bookmark")?.into()),
            "ERROR" => WatchEvent::Error(self.read(&object, "a Status")?),
            _ => return Err(self.cursor.expected("ADDED, MODIFIED, DELETED, BOOKMARK or ERROR")),
        })
    }

    fn read<'a, T: Deserialize<'a>>(&self, value: &'a [u8], expected: &'static str) -> Result<T, ScanError> {
        serde_json::from_slice(value).map_err(|_| self.cursor.expected(expected))
    }
}

impl Field {
    fn of(name: &str) -> Self {
        match name {
            "type" => Self::Type,
            "object" => Self::Object,
            _ => Self::Other,
        }
    }
}

#[derive(Deserialize)]
struct BookmarkObject {
    metadata: BookmarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BookmarkMetadata {
    resource_version: String,
    annotations: Option<BookmarkAnnotations>,
}

#[derive(Deserialize)]
struct BookmarkAnnotations {
    #[serde(rename = "k8s.io/initial-events-end")]
    initial_events_end: Option<String>,
}

impl From<BookmarkObject> for Bookmark {
    fn from(object: BookmarkObject) -> Self {
        let end = object.metadata.annotations.and_then(|annotations| annotations.initial_events_end);
        Self {
            resource_version: object.metadata.resource_version,
            initial_events_end: end.as_deref() == Some("true"),
        }
    }
}
