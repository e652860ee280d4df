//! Reads what a PediaCluster is made from: for the controller of lifecycles, and for whoever tries a policy.

use std::sync::Arc;

use api::{
    names::policy::lifecycle::{REFERENCE_NOT_FOUND, WAIT_DEPENDENT},
    policy::LifecycleSource,
};
use kubeio::{Error, Resource};
use serde_json::Value;

use crate::{
    Problem,
    parent::{Reader, Refusal},
    recipe::{Location, Recipe},
    renderers::Renderers,
    template::Objects,
    usable,
};

/// Why what a PediaCluster is made from is not there.
#[derive(Debug)]
pub(crate) enum Missing {
    /// It is known why.
    Says(Problem),
    /// Whoever reads may not read this.
    Forbidden(Location),
    /// It may work later.
    Later(Refusal),
}

impl From<Problem> for Missing {
    fn from(problem: Problem) -> Self {
        Self::Says(problem)
    }
}

impl From<Refusal> for Missing {
    fn from(refusal: Refusal) -> Self {
        Self::Later(refusal)
    }
}

/// Reads objects for policies.
pub(crate) struct Gatherer<'g> {
    pub(crate) reader: &'g dyn Reader,
    pub(crate) renderers: &'g Renderers,
    /// The hub's own namespace.
    pub(crate) hub_namespace: &'g str,
}

impl Gatherer<'_> {
    /// The object at a place, if it is for policies; nothing if there is none.
    pub(crate) async fn read(&self, location: &Location) -> Result<Option<Value>, Missing> {
        let resource = &location.resource;
        match self.reader.read(&location.path()).await {
            Ok(Some(object)) => {
                match usable::refused(&resource.group, &resource.plural, &object, self.hub_namespace) {
                    Some(why) => {
                        Err(Problem::new(WAIT_DEPENDENT, format!("{location} is not read: {why}")).into())
                    }
                    None => Ok(Some(object)),
                }
            }
            Ok(None) => Ok(None),
            Err(Error::Forbidden(_)) => Err(Missing::Forbidden(location.clone())),
            Err(error) => Err(Refusal::Later(format!("{location} cannot be read: {error}")).into()),
        }
    }

    /// The source with all of its references, in their order. `looks` is told of each place before it is looked at, and
    /// `finds` of each where there is an object.
    pub(crate) async fn references(
        &self,
        recipe: &Arc<Recipe>,
        source: Value,
        mut looks: impl FnMut(&Location) + Send,
        mut finds: impl FnMut(&Location) + Send,
    ) -> Result<Objects, Missing> {
        let mut objects = Objects::of(source);
        for (at, reference) in recipe.references().iter().enumerate() {
            let recipe = Arc::clone(recipe);
            let (location, back) = self
                .renderers
                .run(move || {
                    (recipe.references().get(at).map(|reference| reference.locate(&objects)), objects)
                })
                .await?;
            objects = back;
            let Some(location) = location.transpose()? else { break };
            looks(&location);
            let object = self.read(&location).await?.ok_or_else(|| {
                let message = format!("there is no {location}, which the policy calls {:?}", reference.key);
                Problem::new(REFERENCE_NOT_FOUND, message)
            })?;
            objects.add(&reference.key, object);
            finds(&location);
        }
        Ok(objects)
    }
}

/// Where a lifecycle's source is.
pub(crate) fn source(source: &LifecycleSource) -> Location {
    Location {
        resource: Resource::new(&*source.group, &*source.version, &*source.resource),
        namespace: source.namespace.clone(),
        name: source.name.clone(),
    }
}
