//! Takes out of the cluster what a Description has no longer.

use std::{collections::BTreeSet, sync::Arc};

use api::{
    apps::Feed,
    names::{
        apps::{annotations::OWNED_BY_DESCRIPTION, owned_by_description},
        deployer::reasons,
    },
};
use placement::order;
use tokio::time::Instant;

use crate::{
    book::Entry,
    brake::Held,
    child::Has,
    cluster::{Cluster, Work},
    counters::Counted,
    item::{Key, annotation, title},
    parent::Told,
    trouble::{Refusal, Trouble},
};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Pruned {
    /// What was deleted.
    pub(crate) gone: Vec<Feed>,
    /// What is settled without a deletion: it is not there, not ours, or somebody else's now.
    pub(crate) settled: Vec<Feed>,
    /// What has yet to go.
    pub(crate) left: Vec<Feed>,
    pub(crate) troubles: Vec<Trouble>,
    pub(crate) held: Option<Held>,
}

/// Deletes what is recorded for a Description and not wanted any more, if the brake allows it.
pub(crate) async fn leaving(cluster: &Arc<Cluster>, entry: &Entry) -> Pruned {
    let mut pruned = Pruned::default();
    let leaving = entry.leaving();
    if leaving.is_empty() {
        return pruned;
    }
    {
        let mut state = cluster.state.lock();
        let crate::cluster::State { book, brake, .. } = &mut *state;
        if !entry.is_confirmed() {
            pruned.held =
                brake.check(book.unconfirmed(), book.running(), entry.is_held(), Instant::now()).err();
        }
    }
    if pruned.held.is_some() {
        pruned.left = leaving;
        return pruned;
    }
    // The other way round than they came.
    for stage in order::stages(&leaving).into_iter().rev() {
        for feed in stage.into_iter().rev().filter_map(|at| leaving.get(at)) {
            match take_away(cluster, entry, feed).await {
                Ok(true) => pruned.gone.push(feed.clone()),
                Ok(false) => pruned.settled.push(feed.clone()),
                Err(trouble) => {
                    pruned.troubles.push(trouble);
                    pruned.left.push(feed.clone());
                }
            }
        }
    }
    cluster.counters.count(Counted::Deleted, pruned.gone.len());
    if !entry.is_confirmed() {
        cluster.state.lock().brake.deleted(pruned.gone.len(), Instant::now());
    }
    pruned
}

/// Deletes one object. Whether it was there and ours.
async fn take_away(cluster: &Arc<Cluster>, entry: &Entry, feed: &Feed) -> Result<bool, Trouble> {
    let key = Key::of(feed);
    {
        let mut state = cluster.state.lock();
        let others: Vec<String> = state.book.wanting(&key).cloned().collect();
        if !others.is_empty() {
            // The next one looks after it from now on.
            for other in others {
                state.look(&other, Work::one(key.clone()), std::time::Duration::ZERO);
            }
            return Ok(false);
        }
    }
    let trouble = |refusal: Refusal, resource: Option<&kubeio::Resource>| {
        let mut trouble = refusal.trouble(feed, resource, &cluster.name);
        trouble.why = format!("it cannot be deleted: {}", trouble.why);
        trouble
    };
    // Nobody needs a right to what was never let in.
    let is_nothing = |refusal: &Refusal| *refusal == Refusal::Right && entry.never_applied.contains(feed);
    let kind = match cluster.child.kind(&feed.api_version, &feed.kind).await {
        Ok(Has::Yes(kind)) => kind,
        // Its objects have gone with the kind.
        Ok(Has::No) => return Ok(false),
        Ok(Has::Unknown) => {
            let refusal = Refusal::Unreachable(format!("the server of {} does not answer", feed.api_version));
            return Err(trouble(refusal, None));
        }
        Err(refusal) if is_nothing(&refusal) => return Ok(false),
        Err(refusal) => return Err(trouble(refusal, None)),
    };
    let path = kind.path(&key.namespace, &key.name);
    let live = match cluster.child.read(&path).await {
        Ok(live) => live,
        Err(refusal) if is_nothing(&refusal) => return Ok(false),
        Err(refusal) => return Err(trouble(refusal, Some(&kind.resource))),
    };
    let owner = owned_by_description(&cluster.namespace, &entry.name());
    let ours = live.filter(|live| annotation(live, OWNED_BY_DESCRIPTION).as_ref() == Some(&owner));
    if let Some(live) = &ours {
        let uid = live["metadata"]["uid"].as_str().unwrap_or_default();
        let deleted = cluster.child.delete(&path, uid).await;
        deleted.map_err(|refusal| trouble(refusal, Some(&kind.resource)))?;
    }
    let mut state = cluster.state.lock();
    state.tracked.remove(&key);
    state.other_kinds = true;
    Ok(ours.is_some())
}

impl Pruned {
    /// The Description without what has gone in its record, for a status that is written next; people are told.
    pub(crate) async fn told(&self, cluster: &Arc<Cluster>, mut entry: Entry) -> Entry {
        let gone: BTreeSet<&Feed> = self.gone.iter().chain(&self.settled).collect();
        entry.record.retain(|feed| !gone.contains(feed));
        let named = |feeds: &[Feed]| {
            let names: Vec<String> = feeds.iter().take(10).map(title).collect();
            let more = feeds.len() - names.len();
            let names = names.join(", ");
            if more > 0 { format!("{names} and {more} more") } else { names }
        };
        if !self.gone.is_empty() {
            let action = format!("Delete {}", named(&self.gone));
            let note = format!("Deleted in {}: {}.", cluster.name, named(&self.gone));
            let told = Told { warning: false, reason: reasons::PRUNED, action, note };
            cluster.parent.tell(&entry.description, told).await;
        }
        if let Some(trouble) = self.troubles.iter().find(|trouble| !trouble.passing) {
            let note = trouble.to_string();
            let told =
                Told { warning: true, reason: reasons::NOT_PRUNED, action: format!("Delete {note}"), note };
            cluster.parent.tell(&entry.description, told).await;
        }
        entry
    }
}
