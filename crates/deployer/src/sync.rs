//! One round over one Description: record, apply, prune, tell.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{
    apps::{Description, DescriptionPhase, DescriptionStatus, Feed, ManifestStatus},
    names::deployer::reasons,
};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use jiff::Timestamp;
use placement::order;
use tokio::time::Instant;

use crate::{
    apply::{self, Brought},
    book::Entry,
    brake::Held,
    cluster::{Cluster, Work},
    contents,
    counters::Counted,
    item::{Item, Key, missing, title},
    parent::{NotWritten, Told, has_finalizer},
    prune,
    status::{self, Facts},
    trouble::Trouble,
};

/// What comes of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done, or cannot be done before something changes.
    Done,
    /// Something is in the way that may pass by itself: look at this again after a while.
    Again(Work),
    /// The Description was not as it was thought to be: look at this again, soon.
    Raced(Work),
}

/// One round.
pub(crate) async fn sync(cluster: &Arc<Cluster>, name: &str, work: Work) -> Outcome {
    let Some(entry) = cluster.entry(name) else { return Outcome::Done };
    let (halted, description) = (cluster.state.lock().halted(&entry), Arc::clone(&entry.description));
    if description.spec.deployer != api::apps::Deployer::Generic {
        return Outcome::Done;
    }
    if entry.is_deleting() && !has_finalizer(&description) {
        return Outcome::Done;
    }
    let entry = if entry.is_whole() || entry.is_deleting() { entry } else { again(cluster, entry).await };
    let result = match halted {
        Some(why) => {
            // What happens meanwhile is not heard of.
            cluster.state.lock().unsettle(entry.items.items.iter().map(|item| &item.key));
            tell(cluster, &entry, vec![why], None).await.map(|()| Outcome::Done)
        }
        None if entry.is_deleting() => leave(cluster, entry).await,
        None => bring(cluster, entry, &work).await,
    };
    match result {
        Ok(outcome) => outcome,
        Err(NotWritten::Gone) => Outcome::Done,
        Err(NotWritten::Raced) => Outcome::Raced(work),
        Err(NotWritten::Later(why)) => {
            tracing::debug!(
                cluster = cluster.name,
                description = name,
                why,
                "the parent took no word, trying again"
            );
            Outcome::Again(work)
        }
    }
}

/// Reads once more what could not be read of a Description.
async fn again(cluster: &Cluster, entry: Entry) -> Entry {
    let mut description = Description::clone(&entry.description);
    contents::fill(cluster, &mut description).await;
    if missing(&description).next().is_none() {
        cluster.put(description);
    }
    cluster.entry(&entry.name()).unwrap_or(entry)
}

