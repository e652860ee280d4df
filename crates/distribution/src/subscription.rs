//! Subscription → clusters → Bases, and how that stands (contract 5.5, 5.10, 6.3).

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use api::{
    apps::{Base, Deployer, Subscription, SubscriptionStatus},
    conditions::{self, Wanted},
    names::{
        apps::{
            conditions::{FEEDS_FOUND, OVERRIDES_APPLIED, SCHEDULED},
            finalizers,
        },
        labels::CLUSTER_ID,
    },
};
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use placement::{
    ClusterKey,
    fingerprint::spec_hash,
    schedule::{self, Decision, Request, ScheduleError},
};
use serde_json::{Map, Value, json};

use crate::{
    bindings::{self, Step},
    description::{self, DEPLOYERS, deployer_of},
    hub::Hub,
    key::Name,
    marks,
    outcome::{Problem, Sort},
    parent::{Note, Refusal, Write},
    sum::{Place, sum, withdrawing},
    world::{BaseRecord, SubscriptionRecord},
};

/// Bases of one Subscription that are written at once.
const AT_ONCE: usize = 16;
/// Events that one look at a Subscription gives at most.
const EVENTS: usize = 5;

/// One look at a Subscription.
pub(crate) async fn examine(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    let Some(subscription) = hub.world.subscription(name) else { return Ok(()) };
    let bases = hub.world.bases_of(&subscription.meta.uid);
    if subscription.meta.deleting {
        return withdraw(hub, &subscription, &bases).await;
    }
    let ours = subscription.spec.scheduler_name == hub.options.scheduler_name;
    if !ours && subscription.status.binding_clusters.is_empty() && bases.is_empty() {
        return Ok(());
    }
    if let Some(write) = mark(&subscription) {
        // It is looked at again with the marks.
        return hub.write::<Subscription>(write).await;
    }
    let mut status = subscription.status.clone();
    let now = Timestamp::now();
    if ours {
        choose(hub, &subscription, &mut status, now);
    }
    let places = places(hub, &subscription, &status, &bases);
    let problems = places.map(|places| sum(&subscription, &places, &mut status, now)).unwrap_or_default();
    report(hub, &subscription, &status, &problems).await?;
    bind(hub, &subscription, &status, &bases).await
}

/// What every Subscription has that is worked on: the finalizer, so that what is deployed goes first, and its uid as a label.
fn mark(subscription: &SubscriptionRecord) -> Option<Write> {
    let meta = &subscription.meta;
    let mut metadata = Map::new();
    let wanted = [(meta.uid.clone(), String::from("Subscription"))].into();
    let stale = |key: &str, value: &str| marks::is_uid(key) && value == "Subscription";
    let labels = marks::labels(&meta.labels, &wanted, stale);
    if !labels.is_empty() {
        metadata.insert("labels".to_owned(), Value::Object(labels));
    }
    if let Some(all) = marks::finalizers(&meta.finalizers, &[finalizers::APPS], &[]) {
        metadata.insert("finalizers".to_owned(), json!(all));
    }
    if metadata.is_empty() {
        return None;
    }
    metadata.insert("resourceVersion".to_owned(), json!(meta.resource_version));
    Some(Write::Merge(meta.name.path::<Subscription>(), json!({ "metadata": metadata })))
}

/// Chooses the clusters.
fn choose(hub: &Hub, subscription: &SubscriptionRecord, status: &mut SubscriptionStatus, now: Timestamp) {
    let spec = &subscription.spec;
    let wanted = match decide(hub, subscription) {
        Ok(Some(decision)) => {
            status.binding_clusters = decision.binding();
            status.desired_releases = i32::try_from(decision.chosen.len()).unwrap_or(i32::MAX);
            status.spec_hash = Some(spec_hash(spec));
            Wanted {
                type_: SCHEDULED,
                status: if decision.scheduled() { "True" } else { "False" },
                reason: decision.reason().to_owned(),
                message: decision.message(),
                generation: Some(subscription.generation),
            }
        }
        Ok(None) => return,
        Err(error) => Wanted {
            type_: SCHEDULED,
            status: "False",
            reason: error.reason().to_owned(),
            message: format!("{error}. What runs stays where it runs."),
            generation: Some(subscription.generation),
        },
    };
    conditions::set(&mut status.conditions, wanted, now);
}

