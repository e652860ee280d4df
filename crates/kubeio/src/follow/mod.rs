//! One resource from now on, for ever: list, then watch, and go on after whatever happens.

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytes::Bytes;
use meta::{ObjectError, RawObject, WatchEvent};
use runtime::Backoff;
use tokio::time::{Instant, sleep_until};

use crate::{Error, List, ListRequest, Selection, Transport, Watch, WatchRequest, list};

/// The first wait after a failure, and the longest.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];
/// A watch that lived so long had begun well: the next failure is a first one.
const WELL: Duration = Duration::from_secs(30);
/// The longest rest that a server is granted, whatever it asks for.
const REST: Duration = Duration::from_secs(300);
/// A watch that ends by itself before this time is not one.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What to follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowRequest {
    /// Which objects.
    pub selection: Selection,
    /// Their kind, which items of lists do not say.
    pub kind: String,
    /// Where an earlier follower came to: the resource version of its last step that was kept. `None` begins with a
    /// list.
    pub resume: Option<String>,
    /// Objects for each request of a list; see [`ListRequest::page_size`].
    pub page_size: Option<NonZeroU32>,
}

impl FollowRequest {
    /// From the beginning, in pages of 500.
    ///
    /// ```
    /// use kubeio::{FollowRequest, Resource, Selection};
    /// let pods = Selection::all(Resource::new("", "v1", "pods"));
    /// let request = FollowRequest { resume: Some("4711".into()), ..FollowRequest::new(pods, "Pod") };
    /// ```
    pub fn new(selection: Selection, kind: impl Into<String>) -> Self {
        let page_size = ListRequest::new(selection.clone()).page_size;
        Self { selection, kind: kind.into(), resume: None, page_size }
    }
}

/// What happens to the followed objects, in order.
#[derive(Debug)]
pub enum Step {
    /// A list begins: at first, or because the place in the history was lost. It is asked for when the next step is:
    /// who limits the lists that run at the same time waits here. What the list before has shown, if it was not
    /// finished, counts for nothing.
    ListBegan,
    /// The list shows this object.
    Listed(RawObject),
    /// The list has shown all. What it did not show is gone.
    ListDone {
        /// What it has shown is the state at this place.
        resource_version: String,
    },
    /// The object is new or has changed. Its resource version is a place to resume from.
    Changed(RawObject),
    /// The object is gone; this was its last state. Its resource version is a place to resume from.
    Deleted(RawObject),
    /// Everything up to here has been told.
    Bookmark {
        /// A place to resume from.
        resource_version: String,
    },
    /// An object that cannot be read, in a list or a watch, was left out.
    Unreadable(ObjectError),
    /// It does not go on. The next step comes after this time, from where it stopped, or with a new list if the place
    /// is lost.
    Failed {
        /// Why.
        error: Error,
        /// How long the next step is going to wait. Failures in a row wait longer, from 1 s up to 60 s, spread at
        /// random; a server may ask for more, up to five minutes.
        retry_in: Duration,
    },
}

/// Follows the objects of one resource: an endless row of [`Step`]s.
///
/// ```no_run
/// # async fn example(transport: std::sync::Arc<dyn kubeio::Transport>) {
/// use kubeio::{FollowRequest, Follower, Resource, Selection, Step};
/// let selection = Selection::all(Resource::new("", "v1", "pods"));
/// let mut pods = Follower::new(transport, FollowRequest::new(selection, "Pod"));
/// loop {
///     match pods.next().await {
///         Step::Listed(pod) | Step::Changed(pod) => println!("{} is there", pod.key.name),
///         Step::Deleted(pod) => println!("{} is gone", pod.key.name),
///         _ => {}
///     }
/// }
/// # }
/// ```
///
/// A cluster may be set back to an earlier state (a restored backup): its resource versions begin again lower, and a
/// watch would wait for ever for what has been there. So before a watch goes on after anything but its own regular
/// end, the newest resource version is asked for, and if it is below the place to go on from, everything is listed
/// again. A cluster that was set back and has since passed that place cannot be told by its resource versions.
pub struct Follower {
    transport: Arc<dyn Transport>,
    selection: Selection,
    api_version: String,
    kind: String,
    page_size: Option<NonZeroU32>,
    state: State,
    /// Where to go on from; nothing if it has to be listed.
    place: Option<String>,
    /// The newest place there was in this history: what a watch tells beyond it is progress.
    furthest: Option<String>,
    /// Whether the cluster's history may be another than before.
    doubt: bool,
    /// The next list is not paged: the pages of the one before took so long that their state was gone.
    whole: bool,
    backoff: Backoff,
}

enum State {
    /// Nothing is under way; not before this time.
    Pausing(Instant),
    Listing(Box<List>),
    Watching(Box<Watch>),
}

impl Follower {
    /// A follower over `transport`. Nothing is sent before [`Follower::next`] is called.
    pub fn new(transport: Arc<dyn Transport>, request: FollowRequest) -> Self {
        let FollowRequest { selection, kind, resume, page_size } = request;
        let [first, longest] = WAITS;
        Self {
            transport,
            api_version: selection.resource.api_version(),
            selection,
            kind,
            page_size,
            state: State::Pausing(Instant::now()),
            doubt: resume.is_some(),
            furthest: None,
            place: resume.filter(|version| !version.is_empty()),
            whole: false,
            backoff: Backoff::new(first, longest),
        }
    }

