//! The API as the generic server sees it.

use std::sync::Arc;

use api::{
    names::search::{headers, parameters as names},
    search::{CollectionResource, GROUP, OLD_GROUP, OLD_VERSION, Resources, VERSION},
};
use apiserver::{Api, Authorizer, Body, Context, RequestInfo, Resource, User};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use meta::Status;
use store::Store;
use tokio::sync::watch;

use crate::{
    Catalogue,
    language::{Parameters, forwarded},
    path::Route,
    search::Inner,
};

/// The search API over a store that comes and goes, ready to be served.
#[derive(Clone)]
pub struct Search {
    stores: watch::Receiver<Option<Arc<dyn Store>>>,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    authorizer: Authorizer,
}

/// A request for data, as far as the search looks at it.
pub(crate) struct Asking<'a> {
    pub(crate) user: &'a User,
    pub(crate) info: &'a RequestInfo,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
}

impl Search {
    /// Searches the store that is in `stores` at the time of the request; without one, every request is answered 503.
    /// What `catalogue` says of the clusters counts from the moment it changes; `authorizer` is asked which clusters a
    /// caller may see.
    pub fn new(
        stores: watch::Receiver<Option<Arc<dyn Store>>>,
        catalogue: watch::Receiver<Arc<Catalogue>>,
        authorizer: Authorizer,
    ) -> Self {
        Self { stores, catalogue, authorizer }
    }

    /// What one request is answered from.
    fn inner(&self) -> Result<Inner, Status> {
        let store = self.stores.borrow().clone().ok_or_else(|| {
            Status::unavailable("This hub does not have the store of the search. Try again in a moment.")
                .retry_after(1)
        })?;
        Ok(Inner { store, catalogue: self.catalogue.clone(), authorizer: self.authorizer.clone() })
    }

    /// The API under its name and under the one it had long ago.
    pub fn apis(&self) -> Vec<Arc<dyn Api>> {
        [(GROUP, VERSION), (OLD_GROUP, OLD_VERSION)]
            .into_iter()
            .map(|(group, version)| Arc::new(Named { group, version, search: self.clone() }) as Arc<dyn Api>)
            .collect()
    }
}

/// The API under one of its names.
struct Named {
    group: &'static str,
    version: &'static str,
    search: Search,
}

impl Api for Named {
    fn group(&self) -> &str {
        self.group
    }

    fn version(&self) -> &str {
        self.version
    }

    fn resources(&self) -> Vec<Resource> {
        let resource = |name: &str, kind: &str, verbs: &[&str]| Resource {
            name: name.to_owned(),
            singular: name.to_owned(),
            kind: kind.to_owned(),
            verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
            ..Resource::default()
        };
        vec![
            resource(Resources::PLURAL, Resources::KIND, &["get"]),
            Resource { singular: String::new(), ..resource("resources/proxy", Resources::KIND, &["get"]) },
            resource(CollectionResource::PLURAL, CollectionResource::KIND, &["get", "list"]),
        ]
    }

    /// What is asked behind `proxy` may last: the parent does not cut it off either.
    fn long_running(&self, info: &RequestInfo) -> bool {
        info.resource == Resources::PLURAL && info.subresource.as_deref() == Some("proxy")
    }

    fn handle(
        &self,
        context: Context,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        let (search, prefix) = (self.search.clone(), format!("/apis/{}/{}/", self.group, self.version));
        Box::pin(async move {
            let search = search.inner()?;
            let asking = Asking {
                user: &context.user,
                info: &context.info,
                method: request.method(),
                headers: request.headers(),
                query: request.uri().query().unwrap_or_default(),
            };
            serve(&search, &prefix, &asking).await
        })
    }
}

/// Serves a request whose path begins with `prefix`.
pub(crate) async fn serve(
    search: &Inner,
    prefix: &str,
    asking: &Asking<'_>,
) -> Result<Response<Body>, Status> {
    let info = asking.info;
    if info.namespace.is_some() {
        return Err(Status::not_found("The resources of the search do not live in namespaces."));
    }
    if ![Method::GET, Method::HEAD].contains(asking.method) {
        return Err(Status::method_not_allowed(
            "What the clusters run can be read here and not written; write to the cluster itself.",
        ));
    }
    let parameters = Parameters::parse(asking.query)?;
    match info.resource.as_str() {
        CollectionResource::PLURAL if info.subresource.is_none() => match info.name.as_deref() {
            None => search.collections(asking),
            Some(name) => search.collection(name, asking, &parameters).await,
        },
        Resources::PLURAL => {
            refuse_forwarding(asking, &parameters)?;
            let base = format!("{prefix}{}", Resources::PLURAL);
            search.resources(Route::parse(info, &base)?, asking, &parameters).await
        }
        other => Err(Status::not_found(format!("The server does not know the resource {other:?}."))),
    }
}

/// A client that wants the child's own answer must not take the store's for it.
fn refuse_forwarding(asking: &Asking<'_>, parameters: &Parameters) -> Result<(), Status> {
    let by_header = asking
        .headers
        .get(headers::FORWARD)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    let by_label = forwarded(parameters.get(names::LABEL_SELECTOR).unwrap_or_default())?.is_some();
    if by_header || by_label {
        return Err(Status::bad_request(
            "Requests are not forwarded to clusters here; visit the cluster through its socket instead.",
        ));
    }
    Ok(())
}