fn decide(hub: &Hub, subscription: &SubscriptionRecord) -> Result<Option<Decision>, ScheduleError> {
    let spec = &subscription.spec;
    let Some(scheduler) = schedule::scheduler(spec, &hub.options.scheduler_name)? else { return Ok(None) };
    let bound =
        subscription.status.binding_clusters.iter().filter_map(|key| ClusterKey::parse(key)).collect();
    let clusters = hub.world.candidates();
    scheduler.schedule(&Request { spec, clusters: &clusters, bound: &bound }).map(Some)
}

/// The bound clusters as they stand; none while there is a Base that was not looked at since this process began: what is
/// known of it would be less than what was known before.
fn places(
    hub: &Hub,
    subscription: &SubscriptionRecord,
    status: &SubscriptionStatus,
    bases: &[Arc<BaseRecord>],
) -> Option<Vec<Place>> {
    let mut here: HashMap<&str, Vec<&BaseRecord>> = HashMap::new();
    for base in bases {
        here.entry(&base.meta.name.namespace).or_default().push(base);
    }
    let feeds = &subscription.spec.feeds;
    let deployers: Vec<Deployer> = DEPLOYERS
        .into_iter()
        .filter(|deployer| feeds.iter().any(|feed| deployer_of(feed) == *deployer))
        .collect();
    let place = |key: &String| {
        let parsed = ClusterKey::parse(key)?;
        let namespace = parsed.namespace();
        let base = bindings::kept(here.get(namespace).into_iter().flatten().copied());
        let outcome = base.and_then(|base| hub.world.outcome(&base.meta.name));
        if base.is_some() && outcome.is_none() {
            return None;
        }
        let cluster = cluster_name(key).and_then(|name| hub.world.cluster(&name));
        Some(Place {
            cluster: key.clone(),
            lost: cluster.as_ref().is_none_or(|cluster| cluster.lost),
            id: cluster
                .map(|cluster| cluster.cluster.id.clone())
                .or_else(|| base.map(|base| base.meta.label(CLUSTER_ID).to_owned())),
            outcome,
            descriptions: deployers
                .iter()
                .map(|deployer| {
                    let name = base.map(|base| description::name(&base.meta.name, *deployer));
                    (*deployer, name.and_then(|name| hub.world.description(&name)))
                })
                .collect(),
            refusal: hub.world.refusal(&subscription.meta.name, namespace),
        })
    };
    status.binding_clusters.iter().map(place).collect()
}

fn cluster_name(key: &str) -> Option<Name> {
    let (namespace, name) = key.split_once('/')?;
    Some(Name::new(namespace, name))
}

/// Writes the status if it is another, and tells what is new in it.
async fn report(
    hub: &Hub,
    before: &SubscriptionRecord,
    status: &SubscriptionStatus,
    problems: &[Problem],
) -> Result<(), Refusal> {
    if before.status == *status {
        return Ok(());
    }
    let Some(patch) = difference(&before.status, status) else { return Ok(()) };
    let path = before.meta.name.path::<Subscription>();
    hub.write::<Subscription>(Write::Status(path, json!({ "status": patch }))).await?;
    for note in notes(&before.status, status, problems) {
        hub.tell::<Subscription>(&before.meta, &note).await;
    }
    Ok(())
}

/// A merge patch of the fields that differ.
fn difference(before: &SubscriptionStatus, after: &SubscriptionStatus) -> Option<Value> {
    let (before, after) = (json!(before), json!(after));
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return None };
    let mut patch: Map<String, Value> = Map::new();
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    patch.extend(after.into_iter().filter(|(key, value)| before.get(key) != Some(value)));
    Some(Value::Object(patch))
}

/// Events for what is new in a status.
fn notes(before: &SubscriptionStatus, after: &SubscriptionStatus, problems: &[Problem]) -> Vec<Note> {
    let mut notes: Vec<Note> = scheduled(before, after).into_iter().collect();
    let is_new = |type_| {
        let of = |status| find(status, type_).map(|it| (&it.status, &it.message));
        of(after).is_some_and(|(status, _)| status == "False") && of(before) != of(after)
    };
    let (of_feeds, of_overrides): (Vec<&Problem>, Vec<&Problem>) =
        problems.iter().partition(|problem| problem.sort == Sort::Feed);
    if is_new(FEEDS_FOUND) {
        let mut reasons = BTreeSet::new();
        let of_each_kind = of_feeds.into_iter().filter(|problem| reasons.insert(&problem.reason));
        notes.extend(of_each_kind.map(|it| warning(&it.reason, &it.message)));
    }
    if is_new(OVERRIDES_APPLIED) {
        notes.extend(of_overrides.first().map(|it| warning("FailedApplyingOverrides", &it.message)));
    }
    notes.truncate(EVENTS);
    notes
}

