//! From a source object to its PediaCluster: references, condition, template. Pure.

use std::fmt;

use api::{
    names::policy::lifecycle::{REFERENCE_UNPARSED, UNRESOLVED, WAIT_CONDITION},
    policy::{LifecycleReference, PediaClusterLifecycleSpec, ResolvedReference},
};
use gotemplate::Template;
use kubeio::Resource;

use crate::{
    Problem,
    cluster::{self, Rendered},
    template::{self, Objects},
};

/// The parsed templates of one lifecycle.
#[derive(Debug)]
pub(crate) struct Recipe {
    references: Vec<Reference>,
    condition: Template,
    template: Template,
}

/// Where a referenced object is, as templates.
#[derive(Debug)]
pub(crate) struct Reference {
    /// What templates call it.
    pub(crate) key: String,
    resource: Resource,
    namespace: Option<Template>,
    name: Template,
}

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Location {
    pub(crate) resource: Resource,
    /// Empty for an object that is in none.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Location {
    /// Its path at the API server.
    pub(crate) fn path(&self) -> String {
        let namespace = Some(self.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        self.resource.object_path(namespace, &self.name)
    }

    /// As it stands in a status.
    pub(crate) fn resolved(&self) -> ResolvedReference {
        ResolvedReference {
            group: self.resource.group.clone(),
            version: self.resource.version.clone(),
            resource: self.resource.plural.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }

    /// The resource as kubectl takes it, `clusters.cluster.x-k8s.io`.
    pub(crate) fn kubectl_resource(&self) -> String {
        kubectl_resource(&self.resource.group, &self.resource.plural)
    }
}

/// `secrets default/a`, `clusters.cluster.karmada.io member1`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        write!(f, "{} {}{slash}{}", self.kubectl_resource(), self.namespace, self.name)
    }
}

/// A resource as kubectl takes it.
pub(crate) fn kubectl_resource(group: &str, plural: &str) -> String {
    if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") }
}

impl Recipe {
    /// Parses the templates of a lifecycle.
    pub(crate) fn of(spec: &PediaClusterLifecycleSpec) -> Result<Self, Problem> {
        Self::parse(&spec.references, &spec.creation_condition, &spec.template)
    }

    /// Parses templates.
    pub(crate) fn parse(
        references: &[LifecycleReference],
        condition: &str,
        template: &str,
    ) -> Result<Self, Problem> {
        let parse = |field: &str, text| {
            template::parse(field, text)
                .map_err(|why| Problem::new(UNRESOLVED, format!("not a template: {why}")))
        };
        Ok(Self {
            references: references.iter().map(Reference::parse).collect::<Result<_, _>>()?,
            condition: parse("spec.creationCondition", condition)?,
            template: parse("spec.template", template)?,
        })
    }

    /// In the order in which they are found: each may depend on those before.
    pub(crate) fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Every template.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let of_references =
            self.references.iter().flat_map(|reference| reference.namespace.iter().chain([&reference.name]));
        of_references.chain([&self.condition, &self.template])
    }

    /// Whether the PediaCluster may be made.
    pub(crate) fn may_begin(&self, objects: &Objects) -> Result<(), Problem> {
        match template::is_true(&self.condition, objects) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(renders_to)) => {
                Err(Problem::new(WAIT_CONDITION, format!("spec.creationCondition renders to {renders_to}")))
            }
            Err(why) => {
                Err(Problem::new(WAIT_CONDITION, format!("spec.creationCondition cannot be rendered: {why}")))
            }
        }
    }

    /// The PediaCluster.
    pub(crate) fn cluster(&self, objects: &Objects) -> Result<Rendered, Problem> {
        let text = template::render(&self.template, objects)
            .map_err(|why| Problem::new(UNRESOLVED, format!("the PediaCluster cannot be rendered: {why}")))?;
        cluster::decode(&text).map_err(|why| Problem::new(UNRESOLVED, format!("spec.template: {why}")))
    }
}

impl Reference {
    fn parse(reference: &LifecycleReference) -> Result<Self, Problem> {
        let key = &reference.key;
        let parse = |field: &str, text| {
            template::parse(&format!("spec.references[{key}].{field}"), text)
                .map_err(|why| Problem::new(REFERENCE_UNPARSED, format!("not a template: {why}")))
        };
        let namespace = Some(reference.namespace_template.as_str()).filter(|text| !text.trim().is_empty());
        Ok(Self {
            key: key.clone(),
            resource: Resource::new(&*reference.group, &*reference.version, &*reference.resource),
            namespace: namespace.map(|text| parse("namespaceTemplate", text)).transpose()?,
            name: parse("nameTemplate", &reference.name_template)?,
        })
    }

    /// Where the object is.
    pub(crate) fn locate(&self, objects: &Objects) -> Result<Location, Problem> {
        let unparsed = |why| {
            let message = format!("the reference {:?} cannot be found: {why}", self.key);
            Problem::new(REFERENCE_UNPARSED, message)
        };
        let namespace =
            self.namespace.as_ref().map(|namespace| template::existing_name(namespace, objects)).transpose();
        Ok(Location {
            resource: self.resource.clone(),
            namespace: namespace.map_err(unparsed)?.unwrap_or_default(),
            name: template::existing_name(&self.name, objects).map_err(unparsed)?,
        })
    }
}