/// Brings the objects into the cluster, and takes away what is not wanted any more.
async fn bring(cluster: &Arc<Cluster>, entry: Entry, work: &Work) -> Result<Outcome, NotWritten> {
    let name = entry.name();
    let mut again = Work::default();
    let Recorded { entry, new, refused } = record(cluster, entry, work).await?;
    let mut never_applied = entry.never_applied.clone();
    // Nothing is there of what nobody could apply.
    let broken = entry.items.items.iter().filter(|item| item.broken && !entry.record.contains(&item.feed));
    never_applied.extend(broken.map(|item| item.feed.clone()));
    again.keys.extend(refused.iter().cloned());
    // While the mode changes, another deployer may have taken everything away since the Description was listed here.
    // What was just written to was there, and so was what has just become another.
    let is_fresh = !new.is_empty() || (work.all && is_changed(cluster, &entry));
    if !is_fresh && entry.items.items.iter().any(|item| is_due(cluster, &name, item, work)) {
        cluster.parent.confirm(&entry.description).await?;
    }
    for stage in order::stages(&entry.items.items.iter().map(|item| item.feed.clone()).collect::<Vec<_>>()) {
        let stage = stage.into_iter().filter_map(|at| entry.items.items.get(at));
        let now = stage.filter(|item| is_due(cluster, &name, item, work) && !refused.contains(&item.key));
        let now: Vec<&Item> = now.collect();
        let (cluster, entry, new) = (cluster, &entry, &new);
        // How many requests are under way is the child's business.
        let mut brought: FuturesUnordered<_> = now
            .into_iter()
            .map(|item| async move {
                let unread = new.contains(&item.key) || is_another(cluster, entry, item);
                (item, apply::bring(cluster, entry, item, unread).await)
            })
            .collect();
        while let Some((item, result)) = brought.next().await {
            if let Err(trouble) = &result {
                again.keys.insert(item.key.clone());
                if trouble.reason == reasons::FORBIDDEN && new.contains(&item.key) {
                    // That is an answer: nothing was written.
                    never_applied.insert(item.feed.clone());
                }
            }
            settle(cluster, entry, item, result).await;
        }
    }
    let pruned = prune::leaving(cluster, &entry).await;
    let mut troubles = entry.items.troubles.clone();
    troubles.extend(pruned.troubles.clone());
    let may_pass = {
        let mut state = cluster.state.lock();
        let conflicts = entry.items.items.iter().filter_map(|item| state.book.conflict(&name, item));
        troubles.extend(conflicts.collect::<Vec<_>>());
        let run = state.runs.entry(name.clone()).or_default();
        if work.all {
            run.finished = Some(entry.generation());
        }
        run.troubles.retain(|key, _| entry.items.items.iter().any(|item| item.key == *key));
        troubles.extend(run.troubles.values().cloned());
        // What failed before and was not looked at now is looked at again, too.
        again.keys.extend(run.troubles.keys().cloned());
        run.may_pass(&troubles, Instant::now())
    };
    let nothing_went = pruned.gone.is_empty() && pruned.settled.is_empty() && pruned.held.is_none();
    if may_pass && nothing_went && entry.is_deployed() {
        return Ok(Outcome::Again(again));
    }
    let failed_to_prune = !pruned.troubles.is_empty();
    let entry = pruned.told(cluster, entry).await;
    let held = pruned.held.is_some();
    tell(cluster, &Entry { never_applied, ..entry.clone() }, troubles, pruned.held).await?;
    let done = again.keys.is_empty() && !failed_to_prune && !held && entry.is_whole();
    Ok(if done { Outcome::Done } else { Outcome::Again(again) })
}

/// Whether a Description that was looked at here before has changed since.
fn is_changed(cluster: &Cluster, entry: &Entry) -> bool {
    let state = cluster.state.lock();
    let finished = state.runs.get(&entry.name()).and_then(|run| run.finished);
    finished.is_some_and(|generation| generation != entry.generation())
}

/// Whether an item that is there, and heard of, as this Description wanted it is to be another now.
fn is_another(cluster: &Cluster, entry: &Entry, item: &Item) -> bool {
    let state = cluster.state.lock();
    let Some(known) = state.tracked.get(&item.key) else { return false };
    let is_followed = known.kind.as_ref().is_some_and(|kind| state.followed.contains(kind));
    let settled = known.settled.as_ref();
    let is_ours = settled.is_some_and(|it| it.keeper == entry.name() && it.digest != item.digest);
    is_followed && known.seen.is_some() && is_ours
}

/// Whether an item has to be looked at now: it is asked for, or has not been brought there as it is.
fn is_due(cluster: &Cluster, name: &str, item: &Item, work: &Work) -> bool {
    let mut state = cluster.state.lock();
    let is_keeper = state.book.keeper(&item.key).is_some_and(|(keeper, _)| keeper.name() == name);
    if !is_keeper || item.broken {
        if let Some(run) = state.runs.get_mut(name) {
            run.troubles.remove(&item.key);
        }
        return false;
    }
    work.keys.contains(&item.key) || (work.all && !state.is_settled(item, name))
}

