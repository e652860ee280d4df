//! The URLs of the search: which clusters are meant, and what of their Kubernetes API (contract 4.3).
//!
//! ```text
//! resources KUBEPATH                      all clusters
//! resources/clusters/NAME KUBEPATH        one cluster
//! resources/all/proxy KUBEPATH            all clusters, for requests that last
//! resources/NAME/proxy KUBEPATH           one cluster, for requests that last
//! ```
//!
//! Behind the paths of one cluster another `/proxy` may stand before KUBEPATH: then the cluster itself is asked, if the
//! hub was started so. `resources/c1/proxy/api/v1/pods` is the store's, `resources/clusters/c1/proxy/api/v1/pods` and
//! `resources/c1/proxy/proxy/api/v1/pods` are the cluster's own.

use api::names::search::ALL_CLUSTERS;
use apiserver::RequestInfo;
use http::{Method, Uri};
use meta::Status;
use percent_encoding::percent_decode_str;
use store::{ClusterName, Resource};

/// A request behind `…/resources`, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The cluster; all of them if there is none.
    pub(crate) cluster: Option<ClusterName>,
    /// What is asked of their API.
    pub(crate) asked: Asked,
    /// The path there, as it was sent.
    pub(crate) path: String,
    /// Whether a `/proxy` before the path says that the cluster itself is asked.
    pub(crate) by_proxy_path: bool,
    /// Whether the parent lets requests on this path last.
    pub(crate) may_last: bool,
}

