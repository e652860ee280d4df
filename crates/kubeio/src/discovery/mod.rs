//! What a cluster has.

mod aggregated;
mod classic;
#[cfg(test)]
mod tests;

use http::header;
use tokio::time::sleep_until;

use crate::{
    Error, Lane, Resource, Transport,
    request::{Patience, open_json, read},
};

/// What is read of one discovery document: some thousand resources.
const LIMIT: usize = 32 << 20;

/// A resource of a cluster, and what can be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiResource {
    /// Group, version and plural name.
    pub resource: Resource,
    /// The version's place in the order in which the server prefers the versions of the group, beginning with 0.
    pub priority: usize,
    /// The kind of its objects.
    pub kind: String,
    /// The name of one of them, in lower case; of the kind if the server does not say it.
    pub singular: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// What can be done: `list`, `watch`, …; sorted.
    pub verbs: Vec<String>,
    /// Other names for kubectl.
    pub short_names: Vec<String>,
    /// What it belongs to, such as `all`.
    pub categories: Vec<String>,
}

impl ApiResource {
    /// Whether `verb` can be done.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|other| other == verb)
    }
}

/// Everything a cluster has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// By group, plural name and the server's order of versions. Subresources are left out.
    pub resources: Vec<ApiResource>,
    /// What could not be found out. What these hold may exist: nothing is to be concluded from its absence above.
    pub unavailable: Vec<Unavailable>,
}

/// A group version that the cluster says it has and does not show: its server is down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// The API group.
    pub group: String,
    /// The version.
    pub version: String,
    /// Why.
    pub why: String,
}

/// Asks a cluster what it has: in two requests if its server can (Kubernetes 1.27 and newer), else in one for each
/// group version. A request that fails in passing is repeated a few times.
///
/// A group version that does not answer is reported beside the others. An error means that nothing was found out; a
/// server that shows nothing at all is no cluster.
pub async fn discover(transport: &dyn Transport) -> Result<Discovered, Error> {
    let mut discovered = Discovered::default();
    for root in ["/api", "/apis"] {
        let document = fetch(transport, root, aggregated::ACCEPT).await?;
        if document.aggregated {
            aggregated::read(&document.body, &mut discovered)?;
        } else {
            classic::read(transport, root, &document.body, &mut discovered).await?;
        }
    }
    if discovered.resources.is_empty() {
        return Err(Error::Broken(String::from("it shows no resource at all")));
    }
    discovered.resources.sort_by(|a, b| {
        let key = |api: &ApiResource| (api.resource.group.clone(), api.resource.plural.clone(), api.priority);
        key(a).cmp(&key(b))
    });
    Ok(discovered)
}

struct Document {
    aggregated: bool,
    body: bytes::Bytes,
}

async fn fetch(transport: &dyn Transport, path: &str, accept: &str) -> Result<Document, Error> {
    let mut patience = Patience::new();
    loop {
        match fetch_once(transport, path, accept).await {
            Ok(document) => return Ok(document),
            Err(error) => sleep_until(patience.again(&error).ok_or(error)?).await,
        }
    }
}

async fn fetch_once(transport: &dyn Transport, path: &str, accept: &str) -> Result<Document, Error> {
    let response = open_json(transport, path, accept, Lane::Short).await?;
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let aggregated = content_type.is_some_and(|text| text.contains("as=APIGroupDiscoveryList"));
    Ok(Document { aggregated, body: read(response.into_body(), LIMIT).await? })
}

/// Go writes an empty list as `null`.
fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de> + Default,
{
    Ok(<Option<T> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or_default())
}

/// The document as a `T`.
fn parse<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(body)
        .map_err(|error| Error::Broken(format!("it is no discovery document: line {}", error.line())))
}
