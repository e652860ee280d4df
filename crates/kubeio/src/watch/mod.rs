//! A watch, event by event.

#[cfg(test)]
mod tests;

use std::time::Duration;

use meta::{WatchEvent, WatchScanner};
use rand::RngExt as _;
use tokio::time::Instant;

use crate::{
    Error, Lane, Selection, Transport,
    request::{Chunks, open_json},
};

/// A watch lasts so many seconds, spread so that those begun together do not end together. Some networks drop a
/// connection silently that says nothing for four minutes.
const LASTS: std::ops::RangeInclusive<u64> = 200..=240;
/// A watch that did not end after its time and this is not going to.
const GRACE: Duration = Duration::from_secs(10);

/// What to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchRequest {
    /// Which objects.
    pub selection: Selection,
    /// From where on: events after this one.
    pub resource_version: String,
    /// Whether the server may say how far it has come while nothing happens. Ignored by servers that cannot.
    pub bookmarks: bool,
}

impl WatchRequest {
    fn path(&self, seconds: u64) -> String {
        let mut query = self.selection.query();
        query.append_pair("watch", "true");
        query.append_pair("resourceVersion", &self.resource_version);
        query.append_pair("timeoutSeconds", &seconds.to_string());
        if self.bookmarks {
            query.append_pair("allowWatchBookmarks", "true");
        }
        self.selection.path(query)
    }
}

/// A watch that is under way.
pub struct Watch {
    chunks: Chunks,
    scanner: Option<WatchScanner>,
    began: Instant,
    lasts: Duration,
}

impl Watch {
    /// Begins a watch over `transport`.
    ///
    /// A place that is gone is [`Error::Expired`], here or from [`Watch::next`].
    pub async fn begin(transport: &dyn Transport, request: &WatchRequest) -> Result<Self, Error> {
        let seconds = rand::rng().random_range(LASTS);
        let began = Instant::now();
        let response =
            open_json(transport, &request.path(seconds), request.selection.accept_watch(), Lane::Watch)
                .await?;
        Ok(Self {
            chunks: Chunks::new(response.into_body()),
            scanner: Some(WatchScanner::default()),
            began,
            lasts: Duration::from_secs(seconds),
        })
    }

    /// The next event, never [`WatchEvent::Error`]: that is an error here. Nothing when the watch has ended, as every
    /// watch does after some minutes: then another goes on from the last resource version. May be cancelled and called
    /// again.
    pub async fn next(&mut self) -> Result<Option<WatchEvent>, Error> {
        let Some(scanner) = &mut self.scanner else { return Ok(None) };
        let result = Self::event(scanner, &mut self.chunks, self.began + self.lasts + GRACE).await;
        if !matches!(result, Ok(Some(_))) {
            self.scanner = None;
        }
        result
    }

    /// How long ago it was begun.
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether the watch lasted as long as it was asked to: then the server ended it because of that.
    pub fn had_its_time(&self) -> bool {
        // The server's clock began a little later than this one, or earlier by a request's way there.
        self.age() + Duration::from_secs(1) >= self.lasts
    }

    async fn event(
        scanner: &mut WatchScanner,
        chunks: &mut Chunks,
        deadline: Instant,
    ) -> Result<Option<WatchEvent>, Error> {
        loop {
            match scanner.next_event()? {
                Some(WatchEvent::Error(status)) => return Err(status.into()),
                Some(event) => return Ok(Some(event)),
                None => {}
            }
            match chunks.next(deadline).await {
                Ok(Some(chunk)) => scanner.push(chunk),
                Ok(None) => return Ok(std::mem::take(scanner).finish().map(|()| None)?),
                // Whoever said nothing until then is not there any more. Nothing is lost: the next watch goes on from
                // the last event.
                Err(_) if Instant::now() >= deadline => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }
}
