//! The Events of objects, for lists that ask for them (contract 2.3, 5.3).

use std::{num::NonZeroU64, sync::Arc};

use meta::FieldSelector;
use store::{Error, OrderBy, OrderField, Query, Resource, Row, Store};

/// Events of one object, the newest.
const MOST: u64 = 20;
/// Bytes of them. An annotation that no API server would take is of no use.
const MOST_BYTES: usize = 128 << 10;

/// Finds the Events of objects among what is synchronised from their clusters.
pub(crate) struct Events {
    store: Arc<dyn Store>,
}

impl Events {
    pub(crate) fn of(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The newest Events about an object, as a JSON array; `None` if there are none.
    pub(crate) async fn about(&self, row: &Row) -> Result<Option<String>, Error> {
        // What a server makes up is no uid and could not be asked for.
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if row.uid.is_empty() || !is_plain(&row.uid) {
            return Ok(None);
        }
        let selector = format!("involvedObject.uid={}", row.uid);
        let query = Query {
            clusters: Some([row.position.cluster.clone()].into()),
            fields: FieldSelector::parse(&selector).unwrap_or_default(),
            order: vec![OrderBy::descending(OrderField::CreatedAt)],
            limit: NonZeroU64::new(MOST),
            ..Query::of(Resource::new("", "v1", "events"))
        };
        let mut events = self.store.select(query).await?;
        let mut json = Vec::new();
        while let Some(event) = events.next().await? {
            if json.len() + event.json.len() > MOST_BYTES {
                break;
            }
            json.push(if json.is_empty() { b'[' } else { b',' });
            json.extend_from_slice(&event.json);
        }
        if json.is_empty() {
            return Ok(None);
        }
        json.push(b']');
        Ok(String::from_utf8(json).ok())
    }
}
