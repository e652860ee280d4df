//! Base → Descriptions: what the cluster of a namespace gets (contract 5.6).

use std::sync::Arc;

use api::{
    apps::{Base, Deployer, Description, DescriptionSpec, Feed},
    names::{
        apps::{finalizers, labels::SUBSCRIPTION_UID},
        labels::CLUSTER_ID,
    },
};
use placement::overrides::Rule;
use serde_json::{Map, Value, json};

use crate::{
    contents,
    description::{self, DEPLOYERS, deployer_of},
    hub::Hub,
    key::Name,
    marks,
    outcome::{Outcome, Part, Problem, Sort},
    parent::{Refusal, Write},
    render::{From, Rendered, Source, inputs, nothing, render},
    world::{BaseRecord, ClusterRecord, DescriptionRecord},
};

/// One look at a Base.
pub(crate) async fn examine(hub: &Hub, name: &Name) -> Result<(), Refusal> {
    let Some(base) = hub.world.base(name) else { return Ok(()) };
    let there = DEPLOYERS.map(|deployer| hub.world.description(&description::name(name, deployer)));
    let paused = is_paused(hub, &base);
    if let Some(write) = there.into_iter().flatten().find_map(|there| description::pause(&there, paused)) {
        // First of all, whatever else has changed. It is looked at again afterwards.
        return hub.write::<Description>(write).await;
    }
    if base.meta.deleting {
        return leave(hub, &base).await;
    }
    if let Some(write) = mark(&base) {
        // It is looked at again with the marks.
        return hub.write::<Base>(write).await;
    }
    describe(hub, &base).await
}

/// Whether its Subscription is to leave everything as it is.
fn is_paused(hub: &Hub, base: &BaseRecord) -> bool {
    hub.world
        .subscription_of(base.meta.label(SUBSCRIPTION_UID))
        .is_some_and(|subscription| subscription.paused)
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

/// Brings the Descriptions of a Base to what they should be. What keeps one back keeps nothing from the other.
async fn describe(hub: &Hub, base: &BaseRecord) -> Result<(), Refusal> {
    let name = &base.meta.name;
    let Some(cluster) = hub.world.cluster_in(&name.namespace, base.meta.label(CLUSTER_ID)) else {
        let namespace = &name.namespace;
        let problem = Problem {
            sort: Sort::Whole,
            reason: String::from("ManagedClusterNotFound"),
            message: format!("There is no ManagedCluster in the namespace {namespace} for Base {name}."),
        };
        let mut outcome = Outcome::default();
        outcome.set(Deployer::Generic, Part::failed(problem));
        hub.world.set_outcome(base, outcome);
        return Ok(());
    };
    let rules = hub.world.rules(&name.namespace);
    let before = hub.world.outcome(name);
    let (mut outcome, mut result, mut is_known) = (Outcome::default(), Ok(()), true);
    for deployer in DEPLOYERS {
        let before = before.as_ref().map(|outcome| outcome.of(deployer));
        let work = Work { hub, base, cluster: &cluster, rules: &rules, deployer };
        let part = match work.describe(before).await {
            Ok(part) => part,
            Err(refusal) => {
                let failed = match &refusal {
                    Refusal::Refused(why) => Some(Part::failed(refused(name, why))),
                    _ => before.cloned(),
                };
                result = Err(refusal);
                is_known &= failed.is_some();
                failed.unwrap_or_default()
            }
        };
        outcome.set(deployer, part);
    }
    if is_known {
        hub.world.set_outcome(base, outcome);
    }
    result
}

fn refused(base: &Name, why: &str) -> Problem {
    Problem {
        sort: Sort::Whole,
        reason: String::from("DescriptionRefused"),
        message: format!("The Description of Base {base} cannot be written: {why}."),
    }
}

/// The work on one of a Base's Descriptions.
struct Work<'w> {
    hub: &'w Hub,
    base: &'w BaseRecord,
    cluster: &'w Arc<ClusterRecord>,
    rules: &'w [Arc<Rule>],
    deployer: Deployer,
}

