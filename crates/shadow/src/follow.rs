//! The catalogue, kept in step with the parent.
//!
//! CustomResourceDefinitions are watched: a new one counts as soon as it is established. Everything else is asked for again
//! every minute, because a group behind the parent comes and goes without a word.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use kubeio::{ApiResource, Error, FollowRequest, Follower, Resource, Selection, Step, Transport, discover};
use runtime::{OnError, Tasks};
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::warn;

use crate::{Catalogue, definition::Definition};

/// How often the parent is asked what it has, and how soon again after it did not answer.
const EVERY: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_secs(5);
/// What is read of the list of groups.
const GROUPS: usize = 4 << 20;

impl Catalogue {
    /// Follows what the parent has. Until that is known, the catalogue is empty and every request is answered 503.
    ///
    /// Needs discovery, and `list` and `watch` on CustomResourceDefinitions.
    pub fn follow(tasks: &Tasks, transport: Arc<dyn Transport>) -> watch::Receiver<Arc<Self>> {
        let (told, known) = watch::channel(Arc::new(Self::default()));
        tasks.supervise("kinds of the shadow API", OnError::Restart, move || {
            let (told, transport) = (told.clone(), transport.clone());
            async move {
                keep_told(&transport, &told).await;
                Ok(())
            }
        });
        known
    }
}

/// What has been found out.
#[derive(Default)]
struct Found {
    discovered: Option<(Vec<ApiResource>, Vec<String>)>,
    definitions: Definitions,
}

/// CustomResourceDefinitions, by name.
#[derive(Default)]
struct Definitions {
    current: BTreeMap<String, Definition>,
    /// The list that is being read, while the old one counts.
    incoming: Option<BTreeMap<String, Definition>>,
    /// Whether a list has been read to its end.
    complete: bool,
    /// Every group that has had a definition.
    groups: BTreeSet<String>,
}

async fn keep_told(transport: &Arc<dyn Transport>, told: &watch::Sender<Arc<Catalogue>>) {
    let definitions = Resource::new("apiextensions.k8s.io", "v1", "customresourcedefinitions");
    let request = FollowRequest::new(Selection::all(definitions), "CustomResourceDefinition");
    let mut follower = Follower::new(transport.clone(), request);
    let mut found = Found::default();
    let mut look = Instant::now();
    loop {
        let changed = tokio::select! {
            () = told.closed() => return,
            step = follower.next() => found.definitions.apply(step),
            () = sleep_until(look) => match found.look(transport).await {
                Ok(()) => { look = Instant::now() + EVERY; true }
                Err(error) => {
                    warn!(%error, "the parent does not tell which kinds it has");
                    look = Instant::now() + AGAIN;
                    false
                }
            },
        };
        if changed {
            found.tell(told);
        }
    }
}

impl Found {
    async fn look(&mut self, transport: &Arc<dyn Transport>) -> Result<(), Error> {
        let mut seen = discover(&**transport).await?;
        let groups = groups(&kubeio::get(&**transport, "/apis", GROUPS).await?);
        // What does not answer may still be there.
        if let Some((before, _)) = self.discovered.take() {
            let silent = |api: &ApiResource| {
                let of = |gone: &kubeio::Unavailable| {
                    gone.group == api.resource.group && gone.version == api.resource.version
                };
                seen.unavailable.iter().any(of)
                    && !seen.resources.iter().any(|new| new.resource == api.resource)
            };
            let kept: Vec<ApiResource> = before.into_iter().filter(silent).collect();
            seen.resources.extend(kept);
            seen.resources.sort_by(|a, b| {
                let key = |api: &ApiResource| {
                    (api.resource.group.clone(), api.resource.plural.clone(), api.priority)
                };
                key(a).cmp(&key(b))
            });
        }
        self.discovered = Some((seen.resources, groups));
        Ok(())
    }

    fn tell(&self, told: &watch::Sender<Arc<Catalogue>>) {
        let Some((discovered, groups)) = self.discovered.as_ref().filter(|_| self.definitions.complete)
        else {
            return;
        };
        let now = Catalogue::new(discovered, groups, &self.definitions.current, &self.definitions.groups);
        told.send_if_modified(|before| match now.after(before) {
            Some(after) => {
                *before = Arc::new(after);
                true
            }
            None => false,
        });
    }
}

impl Definitions {
    /// Whether something has changed.
    fn apply(&mut self, step: Step) -> bool {
        match step {
            Step::ListBegan => self.incoming = Some(BTreeMap::new()),
            Step::Listed(object) => {
                let read = self.read(&object.json);
                self.incoming.get_or_insert_default().extend(read.map(|read| (object.key.name, read)));
            }
            Step::ListDone { .. } => {
                self.current = self.incoming.take().unwrap_or_default();
                self.complete = true;
                return true;
            }
            Step::Changed(object) => {
                let read = self.read(&object.json);
                let before = match read.filter(|_| object.key.deleting.is_none()) {
                    Some(read) => {
                        let before = self.current.insert(object.key.name.clone(), read);
                        return before != self.current.get(&object.key.name).cloned();
                    }
                    None => self.current.remove(&object.key.name),
                };
                return before.is_some();
            }
            Step::Deleted(object) => return self.current.remove(&object.key.name).is_some(),
            Step::Failed { error, .. } => warn!(%error, "CustomResourceDefinitions cannot be followed"),
            Step::Bookmark { .. } | Step::Unreadable(_) => {}
        }
        false
    }

    fn read(&mut self, json: &[u8]) -> Option<Definition> {
        let read = Definition::read(json)?;
        self.groups.insert(read.group.clone());
        Some(read)
    }
}

/// The groups in the order in which the parent prefers them.
fn groups(document: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct List {
        groups: Vec<Group>,
    }
    #[derive(Deserialize)]
    struct Group {
        name: String,
    }
    let list: Option<List> = serde_json::from_slice(document).ok();
    list.map(|list| list.groups.into_iter().map(|group| group.name).collect()).unwrap_or_default()
}
