//! Brings one object into the cluster.

use std::{sync::Arc, time::Duration};

use api::names::{apps::owned_by_description, deployer::reasons};
use kubeio::is_before;
use placement::order::{Stage, stage};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    book::Entry,
    child::{Has, Kind},
    cluster::{Cluster, Settled, State, Work},
    item::Item,
    judge::{self, Verdict},
    status::Seen,
    trouble::{Refusal, Trouble},
};

/// How often a lost race is run again at once.
const RACES: usize = 3;
/// When an object is looked at that had changed before it was known what came of applying it. Not at once: a cluster that was
/// set back has told of later states than it has.
const OVERTAKEN: Duration = Duration::from_secs(1);

/// An object is as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Brought {
    /// Whether anything was written for that.
    pub(crate) written: bool,
    /// What had been changed in the cluster, as the end of a sentence.
    pub(crate) drift: Option<String>,
}

/// Brings an object into the cluster, if it is not there as it is to be. `unread` says that nothing is to be learnt from how it
/// is there, unless fields of it may be others': it was never applied for this Description, or is known to be there as it
/// was applied before.
pub(crate) async fn bring(
    cluster: &Arc<Cluster>,
    entry: &Entry,
    item: &Item,
    unread: bool,
) -> Result<Brought, Trouble> {
    let kind = match cluster.child.kind(&item.feed.api_version, &item.feed.kind).await {
        Ok(Has::Yes(kind)) => kind,
        Ok(Has::No | Has::Unknown) => {
            let why = format!(
                "{} has no kind {} in {}; it is tried again, as its definition may come later",
                cluster.name, item.feed.kind, item.feed.api_version
            );
            return Err(Trouble::new(reasons::UNKNOWN_KIND, &item.feed, why).passing());
        }
        Err(refusal) => return Err(refusal.trouble(&item.feed, None, &cluster.name)),
    };
    let mut tries = 0;
    loop {
        tries += 1;
        let unread = unread && tries == 1 && !judge::may_be_shared(item);
        match once(cluster, entry, item, &kind, unread).await {
            Ok(brought) => return brought,
            Err(Refusal::Raced) if tries < RACES => {}
            Err(Refusal::NoNamespace) if tries < RACES && !item.key.namespace.is_empty() => {
                let made = cluster.child.make_namespace(&item.key.namespace).await;
                made.map_err(|refusal| {
                    let namespaces = kubeio::Resource::new("", "v1", "namespaces");
                    refusal.trouble(&item.feed, Some(&namespaces), &cluster.name)
                })?;
            }
            Err(refusal) => {
                if refusal == Refusal::NotFound {
                    // The kind may be served no longer, or elsewhere.
                    cluster.child.forget(&kind).await;
                }
                return Err(refusal.trouble(&item.feed, Some(&kind.resource), &cluster.name));
            }
        }
    }
}

/// Tries whether an object would be taken, without a trace. What is in the way of knowing that is in the way of it.
pub(crate) async fn would_be_taken(
    cluster: &Arc<Cluster>,
    entry: &Entry,
    item: &Item,
) -> Result<(), Trouble> {
    let refused = |refusal: Refusal, resource| Err(refusal.trouble(&item.feed, resource, &cluster.name));
    let kind = match cluster.child.kind(&item.feed.api_version, &item.feed.kind).await {
        Ok(Has::Yes(kind)) => kind,
        Ok(Has::No | Has::Unknown) => return Ok(()),
        Err(refusal) => return refused(refusal, None),
    };
    let path = kind.path(&item.key.namespace, &item.key.name);
    if let Err(refusal) = cluster.child.read(&path).await {
        return refused(refusal, Some(&kind.resource));
    }
    let object = item.marked(&owned_by_description(&cluster.namespace, &entry.name()));
    let object = if kind.namespaced { object } else { without_namespace(object) };
    match cluster.child.apply(&path, &object, true).await {
        Err(refusal @ (Refusal::Right | Refusal::Unreachable(_))) => refused(refusal, Some(&kind.resource)),
        // Whatever else there is against it is found when it is applied.
        _ => Ok(()),
    }
}

