//! What a policy would do, without doing it: for `kubectl clusterway policy render`.
//!
//! The templates, the choice of versions and every reason are those of the controllers; what differs is who reads.

use std::sync::Arc;

use api::policy::ClusterImportPolicySpec;
use kubeio::{Error, List, ListRequest, Selection, Transport, discover};
use meta::RawObject;
use serde_json::Value;

use crate::{
    cluster,
    imports::{Imports, Negotiated, Outcome, lifecycle},
    negotiate::negotiate,
    parent::read,
    recipe::{Location, Recipe, kubectl_resource},
    template::Objects,
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
    /// The policy does not select it.
    Left {
        /// The source object.
        source: String,
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
    policy: &ClusterImportPolicySpec,
    only: Option<(&str, &str)>,
    hub_namespace: &str,
) -> Result<Vec<Preview>, Failure> {
    let invalid =
        |problem: crate::Problem| Failure::Invalid { reason: problem.reason, message: problem.message };
    let imports = Imports::parse(policy).map_err(invalid)?;
    let discovered =
        discover(&**transport).await.map_err(|error| unreadable("what the parent has", &error))?;
    let negotiated = negotiate(policy, &discovered).map_err(invalid)?;
    let sources = match only {
        Some((namespace, name)) => vec![one(transport, &negotiated, namespace, name).await?],
        None => all(transport, policy, &negotiated).await?,
    };
    let context = Context { transport, policy, negotiated: &negotiated, imports: &imports, hub_namespace };
    let mut previews = Vec::with_capacity(sources.len());
    for source in sources {
        previews.push(context.preview(source).await?);
    }
    Ok(previews)
}

/// Takes the credentials out of a PediaCluster, and says how large they are.
pub fn masked(cluster: Value) -> Value {
    cluster::masked(cluster)
}

async fn one(
    transport: &Arc<dyn Transport>,
    negotiated: &Negotiated,
    namespace: &str,
    name: &str,
) -> Result<Value, Failure> {
    let location = Location {
        resource: negotiated.source.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let found = read(&**transport, &location.path()).await;
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

struct Context<'c> {
    transport: &'c Arc<dyn Transport>,
    policy: &'c ClusterImportPolicySpec,
    negotiated: &'c Negotiated,
    imports: &'c Imports,
    hub_namespace: &'c str,
}

impl Context<'_> {
    async fn preview(&self, source: Value) -> Result<Preview, Failure> {
        let text = |field: &str| source["metadata"][field].as_str().unwrap_or_default().to_owned();
        let location = Location {
            resource: self.negotiated.source.clone(),
            namespace: text("namespace"),
            name: text("name"),
        };
        let title = location.to_string();
        if usable::refused(&location.resource.group, &location.resource.plural, &source, self.hub_namespace)
            .is_some()
        {
            return Ok(Preview::Left { source: title });
        }
        match self.imports.outcome(source.clone()) {
            Outcome::Left => Ok(Preview::Left { source: title }),
            Outcome::Failed(message) => {
                let reason = api::names::policy::conditions::FAILED;
                Ok(Preview::Nothing { source: title, name: None, reason, message })
            }
            Outcome::Taken(name) => {
                let rendered = self.render(source, &location, &name).await?;
                Ok(match rendered {
                    Ok(cluster) => Preview::Cluster { source: title, cluster },
                    Err(problem) => Preview::Nothing {
                        source: title,
                        name: Some(name),
                        reason: problem.reason,
                        message: problem.message,
                    },
                })
            }
        }
    }

    async fn render(
        &self,
        source: Value,
        location: &Location,
        name: &str,
    ) -> Result<Result<Value, crate::Problem>, Failure> {
        use api::names::policy::lifecycle::{REFERENCE_NOT_FOUND, WAIT_DEPENDENT};
        let spec = lifecycle(self.policy, self.negotiated, &location.namespace, &location.name);
        let recipe = match Recipe::of(&spec) {
            Ok(recipe) => recipe,
            Err(problem) => return Ok(Err(problem)),
        };
        let mut objects = Objects::of(source);
        for reference in recipe.references() {
            let location = match reference.locate(&objects) {
                Ok(location) => location,
                Err(problem) => return Ok(Err(problem)),
            };
            let found = read(&**self.transport, &location.path()).await;
            let Some(object) = found.map_err(|error| unreadable(&location.to_string(), &error))? else {
                let message = format!("there is no {location}, which the policy calls {:?}", reference.key);
                return Ok(Err(crate::Problem::new(REFERENCE_NOT_FOUND, message)));
            };
            let resource = &location.resource;
            if let Some(why) = usable::refused(&resource.group, &resource.plural, &object, self.hub_namespace)
            {
                let message = format!("{location} is not read: {why}");
                return Ok(Err(crate::Problem::new(WAIT_DEPENDENT, message)));
            }
            objects.add(&reference.key, object);
        }
        let rendered = recipe.may_begin(&objects).and_then(|()| recipe.cluster(&objects));
        Ok(rendered.map(|rendered| rendered.object(name, None)))
    }
}
