//! Aggregated discovery: one document for all groups (`apidiscovery.k8s.io`, v2 and v2beta1 alike).

use serde::Deserialize;

use super::{ApiResource, Discovered, Unavailable, parse};
use crate::{Error, Resource};

/// Asks for it, and takes the classic form from a server that has none.
pub(super) const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
     application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

/// Adds what the document says.
pub(super) fn read(body: &[u8], to: &mut Discovered) -> Result<(), Error> {
    let document: GroupList = parse(body)?;
    for group in document.items {
        for (priority, version) in group.versions.into_iter().enumerate() {
            let name = &group.metadata.name;
            if version.freshness.as_deref() == Some("Stale") {
                to.unavailable.push(Unavailable {
                    group: name.clone(),
                    version: version.version.clone(),
                    why: String::from("its API server does not answer the cluster's"),
                });
            }
            for resource in version.resources {
                to.resources.extend(resource.named(name, &version.version, priority));
            }
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct GroupList {
    // Without it, this is another document and no empty cluster.
    #[serde(deserialize_with = "super::nullable")]
    items: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default, deserialize_with = "super::nullable")]
    metadata: Metadata,
    #[serde(default, deserialize_with = "super::nullable")]
    versions: Vec<GroupVersion>,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default, deserialize_with = "super::nullable")]
    name: String,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
    #[serde(default, deserialize_with = "super::nullable")]
    resources: Vec<Entry>,
    freshness: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    resource: String,
    response_kind: Option<Kind>,
    #[serde(default, deserialize_with = "super::nullable")]
    scope: String,
    #[serde(default, deserialize_with = "super::nullable")]
    singular_resource: String,
    #[serde(default, deserialize_with = "super::nullable")]
    verbs: Vec<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    short_names: Vec<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    categories: Vec<String>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(default, deserialize_with = "super::nullable")]
    kind: String,
}

impl Entry {
    /// Nothing for an entry that has only subresources.
    fn named(mut self, group: &str, version: &str, priority: usize) -> Option<ApiResource> {
        let kind = self.response_kind.map(|kind| kind.kind).filter(|kind| !kind.is_empty())?;
        self.verbs.sort_unstable();
        if self.singular_resource.is_empty() {
            self.singular_resource = kind.to_lowercase();
        }
        Some(ApiResource {
            resource: Resource::new(group, version, self.resource),
            priority,
            kind,
            singular: self.singular_resource,
            namespaced: self.scope == "Namespaced",
            verbs: self.verbs,
            short_names: self.short_names,
            categories: self.categories,
        })
    }
}
