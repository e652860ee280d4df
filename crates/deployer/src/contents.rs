//! Contents: the large objects that Descriptions refer to.

use std::sync::Arc;

use api::apps::{Content, ContentReference, Description};
use futures_util::{StreamExt as _, stream};
use k8s_openapi::ByteString;
use kube::{Api, Client, runtime::watcher::Event};
use moka::future::Cache;

use crate::{book::Book, cluster::Cluster, item::missing};

/// What is kept of what was read, in bytes: many Descriptions hold the same.
const KEPT: u64 = 8 << 20;
/// Contents of one Description that are read at a time.
const AT_ONCE: usize = 8;

/// The Contents of the parent. A clone has the same memory.
#[derive(Clone)]
pub(crate) struct Contents {
    client: Client,
    known: Cache<(String, String), Arc<ByteString>>,
}

impl Contents {
    pub(crate) fn new(client: Client) -> Self {
        let weigh =
            |_: &(String, String), raw: &Arc<ByteString>| u32::try_from(raw.0.len()).unwrap_or(u32::MAX);
        Self { client, known: Cache::builder().weigher(weigh).max_capacity(KEPT).build() }
    }

    /// The object in a Content; nothing if it cannot be read. A Content never changes, so what was read once is right.
    pub(crate) async fn get(&self, namespace: &str, name: &str) -> Option<ByteString> {
        let key = (namespace.to_owned(), name.to_owned());
        let read = async {
            let contents: Api<Content> = Api::namespaced(self.client.clone(), namespace);
            contents.get(name).await.map(|content| Arc::new(content.spec.raw))
        };
        match self.known.try_get_with(key, read).await {
            Ok(raw) => Some(ByteString::clone(&raw)),
            Err(error) => {
                tracing::debug!(namespace, name, %error, "a Content cannot be read");
                None
            }
        }
    }
}

/// Puts the objects that a Description refers to into their places, as far as they can be read.
pub(crate) async fn fill(cluster: &Cluster, description: &mut Description) {
    let places: Vec<ContentReference> = missing(description).cloned().collect();
    let read = stream::iter(places).map(async |reference| {
        let found = cluster.parent.content(&reference.namespace, &reference.name).await;
        (reference.place(), found)
    });
    let found: Vec<_> = read.buffered(AT_ONCE).collect().await;
    for (place, raw) in found {
        if let (Some(place), Some(raw)) = (description.spec.raw.get_mut(place), raw) {
            *place = raw;
        }
    }
}

/// An event with the objects that its Description refers to, unless they are known, or nobody needs them any more.
pub(crate) async fn with_contents(
    cluster: &Cluster,
    event: anyhow::Result<Event<Description>>,
) -> anyhow::Result<Event<Description>> {
    let mut event = event;
    if let Ok(Event::Apply(description) | Event::InitApply(description)) = &mut event
        && description.metadata.deletion_timestamp.is_none()
        && !is_known(&cluster.state.lock().book, description)
    {
        fill(cluster, description).await;
    }
    event
}

/// Whether a Description was read in this generation, as a whole.
fn is_known(book: &Book, description: &Description) -> bool {
    let (name, uid) = (description.metadata.name.as_deref().unwrap_or_default(), &description.metadata.uid);
    book.get(name).is_some_and(|entry| {
        let known = &entry.description.metadata;
        &known.uid == uid && known.generation == description.metadata.generation && entry.is_whole()
    })
}
