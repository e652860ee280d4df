//! The agent's end of a visit: the only place that connects to the child.
//!
//! Connections to the API server are kept and reused, so a request costs no handshake. Each request carries the
//! identity the hub chose; the agent adds one of its own, an [`Account`], only where the hub asks for it.

mod account;
mod allow;
mod connect;

use std::{future::Future, pin::Pin, sync::Arc};

use api::names::headers::strip_hop_by_hop;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, service::Service};
use hyper_util::rt::TokioIo;
use meta::Status;
use runtime::Tasks;
use tracing::debug;

pub use self::account::Account;
pub use self::allow::{AllowedTarget, InvalidTarget};
use self::connect::Connections;
use crate::{
    target::Target,
    visit::Body,
    wire::{self, Agents, Order},
};

/// What the agent knows of its own cluster.
pub struct Options {
    /// The child's API server as the agent reaches it; a path in it is kept as a prefix.
    pub api_server: Uri,
    /// Trusted roots for the child's API server (its CA) and for allowed `https` targets.
    pub roots: rustls::RootCertStore,
    /// Other servers in the child's network that may be visited; empty means none.
    pub allow: Vec<AllowedTarget>,
    /// Who reads this cluster for the parent's search, if it may be read.
    pub reader: Option<Account>,
    /// In whose name the parent applies here what it deploys, if it may.
    pub deployer: Option<Account>,
    /// While this is true, nothing is done in the name of [`Self::deployer`]: the cluster's owner has frozen it.
    pub frozen: tokio::sync::watch::Receiver<bool>,
}

/// Serves what comes through the tunnel. Cheap to clone.
#[derive(Clone)]
pub struct ChildProxy(Arc<Inner>);

struct Inner {
    options: Options,
    connections: Connections,
    tasks: Tasks,
}

impl ChildProxy {
    /// A proxy to the child described by `options`; streams of upgraded connections run in `tasks`.
    pub fn new(options: Options, tasks: Tasks) -> Result<Self, runtime::tls::Error> {
        let connections = Connections::new(options.roots.clone())?;
        Ok(Self(Arc::new(Inner { options, connections, tasks })))
    }

    async fn serve(self, mut request: Request<Incoming>) -> Response<Body> {
        let answer = if tunnel::upgrade::wanted(request.headers()) {
            self.upgrade(request).await
        } else {
            match self.prepare(&mut request) {
                Ok(order) => {
                    if let Err(status) = self.identify(&order, request.headers_mut()).await {
                        return answer_with(&status);
                    }
                    let (parts, body) = request.into_parts();
                    self.forward(order, Request::from_parts(parts, body.map_err(Into::into).boxed_unsync()))
                        .await
                }
                Err(status) => Err(status),
            }
        };
        answer.unwrap_or_else(|status| answer_with(&status))
    }

    /// Takes the hub's orders out of the request and gives it its real URI.
    fn prepare<B>(&self, request: &mut Request<B>) -> Result<Order, Status> {
        let mut order = wire::read(request.headers_mut());
        let target = order.target.take().ok_or_else(|| {
            Status::bad_request(
                "The agent does not know the target the hub named; their versions may be too far apart.",
            )
        })?;
        let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        *request.uri_mut() = self.uri(&target, path)?;
        *request.version_mut() = http::Version::HTTP_11;
        request.headers_mut().remove(header::HOST);
        order.target = Some(target);
        Ok(order)
    }

    /// Adds the token of one of the agent's accounts, if the hub asks for it. It goes to the API server and nowhere else.
    async fn identify(&self, order: &Order, headers: &mut http::HeaderMap) -> Result<(), Status> {
        let Some(account) = order.agents else { return Ok(()) };
        if order.target != Some(Target::ApiServer) {
            return Err(Status::forbidden("The accounts of this cluster's agent go to its API server only."));
        }
        let account = match account {
            Agents::Reader => self.0.options.reader.as_ref().ok_or_else(|| {
                Status::forbidden("The agent of this cluster does not let the parent read it for the search.")
            })?,
            Agents::Deployer => self.deployer()?,
        };
        headers.insert(header::AUTHORIZATION, account.authorization().await?);
        Ok(())
    }

    fn deployer(&self) -> Result<&Account, Status> {
        if *self.0.options.frozen.borrow() {
            return Err(Status::forbidden(format!(
                "The owner of this cluster has frozen it: the annotation {} stands on the agent's namespace.",
                api::names::deployer::annotations::FROZEN
            )));
        }
        self.0.options.deployer.as_ref().ok_or_else(|| {
            Status::forbidden(
                "The agent of this cluster does not let the parent deploy into it: its gate AppPusher is off.",
            )
        })
    }