/// Keeps what came of an item.
async fn settle(cluster: &Cluster, entry: &Entry, item: &Item, result: Result<Brought, Trouble>) {
    let name = entry.name();
    cluster.counters.count(counted(&result), 1);
    let told = {
        let mut state = cluster.state.lock();
        let run = state.runs.entry(name.clone()).or_default();
        match &result {
            Ok(_) => run.troubles.remove(&item.key),
            Err(trouble) => run.troubles.insert(item.key.clone(), trouble.clone()),
        };
        if result.as_ref().is_ok_and(|brought| brought.written) {
            // Others that want it see another state of it.
            let others: Vec<String> =
                state.book.wanting(&item.key).filter(|other| **other != name).cloned().collect();
            for other in others {
                state.look(&other, Work::default(), Duration::ZERO);
            }
        }
        result.ok().and_then(|brought| brought.drift)
    };
    if let Some(drift) = told {
        let about = format!("{} {drift}", title(&item.feed));
        let note = format!("In {}, {about}", cluster.name);
        let told = Told { warning: false, reason: reasons::DRIFT, action: about, note };
        cluster.parent.tell(&entry.description, told).await;
    }
}

fn counted(result: &Result<Brought, Trouble>) -> Counted {
    match result {
        Ok(Brought { written: false, .. }) => Counted::Unchanged,
        Ok(Brought { drift: Some(_), .. }) => Counted::Corrected,
        Ok(_) => Counted::Applied,
        Err(_) => Counted::Failed,
    }
}

/// What is written down.
struct Recorded {
    entry: Entry,
    /// What nobody has tried to apply since it was.
    new: BTreeSet<Key>,
    /// What was refused from the beginning, and still is.
    refused: BTreeSet<Key>,
}

/// Writes down what is going to be applied, before it is: whoever comes after a kill knows what there may be.
async fn record(cluster: &Arc<Cluster>, mut entry: Entry, work: &Work) -> Result<Recorded, NotWritten> {
    if !has_finalizer(&entry.description) {
        let description = cluster.parent.set_finalizer(&entry.description, true).await?;
        entry = known(cluster, entry, description);
    }
    let (name, mut new, mut refused) = (entry.name(), BTreeSet::new(), BTreeSet::new());
    loop {
        let mut status = entry.description.status.clone().unwrap_or_default();
        let items = Arc::clone(&entry.items);
        let known_before = new.len();
        for item in items.items.iter().filter(|item| !item.broken) {
            if !entry.record.contains(&item.feed) {
                let feed = item.feed.clone();
                status.manifest_statuses.push(ManifestStatus { feed, ..ManifestStatus::default() });
                new.insert(item.key.clone());
            } else if entry.never_applied.contains(&item.feed)
                && !refused.contains(&item.key)
                && is_due(cluster, &name, item, work)
            {
                // That there is nothing of it is true until it is applied: only if it would be, it is taken back.
                if let Err(trouble) = apply::would_be_taken(cluster, &entry, item).await {
                    refused.insert(item.key.clone());
                    settle(cluster, &entry, item, Err(trouble)).await;
                    continue;
                }
                let of_it = status.manifest_statuses.iter_mut().filter(|one| one.feed == item.feed);
                of_it.for_each(|one| one.never_applied = None);
                new.insert(item.key.clone());
            }
        }
        if new.len() == known_before {
            return Ok(Recorded { entry, new, refused });
        }
        let description = cluster.parent.write_status(&entry.description, &status).await?;
        if description.metadata.deletion_timestamp.is_some() {
            return Err(NotWritten::Raced);
        }
        // It may be a newer one by now, with more in it.
        entry = known(cluster, entry, description);
    }
}

/// The Description is so now, as the parent has answered to a write of ours.
fn known(cluster: &Cluster, entry: Entry, description: Description) -> Entry {
    cluster.answered(&entry.description, description);
    cluster.entry(&entry.name()).unwrap_or(entry)
}

