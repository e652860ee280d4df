//! Which objects: a resource and where it stands in the API.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

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

    /// The `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        let Self { group, version, .. } = self;
        if group.is_empty() { version.clone() } else { format!("{group}/{version}") }
    }

    /// Where one of its objects is; without a namespace for a kind that has none.
    pub fn object_path(&self, namespace: Option<&str>, name: &str) -> String {
        format!("{}/{}", self.path(namespace), segment(name))
    }

    /// Where its objects are, in one namespace or in all.
    pub(crate) fn path(&self, namespace: Option<&str>) -> String {
        let [group, version, plural] = [&self.group, &self.version, &self.plural].map(|part| segment(part));
        let base = if self.group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        match namespace {
            Some(namespace) => format!("{base}/namespaces/{}/{plural}", segment(namespace)),
            None => format!("{base}/{plural}"),
        }
    }
}

/// What stands between two slashes of a path; a name from outside stays one.
fn segment(name: &str) -> PercentEncode<'_> {
    const OTHER_THAN_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.');
    utf8_percent_encode(name, OTHER_THAN_NAMES)
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
        assert_eq!(
            Resource::new("", "v1", "pods").path(Some("a/../b?")),
            "/api/v1/namespaces/a%2F..%2Fb%3F/pods"
        );
        assert_eq!(Resource::new("", "v1", "nodes").object_path(None, "a/b"), "/api/v1/nodes/a%2Fb");
    }
}