    fn uri(&self, target: &Target, path: &str) -> Result<Uri, Status> {
        let invalid = |_| Status::bad_request("The path of the request is not valid.");
        let builder = match target {
            Target::ApiServer => {
                let base = &self.0.options.api_server;
                let prefix = base.path().trim_end_matches('/');
                Uri::builder()
                    .scheme(base.scheme_str().unwrap_or("https"))
                    .authority(base.authority().map_or("", http::uri::Authority::as_str))
                    .path_and_query(format!("{prefix}{path}"))
            }
            Target::Host { tls, authority } => {
                if !self.0.options.allow.iter().any(|allowed| allowed.covers(*tls, authority)) {
                    return Err(Status::forbidden(format!(
                        "The agent of this cluster does not allow visits to {target}; its owner can allow it with the \
                         agent's flag --allow-target={authority}."
                    )));
                }
                let scheme = if *tls { "https" } else { "http" };
                Uri::builder().scheme(scheme).authority(authority.as_str()).path_and_query(path)
            }
        };
        builder.build().map_err(invalid)
    }

    async fn forward(&self, order: Order, request: Request<Body>) -> Result<Response<Body>, Status> {
        let client = self.0.connections.of(order.certificate)?;
        let response = client.request(request).await.map_err(|error| unreachable(&error))?;
        Ok(cleaned(response))
    }

    /// Joins an upgrade that came through the tunnel to one at the child, and copies bytes until one side ends.
    async fn upgrade(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let ours = hyper::upgrade::on(&mut request);
        let protocol = request.headers_mut().remove(header::UPGRADE);
        let order = self.prepare(&mut request)?;
        if order.agents.is_some() {
            return Err(Status::forbidden("The accounts of this cluster's agent open no streams."));
        }
        let (mut parts, _) = request.into_parts();
        parts.extensions.clear();
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        if let Some(protocol) = protocol {
            parts.headers.insert(header::UPGRADE, protocol);
        }
        let client = self.0.connections.of(order.certificate)?;
        let request = Request::from_parts(parts, tunnel::empty());
        let mut response = client.request(request).await.map_err(|error| unreachable(&error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(cleaned(response));
        }
        let theirs = hyper::upgrade::on(&mut response);
        self.0.tasks.spawn("upgraded stream", async move {
            let (Ok(ours), Ok(theirs)) = (ours.await, theirs.await) else { return };
            let copied =
                tokio::io::copy_bidirectional(&mut TokioIo::new(ours), &mut TokioIo::new(theirs)).await;
            if let Err(error) = copied {
                debug!(%error, "upgraded stream ended");
            }
        });
        let (parts, _) = response.into_parts();
        Ok(Response::from_parts(parts, tunnel::empty()))
    }
}

impl Service<Request<Incoming>> for ChildProxy {
    type Response = Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let proxy = self.clone();
        Box::pin(async move { Ok(proxy.serve(request).await) })
    }
}

/// An answer of the child without the headers of its connection.
fn cleaned(response: Response<Incoming>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    parts.version = http::Version::HTTP_2;
    Response::from_parts(parts, body.map_err(Into::into).boxed_unsync())
}

/// The child's server did not answer: the text says which part failed, never what was sent.
fn unreachable(error: &hyper_util::client::legacy::Error) -> Status {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    if error.is_connect() {
        Status::unavailable(format!("The agent cannot connect to the server in its cluster: {text}."))
            .retry_after(1)
    } else {
        Status::bad_gateway(format!("The server in the cluster broke off before it answered: {text}."))
    }
}

fn answer_with(status: &Status) -> Response<Body> {
    let mut response = Response::new(tunnel::full(status.to_json()));
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> ChildProxy {
        let options = Options {
            api_server: Uri::from_static("https://child"),
            roots: rustls::RootCertStore::empty(),
            allow: Vec::new(),
            reader: None,
            deployer: None,
            frozen: tokio::sync::watch::channel(false).1,
        };
        ChildProxy::new(options, Tasks::new()).unwrap()
    }

    #[tokio::test]
    async fn the_accounts_tokens_go_nowhere_but_to_the_api_server() {
        let host = Target::Host { tls: true, authority: String::from("evil") };
        for (agents, target, said) in [
            (Agents::Reader, host.clone(), "API server only"),
            (Agents::Deployer, host, "API server only"),
            (Agents::Reader, Target::ApiServer, "does not let the parent read"),
            (Agents::Deployer, Target::ApiServer, "AppPusher"),
        ] {
            let order = Order { target: Some(target), certificate: None, agents: Some(agents) };
            let mut headers = http::HeaderMap::new();
            let status = proxy().identify(&order, &mut headers).await.unwrap_err();
            assert_eq!(status.code, 403);
            assert!(status.message.contains(said), "{}", status.message);
            assert!(headers.is_empty());
        }
    }
}
