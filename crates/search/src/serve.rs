//! The API as the generic server sees it.

use std::sync::Arc;

use api::search::{CollectionResource, GROUP, OLD_GROUP, OLD_VERSION, Resources, VERSION};
use apiserver::{Api, Authorizer, Body, Context, RequestInfo, Resource, User};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use meta::Status;
use store::Store;
use tokio::sync::watch;

use crate::{
    Catalogue,
    language::Parameters,
    live::{Asker, Live, Signs, Wanted},
    path::Route,
    search::Inner,
};

/// The search API over a store, ready to be served.
#[derive(Clone)]
pub struct Search(Option<Arc<Inner>>);

/// A request for data, as far as the search looks at it.
pub(crate) struct Asking<'a> {
    pub(crate) user: &'a User,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
}

impl Search {
    /// Searches `store`. What `catalogue` says of the clusters counts from the moment it changes; `authorizer` is asked
    /// which clusters a caller may see.
    ///
    /// With `live`, clusters answer requests themselves, as far as it allows.
    pub fn new(
        store: Arc<dyn Store>,
        catalogue: watch::Receiver<Arc<Catalogue>>,
        authorizer: Authorizer,
        live: Option<Live>,
    ) -> Self {
        Self(Some(Arc::new(Inner { store, catalogue, authorizer, live })))
    }

    /// For a process without a store: there is something to discover, and every request is answered 503. The parent
    /// would take an API that is not there for a failure of all discovery.
    pub fn without_store() -> Self {
        Self(None)
    }

    /// The API under its name and under the one it had long ago.
    pub fn apis(&self) -> Vec<Arc<dyn Api>> {
        [(GROUP, VERSION), (OLD_GROUP, OLD_VERSION)]
            .into_iter()
            .map(|(group, version)| {
                Arc::new(Named { group, version, search: self.0.clone() }) as Arc<dyn Api>
            })
            .collect()
    }
}

/// The API under one of its names.
struct Named {
    group: &'static str,
    version: &'static str,
    search: Option<Arc<Inner>>,
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
        let live = self.search.as_ref().and_then(|search| search.live.as_ref());
        let verbs: &[&str] = match live {
            Some(live) if live.forwarding().writes() => &["create", "delete", "get", "patch", "update"],
            _ => &["get"],
        };
        vec![
            resource(Resources::PLURAL, Resources::KIND, verbs),
            Resource { singular: String::new(), ..resource("resources/proxy", Resources::KIND, verbs) },
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
            let Some(search) = search else {
                return Err(Status::unavailable(
                    "This hub has no store to search: it was started without one, or another process holds it.",
                ));
            };
            let asker = Asker {
                user: &context.user,
                info: &context.info,
                audit_id: &context.audit_id,
                permit: Some(context.permit.clone()),
            };
            let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
            serve(&search, &prefix, &asker, request).await
        })
    }
}

/// Serves a request whose path begins with `prefix`.
pub(crate) async fn serve(
    search: &Inner,
    prefix: &str,
    asker: &Asker<'_>,
    request: Request<Body>,
) -> Result<Response<Body>, Status> {
    let info = asker.info;
    if info.namespace.is_some() {
        return Err(Status::not_found("The resources of the search do not live in namespaces."));
    }
    let asking = Asking {
        user: asker.user,
        headers: request.headers(),
        query: request.uri().query().unwrap_or_default(),
    };
    match info.resource.as_str() {
        CollectionResource::PLURAL if info.subresource.is_none() => {
            only_read(request.method())?;
            let parameters = Parameters::parse(asking.query)?;
            match info.name.as_deref() {
                None => search.collections(&asking),
                Some(name) => search.collection(name, &asking, &parameters).await,
            }
        }
        Resources::PLURAL => {
            let route = Route::parse(info, &format!("{prefix}{}", Resources::PLURAL))?;
            let signs = Signs { method: request.method(), headers: asking.headers, query: asking.query };
            if let Some(wanted) = Wanted::read(search.live.as_ref(), &route, &signs)? {
                return search.forward(wanted, asker, request).await;
            }
            only_read(request.method())?;
            let parameters = Parameters::parse(asking.query)?;
            search.resources(route, &asking, &parameters).await
        }
        other => Err(Status::not_found(format!("The server does not know the resource {other:?}."))),
    }
}

fn only_read(method: &Method) -> Result<(), Status> {
    if [Method::GET, Method::HEAD].contains(method) {
        return Ok(());
    }
    Err(Status::method_not_allowed(
        "What the clusters run can be read here and not written; write to the cluster itself.",
    ))
}
