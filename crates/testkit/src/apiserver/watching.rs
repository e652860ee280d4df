//! What a list or a watch selects, and the events of a watch.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{
    ApiServer,
    answer::{Body, BoxError},
};

/// What a list or a watch asks for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// The path of the resource.
    pub(super) of: String,
    pub(super) namespace: Option<String>,
    /// One requirement, `key=value`.
    pub(super) labels: Option<String>,
    /// One requirement, `path=value`.
    pub(super) fields: Option<String>,
}

impl Wanted {
    pub(super) fn has(&self, object: &Value) -> bool {
        self.is_here(object)
            && self.labels.as_deref().is_none_or(|selector| {
                let (key, value) = selector.split_once('=').unwrap_or((selector, ""));
                object["metadata"]["labels"][key] == value
            })
            && self.fields.as_deref().is_none_or(|selector| {
                let (path, value) = selector.split_once('=').unwrap_or((selector, ""));
                path.split('.').fold(object, |object, name| &object[name]) == value
            })
    }

    fn is_here(&self, object: &Value) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| object["metadata"]["namespace"] == namespace)
    }

    /// As a server tells it: what no longer fits the selector is deleted for the watcher.
    fn event(&self, kind: &str, object: &Value) -> Option<String> {
        let kind = match (self.is_here(object), self.has(object)) {
            (false, _) => return None,
            (true, false) => "DELETED",
            (true, true) => kind,
        };
        Some(format!("{}\n", json!({ "type": kind, "object": object })))
    }
}

impl ApiServer {
    /// Every change after `since`, each so often, until the watch is cut.
    pub(super) fn watch(self: &Arc<Self>, wanted: Wanted, since: u64, times: usize) -> Body {
        let epoch = self.state.lock().epoch;
        let watch = (Arc::clone(self), self.changed.subscribe(), wanted, since);
        let events = stream::unfold(watch, move |(server, mut changed, wanted, mut since)| async move {
            loop {
                changed.borrow_and_update();
                if server.state.lock().epoch != epoch {
                    return Some((Err("connection reset".into()), (server, changed, wanted, since)));
                }
                let text = server.told(&wanted, &mut since, times);
                if !text.is_empty() {
                    return Some((Ok(Bytes::from(text)), (server, changed, wanted, since)));
                }
                changed.changed().await.ok()?;
            }
        });
        body(events)
    }

    /// The events after `since`, which moves on. A megabyte at most: a watch is told as fast as it is read.
    fn told(&self, wanted: &Wanted, since: &mut u64, times: usize) -> String {
        let state = self.state.lock();
        let begin = state.history.partition_point(|change| change.version <= *since);
        let mut text = String::new();
        for change in &state.history[begin..] {
            if change.path == wanted.of
                && let Some(event) = wanted.event(change.kind, &change.object)
            {
                text += &event.repeat(times);
            }
            *since = change.version;
            if text.len() > 1 << 20 {
                return text;
            }
        }
        *since = (*since).max(state.version);
        text
    }
}

/// A body of these pieces.
pub(super) fn body(pieces: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> Body {
    use futures_util::StreamExt as _;
    let frames = pieces.map(|piece| piece.map(http_body::Frame::data));
    http_body_util::StreamBody::new(frames).boxed_unsync()
}

/// A body in one piece.
pub(super) fn whole(text: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(text.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}
