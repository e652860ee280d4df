//! Which objects of a resource.

use url::form_urlencoded::Serializer;

use crate::Resource;

/// Which objects of which resource.
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
}

impl Selection {
    /// All objects of `resource`.
    pub fn all(resource: Resource) -> Self {
        Self { resource, namespace: None, label_selector: None, field_selector: None }
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