/// An Event for another choice of clusters.
fn scheduled(before: &SubscriptionStatus, after: &SubscriptionStatus) -> Option<Note> {
    let now = find(after, SCHEDULED)?;
    let same =
        find(before, SCHEDULED).is_some_and(|was| (&was.status, &was.reason) == (&now.status, &now.reason));
    if same && before.binding_clusters == after.binding_clusters {
        return None;
    }
    let warning = now.status != "True";
    let reason = if warning { "FailedScheduling" } else { "Scheduled" };
    Some(Note { warning, reason: reason.to_owned(), text: now.message.clone() })
}

fn find<'s>(status: &'s SubscriptionStatus, type_: &str) -> Option<&'s Condition> {
    conditions::find(&status.conditions, type_)
}

fn warning(reason: &str, text: &str) -> Note {
    Note { warning: true, reason: reason.to_owned(), text: text.to_owned() }
}

/// Makes, changes and deletes Bases, so that every bound cluster has one. What one cluster refuses keeps nothing from the
/// others.
async fn bind(
    hub: &Hub,
    subscription: &SubscriptionRecord,
    status: &SubscriptionStatus,
    bases: &[Arc<BaseRecord>],
) -> Result<(), Refusal> {
    let clusters: Vec<_> =
        status.binding_clusters.iter().filter_map(|key| hub.world.cluster(&cluster_name(key)?)).collect();
    let taken = |name: &Name| hub.world.base(name).is_some();
    let steps = bindings::steps(subscription, clusters.iter().map(AsRef::as_ref), bases, taken);
    let results = stream::iter(steps).map(|step| take(hub, subscription, step)).buffer_unordered(AT_ONCE);
    results.fold(Ok(()), |so_far, result| std::future::ready(so_far.and(result))).await
}

async fn take(hub: &Hub, subscription: &SubscriptionRecord, step: Step) -> Result<(), Refusal> {
    let Step { namespace, write } = step;
    let result = match write {
        Write::Delete(..) => hub.parent.write(write).await.map(drop),
        write => hub.write::<Base>(write).await,
    };
    let why = match &result {
        Err(Refusal::Refused(why)) => Some(why.clone()),
        _ => None,
    };
    hub.world.set_refusal(&subscription.meta.name, &namespace, why);
    result
}

/// Why a cluster does not let go of what it got, if it says so.
fn holding(hub: &Hub, base: &BaseRecord) -> Option<String> {
    let name = &base.meta.name;
    let there = DEPLOYERS
        .into_iter()
        .filter_map(|deployer| hub.world.description(&description::name(name, deployer))?.report.holds_on());
    let why = there.collect::<Vec<_>>().join(" ");
    if why.is_empty() {
        return None;
    }
    let cluster = hub.world.cluster_in(&name.namespace, base.meta.label(CLUSTER_ID));
    let cluster = cluster.map_or_else(|| name.namespace.clone(), |record| record.cluster.key.to_string());
    Some(format!("{cluster}: {why}"))
}

/// A Subscription goes when everything that was made for it is gone: Bases, Descriptions, and the marks on its feeds.
async fn withdraw(
    hub: &Hub,
    subscription: &SubscriptionRecord,
    bases: &[Arc<BaseRecord>],
) -> Result<(), Refusal> {
    let meta = &subscription.meta;
    if !meta.has_finalizer(finalizers::APPS) {
        return Ok(());
    }
    let steps: Vec<Step> = bases.iter().filter_map(|base| bindings::delete(base)).collect();
    let results = stream::iter(steps).map(|step| take(hub, subscription, step)).buffer_unordered(AT_ONCE);
    results.fold(Ok(()), |so_far, result| std::future::ready(so_far.and(result))).await?;
    let mut status = subscription.status.clone();
    let holding: Vec<String> = bases.iter().filter_map(|base| holding(hub, base)).collect();
    withdrawing(subscription, &holding, &mut status, Timestamp::now());
    report(hub, subscription, &status, &[]).await?;
    if !bases.is_empty()
        || hub.world.has_descriptions(&meta.uid)
        || hub.world.are_marked(&subscription.spec.feeds, &meta.uid)
    {
        // The end of each wakes it again.
        return Ok(());
    }
    let left = marks::finalizers(&meta.finalizers, &[], &[finalizers::APPS]).unwrap_or_default();
    hub.release(meta.name.path::<Subscription>(), meta, &left).await
}
