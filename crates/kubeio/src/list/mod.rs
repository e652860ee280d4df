//! A list, object by object, while it arrives.

#[cfg(test)]
mod tests;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use meta::ListScanner;
use tokio::time::{Instant, sleep_until};

use crate::{
    Error, Lane, Selection, Transport,
    request::{Chunks, IDLE, Patience, open_json},
    selection::METADATA_LIST,
};

/// What to list, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    /// Which objects.
    pub selection: Selection,
    /// How recent.
    pub at: ListAt,
    /// Objects for the first request. While pages come quickly each next one is asked to be larger, up to 10,000 objects:
    /// a server is at rest while the end of a page is taken and the next one not yet asked for. `None` asks for all at
    /// once, which a server cuts off after 60 s.
    pub page_size: Option<NonZeroU32>,
    /// A list of more objects is [`Error::Broken`]: a server that never comes to an end.
    pub limit: u64,
}

/// Which state of the objects a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ListAt {
    /// The newest.
    #[default]
    Newest,
    /// Any, perhaps an old one, as cheaply as the server can. Servers then may ignore the page size.
    Any,
    /// This one or a newer one.
    NotOlderThan(String),
    /// Exactly this one.
    Exactly(String),
}

/// How much larger a page is than the one before, if that took no longer than `QUICK`: so none comes near the 60 s after
/// which a server cuts off.
const GROWTH: u32 = 4;
const QUICK: Duration = Duration::from_secs(2);
const LARGEST: u32 = 10_000;

impl ListRequest {
    /// The newest state in pages of 500 and more, up to ten million objects.
    pub fn new(selection: Selection) -> Self {
        Self { selection, at: ListAt::Newest, page_size: NonZeroU32::new(500), limit: 10_000_000 }
    }

    fn path(&self, token: Option<&str>, page_size: Option<NonZeroU32>) -> String {
        let mut query = self.selection.query();
        if let Some(size) = page_size {
            query.append_pair("limit", &size.to_string());
        }
        match (token, &self.at) {
            // The token knows the state the first page was of.
            (Some(token), _) => {
                query.append_pair("continue", token);
            }
            (None, ListAt::Newest) => {}
            (None, ListAt::Any) => {
                query.append_pair("resourceVersion", "0");
            }
            (None, ListAt::NotOlderThan(version)) => {
                query.append_pair("resourceVersion", version);
                query.append_pair("resourceVersionMatch", "NotOlderThan");
            }
            (None, ListAt::Exactly(version)) => {
                query.append_pair("resourceVersion", version);
                query.append_pair("resourceVersionMatch", "Exact");
            }
        }
        self.selection.path(query)
    }
}

/// The resource version of the newest state, for the price of one object's metadata.
pub(crate) async fn newest_version(
    transport: &dyn Transport,
    selection: &Selection,
) -> Result<String, Error> {
    let mut request = ListRequest::new(selection.clone());
    request.page_size = NonZeroU32::new(1);
    let response =
        open_json(transport, &request.path(None, request.page_size), METADATA_LIST, Lane::Short).await?;
    let mut chunks = Chunks::new(response.into_body());
    let mut scanner = ListScanner::default();
    while let Some(chunk) = chunks.next(Instant::now() + IDLE).await? {
        scanner.push(chunk);
        while scanner.next_item()?.is_some() {}
    }
    Ok(scanner.finish()?.resource_version)
}

/// A list that is being read. Nothing is sent before [`List::next`] is called.
///
/// A page that fails in passing is asked for again a few times: 429 and 503 after the time the server asks for, and a
/// broken connection too where the list can go on without a gap.
///
/// A continue token that has become too old is [`Error::Expired`]. Kubernetes offers to go on from there with a newer
/// state; then no watch could follow without missing something, so that is not done: list again.
pub struct List {
    transport: Arc<dyn Transport>,
    request: ListRequest,
    state: State,
    /// Where the page that is being read begins; nothing for the first.
    token: Option<String>,
    /// Objects that page was asked to have at most.
    page_size: Option<NonZeroU32>,
    patience: Patience,
    /// Whether this page broke off and is asked for again.
    broke: bool,
    /// Objects of this page that were given out.
    given: u64,
    /// Objects of this page that were given out before it broke off, and come again.
    again: u64,
    /// Objects and pages so far.
    total: u64,
    version: String,
}

enum State {
    /// To be asked for, at this time.
    Ask(Instant),
    Reading(Box<Page>),
    Done,
}

