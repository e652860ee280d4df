//! `shadow/v1alpha1`: ordinary objects as templates, served by the hub and stored as Manifests (contract `clusternet.md`,
//! sections 4.8 and 7.1).

use std::{borrow::Cow, collections::BTreeSet};

/// The API group. Objects keep their own in their `apiVersion`.
pub const GROUP: &str = "shadow";
/// The API version.
pub const VERSION: &str = "v1alpha1";

/// Groups whose objects are never templates: those of Clusternet and Clusterway, and questions about the caller.
fn is_itself(group: &str) -> bool {
    [".clusternet.io", ".clusterpedia.io", ".clusterway.io"].iter().any(|suffix| group.ends_with(suffix))
        || [GROUP, "clusterpedia.io", "authentication.k8s.io", "authorization.k8s.io"].contains(&group)
}

/// Where templates are. A path of the shadow API has a plural name and no group: where two groups have the same plural,
/// one of them is reached as `PLURAL.GROUP`, and only the hub's discovery tells which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Paths {
    /// Every `PLURAL.GROUP` there is.
    long: BTreeSet<String>,
}

impl Paths {
    /// From the names of the resources that `/apis/shadow/v1alpha1` lists.
    pub fn new(resources: impl IntoIterator<Item = String>) -> Self {
        let is_long = |name: &String| name.contains('.') && !name.contains('/');
        Self { long: resources.into_iter().filter(is_long).collect() }
    }

    /// The path and query under which a template is, of the path and query of its object. Discovery, schemas and everything
    /// else that is no object stay where they are.
    ///
    /// ```
    /// use api::shadow::Paths;
    /// let paths = Paths::new(["deployments".to_owned(), "services.demo.io".to_owned()]);
    /// let web = "/apis/apps/v1/namespaces/qux/deployments/web";
    /// assert_eq!(paths.template(web), "/apis/shadow/v1alpha1/namespaces/qux/deployments/web");
    /// assert_eq!(paths.template("/apis/demo.io/v1/services"), "/apis/shadow/v1alpha1/services.demo.io");
    /// assert_eq!(paths.template("/apis/apps/v1"), "/apis/apps/v1");
    /// ```
    pub fn template<'a>(&self, target: &'a str) -> Cow<'a, str> {
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let Some((group, rest)) = object(path) else { return Cow::Borrowed(target) };
        let base = format!("/apis/{GROUP}/{VERSION}");
        let (before, plural, behind) = parts(rest);
        if self.long.contains(&format!("{plural}.{group}")) {
            return Cow::Owned(format!("{base}/{before}{plural}.{group}{behind}{query}"));
        }
        Cow::Owned(format!("{base}/{rest}{query}"))
    }
}

/// What stands before the plural, the plural, and what stands behind it.
fn parts(rest: &str) -> (&str, &str, &str) {
    let in_namespace = rest
        .strip_prefix("namespaces/")
        .and_then(|inner| inner.find('/'))
        .map_or(0, |at| "namespaces/".len() + at + 1);
    let (before, from) = rest.split_at(in_namespace);
    let (plural, behind) = from.split_at(from.find('/').unwrap_or(from.len()));
    (before, plural, behind)
}

/// The group, and what stands behind group and version.
fn object(path: &str) -> Option<(&str, &str)> {
    let (group, rest) = if let Some(rest) = path.strip_prefix("/api/v1/") {
        ("", rest)
    } else {
        let (group, rest) = path.strip_prefix("/apis/")?.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        (version.starts_with('v') && !is_itself(group)).then_some((group, rest))?
    };
    (!rest.is_empty()).then_some((group, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_among_the_templates_whatever_their_group() {
        let paths = Paths::new(["services", "services.demo.io", "services.demo.io/scale"].map(str::to_owned));
        for (asked, sent) in [
            ("/api/v1/namespaces/qux/services", "/apis/shadow/v1alpha1/namespaces/qux/services"),
            ("/api/v1/namespaces/qux", "/apis/shadow/v1alpha1/namespaces/qux"),
            (
                "/apis/apps/v1/namespaces/qux/deployments/web?fieldManager=kubectl&a=/api/v1/x",
                "/apis/shadow/v1alpha1/namespaces/qux/deployments/web?fieldManager=kubectl&a=/api/v1/x",
            ),
            ("/apis/demo.io/v1beta1/volumes", "/apis/shadow/v1alpha1/volumes"),
            (
                "/apis/demo.io/v1/namespaces/services/services/web/scale?a=b",
                "/apis/shadow/v1alpha1/namespaces/services/services.demo.io/web/scale?a=b",
            ),
            ("/apis/demo.io/v1/services?watch=1", "/apis/shadow/v1alpha1/services.demo.io?watch=1"),
        ] {
            assert_eq!(paths.template(asked), sent);
        }
    }

    #[test]
    fn everything_else_stays_where_it_is() {
        for path in [
            "/api",
            "/apis",
            "/api/v1",
            "/api/v1/",
            "/api/v1?timeout=32s",
            "/apis/apps/v1",
            "/apis/apps/v1?timeout=32s",
            "/version",
            "/openapi/v3/apis/apps/v1?hash=x",
            "/apis/apps.clusternet.io/v1alpha1/namespaces/qux/subscriptions",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            "/apis/shadow/v1alpha1/deployments",
        ] {
            assert_eq!(Paths::default().template(path), path);
        }
    }
}