    /// The next step. May be cancelled and called again; nothing is lost.
    pub async fn next(&mut self) -> Step {
        loop {
            match self.advance().await {
                Ok(Some(step)) => return step,
                Ok(None) => {}
                Err(error) => {
                    if let Some(step) = self.failed(error) {
                        return step;
                    }
                }
            }
        }
    }

    /// A little further: a step, or nothing yet.
    async fn advance(&mut self) -> Result<Option<Step>, Error> {
        match &mut self.state {
            State::Pausing(until) => {
                sleep_until(*until).await;
                self.begin().await
            }
            State::Listing(list) => match list.next().await? {
                Some(item) => Ok(Some(self.read(&item).map_or_else(Step::Unreadable, Step::Listed))),
                None => self.listed().map(Some),
            },
            State::Watching(watch) => match watch.next().await? {
                Some(event) => Ok(self.told(event)),
                None if watch.age() < AT_ONCE => {
                    Err(Error::Unreachable(String::from("the watch ended as soon as it began")))
                }
                None => {
                    self.doubt = !watch.had_its_time();
                    self.state = State::Pausing(Instant::now());
                    Ok(None)
                }
            },
        }
    }

    /// Begins what comes next: a list if no place is known, else a watch from there.
    async fn begin(&mut self) -> Result<Option<Step>, Error> {
        let Some(place) = &self.place else {
            let page_size = if std::mem::take(&mut self.whole) { None } else { self.page_size };
            let request = ListRequest { page_size, ..ListRequest::new(self.selection.clone()) };
            self.state = State::Listing(Box::new(List::new(Arc::clone(&self.transport), request)));
            return Ok(Some(Step::ListBegan));
        };
        if self.doubt {
            let newest = list::newest_version(&*self.transport, &self.selection).await?;
            self.doubt = false;
            if is_before(&newest, place) {
                self.place = None;
                return Ok(None);
            }
        }
        let request = WatchRequest {
            selection: self.selection.clone(),
            resource_version: place.clone(),
            bookmarks: true,
        };
        self.state = State::Watching(Box::new(Watch::begin(&*self.transport, &request).await?));
        Ok(None)
    }

    /// The list has come to its end.
    fn listed(&mut self) -> Result<Step, Error> {
        let State::Listing(list) = &self.state else { return Ok(Step::ListBegan) };
        let resource_version = list.resource_version().to_owned();
        if resource_version.is_empty() {
            return Err(Error::Broken(String::from("the list has no resource version to watch from")));
        }
        self.place = Some(resource_version.clone());
        self.furthest = Some(resource_version.clone());
        self.doubt = false;
        self.state = State::Pausing(Instant::now());
        Ok(Step::ListDone { resource_version })
    }

    /// What an event of the watch means.
    fn told(&mut self, event: WatchEvent) -> Option<Step> {
        let (object, step): (_, fn(RawObject) -> Step) = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, Step::Changed),
            WatchEvent::Deleted(object) => (object, Step::Deleted),
            WatchEvent::Bookmark(bookmark) => {
                self.move_to(&bookmark.resource_version);
                return Some(Step::Bookmark { resource_version: bookmark.resource_version });
            }
            // The watch itself makes an error of it.
            WatchEvent::Error(_) => return None,
        };
        Some(match self.read(&object) {
            Ok(object) => {
                self.move_to(&object.key.resource_version);
                step(object)
            }
            Err(error) => Step::Unreadable(error),
        })
    }

    fn move_to(&mut self, place: &str) {
        if place.is_empty() {
            return;
        }
        self.place = Some(place.to_owned());
        // Who tells the same again and again, and breaks off, is not to be asked as often as he breaks off.
        if self.furthest.as_deref().is_none_or(|before| before != place && !is_before(place, before)) {
            self.furthest = Some(place.to_owned());
            self.backoff.reset();
        }
    }

    fn read(&self, object: &Bytes) -> Result<RawObject, ObjectError> {
        RawObject::from_json(object, &self.api_version, &self.kind)
    }

    /// What is done after an error: wait, and begin again from the right place. No step if it goes on at once.
    fn failed(&mut self, error: Error) -> Option<Step> {
        let before = std::mem::replace(&mut self.state, State::Pausing(Instant::now()));
        if matches!(&before, State::Watching(watch) if watch.age() >= WELL) {
            self.backoff.reset();
        }
        let in_a_row = self.backoff.failures();
        let wait = self.backoff.next();
        match (&error, before) {
            (Error::Expired(_), State::Listing(_)) => self.whole = true,
            (Error::Expired(_), _) => {
                self.place = None;
                // The first time it is nothing to worry about. A list whose place is gone as soon as it has ended would
                // otherwise be asked for again and again.
                if in_a_row == 0 {
                    return None;
                }
            }
            // A resource that went and came again begins anew.
            (Error::NotFound(_), _) => self.place = None,
            // Something on the way is too much for us, and would be again.
            (Error::Broken(_), _) if in_a_row > 0 => self.place = None,
            _ => {}
        }
        self.doubt = self.place.is_some();
        let retry_in = error.retry_after().map_or(wait, |asked| wait.max(asked.min(REST)));
        self.state = State::Pausing(Instant::now() + retry_in);
        Some(Step::Failed { error, retry_in })
    }
}

/// Whether a resource version of an object is older than another, if they can be compared: where both are numbers, as those of
/// Kubernetes' own API servers are.
pub fn is_before(version: &str, other: &str) -> bool {
    let digits = |text: &str| {
        let number = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty();
        number.then(|| text.trim_start_matches('0').to_owned())
    };
    match (digits(version), digits(other)) {
        (Some(version), Some(other)) => (version.len(), version) < (other.len(), other),
        _ => false,
    }
}