/// What a path of the Kubernetes API names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Anything: what a cluster is asked behind `/proxy` is not looked at.
    Anything,
    /// `/version`
    Version,
    /// `/openapi/v2`
    OpenApiV2,
    /// `/openapi/v3`
    OpenApiV3,
    /// `/api`
    LegacyVersions,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1` or `/apis/GROUP/VERSION`
    GroupVersion(String, String),
    /// Objects of a resource, or one of them.
    Objects {
        resource: Resource,
        namespace: Option<String>,
        name: Option<String>,
        subresource: Option<String>,
    },
}

impl Route {
    /// Reads a request for `…/resources`; `base` is the path up to there. The cluster comes from what was authorised,
    /// not from another reading of the path.
    ///
    /// # Errors
    /// 404 for what is no path of the search; 400 for what no server should have to understand.
    pub(crate) fn parse(info: &RequestInfo, base: &str) -> Result<Self, Status> {
        let (cluster, path, may_last) = match (info.name.as_deref(), info.subresource.as_deref()) {
            (Some("clusters"), Some(cluster)) if info.tail.len() > 1 => {
                (Some(ClusterName::new(cluster)), info.tail.as_str(), false)
            }
            (Some("clusters"), _) => {
                return Err(Status::not_found(
                    "A path of the Kubernetes API belongs behind clusters/NAME, for example clusters/NAME/api/v1/pods.",
                ));
            }
            (Some(ALL_CLUSTERS), Some("proxy")) => (None, info.tail.as_str(), true),
            (Some(cluster), Some("proxy")) if !ROOTS.contains(&cluster) => {
                (Some(ClusterName::new(cluster)), info.tail.as_str(), true)
            }
            _ => {
                let behind = info.path.strip_prefix(base).ok_or_else(|| {
                    Status::bad_request("The path writes plain characters as escapes; send them as they are.")
                })?;
                (None, behind, false)
            }
        };
        let to_cluster =
            path.strip_prefix("/proxy").filter(|path| cluster.is_some() && path.starts_with('/'));
        let asked = if to_cluster.is_some() { Asked::Anything } else { Asked::parse(path)? };
        let by_proxy_path = to_cluster.is_some();
        Ok(Self { cluster, asked, path: to_cluster.unwrap_or(path).to_owned(), by_proxy_path, may_last })
    }
}

/// What paths of the Kubernetes API begin with. No cluster has such a name.
const ROOTS: [&str; 4] = ["api", "apis", "version", "openapi"];

fn decoded(segment: &str) -> Result<String, Status> {
    let text = percent_decode_str(segment).decode_utf8();
    Ok(text.map_err(|_| Status::bad_request("The path is not UTF-8."))?.into_owned())
}

impl Asked {
    fn parse(path: &str) -> Result<Self, Status> {
        let uri: Uri =
            path.parse().map_err(|_| Status::not_found("No path of the Kubernetes API follows."))?;
        // Without the query: its fieldSelector must not turn a list into a get.
        let info = RequestInfo::parse(&Method::GET, &uri)?;
        if info.is_resource {
            // A namespace looks as if it stood in itself.
            let is_namespace =
                info.group.is_empty() && info.resource == "namespaces" && info.namespace == info.name;
            return Ok(Self::Objects {
                resource: Resource::new(info.group, info.version, info.resource),
                namespace: info.namespace.filter(|_| !is_namespace),
                name: info.name,
                subresource: info.subresource,
            });
        }
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        Ok(match segments.as_slice() {
            ["version"] => Self::Version,
            ["openapi", "v2"] => Self::OpenApiV2,
            ["openapi", "v3"] => Self::OpenApiV3,
            ["api"] => Self::LegacyVersions,
            ["apis"] => Self::Groups,
            ["api", version] => Self::GroupVersion(String::new(), decoded(version)?),
            ["apis", group] => Self::Group(decoded(group)?),
            ["apis", group, version] => Self::GroupVersion(decoded(group)?, decoded(version)?),
            _ => return Err(Status::not_found("The search does not serve this path.")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<Route, Status> {
        let base = "/apis/clusterpedia.io/v1beta1/resources";
        let uri = format!("{base}{path}").parse().unwrap();
        Route::parse(&RequestInfo::parse(&Method::GET, &uri)?, base)
    }

    fn route(path: &str) -> (Option<String>, Asked) {
        let route = parse(path).unwrap();
        (route.cluster.map(|cluster| cluster.as_str().to_owned()), route.asked)
    }

    fn objects(group: &str, resource: &str, namespace: Option<&str>, name: Option<&str>) -> Asked {
        Asked::Objects {
            resource: Resource::new(group, "v1", resource),
            namespace: namespace.map(Into::into),
            name: name.map(Into::into),
            subresource: None,
        }
    }

    #[test]
    fn both_base_paths_take_every_path_of_kubernetes() {
        for (path, asked) in [
            ("/version", Asked::Version),
            ("/api", Asked::LegacyVersions),
            ("/apis", Asked::Groups),
            ("/apis/", Asked::Groups),
            ("/api/v1", Asked::GroupVersion(String::new(), "v1".into())),
            ("/apis/apps", Asked::Group("apps".into())),
            ("/apis/apps/v1", Asked::GroupVersion("apps".into(), "v1".into())),
            ("/openapi/v3", Asked::OpenApiV3),
            ("/api/v1/pods", objects("", "pods", None, None)),
            ("/api/v1/namespaces/x/pods", objects("", "pods", Some("x"), None)),
            (
                "/apis/apps/v1/namespaces/x/deployments/web",
                objects("apps", "deployments", Some("x"), Some("web")),
            ),
            ("/api/v1/namespaces", objects("", "namespaces", None, None)),
            ("/api/v1/namespaces/x", objects("", "namespaces", None, Some("x"))),
        ] {
            assert_eq!(route(path), (None, asked.clone()), "{path}");
            assert_eq!(route(&format!("/all/proxy{path}")), (None, asked.clone()), "{path}");
            assert_eq!(route(&format!("/clusters/c1{path}")), (Some("c1".into()), asked.clone()), "{path}");
            assert_eq!(route(&format!("/c1/proxy{path}")), (Some("c1".into()), asked), "{path}");
        }
    }

    #[test]
    fn number_83_the_cluster_itself_is_behind_one_more_proxy() {
        for (path, last) in [("/clusters/c1/proxy/api//x?", false), ("/c1/proxy/proxy/api//x?", true)] {
            let route = parse(path).unwrap();
            assert_eq!(
                (route.asked, route.path.as_str(), route.may_last),
                (Asked::Anything, "/api//x", last)
            );
            assert!(route.by_proxy_path);
        }
        assert!(!parse("/c1/proxy/api/v1/pods").unwrap().by_proxy_path);
        assert_eq!(parse("/all/proxy/proxy/api").unwrap_err().code, 404);
    }

    #[test]
    fn the_cluster_is_the_one_that_was_authorised_however_it_is_written() {
        for path in ["/clust%65rs/c%31/api/v1/pods", "/c%31/pr%6fxy/api/v1/pods"] {
            assert_eq!(route(path), (Some("c1".into()), objects("", "pods", None, None)), "{path}");
        }
    }

    #[test]
    fn number_32_a_cluster_without_a_path_is_not_found() {
        for path in [
            "",
            "/",
            "/clusters",
            "/clusters/",
            "/clusters/c1",
            "/clusters/c1/",
            "/c1",
            "/c1/proxy",
            "/x/api/v1",
        ] {
            assert_eq!(parse(path).unwrap_err().code, 404, "{path:?}");
        }
    }
}
