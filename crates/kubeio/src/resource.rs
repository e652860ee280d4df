//! Which objects: a resource and where it stands in the API.

/// A resource in one of its versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural name, as it stands in paths.
    pub plural: String,
}

impl Resource {
    /// ```
    /// let deployments = kubeio::Resource::new("apps", "v1", "deployments");
    /// assert_eq!(deployments.to_string(), "apps/v1/deployments");
    /// ```
    pub fn new(group: impl Into<String>, version: impl Into<String>, plural: impl Into<String>) -> Self {
        Self { group: group.into(), version: version.into(), plural: plural.into() }
    }

    /// Where its objects are, in one namespace or in all.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let Self { group, version, plural } = self;
        let base = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        match namespace {
            Some(namespace) => format!("{base}/namespaces/{namespace}/{plural}"),
            None => format!("{base}/{plural}"),
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        write!(f, "{}/{}", self.version, self.plural)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_group_has_a_place_of_its_own() {
        assert_eq!(Resource::new("", "v1", "pods").path(None), "/api/v1/pods");
        assert_eq!(Resource::new("", "v1", "pods").path(Some("a")), "/api/v1/namespaces/a/pods");
        assert_eq!(
            Resource::new("apps", "v1", "deployments").path(Some("a")),
            "/apis/apps/v1/namespaces/a/deployments"
        );
    }
}
