//! What names a set of objects: the cluster they come from and the resource they are of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a cluster, as its PediaCluster has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterName(String);

impl ClusterName {
    /// Takes the name as it is; whoever reads it from a request validates it.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource of one version, such as `apps/v1 deployments`. The version is the one objects are stored in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural name, in lower case.
    pub resource: String,
}

impl Resource {
    /// ```
    /// let pods = store::Resource::new("", "v1", "pods");
    /// assert_eq!(pods.to_string(), "v1/pods");
    /// ```
    pub fn new(group: impl Into<String>, version: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { group: group.into(), version: version.into(), resource: resource.into() }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        write!(f, "{}/{}", self.version, self.resource)
    }
}

/// The resources a query is about: every part that is given must be equal, the others are free.
///
/// One resource has all three parts; the groups of a collection (contract section 6) have only the group.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ResourcePattern {
    /// The API group, if it matters.
    pub group: Option<String>,
    /// The version, if it matters.
    pub version: Option<String>,
    /// The plural name, if it matters.
    pub resource: Option<String>,
}

impl ResourcePattern {
    /// Whether `resource` is one of them.
    pub fn matches(&self, resource: &Resource) -> bool {
        let fits = |part: &Option<String>, value: &str| part.as_deref().is_none_or(|part| part == value);
        fits(&self.group, &resource.group)
            && fits(&self.version, &resource.version)
            && fits(&self.resource, &resource.resource)
    }
}

impl From<Resource> for ResourcePattern {
    fn from(resource: Resource) -> Self {
        Self {
            group: Some(resource.group),
            version: Some(resource.version),
            resource: Some(resource.resource),
        }
    }
}
