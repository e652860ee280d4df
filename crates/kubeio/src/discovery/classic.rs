//! Classic discovery: a document for the groups, and one for each of their versions.

use futures_util::{StreamExt as _, stream};
use serde::Deserialize;

use super::{ApiResource, Discovered, Unavailable, fetch, parse};
use crate::{Error, Resource, Transport, request::JSON};

/// Documents asked for at the same time.
const AT_ONCE: usize = 8;

/// Adds what the document of `/api` or `/apis` leads to.
pub(super) async fn read(
    transport: &dyn Transport,
    root: &str,
    body: &[u8],
    to: &mut Discovered,
) -> Result<(), Error> {
    let versions = if root == "/api" { core(body)? } else { groups(body)? };
    let documents = stream::iter(versions)
        .map(|version| async move {
            let document = fetch(transport, &version.path(), JSON).await;
            let resources = document.and_then(|document| version.read(&document.body));
            (version, resources)
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    for (GroupVersion { group, version, .. }, resources) in documents {
        match resources {
            Ok(resources) => to.resources.extend(resources),
            Err(error) => to.unavailable.push(Unavailable { group, version, why: error.to_string() }),
        }
    }
    to.unavailable.sort_by(|a, b| (&a.group, &a.version).cmp(&(&b.group, &b.version)));
    Ok(())
}

/// A version of a group, and its place in the server's order.
struct GroupVersion {
    group: String,
    version: String,
    priority: usize,
}

fn core(body: &[u8]) -> Result<Vec<GroupVersion>, Error> {
    let Versions { versions } = parse(body)?;
    let named = |(priority, version)| GroupVersion { group: String::new(), version, priority };
    Ok(versions.into_iter().enumerate().map(named).collect())
}

fn groups(body: &[u8]) -> Result<Vec<GroupVersion>, Error> {
    let GroupList { groups } = parse(body)?;
    let mut all = Vec::new();
    for Group { name: group, mut versions, preferred_version } in groups {
        // They come in the server's order; one that prefers another than the first says so.
        let preferred = preferred_version.map(|preferred| preferred.version);
        versions.sort_by_key(|version| Some(&version.version) != preferred.as_ref());
        for (priority, GroupOfVersion { version }) in versions.into_iter().enumerate() {
            all.push(GroupVersion { group: group.clone(), version, priority });
        }
    }
    Ok(all)
}

impl GroupVersion {
    fn path(&self) -> String {
        let Self { group, version, .. } = self;
        if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
    }

    fn read(&self, body: &[u8]) -> Result<Vec<ApiResource>, Error> {
        let ResourceList { resources } = parse(body)?;
        Ok(resources.into_iter().filter_map(|entry| entry.named(self)).collect())
    }
}

#[derive(Deserialize)]
struct Versions {
    // Without it, this is another document and no empty cluster.
    #[serde(deserialize_with = "super::nullable")]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct GroupList {
    // Without it, this is another document and no empty cluster.
    #[serde(deserialize_with = "super::nullable")]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    name: String,
    #[serde(default, deserialize_with = "super::nullable")]
    versions: Vec<GroupOfVersion>,
    preferred_version: Option<GroupOfVersion>,
}

#[derive(Deserialize)]
struct GroupOfVersion {
    version: String,
}

#[derive(Deserialize)]
struct ResourceList {
    // Without it, this is another document and no empty cluster.
    #[serde(deserialize_with = "super::nullable")]
    resources: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    #[serde(default, deserialize_with = "super::nullable")]
    singular_name: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default, deserialize_with = "super::nullable")]
    kind: String,
    #[serde(default, deserialize_with = "super::nullable")]
    verbs: Vec<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    short_names: Vec<String>,
    #[serde(default, deserialize_with = "super::nullable")]
    categories: Vec<String>,
}

impl Entry {
    /// Nothing for a subresource.
    fn named(mut self, of: &GroupVersion) -> Option<ApiResource> {
        if self.name.contains('/') {
            return None;
        }
        self.verbs.sort_unstable();
        if self.singular_name.is_empty() {
            self.singular_name = self.kind.to_lowercase();
        }
        Some(ApiResource {
            resource: Resource::new(&of.group, &of.version, self.name),
            priority: of.priority,
            kind: self.kind,
            singular: self.singular_name,
            namespaced: self.namespaced,
            verbs: self.verbs,
            short_names: self.short_names,
            categories: self.categories,
        })
    }
}
