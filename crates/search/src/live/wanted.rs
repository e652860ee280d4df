//! Whether a request is for the cluster itself, and why.

use api::names::search::{headers::FORWARD, parameters as names};
use http::{HeaderMap, Method};
use meta::Status;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reach::wants_upgrade;
use store::ClusterName;

use super::{Forwarding, Live};
use crate::{
    language::forwarded,
    path::{Asked, Route},
};

/// A request for a cluster, as far as its path and headers say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) cluster: ClusterName,
    pub(crate) path_and_query: String,
    /// The resource that must be synchronised from the cluster: group and plural.
    pub(crate) synchronised: Option<(String, String)>,
}

/// What of a request tells whether it is for a cluster.
pub(crate) struct Signs<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
}

impl Wanted {
    /// What the cluster is to be asked; `None` for a request that the store answers.
    ///
    /// # Errors
    /// 400 for a marker on a path of all clusters, and where markers mean nothing; 404 for what is not allowed.
    pub(crate) fn read(
        live: Option<&Live>,
        route: &Route,
        signs: &Signs<'_>,
    ) -> Result<Option<Self>, Status> {
        let forwarding = live.map(Live::forwarding);
        let whole = |query: &str| match query {
            "" => route.path.clone(),
            query => format!("{}?{query}", route.path),
        };
        let one = || {
            route.cluster.clone().ok_or_else(|| {
                Status::bad_request(
                    "Only one cluster can answer itself: the path must name it, as in resources/clusters/NAME/…",
                )
            })
        };
        if route.by_proxy_path {
            if forwarding.is_none_or(|forwarding| !forwarding.proxy_path) {
                return Err(Status::not_found(format!(
                    "No requests go to clusters by this path: the hub was started without \
                     --enable-proxy-path-for-forward-request and --feature-gates={}=true.",
                    Forwarding::GATE
                )));
            }
            return Ok(Some(Self {
                cluster: one()?,
                path_and_query: whole(signs.query),
                synchronised: None,
            }));
        }
        if let Asked::Objects { resource, subresource: Some(name), .. } = &route.asked {
            let parent = if resource.group.is_empty() { resource.resource.as_str() } else { "" };
            let allowed =
                forwarding.and_then(|forwarding| forwarding.of(parent).find(|allowed| allowed.name == name));
            let allowed = allowed.ok_or_else(|| {
                Status::not_found(format!(
                    "The subresource {name:?} of {resource} is not synchronised, and may not be asked of the cluster: see \
                     the hub's flag --allowed-proxy-subresources."
                ))
            })?;
            let cluster = one()?;
            allowed.check(signs.method, wants_upgrade(signs.headers))?;
            return Ok(Some(Self {
                cluster,
                path_and_query: whole(signs.query),
                synchronised: Some((resource.group.clone(), resource.resource.clone())),
            }));
        }
        let Some(query) = marked(&route.asked, signs)? else { return Ok(None) };
        let Some(forwarding) = forwarding else {
            return Err(Status::bad_request(format!(
                "Requests are not passed on to clusters here: the hub was started without --feature-gates={}=true. \
                 Visit the cluster through its socket instead.",
                Forwarding::GATE
            )));
        };
        let cluster = one()?;
        if ![Method::GET, Method::HEAD].contains(signs.method) {
            return Err(Status::method_not_allowed(
                "A marker passes on requests that read; write to the cluster itself.",
            ));
        }
        let synchronised = match &route.asked {
            Asked::Objects { resource, .. } if !forwarding.unsynchronised => {
                Some((resource.group.clone(), resource.resource.clone()))
            }
            _ => None,
        };
        Ok(Some(Self { cluster, path_and_query: whole(&query), synchronised }))
    }
}

/// The query for the cluster, if a marker says that the cluster is to answer: the header anywhere, the label on lists
/// and watches.
fn marked(asked: &Asked, signs: &Signs<'_>) -> Result<Option<String>, Status> {
    let header = signs.headers.get(FORWARD);
    let by_header = header.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let is_list = matches!(asked, Asked::Objects { name: None, .. });
    let selector = if is_list { apiserver::parameter(signs.query, names::LABEL_SELECTOR) } else { None };
    let without = forwarded(&selector.unwrap_or_default())?;
    Ok(match without {
        Some(selector) => Some(with_selector(signs.query, &selector)),
        None => by_header.then(|| signs.query.to_owned()),
    })
}

/// The query with another label selector.
fn with_selector(query: &str, selector: &str) -> String {
    let is_selector = |pair: &&str| pair.split('=').next().is_some_and(|name| name == names::LABEL_SELECTOR);
    let mut pairs: Vec<String> =
        query.split('&').filter(|pair| !is_selector(pair)).map(str::to_owned).collect();
    if !selector.is_empty() {
        let selector = utf8_percent_encode(selector, NON_ALPHANUMERIC);
        pairs.push(format!("{}={selector}", names::LABEL_SELECTOR));
    }
    pairs.retain(|pair| !pair.is_empty());
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_goes_and_the_other_requirements_stay() {
        let query = "limit=5&labelSelector=app%3Dweb,search.clusterpedia.io/forward&x=y";
        let asked = Asked::Objects {
            resource: store::Resource::new("", "v1", "pods"),
            namespace: None,
            name: None,
            subresource: None,
        };
        let signs = Signs { method: &Method::GET, headers: &HeaderMap::new(), query };
        let marked = marked(&asked, &signs).unwrap().unwrap();
        assert_eq!(marked, "limit=5&x=y&labelSelector=app%3Dweb");
        assert_eq!(with_selector("labelSelector=a", ""), "");
    }
}
