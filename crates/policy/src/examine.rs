//! Brings the PediaCluster of one lifecycle in step (contract 8.3).

use std::{sync::Arc, time::Duration};

use api::{
    conditions,
    names::policy::{
        finalizers,
        lifecycle::{
            CLUSTER_CREATED, CLUSTER_EXISTED, CLUSTER_UPDATED, CREATED, CREATION_FAILED, ORPHAN,
            OWNER_FAILED, PATCH_FAILED, SOURCE_NOT_FOUND, UPDATING, WAIT_DEPENDENT,
        },
    },
    policy::{PediaClusterLifecycle, PediaClusterLifecycleStatus, ResolvedReference},
};
use jiff::Timestamp;
use kube::ResourceExt as _;
use kubeio::Error;
use serde_json::{Value, json};

use crate::{
    Options, Problem,
    cluster::{conflict, is_owned, is_owned_alone},
    gather::{self, Gatherer, Missing},
    grant,
    parent::{Parent, Refusal, Write},
    recipe::{Location, Recipe},
    registry::{Readiness, Registry},
    renderers::Renderers,
    template::Objects,
};

/// Where PediaClusters are.
pub(crate) const CLUSTERS: &str = "/apis/cluster.clusterpedia.io/v1alpha2/pediaclusters";
/// Where PediaClusterLifecycles are.
pub(crate) const LIFECYCLES: &str = "/apis/policy.clusterpedia.io/v1alpha1/pediaclusterlifecycles";
/// Set by whoever deletes something and wants what it owns to stay.
pub(crate) const ORPHANS: &str = "orphan";
/// What only somebody's doing can change, and nobody tells of, is looked at again after this time.
const AGAIN: Duration = Duration::from_secs(20);
/// What is in step is looked at again after this time, although nothing seems to have changed.
const RESYNC: Duration = Duration::from_mins(30);

/// What the controllers share.
pub(crate) struct Shared {
    pub(crate) parent: Arc<dyn Parent>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) renderers: Renderers,
    pub(crate) options: Options,
}

/// What was found out about a lifecycle.
struct Findings {
    status: PediaClusterLifecycleStatus,
    next: Duration,
}

/// What a lifecycle's PediaCluster is made from.
struct Gathered {
    recipe: Arc<Recipe>,
    objects: Objects,
}

/// Why it does not go on, and when to look again.
struct Stop {
    why: Problem,
    next: Duration,
}

impl Stop {
    /// Nobody tells when that changes.
    fn untold(why: Problem) -> Self {
        Self { why, next: AGAIN }
    }
}

/// What the watches of sources, references, policies and PediaClusters tell when it changes.
impl From<Problem> for Stop {
    fn from(why: Problem) -> Self {
        Self { why, next: RESYNC }
    }
}

/// Brings the PediaCluster of a lifecycle in step, and the status of the lifecycle. When to look again.
pub(crate) async fn examine(shared: &Shared, lifecycle: &PediaClusterLifecycle) -> Result<Duration, Refusal> {
    if lifecycle.metadata.deletion_timestamp.is_some() {
        leave(shared, lifecycle).await?;
        return Ok(RESYNC);
    }
    let path = format!("{LIFECYCLES}/{}", lifecycle.name_any());
    if let Some(patch) = with_finalizer(lifecycle) {
        shared.parent.write(Write::Merge(path.clone(), patch)).await?;
    }
    let Some(found) = findings(shared, lifecycle).await? else { return Ok(RESYNC) };
    if lifecycle.status.as_ref() != Some(&found.status) {
        // What is absent has to be said, or the old value would stay.
        let status = json!({ "conditions": found.status.conditions, "references": found.status.references });
        shared.parent.write(Write::Status(path, json!({ "status": status }))).await?;
    }
    Ok(found.next)
}

