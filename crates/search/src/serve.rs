//! The API as the generic server sees it.

use std::{sync::Arc, time::Duration};

use api::{
    names::search::ALL_CLUSTERS,
    search::{CollectionResource, GROUP, OLD_GROUP, OLD_VERSION, Resources, VERSION},
};
use apiserver::{Api, Authorizer, Body, Context, RequestInfo, Resource, User};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use meta::Status;
use store::Store;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use crate::{
    Catalogue,
    language::Parameters,
    live::{Asker, Live, Signs, Wanted},
    path::Route,
    search::Inner,
};

/// The search API over a store that comes and goes, ready to be served.
#[derive(Clone)]
pub struct Search {
    stores: watch::Receiver<Option<Arc<dyn Store>>>,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    authorizer: Authorizer,
    deadline: Duration,
    live: Option<Arc<Live>>,
}

/// A request for data, as far as the search looks at it.
pub(crate) struct Asking<'a> {
    pub(crate) user: &'a User,
    pub(crate) info: &'a RequestInfo,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) query: &'a str,
}

impl Search {
    /// Searches the store that is in `stores` at the time of the request; without one, every request is answered 503.
    /// What `catalogue` says of the clusters counts from the moment it changes; `authorizer` is asked which clusters a
    /// caller may see.
    ///
    /// An answer on a path that may last takes no longer than `deadline`. With `live`, clusters answer requests
    /// themselves, as far as it allows.
    pub fn new(
        stores: watch::Receiver<Option<Arc<dyn Store>>>,
        catalogue: watch::Receiver<Arc<Catalogue>>,
        authorizer: Authorizer,
        deadline: Duration,
        live: Option<Live>,
    ) -> Self {
        Self { stores, catalogue, authorizer, deadline, live: live.map(Arc::new) }
    }

    /// What one request is answered from.
    fn inner(&self) -> Result<Inner, Status> {
        let store = self.stores.borrow().clone().ok_or_else(|| {
            Status::unavailable("This hub does not have the store of the search. Try again in a moment.")
                .retry_after(1)
        })?;
        Ok(Inner {
            store,
            catalogue: self.catalogue.clone(),
            authorizer: self.authorizer.clone(),
            deadline: self.deadline,
            live: self.live.clone(),
        })
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
        let verbs: &[&str] = match &self.search.live {
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
            let search = search.inner()?;
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
        info,
        headers: request.headers(),
        query: request.uri().query().unwrap_or_default(),
    };
    match info.resource.as_str() {
        CollectionResource::PLURAL if info.subresource.is_none() => {
            only_read(request.method())?;
            let parameters = Parameters::parse(asking.query)?;
            let answer = async {
                match info.name.as_deref() {
                    None => search.collections(&asking),
                    Some(name) => search.collection(name, &asking, &parameters).await,
                }
            };
            in_time(PARENT, answer, || {
                Status::too_large(format!(
                    "The collection takes longer than {} s, and the parent cuts such answers off: ask for less at once, \
                     with limit and withContinue, or for each resource by itself.",
                    PARENT.as_secs()
                ))
            })
            .await
        }
        Resources::PLURAL => {
            let route = Route::parse(info, &format!("{prefix}{}", Resources::PLURAL))?;
            let signs = Signs { method: request.method(), headers: asking.headers, query: asking.query };
            if let Some(wanted) = Wanted::read(search.live.as_deref(), &route, &signs)? {
                return search.forward(wanted, asker, request).await;
            }
            only_read(request.method())?;
            let parameters = Parameters::parse(asking.query)?;
            let limit = if route.may_last { search.deadline } else { PARENT };
            let slow = too_slow(&route, prefix, limit);
            in_time(limit, search.resources(route, &asking, &parameters), || slow).await
        }
        other => Err(Status::not_found(format!("The server does not know the resource {other:?}."))),
    }
}

/// The parent cuts what takes longer than 60 s, without a word to the client.
const PARENT: Duration = Duration::from_secs(55);

/// Refuses an answer that has not begun when the time is over, and breaks off one that has: the client sees that it is
/// not whole.
pub(crate) async fn in_time(
    limit: Duration,
    answer: impl Future<Output = Result<Response<Body>, Status>>,
    slow: impl FnOnce() -> Status,
) -> Result<Response<Body>, Status> {
    let deadline = Instant::now() + limit;
    let answer = timeout_at(deadline, answer).await.unwrap_or_else(|_| Err(slow()))?;
    Ok(answer.map(|body| apiserver::held(body, Some(deadline), ())))
}

/// What is said of an answer that has not begun in time: on a path that the parent cuts off, which other one lasts.
fn too_slow(route: &Route, prefix: &str, limit: Duration) -> Status {
    let seconds = limit.as_secs();
    if route.may_last {
        return Status::timeout(format!(
            "The answer did not begin within {seconds} s; ask for less at once."
        ));
    }
    let cluster = route.cluster.as_ref().map_or(ALL_CLUSTERS, |cluster| cluster.as_str());
    Status::too_large(format!(
        "The answer takes longer than {seconds} s, and the parent cuts this path off. Ask for less at once, or ask \
         {prefix}{}/{cluster}/proxy{} instead, which may last.",
        Resources::PLURAL,
        route.path
    ))
}

fn only_read(method: &Method) -> Result<(), Status> {
    if [Method::GET, Method::HEAD].contains(method) {
        return Ok(());
    }
    Err(Status::method_not_allowed(
        "What the clusters run can be read here and not written; write to the cluster itself.",
    ))
}
