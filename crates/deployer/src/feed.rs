//! The Descriptions of all clusters that the hub deploys into, over one watch of the parent.
//!
//! Who follows one cluster lists its namespace, and hears of its changes from then on. Changes that were under way when it
//! was listed may come afterwards: then those that follow set it right. Who falls behind, and everybody when the watch has
//! lost its place, lists again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::apps::Description;
use futures_util::{Stream, stream};
use kube::runtime::watcher::Event;
use kubeio::{FollowRequest, Follower, List, ListRequest, Resource, Selection, Step, Transport};
use meta::RawObject;
use parking_lot::Mutex;
use runtime::Backoff;
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

/// Changes in one namespace that are kept for whoever is slow to take them.
const AHEAD: usize = 256;
/// The first wait after a list that failed, and the longest.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];

/// A Description is so now, or is gone and was so last.
#[derive(Clone)]
enum Change {
    Now(RawObject),
    Gone(RawObject),
}

/// The one watch.
pub(crate) struct Feed {
    parent: Arc<dyn Transport>,
    /// By namespace.
    listeners: Mutex<HashMap<String, Vec<mpsc::Sender<Change>>>>,
    /// Whether changes are heard of. It is set while the listeners are locked.
    begun: watch::Sender<bool>,
}

impl Feed {
    /// A feed from the parent, which nobody reads yet.
    pub(crate) fn new(parent: Arc<dyn Transport>) -> Arc<Self> {
        Arc::new(Self { parent, listeners: Mutex::default(), begun: watch::Sender::new(false) })
    }

    /// Reads it, for ever.
    pub(crate) async fn run(&self) {
        let mut all =
            Follower::new(Arc::clone(&self.parent), FollowRequest::new(descriptions(None), "Description"));
        loop {
            match all.next().await {
                Step::ListBegan => self.begin(false),
                Step::ListDone { .. } => self.begin(true),
                Step::Changed(object) => self.pass(&Change::Now(object)),
                Step::Deleted(object) => self.pass(&Change::Gone(object)),
                // Each namespace is listed by who follows it.
                Step::Listed(_) | Step::Bookmark { .. } => {}
                Step::Unreadable(error) => {
                    tracing::warn!(%error, "a Description cannot be read and is left alone");
                }
                Step::Failed { error, retry_in } => {
                    tracing::debug!(%error, ?retry_in, "the watch of Descriptions failed, trying again");
                }
            }
        }
    }

    /// From here on changes are heard of, or they are not: who listened before has missed some.
    fn begin(&self, begun: bool) {
        let mut listeners = self.listeners.lock();
        listeners.clear();
        self.begun.send_replace(begun);
    }

    /// Tells a change to whoever listens. Nobody is waited for: who has not taken what came before begins anew.
    fn pass(&self, change: &Change) {
        let (Change::Now(object) | Change::Gone(object)) = change;
        let namespace = &object.key.namespace;
        let mut listeners = self.listeners.lock();
        let Some(all) = listeners.get_mut(namespace) else { return };
        all.retain(|listener| listener.try_send(change.clone()).is_ok());
        if all.is_empty() {
            listeners.remove(namespace);
        }
    }

    /// All changes in a namespace from now on, until some are missed.
    async fn listen(&self, namespace: &str) -> mpsc::Receiver<Change> {
        let mut begun = self.begun.subscribe();
        loop {
            {
                let mut listeners = self.listeners.lock();
                if *begun.borrow_and_update() {
                    let (sender, changes) = mpsc::channel(AHEAD);
                    listeners.entry(namespace.to_owned()).or_default().push(sender);
                    return changes;
                }
            }
            // The sender is our own: it does not go away.
            let _ = begun.changed().await;
        }
    }

    /// The Descriptions of a namespace: all there are, and what happens to them. It never ends.
    pub(crate) fn follow(
        self: &Arc<Self>,
        namespace: &str,
    ) -> impl Stream<Item = anyhow::Result<Event<Description>>> + Send + use<> {
        let [first, longest] = WAITS;
        let follower = Namespace {
            feed: Arc::clone(self),
            name: namespace.to_owned(),
            list: None,
            changes: None,
            wait: Duration::ZERO,
            backoff: Backoff::new(first, longest),
        };
        stream::unfold(follower, |mut follower| async { Some((follower.next().await, follower)) })
    }
}

fn descriptions(namespace: Option<String>) -> Selection {
    let resource = Resource::new(api::apps::GROUP, api::apps::VERSION, "descriptions");
    Selection { namespace, ..Selection::all(resource) }
}

/// Follows one namespace.
struct Namespace {
    feed: Arc<Feed>,
    name: String,
    /// While it is read.
    list: Option<List>,
    /// What happens meanwhile, and from then on.
    changes: Option<mpsc::Receiver<Change>>,
    wait: Duration,
    backoff: Backoff,
}

impl Namespace {
    async fn next(&mut self) -> anyhow::Result<Event<Description>> {
        loop {
            if let Some(list) = &mut self.list {
                match list.next().await {
                    Ok(Some(json)) => {
                        if let Some(description) = read(&json) {
                            return Ok(Event::InitApply(description));
                        }
                    }
                    Ok(None) => {
                        self.list = None;
                        self.backoff.reset();
                        return Ok(Event::InitDone);
                    }
                    Err(error) => {
                        (self.list, self.changes, self.wait) = (None, None, self.backoff.next());
                        return Err(error.into());
                    }
                }
            } else if let Some(changes) = &mut self.changes {
                let event = match changes.recv().await {
                    Some(Change::Now(object)) => read(&object.json).map(Event::Apply),
                    Some(Change::Gone(object)) => read(&object.json).map(Event::Delete),
                    None => {
                        self.changes = None;
                        None
                    }
                };
                if let Some(event) = event {
                    return Ok(event);
                }
            } else {
                sleep(std::mem::take(&mut self.wait)).await;
                self.changes = Some(self.feed.listen(&self.name).await);
                let request = ListRequest::new(descriptions(Some(self.name.clone())));
                self.list = Some(List::new(Arc::clone(&self.feed.parent), request));
                return Ok(Event::Init);
            }
        }
    }
}

