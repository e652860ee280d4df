//! Which collections there are and what belongs to them (contract 6.1).

use api::{
    names::search::collections,
    search::{CollectionResource, CollectionResourceList, CollectionResourceType},
};
use meta::{Status, TableColumn};
use serde_json::Value;
use store::{Resource, ResourcePattern};

use crate::{
    Catalogue, builtin,
    language::{Parameters, resources_of_any},
    table,
};

/// What belongs to a collection.
///
/// # Errors
/// 404 for a name that is no collection; 400 for `any` when its parameters do not say what belongs to it.
pub(crate) fn resources(
    name: &str,
    parameters: &Parameters,
    catalogue: &Catalogue,
) -> Result<Vec<ResourcePattern>, Status> {
    if name == collections::ANY {
        return Ok(resources_of_any(parameters)?);
    }
    definition(name, catalogue).ok_or_else(|| {
        Status::not_found(format!("{}.{} {name:?} not found", CollectionResource::PLURAL, api::search::GROUP))
            .about(api::search::GROUP, CollectionResource::PLURAL, name)
    })
}

/// The definitions of all collections, sorted but for those that are always there.
pub(crate) fn list(catalogue: &Catalogue) -> CollectionResourceList {
    let always = [collections::ANY, collections::WORKLOADS, collections::KUBE_RESOURCES];
    let names = always.into_iter().chain(catalogue.collections.keys().map(String::as_str));
    let definitions = names.map(|name| {
        let patterns = definition(name, catalogue).unwrap_or_default();
        CollectionResource::definition(name, patterns.into_iter().map(as_type).collect())
    });
    CollectionResourceList::new(definitions.collect())
}

/// The columns of the Table of [`list`].
pub(crate) fn columns() -> Vec<TableColumn> {
    let name = TableColumn { format: "name".to_owned(), ..table::column("Name", "The collection's name.") };
    vec![name, table::column("Resources", "What belongs to the collection.")]
}

/// The cells of a definition: `deployments.apps,…`, and `*` where the request decides.
pub(crate) fn cells(collection: &CollectionResource) -> Vec<Value> {
    let types: Vec<String> = collection.resource_types.iter().map(text).collect();
    let resources = if types.is_empty() { "*".to_owned() } else { types.join(",") };
    vec![collection.metadata.name.clone().into(), resources.into()]
}

fn text(type_: &CollectionResourceType) -> String {
    let resource = if type_.resource.is_empty() { "*" } else { &type_.resource };
    if type_.group.is_empty() { resource.to_owned() } else { format!("{resource}.{}", type_.group) }
}

fn definition(name: &str, catalogue: &Catalogue) -> Option<Vec<ResourcePattern>> {
    match name {
        collections::ANY => Some(Vec::new()),
        collections::WORKLOADS => {
            let workloads = ["deployments", "daemonsets", "statefulsets"];
            Some(workloads.map(|resource| Resource::new("apps", "v1", resource).into()).into())
        }
        collections::KUBE_RESOURCES => {
            let of_group =
                |group: &str| ResourcePattern { group: Some(group.to_owned()), ..ResourcePattern::default() };
            Some(builtin::groups().into_iter().map(of_group).collect())
        }
        _ => catalogue.collections.get(name).cloned(),
    }
}

fn as_type(pattern: ResourcePattern) -> CollectionResourceType {
    let ResourcePattern { group, version, resource } = pattern;
    CollectionResourceType {
        group: group.unwrap_or_default(),
        version: version.unwrap_or_default(),
        kind: String::new(),
        resource: resource.unwrap_or_default(),
    }
}