/// Nothing, if it is too early, or the PediaCluster is just going: what follows is seen when it is gone.
async fn findings(shared: &Shared, lifecycle: &PediaClusterLifecycle) -> Result<Option<Findings>, Refusal> {
    let name = lifecycle.name_any();
    let uid = lifecycle.uid().unwrap_or_default();
    let mut status = lifecycle.status.clone().unwrap_or_default();
    let mut references = Vec::new();
    let Some(gathered) = gather(shared, lifecycle, &mut references).await? else { return Ok(None) };
    status.references = references;
    let cluster_path = format!("{CLUSTERS}/{name}");
    let existing = shared.parent.read(&cluster_path).await.map_err(|error| later(&error))?;
    if existing.as_ref().is_some_and(|cluster| !cluster["metadata"]["deletionTimestamp"].is_null()) {
        return Ok(None);
    }
    let generation = lifecycle.metadata.generation;
    let mut set = |type_, holds, why: &Problem| {
        conditions::set(&mut status.conditions, why.condition(type_, holds, generation), Timestamp::now());
    };
    let next = match existing {
        None => {
            let created = match gathered {
                Ok(gathered) => create(shared, gathered, &name, &uid).await?,
                Err(stop) => Err(stop),
            };
            match created {
                Ok(()) => {
                    set(CREATED, true, &Problem::new(CLUSTER_CREATED, ""));
                    set(UPDATING, true, &Problem::new(CLUSTER_UPDATED, ""));
                    RESYNC
                }
                Err(Stop { why, next }) => {
                    set(CREATED, false, &why);
                    conditions::remove(&mut status.conditions, UPDATING);
                    next
                }
            }
        }
        Some(cluster) => {
            if !conditions::is_true(
                lifecycle.status.as_ref().map_or(&[], |status| &status.conditions),
                CREATED,
            ) {
                let (reason, message) = if is_owned(&cluster, &uid) {
                    (CLUSTER_CREATED, "")
                } else {
                    (CLUSTER_EXISTED, "it was there before; it stays when this lifecycle goes")
                };
                set(CREATED, true, &Problem::new(reason, message));
            }
            let updated = match gathered {
                Ok(gathered) => update(shared, gathered, cluster_path, &cluster, &uid).await?,
                Err(stop) => Err(stop),
            };
            match updated {
                Ok(()) => {
                    set(UPDATING, true, &Problem::new(CLUSTER_UPDATED, ""));
                    RESYNC
                }
                Err(Stop { why, next }) => {
                    set(UPDATING, false, &why);
                    next
                }
            }
        }
    };
    Ok(Some(Findings { status, next }))
}

