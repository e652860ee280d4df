//! Manifests and HelmCharts that are somebody's feed: marked, and kept from deletion (contract 5.6, 5.8).

use std::collections::BTreeMap;

use api::{
    apps::{HelmChart, Manifest, Subscription},
    names::apps::{annotations::FEED_PROTECTION, finalizers},
};
use serde_json::{Map, Value, json};

use crate::{
    hub::Hub,
    key::Name,
    marks,
    parent::{Refusal, Write},
    world::{FeedRecord, Known, SubscriptionRecord},
};

/// How many Subscriptions a message names.
const NAMED: usize = 5;

/// One look at a Manifest.
pub(crate) async fn examine_manifest(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    match hub.world.manifest(name) {
        Some(manifest) => examine::<Manifest>(hub, &manifest).await,
        None => Ok(()),
    }
}

/// One look at a HelmChart.
pub(crate) async fn examine_chart(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    match hub.world.chart(name) {
        Some(chart) => examine::<HelmChart>(hub, &chart).await,
        None => Ok(()),
    }
}

async fn examine<K: Known>(hub: &Hub, manifest: &FeedRecord) -> Result<(), Refusal> {
    let path = manifest.meta.name.path::<K>();
    let users = manifest.feed.as_ref().map(|feed| hub.world.subscriptions_with(feed)).unwrap_or_default();
    let users: Vec<&SubscriptionRecord> = users.iter().map(AsRef::as_ref).filter(|user| uses(user)).collect();
    if !hub.options.protect_feeds && manifest.meta.deleting && !users.is_empty() {
        return forget(hub, manifest, &users).await;
    }
    let held_by = if hub.options.protect_feeds { finalizers::FEED_PROTECTION } else { finalizers::APPS };
    match patch(manifest, &users, held_by) {
        Some(Patch { body, releases: true }) => hub.parent.write(Write::Merge(path, body)).await.map(drop),
        Some(Patch { body, releases: false }) => hub.write::<K>(Write::Merge(path, body)).await,
        None => Ok(()),
    }
}

/// Whether a Subscription deploys its feeds: only one with our finalizer takes its marks away again.
fn uses(subscription: &SubscriptionRecord) -> bool {
    !subscription.meta.deleting && subscription.meta.has_finalizer(finalizers::APPS)
}

struct Patch {
    body: Value,
    /// Whether the Manifest may be gone with it.
    releases: bool,
}

/// Takes the feed from its Subscriptions: its deletion takes it from the clusters, too.
async fn forget(hub: &Hub, manifest: &FeedRecord, users: &[&SubscriptionRecord]) -> Result<(), Refusal> {
    for user in users {
        let left = user.spec.feeds.iter().filter(|feed| Some(*feed) != manifest.feed.as_ref());
        let patch = json!({
            "metadata": { "resourceVersion": user.meta.resource_version },
            "spec": { "feeds": left.collect::<Vec<_>>() },
        });
        hub.write::<Subscription>(Write::Merge(user.meta.name.path::<Subscription>(), patch)).await?;
    }
    // With the last of them it is looked at again.
    Ok(())
}

fn patch(manifest: &FeedRecord, users: &[&SubscriptionRecord], held_by: &str) -> Option<Patch> {
    let meta = &manifest.meta;
    let mut metadata = Map::new();
    let wanted: BTreeMap<String, String> =
        users.iter().map(|user| (user.meta.uid.clone(), String::from("Subscription"))).collect();
    let stale = |key: &str, value: &str| marks::is_uid(key) && value == "Subscription";
    let labels = marks::labels(&meta.labels, &wanted, stale);
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(labels));
    }
    let used = !users.is_empty();
    let ours = [finalizers::FEED_PROTECTION, finalizers::APPS];
    // Nobody can put a finalizer on an object that is going.
    let held: Vec<&str> = Some(held_by).filter(|_| used && !meta.deleting).into_iter().collect();
    let let_go: Vec<&str> = ours.into_iter().filter(|finalizer| !used || *finalizer != held_by).collect();
    let left = marks::finalizers(&meta.finalizers, &held, &let_go);
    let releases = meta.deleting && left.is_some();
    if let Some(left) = left {
        metadata.insert("finalizers".to_owned(), json!(left));
    }
    let protection = (used && meta.deleting).then(|| protection(users));
    if protection != manifest.protection {
        metadata.insert("annotations".to_owned(), json!({ FEED_PROTECTION: protection }));
    }
    if metadata.is_empty() {
        return None;
    }
    metadata.insert("resourceVersion".to_owned(), json!(meta.resource_version));
    Some(Patch { body: json!({ "metadata": metadata }), releases })
}

/// Why it cannot be deleted.
fn protection(users: &[&SubscriptionRecord]) -> String {
    let mut names: Vec<String> = users.iter().map(|user| user.meta.name.to_string()).collect();
    names.sort();
    let more = match names.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.truncate(NAMED);
    format!(
        "It is deleted when no Subscription deploys it any more: take it from spec.feeds of {}{more}, or delete them.",
        names.join(", ")
    )
}