async fn once(
    cluster: &Arc<Cluster>,
    entry: &Entry,
    item: &Item,
    kind: &Kind,
    unread: bool,
) -> Result<Result<Brought, Trouble>, Refusal> {
    let path = kind.path(&item.key.namespace, &item.key.name);
    let owner = owned_by_description(&cluster.namespace, &entry.name());
    let live = if unread { None } else { cluster.child.read(&path).await? };
    let (accepted, was_settled) = {
        let mut state = cluster.state.lock();
        let State { tracked, other_kinds, .. } = &mut *state;
        let known = tracked.entry(item.key.clone()).or_default();
        if known.kind.as_ref() != Some(kind) {
            known.kind = Some(kind.clone());
            *other_kinds = true;
        }
        let same = known.settled.as_ref().is_some_and(|settled| settled.digest == item.digest);
        if !same {
            known.accepted.clear();
        }
        (known.accepted.clone(), same)
    };
    let recovery = cluster.options.recovery;
    let mut drift = None;
    match judge::judge(item, live.as_ref(), &owner, recovery, &accepted) {
        Verdict::Fine => {
            let live = live.unwrap_or_default();
            return Ok(Ok(keep(cluster, entry, item, &live, false, None)));
        }
        Verdict::Going => return Ok(Err(is_going(cluster, item))),
        Verdict::Apply if live.is_none() && was_settled => {
            drift = Some(String::from("had been deleted and is made again"));
        }
        Verdict::Apply => {}
        Verdict::Drifted(diff) => {
            let live = live.as_ref().unwrap_or(&Value::Null);
            let would = cluster.child.apply(&path, &judge::applied(item, Some(live), &owner), true).await?;
            if judge::is_same(live, &would) {
                let mut state = cluster.state.lock();
                state.tracked.entry(item.key.clone()).or_default().accepted = diff.differences;
                drop(state);
                return Ok(Ok(keep(cluster, entry, item, live, false, None)));
            }
            drift = Some(format!("had been changed: {} is as it was deployed again", judge::paths(&diff)));
        }
    }
    if drift.is_some() && is_fought_over(cluster, item) {
        let why = format!(
            "something in {} changes it again and again; it is corrected once a minute at most until that ends. The \
             annotation {} on the feed leaves fields to others",
            cluster.name,
            api::names::deployer::annotations::IGNORED_FIELDS
        );
        return Ok(Err(Trouble::new(reasons::CONFLICT, &item.feed, why).passing()));
    }
    let object = judge::applied(item, live.as_ref(), &owner);
    let object = if kind.namespaced { object } else { without_namespace(object) };
    let after = cluster.child.apply(&path, &object, false).await?;
    if !after["metadata"]["deletionTimestamp"].is_null() {
        return Ok(Err(is_going(cluster, item)));
    }
    {
        let mut state = cluster.state.lock();
        let known = state.tracked.entry(item.key.clone()).or_default();
        // What differs right after it was applied is written in another way by the server.
        known.accepted = judge::of(item, &after).differences;
    }
    if stage(&item.feed.api_version, &item.feed.kind) == Stage::Definitions {
        until_served(cluster, &after).await;
    }
    Ok(Ok(keep(cluster, entry, item, &after, true, drift)))
}

fn is_going(cluster: &Cluster, item: &Item) -> Trouble {
    let why = format!("it is being deleted in {}, and is made again when it is gone", cluster.name);
    Trouble::new(reasons::TERMINATING, &item.feed, why).passing()
}

fn keep(
    cluster: &Cluster,
    entry: &Entry,
    item: &Item,
    live: &Value,
    written: bool,
    drift: Option<String>,
) -> Brought {
    let mut state = cluster.state.lock();
    let known = state.tracked.entry(item.key.clone()).or_default();
    known.settled = Some(Settled { digest: item.digest.clone(), keeper: entry.name() });
    let seen = Seen::of(live);
    let is_overtaken =
        known.seen.as_ref().is_some_and(|told| is_before(&seen.resource_version, &told.resource_version));
    if is_overtaken {
        // A watch was faster than the answer, and does not say it again: that state has yet to be judged.
        state.look(&entry.name(), Work::one(item.key.clone()), OVERTAKEN);
    } else {
        known.seen = Some(seen);
    }
    Brought { written, drift }
}

fn is_fought_over(cluster: &Cluster, item: &Item) -> bool {
    let mut state = cluster.state.lock();
    state.tracked.entry(item.key.clone()).or_default().is_fought_over(Instant::now())
}

fn without_namespace(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("namespace");
    }
    object
}

/// Waits a little until a kind that was just defined is served, so that its objects need not be tried again.
async fn until_served(cluster: &Cluster, definition: &Value) {
    let text = |pointer: &str| definition.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let versions = definition["spec"]["versions"].as_array();
    let version = versions.and_then(|all| all.iter().find(|version| version["served"] == true));
    let Some(version) = version.and_then(|version| version["name"].as_str()) else { return };
    let api_version = format!("{}/{version}", text("/spec/group"));
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if matches!(cluster.child.kind(&api_version, text("/spec/names/kind")).await, Ok(Has::Yes(_))) {
            return;
        }
    }
}
