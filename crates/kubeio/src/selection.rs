//! Which objects of a resource, and what of them.

use url::form_urlencoded::Serializer;

use crate::{Resource, request::JSON};

/// Asks for metadata only, and takes whole objects from a server that cannot leave the rest out.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
pub(crate) const METADATA_LIST: &str =
    "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";

/// Which objects of which resource, and what of them.
///
/// ```
/// use kubeio::{Resource, Selection};
/// let mut pods = Selection::all(Resource::new("", "v1", "pods"));
/// pods.namespace = Some(String::from("default"));
/// pods.label_selector = Some(String::from("app in (a, b)"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The resource.
    pub resource: Resource,
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// A label selector, as kubectl takes it.
    pub label_selector: Option<String>,
    /// A field selector, as kubectl takes it.
    pub field_selector: Option<String>,
    /// Only `metadata` of each object, where the server can leave the rest out.
    pub metadata_only: bool,
}

impl Selection {
    /// All objects of `resource`.
    pub fn all(resource: Resource) -> Self {
        Self { resource, namespace: None, label_selector: None, field_selector: None, metadata_only: false }
    }

    /// What a list of them is asked for as.
    pub(crate) fn accept_list(&self) -> &'static str {
        if self.metadata_only { METADATA_LIST } else { JSON }
    }

    /// What a watch of them is asked for as.
    pub(crate) fn accept_watch(&self) -> &'static str {
        if self.metadata_only { METADATA } else { JSON }
    }

    /// A query that selects them.
    pub(crate) fn query(&self) -> Serializer<'static, String> {
        let mut query = Serializer::new(String::new());
        let selectors = [("labelSelector", &self.label_selector), ("fieldSelector", &self.field_selector)];
        for (name, selector) in selectors {
            if let Some(selector) = selector.as_ref().filter(|selector| !selector.is_empty()) {
                query.append_pair(name, selector);
            }
        }
        query
    }

    /// Path and query.
    pub(crate) fn path(&self, mut query: Serializer<'static, String>) -> String {
        let path = self.resource.path(self.namespace.as_deref());
        match query.finish() {
            query if query.is_empty() => path,
            query => format!("{path}?{query}"),
        }
    }
}
