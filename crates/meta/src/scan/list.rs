//! The answer to a list request, item by item.

use bytes::Bytes;
use serde::Deserialize;

use super::{
    DEFAULT_OBJECT_LIMIT, ScanError,
    cursor::Cursor,
    fields::{Fields, Part},
};

/// Cuts a list (`kind: PodList`, …) into its items while it arrives.
///
/// ```
/// use meta::ListScanner;
/// let mut scanner = ListScanner::default();
/// let mut names = Vec::new();
/// for chunk in [r#"{"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"na"#, r#"me":"a"}},{}],"metadata":{"#, "}}"] {
///     scanner.push(chunk.into());
///     while let Some(item) = scanner.next_item()? {
///         names.push(item);
///     }
/// }
/// assert_eq!(names, [r#"{"metadata":{"name":"a"}}"#, "{}"]);
/// assert_eq!(scanner.finish()?.kind, "PodList");
/// # Ok::<(), meta::ScanError>(())
/// ```
#[derive(Debug)]
pub struct ListScanner {
    cursor: Cursor,
    fields: Fields,
    at: At,
    meta: ListMeta,
    items_seen: bool,
    tables: bool,
    failed: Option<ScanError>,
}

/// What a list says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListMeta {
    /// `apiVersion`, such as `apps/v1`; that of the items too.
    pub api_version: String,
    /// `kind`, such as `DeploymentList`; that of the items and `List`.
    pub kind: String,
    /// `metadata.resourceVersion`, opaque: where a watch goes on.
    pub resource_version: String,
    /// `metadata.continue`, opaque, if there are more pages.
    pub continue_token: Option<String>,
    /// `metadata.remainingItemCount`, if the server says it.
    pub remaining_item_count: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Between the fields of the list.
    Fields,
    /// Before the colon of a field.
    Colon(Field),
    /// In a field that is no list of items.
    Value(Field),
    /// Before `[` or `null`.
    Items,
    /// After `[`: an item or `]`.
    FirstItem,
    /// After a comma between items.
    NextItem,
    /// In an item.
    Item,
    /// After an item: a comma or `]`.
    ItemEnd,
    /// After the list.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    ApiVersion,
    Kind,
    Metadata,
    Items,
    Other,
}

impl Default for ListScanner {
    /// With [`DEFAULT_OBJECT_LIMIT`].
    fn default() -> Self {
        Self::with_limit(DEFAULT_OBJECT_LIMIT)
    }
}

impl ListScanner {
    /// A scanner that fails on an item of more than `limit` bytes.
    pub fn with_limit(limit: usize) -> Self {
        Self {
            cursor: Cursor::new(limit),
            fields: Fields::default(),
            at: At::Fields,
            meta: ListMeta::default(),
            items_seen: false,
            tables: false,
            failed: None,
        }
    }

    /// Takes a `meta.k8s.io` Table too, for a list whose items are its rows.
    #[must_use]
    pub fn with_tables(self) -> Self {
        Self { tables: true, ..self }
    }

    /// The next bytes of the answer. Take the items with [`Self::next_item`] before pushing more: then nothing is
    /// copied but the items that lie across two chunks.
    pub fn push(&mut self, chunk: Bytes) {
        self.cursor.push(chunk);
    }

    /// The next item, from `{` to `}`; nothing until more is pushed.
    ///
    /// The bytes share memory with the chunk they came in, and keep it alive: who keeps items copies them.
    pub fn next_item(&mut self) -> Result<Option<Bytes>, ScanError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.advance().inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// What the list says about itself, after the last byte was pushed and the last item taken.
    pub fn finish(self) -> Result<ListMeta, ScanError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.at != At::End {
            return Err(self.cursor.truncated());
        }
        Ok(self.meta)
    }

    fn advance(&mut self) -> Result<Option<Bytes>, ScanError> {
        loop {
            let next = match self.at {
                At::Fields => match self.fields.next(&mut self.cursor)? {
                    Some(Part::Field(name)) if self.tables && name == "rows" => Some(At::Colon(Field::Items)),
                    Some(Part::Field(name)) => Some(At::Colon(Field::of(&name))),
                    Some(Part::End) if self.items_seen => Some(At::End),
                    Some(Part::End) => return Err(self.cursor.expected("a list with items")),
                    None => None,
                },
                At::Item => match self.cursor.value()? {
                    Some(item) => {
                        self.at = At::ItemEnd;
                        return Ok(Some(item));
                    }
                    None => None,
                },
                At::Value(field) => self.cursor.value()?.map(|value| self.keep(field, &value)).transpose()?,
                _ => self.cursor.peek().map(|byte| self.punctuation(byte)).transpose()?,
            };
            match next {
                Some(next) => self.at = next,
                None => return Ok(None),
            }
        }
    }

    /// Past one byte of what stands around fields and items.
    fn punctuation(&mut self, byte: u8) -> Result<At, ScanError> {
        let next = match (self.at, byte) {
            (At::FirstItem | At::NextItem, b'{') => return Ok(At::Item),
            (At::Items, b'n') => return Ok(At::Value(Field::Items)),
            (At::Colon(Field::Items), b':') if !self.items_seen => At::Items,
            (At::Colon(Field::Items), b':') => return Err(self.cursor.expected("items only once")),
            (At::Colon(field), b':') => At::Value(field),
            (At::Items, b'[') => At::FirstItem,
            (At::FirstItem | At::ItemEnd, b']') => At::Fields,
            (At::ItemEnd, b',') => At::NextItem,
            (At::Colon(_), _) => return Err(self.cursor.expected("a colon")),
            (At::Items, _) => return Err(self.cursor.expected("a list of items")),
            (At::FirstItem | At::NextItem, _) => {
                return Err(self.cursor.expected("an item that is an object"));
            }
            (At::ItemEnd, _) => return Err(self.cursor.expected("a comma or the end of the items")),
            _ => return Err(self.cursor.expected("nothing after the list")),
        };
        self.items_seen |= next == At::FirstItem;
        self.cursor.step();
        Ok(next)
    }

    /// Keeps what the list says about itself.
    fn keep(&mut self, field: Field, value: &[u8]) -> Result<At, ScanError> {
        let kept = match field {
            Field::ApiVersion => {
                read(value).map(|text: Option<String>| self.meta.api_version = text.unwrap_or_default())
            }
            Field::Kind => read(value).map(|text: Option<String>| self.meta.kind = text.unwrap_or_default()),
            Field::Metadata => {
                read(value).map(|metadata: Option<Metadata>| self.keep_metadata(metadata.unwrap_or_default()))
            }
            Field::Items => read(value).map(|()| self.items_seen = true),
            Field::Other => read(value).map(|_: serde::de::IgnoredAny| ()),
        };
        kept.ok_or_else(|| self.cursor.expected(field.expected()))?;
        Ok(At::Fields)
    }

    fn keep_metadata(&mut self, metadata: Metadata) {
        self.meta.resource_version = metadata.resource_version.unwrap_or_default();
        self.meta.continue_token = metadata.continue_token.filter(|token| !token.is_empty());
        self.meta.remaining_item_count = metadata.remaining_item_count;
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
    remaining_item_count: Option<u64>,
}

impl Field {
    fn of(name: &str) -> Self {
        match name {
            "apiVersion" => Self::ApiVersion,
            "kind" => Self::Kind,
            "metadata" => Self::Metadata,
            "items" => Self::Items,
            _ => Self::Other,
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::ApiVersion | Self::Kind => "a text",
            Self::Metadata => "the metadata of a list",
            Self::Items => "a list of items or null",
            Self::Other => "a value",
        }
    }
}

fn read<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}
