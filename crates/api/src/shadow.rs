//! `shadow/v1alpha1`: ordinary objects as templates, served by the hub and stored as Manifests (contract `clusternet.md`,
//! sections 4.8 and 7.1).

use std::borrow::Cow;

/// The API group. Objects keep their own in their `apiVersion`.
pub const GROUP: &str = "shadow";
/// The API version.
pub const VERSION: &str = "v1alpha1";

/// Groups whose objects are never templates: those of Clusternet and Clusterway, and questions about the caller.
fn is_itself(group: &str) -> bool {
    [".clusternet.io", ".clusterpedia.io", ".clusterway.io"].iter().any(|suffix| group.ends_with(suffix))
        || [GROUP, "clusterpedia.io", "authentication.k8s.io", "authorization.k8s.io"].contains(&group)
}

/// The path and query under which a template is, of the path and query of its object. Discovery, schemas and everything else
/// that is no object stay where they are.
///
/// ```
/// use api::shadow::template_path;
/// let web = "/apis/apps/v1/namespaces/qux/deployments/web";
/// assert_eq!(template_path(web), "/apis/shadow/v1alpha1/namespaces/qux/deployments/web");
/// assert_eq!(template_path("/apis/apps/v1"), "/apis/apps/v1");
/// ```
pub fn template_path(target: &str) -> Cow<'_, str> {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    match object(path) {
        Some(rest) => Cow::Owned(format!("/apis/{GROUP}/{VERSION}/{rest}{query}")),
        None => Cow::Borrowed(target),
    }
}

/// What stands behind group and version.
fn object(path: &str) -> Option<&str> {
    let rest = if let Some(rest) = path.strip_prefix("/api/v1/") {
        rest
    } else {
        let (group, rest) = path.strip_prefix("/apis/")?.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        (version.starts_with('v') && !is_itself(group)).then_some(rest)?
    };
    (!rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_found_among_the_templates_whatever_their_group() {
        for (asked, sent) in [
            ("/api/v1/namespaces/qux/services", "/apis/shadow/v1alpha1/namespaces/qux/services"),
            ("/api/v1/namespaces/qux", "/apis/shadow/v1alpha1/namespaces/qux"),
            (
                "/apis/apps/v1/namespaces/qux/deployments/web?fieldManager=kubectl&a=/api/v1/x",
                "/apis/shadow/v1alpha1/namespaces/qux/deployments/web?fieldManager=kubectl&a=/api/v1/x",
            ),
            ("/apis/demo.io/v1beta1/volumes", "/apis/shadow/v1alpha1/volumes"),
        ] {
            assert_eq!(template_path(asked), sent);
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
            assert_eq!(template_path(path), path);
        }
    }
}
