//! Lists and watches of Manifests, turned into those of their objects while they arrive. No more than one object and a piece
//! of the answer is in memory.

use apiserver::{Body, BoxError};
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use meta::{ListScanner, WatchEvent, WatchScanner};
use serde_json::{Value, json};

use crate::{answer::Writer, manifest::Stored};

/// What is sent at once.
const PIECE: usize = 64 << 10;

/// Cuts an answer of the parent and writes another.
trait Turning: Send + 'static {
    /// More of the parent's answer.
    fn push(&mut self, bytes: Bytes);
    /// Writes what can be written, up to about a piece.
    fn write(&mut self, to: &mut Vec<u8>) -> Result<(), BoxError>;
    /// The parent's answer has ended.
    fn finish(&mut self, to: &mut Vec<u8>) -> Result<(), BoxError>;
}

/// A list.
pub(crate) fn list(upstream: kubeio::Body, writer: Writer) -> Body {
    turned(upstream, List { scanner: ListScanner::default(), writer, items: 0, begun: false })
}

/// A watch.
pub(crate) fn watch(upstream: kubeio::Body, writer: Writer) -> Body {
    turned(upstream, Watch { scanner: WatchScanner::default(), writer })
}

fn turned(upstream: kubeio::Body, turning: impl Turning) -> Body {
    let pieces = stream::try_unfold(Some((upstream, turning)), |state| async move {
        let Some((mut upstream, mut turning)) = state else { return Ok(None) };
        loop {
            let mut piece = Vec::new();
            turning.write(&mut piece)?;
            if !piece.is_empty() {
                return Ok::<_, BoxError>(Some((Frame::data(piece.into()), Some((upstream, turning)))));
            }
            match upstream.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        turning.push(data);
                    }
                }
                Some(Err(error)) => return Err(error),
                None => {
                    turning.finish(&mut piece)?;
                    return Ok(Some((Frame::data(piece.into()), None)));
                }
            }
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

struct List {
    scanner: ListScanner,
    writer: Writer,
    items: usize,
    begun: bool,
}

impl Turning for List {
    fn push(&mut self, bytes: Bytes) {
        self.scanner.push(bytes);
    }

    fn write(&mut self, to: &mut Vec<u8>) -> Result<(), BoxError> {
        if !self.begun {
            self.begun = true;
            to.extend_from_slice(self.writer.head().as_bytes());
        }
        while to.len() < PIECE
            && let Some(item) = self.scanner.next_item()?
        {
            // A Manifest by somebody's hand that holds no object is no reason to show nothing.
            let Some(object) = object(&item) else { continue };
            if self.items > 0 {
                to.push(b',');
            }
            self.items += 1;
            serde_json::to_writer(&mut *to, &self.writer.item(object))?;
        }
        Ok(())
    }

    fn finish(&mut self, to: &mut Vec<u8>) -> Result<(), BoxError> {
        let meta = std::mem::take(&mut self.scanner).finish()?;
        to.extend_from_slice(Writer::tail(&meta.resource_version, meta.continue_token.as_deref()).as_bytes());
        Ok(())
    }
}

struct Watch {
    scanner: WatchScanner,
    writer: Writer,
}

impl Turning for Watch {
    fn push(&mut self, bytes: Bytes) {
        self.scanner.push(bytes);
    }

    fn write(&mut self, to: &mut Vec<u8>) -> Result<(), BoxError> {
        while to.len() < PIECE
            && let Some(event) = self.scanner.next_event()?
        {
            if let Some(event) = self.event(event) {
                serde_json::to_writer(&mut *to, &event)?;
                to.push(b'\n');
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(std::mem::take(&mut self.scanner).finish()?)
    }
}

impl Watch {
    fn event(&self, event: WatchEvent) -> Option<Value> {
        let (type_, object) = match event {
            WatchEvent::Added(manifest) => ("ADDED", self.writer.single(object(&manifest)?)),
            WatchEvent::Modified(manifest) => ("MODIFIED", self.writer.single(object(&manifest)?)),
            WatchEvent::Deleted(manifest) => ("DELETED", self.writer.single(object(&manifest)?)),
            WatchEvent::Bookmark(mark) => {
                ("BOOKMARK", self.writer.bookmark(&mark.resource_version, mark.initial_events_end))
            }
            WatchEvent::Error(status) => ("ERROR", serde_json::from_str(&status.to_json()).ok()?),
        };
        Some(json!({ "type": type_, "object": object }))
    }
}

fn object(manifest: &[u8]) -> Option<Value> {
    let stored = Stored::read(manifest).ok()?;
    stored.template.is_object().then(|| stored.view())
}
