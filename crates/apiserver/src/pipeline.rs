//! One request, from its headers to its answer. The steps, in the order they are taken:
//!
//! ```text
//! shape ─► hop-by-hop headers ─► path ─► health? ─► caller ─► identity headers off ─► in flight ─► may they? ─► handler
//! ```
//!
//! Whatever refuses, refuses with a `metav1.Status`; whatever panics is answered 500; every answer bears the audit id.

use std::{any::Any, collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use meta::Status;
use runtime::metrics::Metrics;
use tokio::time::Instant;
use tracing::{debug, error};

use api::names::headers::AUDIT_ID;

use crate::{
    Api, Attributes, Authorizer, Body, Context, Peer, RequestInfo,
    authn::{Authenticator, Caller, Connection},
    body::{empty, json_response, with_type},
    discovery::Discovery,
    headers,
    health::{Health, is_health},
    limits::{Held, InFlight, Limits, Permit},
    metrics::{Counters, Measured, Route},
    openapi::OpenApi,
    path::asks_to_watch,
    status_response,
};

/// Audit ids longer than this are not passed on (as in Kubernetes).
const LONGEST_AUDIT_ID: usize = 64;

/// Everything a request needs. One per server.
pub(crate) struct Pipeline {
    pub(crate) authenticator: Authenticator,
    pub(crate) authorizer: Authorizer,
    pub(crate) limits: Limits,
    pub(crate) in_flight: InFlight,
    pub(crate) apis: BTreeMap<(String, String), Served>,
    pub(crate) discovery: Discovery,
    pub(crate) openapi: OpenApi,
    pub(crate) health: Health,
    pub(crate) version: serde_json::Value,
    pub(crate) metrics: Metrics,
    pub(crate) counters: Counters,
}

/// One API with the names that may appear in metrics.
pub(crate) struct Served {
    pub(crate) api: Arc<dyn Api>,
    resources: Vec<String>,
}

impl Served {
    pub(crate) fn new(api: Arc<dyn Api>) -> Self {
        let resources = api.resources().into_iter().map(|resource| resource.name).collect();
        Self { api, resources }
    }
}

/// What is known of a request while it is served, for the answer's last touches.
struct Seen {
    audit_id: String,
    upgrade: bool,
    permit: Option<Permit>,
    measured: Option<Measured>,
    /// When the answer's body must have ended, too.
    deadline: Option<Instant>,
    /// Whether the request's duration says anything about speed.
    timed: bool,
}

impl Pipeline {
    /// Serves one request of a connection; never fails and never panics.
    pub(crate) async fn serve(
        self: Arc<Self>,
        connection: Arc<Connection>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let http1 = request.version() < Version::HTTP_2;
        let head = request.method() == Method::HEAD;
        let mut seen = Seen {
            audit_id: new_audit_id(),
            upgrade: false,
            permit: None,
            measured: None,
            deadline: None,
            timed: true,
        };
        let served = AssertUnwindSafe(self.answer(&connection, request, &mut seen)).catch_unwind().await;
        let response = match served {
            Ok(Ok(response)) => response,
            Ok(Err(status)) => {
                // A refusal is short and must arrive, also the one that says that the deadline has passed.
                seen.deadline = None;
                status_response(&status)
            }
            Err(panic) => {
                self.counters.panics.inc();
                seen.deadline = None;
                error!(audit_id = seen.audit_id, panic = words(&*panic), "a request ended in a panic");
                status_response(&Status::internal("The server failed while it served the request."))
            }
        };
        let response = if head { without_body(response) } else { response };
        finish(response, seen, http1)
    }

    /// Whether the connection is a trusted front proxy's, now.
    pub(crate) fn is_front_proxy(&self, connection: &Connection) -> bool {
        connection.verify(&self.authenticator.trust().current()).front_proxy
    }

    async fn answer(
        &self,
        connection: &Arc<Connection>,
        mut request: Request<Incoming>,
        seen: &mut Seen,
    ) -> Result<Response<Body>, Status> {
        // Kept from the start, so that early refusals close the connection of an upgrade too.
        let protocol = headers::end_hop_by_hop(request.version(), request.headers_mut());
        seen.upgrade = protocol.is_some();
        self.check_shape(&request)?;
        let info = RequestInfo::parse(request.method(), request.uri())?;
        seen.measured = Some(self.counters.begin(self.route(&info)));

        // Before anything is asked of the parent: health must not hang on it, nor serve to make us ask.
        if is_health(&info.path) {
            return read_only(&request, || self.health.answer(&info.path, query(&request)));
        }
        let caller = self.authenticator.authenticate(connection, request.headers()).await?;
        let Caller { user, front_proxy, relayed, identity_headers } = caller;
        if (front_proxy || relayed)
            && let Some(id) = forwarded_audit_id(request.headers())
        {
            seen.audit_id = id;
        }
        headers::strip_identity(request.headers_mut(), &identity_headers);
        request.headers_mut().remove(AUDIT_ID);

        let user = user.ok_or_else(|| {
            Status::unauthorized("The request shows no credential. Send it through the parent's API server.")
        })?;
        connection.set_identified();
        let permit = self.in_flight.admit(&user.name)?;
        seen.permit = Some(permit.clone());

        let served = self.apis.get(&(info.group.clone(), info.version.clone())).filter(|_| info.is_resource);
        if relayed && !served.is_some_and(|served| served.api.takes_relayed()) {
            return Err(Status::forbidden(
                "This is not among the requests that one replica takes from another.",
            ));
        }
        let long = seen.upgrade
            || (request.method() == Method::GET && asks_to_watch(query(&request)) && info.is_resource)
            || served.is_some_and(|served| served.api.long_running(&info));
        seen.timed = !long;
        seen.deadline = (!long).then(|| Instant::now() + self.limits.request_deadline);
        let audit_id = seen.audit_id.clone();
        let answer = async {
            let attributes =
                served.map_or_else(|| Attributes::of(&info), |served| served.api.attributes(&info));
            self.authorizer.require(&user, &attributes).await?;
            match served {
                Some(served) => {
                    let peer = Peer { address: connection.address, front_proxy, relayed };
                    let context = Context { user, info, audit_id, peer, permit };
                    served.api.handle(context, request).await
                }
                None => self.document(&info, &request),
            }
        };
        match seen.deadline {
            Some(deadline) => {
                tokio::time::timeout_at(deadline, answer).await.unwrap_or_else(|_| Err(self.too_slow()))
            }
            None => answer.await,
        }
    }

    /// Refuses what no later step should have to think about.
    fn check_shape(&self, request: &Request<Incoming>) -> Result<(), Status> {
        let limit = self.limits.header_bytes;
        let lines: usize =
            request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if lines + target > limit {
            let message = format!(
                "The request's URL, of {target} bytes, and its headers, of {lines}, are together longer than the limit of {limit} bytes."
            );
            return Err(if target > lines {
                Status::new(414, "RequestURITooLong", message)
            } else {
                Status::new(431, "RequestHeaderFieldsTooLarge", message)
            });
        }
        if [Method::CONNECT, Method::TRACE].contains(request.method()) {
            let message = format!("The method {} is not served.", request.method());
            return Err(Status::method_not_allowed(message));
        }
        // HTTP/2 always has a scheme and host; in HTTP/1.1 they make the target a URL, as if we were a forward proxy.
        if request.version() < Version::HTTP_2 && request.uri().scheme().is_some() {
            return Err(crate::path::PathError::NotAPath.into());
        }
        Ok(())
    }

    /// The server's own documents.
    fn document(&self, info: &RequestInfo, request: &Request<Incoming>) -> Result<Response<Body>, Status> {
        let path = info.path.as_str();
        let found = match path {
            "/version" | "/version/" => Some(Ok(json_response(&self.version))),
            "/metrics" => Some(Ok(with_type(Metrics::CONTENT_TYPE, self.metrics.encode()))),
            _ => self
                .discovery
                .answer(path, request.headers())
                .or_else(|| self.openapi.answer(path, request.headers())),
        };
        let Some(found) = found else {
            return Err(Status::not_found(
                "The server could not find the requested path; /apis lists what is served.",
            ));
        };
        read_only(request, || found.unwrap_or_else(|status| status_response(&status)))
    }

    fn too_slow(&self) -> Status {
        let seconds = self.limits.request_deadline.as_secs();
        Status::timeout(format!(
            "The request was not answered within {seconds} s, which is the limit for such requests."
        ))
    }

    /// Metric labels for a request: only words that we serve.
    fn route(&self, info: &RequestInfo) -> Route {
        let verb = match info.verb.as_str() {
            verb @ ("get" | "list" | "watch" | "create" | "update" | "patch" | "delete"
            | "deletecollection") => verb,
            _ => "other",
        };
        if !info.is_resource {
            return Route::new(verb, "", "", "");
        }
        let Some(served) = self.apis.get(&(info.group.clone(), info.version.clone())) else {
            return Route::new(verb, "other", "other", "");
        };
        let known = |name: &str| served.resources.iter().any(|resource| resource == name);
        let resource = if known(&info.resource) { info.resource.as_str() } else { "other" };
        let subresource = match &info.subresource {
            None => "",
            Some(sub) if known(&format!("{resource}/{sub}")) => sub,
            Some(_) => "other",
        };
        Route::new(verb, &info.group, resource, subresource)
    }
}

/// The answer to a request that only reads; 405 for any other.
fn read_only(
    request: &Request<Incoming>,
    answer: impl FnOnce() -> Response<Body>,
) -> Result<Response<Body>, Status> {
    if [Method::GET, Method::HEAD].contains(request.method()) {
        return Ok(answer());
    }
    Err(Status::method_not_allowed(format!("The path {} can only be read; use GET.", request.uri().path())))
}

/// The answer to HEAD: what GET would say, without its body. Over HTTP/2 the library would send the body.
fn without_body(mut response: Response<Body>) -> Response<Body> {
    let length = response.body().size_hint().exact();
    if let Some(length) = length.filter(|_| !response.headers().contains_key(header::CONTENT_LENGTH)) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| empty())
}

