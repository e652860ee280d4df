//! From the path of an object to that of its template (contract `clusternet.md`, section 7.1).

use std::borrow::Cow;

/// Where templates are.
const SHADOW: &str = "/apis/shadow/v1alpha1";

/// Groups whose objects are never templates: those of Clusternet and Clusterway, and questions about the caller.
fn is_itself(group: &str) -> bool {
    [".clusternet.io", ".clusterpedia.io", ".clusterway.io"].iter().any(|suffix| group.ends_with(suffix))
        || ["shadow", "clusterpedia.io", "authentication.k8s.io", "authorization.k8s.io"].contains(&group)
}

/// The path and query under which a template is, of the path and query of its object. Discovery, schemas and everything else
/// that is no object stay where they are.
pub(super) fn rewritten(target: &str) -> Cow<'_, str> {
    let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
    match object(path) {
        Some(rest) => Cow::Owned(format!("{SHADOW}/{rest}{query}")),
        None => Cow::Borrowed(target),
    }
}

/// What stands behind group and version.
fn object(path: &str) -> Option<&str> {
    let rest = match path.strip_prefix("/api/v1/") {
        Some(rest) => rest,
        None => {
            let (group, rest) = path.strip_prefix("/apis/")?.split_once('/')?;
            let (version, rest) = rest.split_once('/')?;
            (version.starts_with('v') && !is_itself(group)).then_some(rest)?
        }
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
            assert_eq!(rewritten(asked), sent);
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
            assert_eq!(rewritten(path), path);
        }
    }
}
