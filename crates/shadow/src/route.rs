//! What a request asks for: a verb, a kind, and where.

use std::sync::Arc;

use apiserver::RequestInfo;
use meta::Status;

use crate::{
    catalogue::{Catalogue, Kind},
    identity::Identity,
};

/// A request, understood.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    pub(crate) kind: Arc<Kind>,
    /// None for all namespaces, and for kinds without namespaces.
    pub(crate) namespace: Option<String>,
    /// None for collections.
    pub(crate) name: Option<String>,
    /// Whether the scale of the object is meant, and not the object.
    pub(crate) scale: bool,
}

impl Target {
    /// Finds the kind and checks that the path fits its scope.
    ///
    /// # Errors
    /// 404 for a kind that is not there or lives elsewhere, 405 for `status` and other subresources.
    pub(crate) fn parse(info: &RequestInfo, catalogue: &Catalogue) -> Result<Self, Status> {
        let resource = info.resource.as_str();
        let kind = catalogue.get(resource).ok_or_else(|| {
            Status::not_found(format!(
                "The parent has no resource {resource:?} whose objects can be stored; \
                 /apis/shadow/v1alpha1 lists those there are."
            ))
        })?;
        // A namespace looks as if it stood in itself.
        let is_itself = kind.group.is_empty() && kind.plural == "namespaces" && info.namespace == info.name;
        let namespace = info.namespace.clone().filter(|_| !is_itself);
        // In a list, the name comes from a field selector.
        let name = info.name.clone().filter(|_| !["list", "watch"].contains(&info.verb.as_str()));
        if !info.tail.is_empty() && info.tail != "/" {
            return Err(Status::not_found("The path names nothing behind the subresource."));
        }
        if !kind.namespaced && namespace.is_some() {
            return Err(Status::not_found(format!("{} do not live in namespaces.", kind.qualified())));
        }
        if kind.namespaced && namespace.is_none() && !["list", "watch"].contains(&info.verb.as_str()) {
            return Err(Status::method_not_allowed(format!(
                "{} live in namespaces: the path must name one, as in namespaces/NAME/{resource}.",
                kind.qualified()
            )));
        }
        let scale = match info.subresource.as_deref() {
            None => false,
            Some("scale") if kind.scale(kind.version()).is_some() => true,
            Some(other) => {
                return Err(Status::method_not_allowed(format!(
                    "{} have no {other:?} here: what is stored is a template, and does not run.",
                    kind.qualified()
                )));
            }
        };
        Ok(Self { kind: kind.clone(), namespace, name, scale })
    }

    /// The one object.
    ///
    /// # Errors
    /// 400 if the path names none.
    pub(crate) fn identity(&self) -> Result<Identity, Status> {
        let name =
            self.name.as_deref().ok_or_else(|| Status::bad_request("The path must name an object."))?;
        Ok(Identity::new(&self.kind, self.namespace.as_deref(), name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use http::Method;

    use super::*;
    use crate::catalogue::tests::api;

    fn parse(method: &Method, path: &str) -> Result<Target, u16> {
        let mut discovered =
            vec![api("apps", "v1", "deployments", "Deployment"), api("", "v1", "namespaces", "Namespace")];
        discovered[1].namespaced = false;
        let catalogue = Catalogue::new(&discovered, &[], &BTreeMap::new(), &BTreeSet::new());
        let info =
            RequestInfo::parse(method, &format!("/apis/shadow/v1alpha1/{path}").parse().unwrap()).unwrap();
        Target::parse(&info, &catalogue).map_err(|status| status.code)
    }

    #[test]
    fn a_path_names_kind_namespace_and_name() {
        let target = parse(&Method::GET, "namespaces/qux/deployments/web").unwrap();
        assert_eq!((target.namespace.as_deref(), target.name.as_deref()), (Some("qux"), Some("web")));
        let namespace = parse(&Method::GET, "namespaces/qux").unwrap();
        assert_eq!((namespace.namespace, namespace.name.as_deref()), (None, Some("qux")));
        let listed = parse(&Method::GET, "deployments?fieldSelector=metadata.name=web").unwrap();
        assert_eq!((listed.namespace, listed.name), (None, None));
        assert!(parse(&Method::GET, "namespaces/qux/deployments/web/scale").unwrap().scale);
    }

    #[test]
    fn h9_status_and_other_subresources_are_refused() {
        for subresource in ["status", "log", "eviction"] {
            let path = format!("namespaces/qux/deployments/web/{subresource}");
            assert_eq!(parse(&Method::PUT, &path), Err(405));
        }
        assert_eq!(parse(&Method::PUT, "namespaces/qux/status"), Err(405));
    }

    #[test]
    fn a_path_that_does_not_fit_the_kind_is_refused() {
        assert_eq!(parse(&Method::GET, "namespaces/qux/widgets"), Err(404));
        assert_eq!(parse(&Method::POST, "deployments"), Err(405));
        assert_eq!(parse(&Method::GET, "namespaces/qux/namespaces/a"), Err(404));
    }
}
