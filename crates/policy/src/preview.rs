//! What a policy would do, without doing it: for `kubectl clusterway policy render`.
//!
//! The templates, the choice of versions and every reason are those of the controllers; what differs is who reads.

use std::{collections::BTreeMap, sync::Arc};

use api::{
    names::policy::{conditions::FAILED, lifecycle::WAIT_DEPENDENT},
    policy::{ClusterImportPolicy, ClusterImportPolicySpec, PediaClusterLifecycle},
};
use kubeio::{Error, List, ListRequest, Selection, Transport, discover};
use meta::RawObject;
use serde_json::Value;

use crate::{
    Problem,
    cluster::{self, Rendered},
    examine::{LIFECYCLES, policy_of},
    gather::{Gatherer, Missing},
    imports::{Imports, Negotiated, Outcome, lifecycle},
    negotiate::negotiate,
    parent::{KubeParent, Reader as _},
    recipe::{Location, Recipe, kubectl_resource},
    renderers::Renderers,
    sources::{Key, Seen, Sources, Wanted},
    usable,
};

/// What would become of one source object.
#[derive(Debug, Clone, PartialEq)]
pub enum Preview {
    /// This PediaCluster.
    Cluster {
        /// The source object, as in `clusters.cluster.mcp.io default/a`.
        source: String,
        /// The PediaCluster. Holds credentials; [`masked`] takes them out.
        cluster: Value,
    },
    /// No PediaCluster.
    Nothing {
        /// The source object.
        source: String,
        /// The name it would have, if that far it went.
        name: Option<String>,
        /// The reason, as the lifecycle would have it.
        reason: &'static str,
        /// Why, in a sentence.
        message: String,
    },
    /// It is not taken.
    Left {
        /// The source object.
        source: String,
        /// Why, in a sentence.
        why: String,
    },
}

/// Why nothing can be said about a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The policy cannot be used: the reason and message of its condition.
    Invalid {
        /// As the condition `Validated` would have it.
        reason: &'static str,
        /// Why, in a sentence.
        message: String,
    },
    /// Something could not be read. A sentence.
    Unreadable(String),
}

/// What would become of the source objects of a policy: of all, or of the `only` one (namespace and name).
///
/// # Errors
///
/// When the policy cannot be used, or its source objects cannot be read.
pub async fn preview(
    transport: &Arc<dyn Transport>,
    policy: &ClusterImportPolicy,
    only: Option<(&str, &str)>,
    hub_namespace: &str,
) -> Result<Vec<Preview>, Failure> {
    let invalid = |problem: Problem| Failure::Invalid { reason: problem.reason, message: problem.message };
    let spec = &policy.spec;
    let imports = Imports::parse(spec).map_err(invalid)?;
    let discovered =
        discover(&**transport).await.map_err(|error| unreadable("what the parent has", &error))?;
    let negotiated = negotiate(spec, &discovered).map_err(invalid)?;
    let reader = KubeParent(Arc::clone(transport));
    let within = spec.source.namespace.as_deref().filter(|within| !within.is_empty());
    let found = match only {
        // Whoever names no namespace means the one of the policy.
        Some((namespace, name)) => {
            let namespace = if namespace.is_empty() { within.unwrap_or_default() } else { namespace };
            vec![one(&reader, &negotiated, namespace, name).await?]
        }
        None => all(transport, spec, &negotiated).await?,
    };
    let trial = Trial {
        policy,
        negotiated: &negotiated,
        gatherer: Gatherer { reader: &reader, renderers: &Renderers::default(), hub_namespace },
    };
    let mut previews = Vec::with_capacity(found.len());
    let (mut sources, mut taken) = (Sources::default(), Vec::new());
    for object in found {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key: Key = (text("namespace"), text("name"));
        let source = trial.at(&key).to_string();
        let resource = &negotiated.source;
        if let Some(why) = usable::refused(&resource.group, &resource.plural, &object, hub_namespace) {
            previews.push(Preview::Left { source, why });
        } else if let Some(within) = within.filter(|within| *within != key.0) {
            let why = format!("spec.source.namespace is {within}");
            previews.push(Preview::Left { source, why });
        } else {
            let outcome = imports.outcome(object.clone());
            match &outcome {
                Outcome::Left => {
                    let why = String::from("spec.source.selectorTemplate does not select it");
                    previews.push(Preview::Left { source, why });
                }
                Outcome::Failed(message) => {
                    previews.push(nothing(source, None, Problem::new(FAILED, message)));
                }
                Outcome::Taken(_) => taken.push((key.clone(), object)),
            }
            sources.changed(key, Seen { digest: 0, outcome });
        }
    }
    let holders = trial.holders(&sources).await;
    let wanted = sources.wanted(&holders);
    for (key, object) in taken {
        previews.push(trial.preview(&wanted, &key, object).await);
    }
    Ok(previews)
}