/// Makes the PediaCluster, or says why not.
async fn create(
    shared: &Shared,
    Gathered { recipe, objects }: Gathered,
    name: &str,
    uid: &str,
) -> Result<Result<(), Stop>, Refusal> {
    let render = move || recipe.may_begin(&objects).and_then(|()| recipe.cluster(&objects));
    let cluster = match shared.renderers.run(render).await? {
        Ok(rendered) => rendered.object(name, Some(uid)),
        Err(problem) => return Ok(Err(problem.into())),
    };
    match shared.parent.write(Write::Create(CLUSTERS.to_owned(), cluster)).await {
        Ok(()) => {
            tracing::info!(cluster = name, "imported");
            Ok(Ok(()))
        }
        Err(Refusal::Refused { why, about_owner }) => {
            let reason = if about_owner { OWNER_FAILED } else { CREATION_FAILED };
            let problem = Problem::new(reason, format!("the PediaCluster {name} cannot be made: {why}"));
            Ok(Err(Stop::untold(problem)))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Brings address and credentials of the PediaCluster in step, or says why not.
async fn update(
    shared: &Shared,
    Gathered { recipe, objects }: Gathered,
    path: String,
    cluster: &Value,
    uid: &str,
) -> Result<Result<(), Stop>, Refusal> {
    let rendered = match shared.renderers.run(move || recipe.cluster(&objects)).await? {
        Ok(rendered) => rendered,
        Err(problem) => return Ok(Err(problem.into())),
    };
    let Some(mut changes) = rendered.changes(cluster) else { return Ok(Ok(())) };
    if !is_owned(cluster, uid)
        && let Some(why) = conflict(cluster, &rendered)
    {
        let name = cluster["metadata"]["name"].as_str().unwrap_or_default();
        let message = format!(
            "the PediaCluster {name} was not made for this lifecycle, and {why}: nothing in it is changed. Rename one, or \
             delete the PediaCluster"
        );
        return Ok(Err(Problem::new(PATCH_FAILED, message).into()));
    }
    // Only what was just looked at is changed, not what somebody made in its place meanwhile.
    changes["metadata"] = json!({ "resourceVersion": cluster["metadata"]["resourceVersion"] });
    match shared.parent.write(Write::Merge(path, changes)).await {
        Ok(()) => {
            tracing::info!(cluster = cluster["metadata"]["name"].as_str(), "brought in step with its source");
            Ok(Ok(()))
        }
        Err(Refusal::Refused { why, .. }) => {
            let message = format!("the PediaCluster cannot be brought in step: {why}");
            Ok(Err(Stop::untold(Problem::new(PATCH_FAILED, message))))
        }
        Err(refusal) => Err(refusal),
    }
}

/// Finds the source and the references. Those that were found are added to `references`. Nothing, if it is too early to
/// look for them: whoever knows more wakes the lifecycle.
async fn gather(
    shared: &Shared,
    lifecycle: &PediaClusterLifecycle,
    references: &mut Vec<ResolvedReference>,
) -> Result<Option<Result<Gathered, Stop>>, Refusal> {
    let name = lifecycle.name_any();
    let mut depends_on = Vec::new();
    let gathered = gather_from(shared, lifecycle, references, &mut depends_on).await;
    shared.registry.depends_only(&name, &depends_on);
    match gathered {
        Ok(gathered) => Ok(gathered.map(Ok)),
        Err(Missing::Says(problem)) => Ok(Some(Err(problem.into()))),
        Err(Missing::Forbidden(location)) => {
            Ok(Some(Err(Stop::untold(forbidden(shared, lifecycle, &location)))))
        }
        Err(Missing::Later(refusal)) => Err(refusal),
    }
}

async fn gather_from(
    shared: &Shared,
    lifecycle: &PediaClusterLifecycle,
    references: &mut Vec<ResolvedReference>,
    depends_on: &mut Vec<u64>,
) -> Result<Option<Gathered>, Missing> {
    let name = lifecycle.name_any();
    let Some(policy) = policy_of(lifecycle) else {
        let message = "no ClusterImportPolicy owns it; delete it, or let a policy with this name for a cluster take it over";
        return Err(Problem::new(ORPHAN, message).into());
    };
    match shared.registry.readiness(policy) {
        Readiness::Ready => {}
        Readiness::Soon => return Ok(None),
        Readiness::Waits(why) => return Err(Problem::new(WAIT_DEPENDENT, why).into()),
    }
    let recipe = Arc::new(Recipe::of(&lifecycle.spec)?);
    let location = gather::source(&lifecycle.spec.source);
    // Before it is read: a change from now on is not missed.
    let mut depends = |location: &Location| {
        shared.registry.depends(&name, location.id());
        depends_on.push(location.id());
    };
    depends(&location);
    let gatherer = Gatherer {
        reader: &*shared.parent,
        renderers: &shared.renderers,
        hub_namespace: &shared.options.namespace,
    };
    let source = gatherer.read(&location).await?.ok_or_else(|| {
        Problem::new(SOURCE_NOT_FOUND, format!("there is no {location}, which it is imported from"))
    })?;
    let finds = |location: &Location| references.push(location.resolved());
    let objects = gatherer.references(&recipe, source, depends, finds).await?;
    Ok(Some(Gathered { recipe, objects }))
}

/// What has to be done for the hub to read an object.
fn forbidden(shared: &Shared, lifecycle: &PediaClusterLifecycle, location: &Location) -> Problem {
    let Location { resource, namespace, .. } = location;
    let namespace = Some(namespace.as_str()).filter(|namespace| !namespace.is_empty());
    let policy = policy_of(lifecycle).unwrap_or_default();
    let grant = grant::line(policy, &resource.group, &resource.plural, namespace, &shared.options.namespace);
    Problem::new(WAIT_DEPENDENT, format!("the hub may not read {location}. To let it: {grant}"))
}

/// The lifecycle is going: so does the PediaCluster that was made for it.
async fn leave(shared: &Shared, lifecycle: &PediaClusterLifecycle) -> Result<(), Refusal> {
    let name = lifecycle.name_any();
    shared.registry.depends_only(&name, &[]);
    let held = lifecycle.finalizers();
    if !held.iter().any(|finalizer| finalizer == finalizers::LIFECYCLE) {
        return Ok(());
    }
    let path = format!("{CLUSTERS}/{name}");
    if !held.iter().any(|finalizer| finalizer == ORPHANS)
        && let Some(cluster) = shared.parent.read(&path).await.map_err(|error| later(&error))?
        && cluster["metadata"]["deletionTimestamp"].is_null()
        && is_owned_alone(&cluster, &lifecycle.uid().unwrap_or_default())
    {
        let uid = cluster["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        shared.parent.write(Write::Delete(path, uid)).await?;
        tracing::info!(cluster = %name, "no longer imported");
    }
    let left: Vec<String> =
        held.iter().filter(|finalizer| *finalizer != finalizers::LIFECYCLE).cloned().collect();
    let patch = finalizers_patch(lifecycle, &left);
    shared.parent.write(Write::Merge(format!("{LIFECYCLES}/{name}"), patch)).await
}

fn with_finalizer(lifecycle: &PediaClusterLifecycle) -> Option<Value> {
    let held = lifecycle.finalizers();
    if held.iter().any(|finalizer| finalizer == finalizers::LIFECYCLE) {
        return None;
    }
    let all: Vec<String> = held.iter().cloned().chain([finalizers::LIFECYCLE.to_owned()]).collect();
    Some(finalizers_patch(lifecycle, &all))
}

fn finalizers_patch(lifecycle: &PediaClusterLifecycle, finalizers: &[String]) -> Value {
    finalizers_of(lifecycle.resource_version().as_deref(), finalizers)
}

/// Sets finalizers; with the version, so that nobody else's change of the list is undone.
pub(crate) fn finalizers_of(resource_version: Option<&str>, finalizers: &[String]) -> Value {
    json!({ "metadata": { "resourceVersion": resource_version, "finalizers": finalizers } })
}

/// The name of the policy that owns a lifecycle.
pub(crate) fn policy_of(lifecycle: &PediaClusterLifecycle) -> Option<&str> {
    let owner = lifecycle.owner_references().iter().find(|owner| owner.controller == Some(true))?;
    (owner.kind == "ClusterImportPolicy").then_some(owner.name.as_str())
}

fn later(error: &Error) -> Refusal {
    Refusal::Later(format!("the parent does not answer as it should: {error}"))
}