struct Page {
    chunks: Chunks,
    scanner: ListScanner,
    asked: Instant,
}

impl List {
    /// A list over `transport`.
    pub fn new(transport: Arc<dyn Transport>, request: ListRequest) -> Self {
        Self {
            transport,
            page_size: request.page_size,
            request,
            state: State::Ask(Instant::now()),
            token: None,
            patience: Patience::new(),
            broke: false,
            given: 0,
            again: 0,
            total: 0,
            version: String::new(),
        }
    }

    /// The next object, as JSON; nothing after the last. May be cancelled and called again.
    ///
    /// Objects of built-in kinds come without `kind` and `apiVersion`. The bytes share memory with what arrived with
    /// them: who keeps them copies them.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if matches!(self.state, State::Done) {
                return Ok(None);
            }
            match self.step().await {
                Ok(Some(item)) => return Ok(Some(item)),
                Ok(None) => {}
                Err(error) => self.after(error)?,
            }
        }
    }

    /// The resource version of the whole list, where a watch may go on. Empty before the list has ended.
    pub fn resource_version(&self) -> &str {
        &self.version
    }

    /// One step further: an object, or nothing yet.
    async fn step(&mut self) -> Result<Option<Bytes>, Error> {
        match &mut self.state {
            State::Ask(when) => {
                sleep_until(*when).await;
                let path = self.request.path(self.token.as_deref(), self.page_size);
                let asked = Instant::now();
                let response =
                    open_json(&*self.transport, &path, self.request.selection.accept_list(), Lane::Short)
                        .await?;
                let chunks = Chunks::new(response.into_body());
                self.state =
                    State::Reading(Box::new(Page { chunks, scanner: ListScanner::default(), asked }));
                self.count()?;
                Ok(None)
            }
            State::Reading(page) => {
                if let Some(item) = page.scanner.next_item()? {
                    return self.give(item);
                }
                match page.chunks.next(Instant::now() + IDLE).await? {
                    Some(chunk) => page.scanner.push(chunk),
                    None => self.turn()?,
                }
                Ok(None)
            }
            State::Done => Ok(None),
        }
    }

    /// Counts an object or a page.
    fn count(&mut self) -> Result<(), Error> {
        self.total += 1;
        if self.total > self.request.limit {
            return Err(Error::Broken(format!("the list has more than {} objects", self.request.limit)));
        }
        Ok(())
    }

    fn give(&mut self, item: Bytes) -> Result<Option<Bytes>, Error> {
        if self.again > 0 {
            self.again -= 1;
            return Ok(None);
        }
        self.given += 1;
        self.count()?;
        Ok(Some(item))
    }

    /// From the end of a page to the next.
    fn turn(&mut self) -> Result<(), Error> {
        let State::Reading(page) = std::mem::replace(&mut self.state, State::Done) else { return Ok(()) };
        let meta = page.scanner.finish()?;
        self.given = 0;
        self.again = 0;
        self.patience = Patience::new();
        let is_easy = !std::mem::take(&mut self.broke) && page.asked.elapsed() <= QUICK;
        self.page_size = if is_easy { self.page_size.map(larger) } else { self.request.page_size };
        match meta.continue_token {
            None => self.version = meta.resource_version,
            Some(token) if self.token.as_ref() == Some(&token) => {
                return Err(Error::Broken(String::from(
                    "the list does not go on: a page names itself as the next",
                )));
            }
            Some(token) => {
                self.token = Some(token);
                self.state = State::Ask(Instant::now());
            }
        }
        Ok(())
    }

    /// Asks for the page again, of the same size, if that may help and leaves no gap.
    fn after(&mut self, error: Error) -> Result<(), Error> {
        self.state = State::Done;
        // The first page would come in a newer state: what was deleted in between would never be missed. The others
        // come in the state that is written in their token, in the same order.
        if self.token.is_none() && self.given > 0 {
            return Err(error);
        }
        let when = self.patience.again(&error).ok_or(error)?;
        self.again = self.given;
        self.broke = true;
        self.state = State::Ask(when);
        Ok(())
    }
}

/// The size of the page after one of this size that came quickly.
fn larger(size: NonZeroU32) -> NonZeroU32 {
    // What was asked for on purpose is not made smaller.
    let largest = LARGEST.max(size.get());
    NonZeroU32::new(size.get().saturating_mul(GROWTH).min(largest)).unwrap_or(size)
}