/// Takes everything of a deleted Description out of the cluster, and lets the Description go.
async fn leave(cluster: &Arc<Cluster>, entry: Entry) -> Result<Outcome, NotWritten> {
    let pruned = prune::leaving(cluster, &entry).await;
    if pruned.left.is_empty() {
        let (name, description) = (entry.name(), &entry.description);
        cluster.parent.set_finalizer(description, false).await?;
        tracing::info!(
            cluster = cluster.name,
            description = name,
            "a Description is gone, and its objects are"
        );
        return Ok(Outcome::Done);
    }
    let troubles = pruned.troubles.clone();
    let entry = pruned.told(cluster, entry).await;
    tell(cluster, &entry, troubles, pruned.held).await?;
    Ok(Outcome::Again(Work::default()))
}

/// Writes the status, if it is another one, and tells of what has changed.
async fn tell(
    cluster: &Arc<Cluster>,
    entry: &Entry,
    troubles: Vec<Trouble>,
    held: Option<Held>,
) -> Result<(), NotWritten> {
    let before = entry.description.status.clone().unwrap_or_default();
    let next = {
        let state = cluster.state.lock();
        let seen = |key: &Key| state.tracked.get(key).and_then(|known| known.seen.as_ref());
        let leaving = entry.leaving();
        let items: &[Item] = if entry.is_deleting() { &[] } else { &entry.items.items };
        let mut objects: Vec<_> = items.iter().map(|item| (item.feed.clone(), seen(&item.key))).collect();
        // What could not be read stands in the record as it did.
        let wanted: BTreeSet<&Feed> = items.iter().map(|item| &item.feed).collect();
        let kept = entry.record.iter().filter(|feed| !wanted.contains(feed));
        let kept = kept.filter(|feed| leaving.contains(feed) || !is_known(items, feed));
        let kept: Vec<_> = kept.map(|feed| (feed.clone(), seen(&Key::of(feed)))).collect();
        let count = kept.len();
        objects.extend(kept);
        // What was found or brought there is something, whatever another deployer has noted down.
        let is_there =
            |feed: &Feed| state.tracked.get(&Key::of(feed)).is_some_and(|known| known.settled.is_some());
        let never_applied = entry.never_applied.iter().filter(|feed| !is_there(feed)).cloned().collect();
        let facts = Facts {
            cluster: &cluster.name,
            namespace: &cluster.namespace,
            name: &entry.name(),
            generation: entry.generation(),
            objects,
            never_applied,
            leaving: count,
            troubles,
            finished: state.runs.get(&entry.name()).and_then(|run| run.finished) == Some(entry.generation()),
            held,
        };
        status::next(&before, &facts, Timestamp::now())
    };
    if next == before {
        return Ok(());
    }
    if let Some(run) = cluster.state.lock().runs.get_mut(&entry.name()) {
        run.tells(Instant::now());
    }
    let description = cluster.parent.write_status(&entry.description, &next).await?;
    known(cluster, entry.clone(), description);
    if let Some(told) = news(&cluster.name, &before, &next) {
        cluster.parent.tell(&entry.description, told).await;
    }
    Ok(())
}

/// Whether an object of the record is an item under another version.
fn is_known(items: &[Item], feed: &Feed) -> bool {
    let key = Key::of(feed);
    items.iter().any(|item| item.key == key)
}

/// What people are told of a new status.
fn news(cluster: &str, before: &DescriptionStatus, next: &DescriptionStatus) -> Option<Told> {
    let outcome = |status: &DescriptionStatus| (status.phase, status.reason.clone());
    if outcome(before) == outcome(next) {
        return None;
    }
    match next.phase {
        Some(DescriptionPhase::Success) => Some(Told {
            warning: false,
            reason: reasons::DEPLOYED,
            action: String::from("Deploy"),
            note: format!("In {cluster}, {}", status::all_there(next.manifest_statuses.len())),
        }),
        Some(DescriptionPhase::Failure) => Some(Told {
            warning: true,
            reason: reasons::NOT_DEPLOYED,
            action: format!("Deploy: {}", next.reason.clone().unwrap_or_default()),
            note: next.reason.clone().unwrap_or_default(),
        }),
        _ => None,
    }
}