/// A Description; one that does not fit its kind is left alone, so that it hides no other.
fn read(json: &[u8]) -> Option<Description> {
    let description = serde_json::from_slice(json).ok();
    if description.is_none() {
        let key = RawObject::from_json(json, "", "").map(|object| object.key).ok();
        let (namespace, name) = key.map(|key| (key.namespace, key.name)).unwrap_or_default();
        tracing::warn!(namespace, name, "a Description does not fit its kind's schema and is left alone");
    }
    description
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use kube::ResourceExt as _;
    use runtime::Tasks;
    use serde_json::json;
    use testkit::apiserver::Ask;

    use super::*;
    use crate::fake::FakeChild;

    const DESCRIPTIONS: &str = "/apis/apps.clusternet.io/v1alpha1/descriptions";

    struct World {
        parent: Arc<FakeChild>,
        feed: Arc<Feed>,
        _tasks: Tasks,
    }

    impl World {
        fn new() -> Self {
            let parent = FakeChild::new();
            parent.server.serve(DESCRIPTIONS, "Description", true);
            let (feed, tasks) = (Feed::new(parent.clone()), Tasks::new());
            let reading = Arc::clone(&feed);
            tasks.spawn("feed", async move { reading.run().await });
            Self { parent, feed, _tasks: tasks }
        }

        fn put(&self, namespace: &str, name: &str) {
            let spec = json!({ "spec": { "deployer": "Generic", "raw": [] } });
            self.parent.server.put(DESCRIPTIONS, namespace, name, &json!({}), &spec);
        }
    }

    /// Reads until a list is over, and says what it showed.
    async fn listed(
        events: &mut (impl Stream<Item = anyhow::Result<Event<Description>>> + Unpin),
    ) -> Vec<String> {
        let mut names = Vec::new();
        loop {
            match events.next().await.unwrap() {
                Ok(Event::InitApply(description)) => names.push(description.name_any()),
                Ok(Event::InitDone) => return names,
                _ => {}
            }
        }
    }

    async fn heard(events: &mut (impl Stream<Item = anyhow::Result<Event<Description>>> + Unpin)) -> String {
        match events.next().await.unwrap().unwrap() {
            Event::Init => String::from("a list"),
            Event::Apply(description) => format!("now {}", description.name_any()),
            Event::Delete(description) => format!("gone {}", description.name_any()),
            other => format!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_hears_of_its_namespace_and_all_share_one_watch() {
        let world = World::new();
        world.put("a", "one");
        world.put("b", "other");
        let mut a = Box::pin(world.feed.follow("a"));
        let mut b = Box::pin(world.feed.follow("b"));
        assert_eq!((listed(&mut a).await, listed(&mut b).await), (vec!["one".into()], vec!["other".into()]));
        world.put("a", "two");
        world.parent.server.delete(DESCRIPTIONS, "b", "other");
        world.put("a", "one");
        assert_eq!((heard(&mut a).await, heard(&mut a).await), ("now two".into(), "now one".into()));
        assert_eq!(heard(&mut b).await, "gone other");
        assert_eq!(world.parent.server.asked(Ask::Watch, DESCRIPTIONS), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_happens_while_a_namespace_is_listed_is_heard_of() {
        let world = World::new();
        world.put("a", "one");
        let mut events = Box::pin(world.feed.follow("a"));
        assert_eq!(heard(&mut events).await, "a list");
        world.put("a", "two");
        world.parent.server.delete(DESCRIPTIONS, "a", "one");
        listed(&mut events).await;
        assert_eq!(
            (heard(&mut events).await, heard(&mut events).await),
            ("now two".into(), "gone one".into())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_falls_behind_lists_again_and_keeps_nobody_else_waiting() {
        let world = World::new();
        let mut slow = Box::pin(world.feed.follow("a"));
        let mut quick = Box::pin(world.feed.follow("b"));
        assert_eq!((listed(&mut slow).await.len(), listed(&mut quick).await.len()), (0, 0));
        for number in 0..=AHEAD {
            world.put("a", &format!("d{number}"));
        }
        world.put("b", "one");
        assert_eq!(heard(&mut quick).await, "now one");
        for number in 0..AHEAD {
            assert_eq!(heard(&mut slow).await, format!("now d{number}"));
        }
        assert_eq!(listed(&mut slow).await.len(), AHEAD + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_watch_has_lost_its_place_everybody_lists_again() {
        let world = World::new();
        let mut events = Box::pin(world.feed.follow("a"));
        assert!(listed(&mut events).await.is_empty());
        world.parent.server.set_down(true);
        world.parent.server.cut();
        world.put("a", "one");
        world.parent.server.forget();
        world.parent.server.set_down(false);
        assert_eq!(listed(&mut events).await, ["one"]);
        world.put("a", "two");
        assert_eq!(heard(&mut events).await, "now two");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_read_hides_no_other() {
        let world = World::new();
        world.parent.server.put(DESCRIPTIONS, "a", "broken", &json!({}), &json!({ "spec": 7 }));
        world.put("a", "one");
        let mut events = Box::pin(world.feed.follow("a"));
        assert_eq!(listed(&mut events).await, ["one"]);
    }
}