/// The audit id and the body's company: its place in flight, its measure and its deadline.
fn finish(response: Response<Body>, seen: Seen, http1: bool) -> Response<Body> {
    let Seen { audit_id, upgrade, permit, mut measured, deadline, timed } = seen;
    let (mut parts, body) = response.into_parts();
    let switched = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    if let Ok(id) = HeaderValue::from_str(&audit_id) {
        parts.headers.insert(AUDIT_ID, id);
    }
    if http1 && upgrade && !switched {
        // The client may already have sent bytes of the protocol it hoped for: they must not be read as requests.
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(measured) = &mut measured {
        measured.answered(parts.status.as_u16(), timed);
    }
    debug!(audit_id, code = parts.status.as_u16(), "request answered");
    let body = Held::new(body, deadline, (permit, measured)).boxed_unsync();
    Response::from_parts(parts, body)
}

fn query<B>(request: &Request<B>) -> &str {
    request.uri().query().unwrap_or_default()
}

fn new_audit_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// The id under which the front proxy, or the replica that was asked first, logs the request.
fn forwarded_audit_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(AUDIT_ID)?.to_str().ok()?;
    let usable =
        !id.is_empty() && id.len() <= LONGEST_AUDIT_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| id.to_owned())
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let words = panic.downcast_ref::<&str>().copied();
    words.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}
