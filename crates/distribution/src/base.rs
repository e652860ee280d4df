//! Base → Description: what the cluster of a namespace gets (contract 5.6).

use std::{collections::HashMap, sync::Arc};

use api::{
    apps::{Base, Description, Feed},
    names::{
        apps::{finalizers, labels::SUBSCRIPTION_UID},
        labels::CLUSTER_ID,
    },
};
use placement::overrides::Rule;
use serde_json::{Map, Value, json};

use crate::{
    description,
    hub::Hub,
    key::Name,
    marks,
    outcome::{Outcome, Problem, Sort},
    parent::{Refusal, Write},
    render::{From, Rendered, Source, inputs, render},
    world::{BaseRecord, ClusterRecord, DescriptionRecord, identity},
};

/// One look at a Base.
pub(crate) async fn examine(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    let Some(base) = hub.world.base(name) else { return Ok(()) };
    if base.meta.deleting {
        return leave(hub, &base).await;
    }
    if let Some(write) = mark(&base) {
        // It is looked at again with the marks.
        return hub.write::<Base>(write).await;
    }
    let result = describe(hub, &base).await;
    if let Err(Refusal::Refused(why)) = &result {
        let problem = Problem {
            sort: Sort::Whole,
            reason: String::from("DescriptionRefused"),
            message: format!("The Description of Base {name} cannot be written: {why}."),
        };
        hub.world.set_outcome(&base, Outcome { inputs: String::new(), problems: vec![problem] });
    }
    result
}

/// What every Base has: the finalizer, so that its Description goes first, and its uid as a label.
fn mark(base: &BaseRecord) -> Option<Write> {
    let mut metadata = Map::new();
    let wanted = [(base.meta.uid.clone(), String::from("Base"))].into();
    let labels =
        marks::labels(&base.meta.labels, &wanted, |key, value| marks::is_uid(key) && value == "Base");
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(labels));
    }
    if let Some(all) = marks::finalizers(&base.meta.finalizers, &[finalizers::APPS], &[]) {
        metadata.insert("finalizers".to_owned(), json!(all));
    }
    if metadata.is_empty() {
        return None;
    }
    metadata.insert("resourceVersion".to_owned(), json!(base.meta.resource_version));
    Some(Write::Merge(base.meta.name.path::<Base>(), json!({ "metadata": metadata })))
}

async fn describe(hub: &Hub, base: &BaseRecord) -> Result<(), Refusal> {
    let namespace = &base.meta.name.namespace;
    let Some(cluster) = hub.world.cluster_in(namespace, base.meta.label(CLUSTER_ID)) else {
        let problem = Problem {
            sort: Sort::Whole,
            reason: String::from("ManagedClusterNotFound"),
            message: format!(
                "There is no ManagedCluster in the namespace {namespace} for Base {}.",
                base.meta.name
            ),
        };
        hub.world.set_outcome(base, Outcome { inputs: String::new(), problems: vec![problem] });
        return Ok(());
    };
    let sources: Vec<Source> = base.feeds.iter().map(|feed| source(hub, feed)).collect();
    let rules = hub.world.rules(namespace);
    let inputs = inputs(&sources, &cluster.cluster, &rules);
    let there = hub.world.description(&description::name(&base.meta.name));
    let seen = hub.world.outcome(&base.meta.name).is_some_and(|outcome| outcome.inputs == inputs);
    let settled = there.as_ref().is_some_and(|there| description::is_up_to_date(there, &inputs));
    if seen && settled {
        return match there.and_then(|there| description::update(base, &there, None)) {
            Some(write) => hub.write::<Description>(write).await,
            None => Ok(()),
        };
    }
    let kept = kept(hub, &sources, there.as_deref()).await?;
    let rendered = draw(hub, sources, cluster, rules, kept).await?;
    settle(hub, base, there.as_deref(), inputs, rendered).await
}

fn source(hub: &Hub, feed: &Feed) -> Source {
    let from = if feed.is_chart() {
        From::Chart
    } else {
        match hub.world.manifest_of(feed) {
            Some(manifest) => From::Manifest(manifest),
            None => From::Nowhere { elsewhere: hub.world.other_version_of(feed) },
        }
    };
    Source { feed: feed.clone(), from }
}

/// What the cluster has by now of feeds that have no Manifest any more. That a Manifest is gone decides nothing: the feed is
/// still asked for.
async fn kept(
    hub: &Hub,
    sources: &[Source],
    there: Option<&DescriptionRecord>,
) -> Result<HashMap<Feed, Vec<u8>>, Refusal> {
    let Some(there) = there else { return Ok(HashMap::new()) };
    let gone = |source: &&Source| matches!(source.from, From::Nowhere { .. });
    let mut missing = sources.iter().filter(gone).map(|source| &source.feed);
    if !missing.any(|feed| there.objects.contains(feed)) {
        return Ok(HashMap::new());
    }
    let Some(json) = hub.parent.read(&there.meta.name.path::<Description>()).await? else {
        return Err(Refusal::Raced);
    };
    let read: Description = serde_json::from_slice(&json).map_err(|_| {
        Refusal::Later(String::from("the parent answered with something that is no Description"))
    })?;
    let raw = read.spec.raw.into_iter();
    Ok(raw.filter_map(|bytes| Some((identity(&bytes.0)?, bytes.0))).collect())
}