impl Work<'_> {
    /// Brings the Description to what it should be. `before` is what became of it the last time.
    async fn describe(&self, before: Option<&Part>) -> Result<Part, Refusal> {
        let feeds = self.base.feeds.iter().filter(|feed| deployer_of(feed) == self.deployer);
        let sources: Vec<Source> = feeds.map(|feed| source(self.hub, feed)).collect();
        let inputs = inputs(&sources, &self.cluster.cluster, self.rules, self.cluster.reads_contents);
        let there = self.hub.world.description(&description::name(&self.base.meta.name, self.deployer));
        if sources.is_empty() && there.is_none() {
            return Ok(Part { inputs, problems: Vec::new() });
        }
        let settled = there.as_ref().is_some_and(|there| description::is_up_to_date(there, &inputs));
        if settled && let Some(seen) = before.filter(|before| before.inputs == inputs) {
            let write = there.and_then(|there| description::update(self.base, &there, None));
            if let Some(write) = write {
                self.hub.write::<Description>(write).await?;
            }
            return Ok(seen.clone());
        }
        let kept = self.kept(&sources, there.as_deref()).await?;
        let rendered = self.draw(sources, kept).await?;
        self.settle(there.as_deref(), inputs, rendered).await
    }

    /// What the cluster has by now, where it is needed: of feeds that are gone. That a Manifest or a HelmChart is gone decides
    /// nothing: the feed is still asked for.
    async fn kept(
        &self,
        sources: &[Source],
        there: Option<&DescriptionRecord>,
    ) -> Result<DescriptionSpec, Refusal> {
        let gone = |source: &&Source| matches!(source.from, From::Nowhere { .. });
        let mut missing = sources.iter().filter(gone).map(|source| &source.feed);
        let Some(there) = there.filter(|there| missing.any(|feed| there.objects.contains(feed))) else {
            return Ok(nothing(self.deployer));
        };
        let Some(json) = self.hub.parent.read(&there.meta.name.path::<Description>()).await? else {
            return Err(Refusal::Raced);
        };
        let read: Description = serde_json::from_slice(&json).map_err(|_| {
            Refusal::Later(String::from("the parent answered with something that is no Description"))
        })?;
        contents::unpack(self.hub, read.spec).await
    }

    /// Renders beside the threads that everything else runs on: an override may take up to a second.
    async fn draw(&self, sources: Vec<Source>, kept: DescriptionSpec) -> Result<Rendered, Refusal> {
        let (limits, cluster) = (Arc::clone(&self.hub.limits), Arc::clone(self.cluster));
        let (rules, deployer) = (self.rules.to_vec(), self.deployer);
        let work = move || render(deployer, &sources, &cluster.cluster, &rules, &kept, &limits);
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| Refusal::Later(String::from("rendering broke off")))
    }

    /// Brings the Description to what was rendered; what stands against it.
    async fn settle(
        &self,
        there: Option<&DescriptionRecord>,
        inputs: String,
        rendered: Rendered,
    ) -> Result<Part, Refusal> {
        let Self { hub, base, .. } = self;
        let blocked = rendered.is_blocked();
        let Rendered { spec, mut problems } = rendered;
        let apart = self.cluster.reads_contents;
        let nothing = spec.raw.is_empty() && !blocked;
        let mut waits = false;
        let write = match there {
            None if nothing || blocked => None,
            None => {
                let packed = contents::pack(hub, spec, apart).await?;
                Some(description::create(base, &inputs, &packed, is_paused(hub, base)))
            }
            // It is made again when it is gone.
            Some(there) if there.meta.deleting => None,
            Some(there) if nothing => {
                Some(Write::Delete(there.meta.name.path::<Description>(), there.meta.uid.clone()))
            }
            Some(there) => {
                let changes = crate::world::content(&spec) != there.content;
                waits = description::is_up_to_date(there, &inputs) && (blocked || changes);
                if waits || blocked {
                    description::update(base, there, None)
                } else {
                    let packed = contents::pack(hub, spec, apart).await?;
                    description::update(base, there, Some((inputs.as_str(), &packed)))
                }
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
        Ok(Part { inputs, problems })
    }
}

fn source(hub: &Hub, feed: &Feed) -> Source {
    let from = match hub.world.source_of(feed) {
        Some(source) => From::There(source),
        None => From::Nowhere { elsewhere: hub.world.other_version_of(feed) },
    };
    Source { feed: feed.clone(), from }
}

/// A Base goes after its Descriptions. Where its Subscription still wants it, somebody deleted it by hand: then the
/// Descriptions stay for the next Base, so that nothing that runs is disturbed.
async fn leave(hub: &Hub, base: &BaseRecord) -> Result<(), Refusal> {
    if !base.meta.has_finalizer(finalizers::APPS) {
        return Ok(());
    }
    let is_wanted = is_wanted(hub, base);
    let mut is_over = true;
    for deployer in DEPLOYERS {
        let name = description::name(&base.meta.name, deployer);
        let Some(there) = hub.world.description(&name) else { continue };
        if there.meta.deleting {
            is_over = false;
        } else if !is_wanted {
            is_over = false;
            let write = Write::Delete(name.path::<Description>(), there.meta.uid.clone());
            hub.parent.write(write).await?;
        } else if there.owner.is_some() {
            hub.write::<Description>(description::orphan(&there)).await?;
        }
    }
    if !is_over {
        // The end of each wakes it again.
        return Ok(());
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