/// Takes the credentials out of a PediaCluster, and says how large they are.
pub fn masked(cluster: Value) -> Value {
    cluster::masked(cluster)
}

async fn one(
    reader: &KubeParent,
    negotiated: &Negotiated,
    namespace: &str,
    name: &str,
) -> Result<Value, Failure> {
    let location = Location {
        resource: negotiated.source.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let found = reader.read(&location.path()).await;
    found
        .map_err(|error| unreadable(&location.to_string(), &error))?
        .ok_or_else(|| Failure::Unreadable(format!("there is no {location}")))
}

async fn all(
    transport: &Arc<dyn Transport>,
    policy: &ClusterImportPolicySpec,
    negotiated: &Negotiated,
) -> Result<Vec<Value>, Failure> {
    let mut selection = Selection::all(negotiated.source.clone());
    selection.namespace = policy.source.namespace.clone();
    let resource = kubectl_resource(&negotiated.source.group, &negotiated.source.plural);
    let mut list = List::new(Arc::clone(transport), ListRequest::new(selection));
    let mut sources = Vec::new();
    while let Some(item) = list.next().await.map_err(|error| unreadable(&resource, &error))? {
        let object = RawObject::from_json(&item, &negotiated.source.api_version(), "");
        let object = object.map_err(|_| Failure::Unreadable(format!("one of {resource} is no object")))?;
        let object = serde_json::from_slice(&object.json);
        sources.push(object.map_err(|_| Failure::Unreadable(format!("one of {resource} is no object")))?);
    }
    Ok(sources)
}

fn unreadable(what: &str, error: &Error) -> Failure {
    Failure::Unreadable(format!("{what} cannot be read: {error}"))
}

fn nothing(source: String, name: Option<&str>, why: Problem) -> Preview {
    let Problem { reason, message } = why;
    Preview::Nothing { source, name: name.map(str::to_owned), reason, message }
}

struct Trial<'t> {
    policy: &'t ClusterImportPolicy,
    negotiated: &'t Negotiated,
    gatherer: Gatherer<'t>,
}

impl Trial<'_> {
    fn at(&self, (namespace, name): &Key) -> Location {
        Location {
            resource: self.negotiated.source.clone(),
            namespace: namespace.clone(),
            name: name.clone(),
        }
    }

    /// Who has the names that several objects would have, if the policy is applied already. Who may not read it is told as
    /// if it were not.
    async fn holders(&self, sources: &Sources) -> BTreeMap<String, Key> {
        let mut holders = BTreeMap::new();
        for name in sources.contested() {
            let path = format!("{LIFECYCLES}/{name}");
            let Ok(Some(lifecycle)) = self.gatherer.reader.read(&path).await else { continue };
            let Ok(lifecycle) = serde_json::from_value::<PediaClusterLifecycle>(lifecycle) else { continue };
            if policy_of(&lifecycle) == self.policy.metadata.name.as_deref() {
                let source = lifecycle.spec.source;
                holders.insert(name.to_owned(), (source.namespace, source.name));
            }
        }
        holders
    }

    async fn preview(&self, wanted: &Wanted<'_>, key: &Key, object: Value) -> Preview {
        let source = self.at(key).to_string();
        if let Some((_, why)) = wanted.failures.iter().find(|(failed, _)| *failed == key) {
            return nothing(source, None, Problem::new(FAILED, why));
        }
        let taken = wanted.lifecycles.iter().find(|(_, taken)| **taken == key);
        let name = taken.map_or("", |(name, _)| *name);
        match self.cluster(object, key).await {
            Ok(rendered) => Preview::Cluster { source, cluster: rendered.object(name, None) },
            Err(Missing::Says(problem)) => nothing(source, Some(name), problem),
            Err(Missing::Forbidden(location)) => {
                let message = format!("you may not read {location}, so nobody can say what would be made");
                nothing(source, Some(name), Problem::new(WAIT_DEPENDENT, message))
            }
            Err(Missing::Later(why)) => {
                nothing(source, Some(name), Problem::new(WAIT_DEPENDENT, why.to_string()))
            }
        }
    }

    async fn cluster(&self, object: Value, (namespace, name): &Key) -> Result<Rendered, Missing> {
        let recipe = Recipe::of(&lifecycle(&self.policy.spec, self.negotiated, namespace, name))?;
        let recipe = Arc::new(recipe);
        let objects = self.gatherer.references(&recipe, object, |_| {}, |_| {}).await?;
        Ok(recipe.may_begin(&objects).and_then(|()| recipe.cluster(&objects))?)
    }
}