/// Renders beside the threads that everything else runs on: an override may take up to a second.
async fn draw(
    hub: &Hub,
    sources: Vec<Source>,
    cluster: Arc<ClusterRecord>,
    rules: Vec<Arc<Rule>>,
    kept: HashMap<Feed, Vec<u8>>,
) -> Result<Rendered, Refusal> {
    let limits = Arc::clone(&hub.limits);
    let work = move || render(&sources, &cluster.cluster, &rules, |feed| kept.get(feed).cloned(), &limits);
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal::Later(String::from("rendering broke off")))
}

/// Brings the Description to what was rendered, and remembers what stands against it.
async fn settle(
    hub: &Hub,
    base: &BaseRecord,
    there: Option<&DescriptionRecord>,
    inputs: String,
    rendered: Rendered,
) -> Result<(), Refusal> {
    let blocked = rendered.is_blocked();
    let mut problems = rendered.problems;
    let nothing = rendered.objects.is_empty() && !blocked;
    let mut waits = false;
    let write = match there {
        None if nothing || blocked => None,
        None => Some(description::create(base, &inputs, rendered.objects)),
        // It is made again when it is gone.
        Some(there) if there.meta.deleting => None,
        Some(there) if nothing => {
            Some(Write::Delete(there.meta.name.path::<Description>(), there.meta.uid.clone()))
        }
        Some(there) => {
            let content = crate::world::content(rendered.objects.iter().map(Vec::as_slice));
            waits = description::is_up_to_date(there, &inputs) && (blocked || content != there.content);
            let objects = (!waits && !blocked).then_some((inputs.as_str(), rendered.objects));
            description::update(base, there, objects)
        }
    };
    if waits {
        // What an override that waits would do is not told before it does it.
        problems.retain(|problem| problem.sort == Sort::Feed);
    }
    match write {
        Some(write @ Write::Delete(..)) => drop(hub.parent.write(write).await?),
        Some(write) => hub.write::<Description>(write).await?,
        None => {}
    }
    problems.sort();
    hub.world.set_outcome(base, Outcome { inputs, problems });
    Ok(())
}

/// A Base goes after its Description. Where its Subscription still wants it, somebody deleted it by hand: then the
/// Description stays for the next Base, so that nothing that runs is disturbed.
async fn leave(hub: &Hub, base: &BaseRecord) -> Result<(), Refusal> {
    if !base.meta.has_finalizer(finalizers::APPS) {
        return Ok(());
    }
    if let Some(there) = hub.world.description(&description::name(&base.meta.name)) {
        if !is_wanted(hub, base) || there.meta.deleting {
            if there.meta.deleting {
                return Ok(());
            }
            let write = Write::Delete(there.meta.name.path::<Description>(), there.meta.uid.clone());
            return hub.parent.write(write).await.map(drop);
        }
        if there.owner.is_some() {
            hub.write::<Description>(description::orphan(&there)).await?;
        }
    }
    let left = marks::finalizers(&base.meta.finalizers, &[], &[finalizers::APPS]).unwrap_or_default();
    hub.release(base.meta.name.path::<Base>(), &base.meta, &left).await
}

/// Whether its Subscription is bound here and has no other Base here.
fn is_wanted(hub: &Hub, base: &BaseRecord) -> bool {
    let uid = base.meta.label(SUBSCRIPTION_UID);
    let namespace = &base.meta.name.namespace;
    let wanted = hub
        .world
        .subscription_of(uid)
        .is_some_and(|subscription| !subscription.meta.deleting && subscription.is_bound_in(namespace));
    let other = hub.world.bases_of(uid).iter().any(|other| {
        !other.meta.deleting && other.meta.name.namespace == *namespace && other.meta.uid != base.meta.uid
    });
    wanted && !other
}

/// One look at a Description: where its cluster is lost, nobody is left to delete what is in it, and it may go
/// (contract 5.10).
pub(crate) async fn examine_description(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    let Some(there) = hub.world.description(name) else { return Ok(()) };
    if !there.meta.deleting || !there.meta.has_finalizer(finalizers::APPS) {
        return Ok(());
    }
    let cluster = hub.world.cluster_in(&name.namespace, there.meta.label(CLUSTER_ID));
    if cluster.is_some_and(|cluster| !cluster.lost) {
        return Ok(());
    }
    let left = marks::finalizers(&there.meta.finalizers, &[], &[finalizers::APPS]).unwrap_or_default();
    hub.release(name.path::<Description>(), &there.meta, &left).await
}
