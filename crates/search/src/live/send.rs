//! A request on its way to a cluster, and the answer on its way back.

use api::names::headers::strip_hop_by_hop;
use apiserver::{Body, Permit};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use kubeio::Exchange;
use meta::Status;
use reach::{Error, Open, Place, Target, Upgraded, UpgradedStream};
use tokio::{
    io::copy_bidirectional,
    time::{Instant, timeout_at},
};

use super::{Live, credential::Route};

/// Everything that is decided before the cluster is asked.
pub(super) struct Visit {
    pub(super) route: Route,
    /// The name of the cluster.
    pub(super) cluster: String,
    pub(super) path_and_query: String,
    /// When the whole answer must have arrived.
    pub(super) deadline: Option<Instant>,
    /// Whether the caller wants to switch protocols.
    pub(super) upgrade: bool,
}

/// What a cluster said.
enum Answer {
    /// An answer as to every request, with its place in flight if nobody else holds it.
    Ordinary(Response<Body>, Option<Place>),
    /// Another protocol from here on.
    Switched(Response<()>, Stream),
}

/// The bytes of another protocol.
enum Stream {
    Tunnel(Box<UpgradedStream>),
    Address(Box<TokioIo<hyper::upgrade::Upgraded>>, Place),
}

impl Stream {
    /// Passes bytes both ways until one side ends; the number of those to the caller.
    async fn join(self, caller: hyper::upgrade::Upgraded) -> u64 {
        let mut caller = TokioIo::new(caller);
        let copied = match self {
            Self::Tunnel(mut stream) => copy_bidirectional(&mut caller, &mut stream.io).await,
            Self::Address(mut stream, _place) => copy_bidirectional(&mut caller, &mut *stream).await,
        };
        // One that breaks off has ended too.
        copied.map_or(0, |(_, to_caller)| to_caller)
    }
}

/// Sends a request and streams the answer; `open` becomes the line about it.
pub(super) async fn send(
    live: &Live,
    visit: Visit,
    permit: Option<Permit>,
    mut request: Request<Body>,
    open: Open,
) -> Result<Response<Body>, Status> {
    let caller = hyper::upgrade::on(&mut request);
    let (deadline, upgrade) = (visit.deadline, visit.upgrade);
    let too_slow = Error::Timeout(visit.cluster.clone());
    let asked = ask(live, visit, request);
    let answer = match deadline {
        Some(deadline) => timeout_at(deadline, asked).await.unwrap_or_else(|_| Err(too_slow.status())),
        None => asked.await,
    };
    match answer {
        Ok(Answer::Ordinary(mut response, place)) => {
            if upgrade {
                // The caller wanted another protocol on this connection and must not go on as if it had got it.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(open.follow(response.map(|body| apiserver::held(body, deadline, place))))
        }
        Ok(Answer::Switched(response, stream)) => {
            live.tasks.spawn("stream to a cluster", async move {
                let _permit = permit;
                match caller.await {
                    Ok(caller) => open.end_stream(stream.join(caller).await),
                    Err(_) => open.end(499),
                }
            });
            let mut switched = Response::new(apiserver::empty());
            *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            *switched.headers_mut() = reach::upgrade_headers(response.headers());
            Ok(switched)
        }
        Err(status) => {
            open.end(status.code);
            Err(status)
        }
    }
}

async fn ask(live: &Live, visit: Visit, request: Request<Body>) -> Result<Answer, Status> {
    let Visit { route, cluster, path_and_query, upgrade, .. } = visit;
    match route {
        Route::Tunnel { id, identity } => {
            let visit = reach::Visit {
                cluster: id,
                target: Target::ApiServer,
                identity,
                path_and_query,
                deadline: None,
            };
            if !upgrade {
                let response = live.reach.send(&visit, request).await;
                return response
                    .map(|response| Answer::Ordinary(response, None))
                    .map_err(|error| error.status());
            }
            let request = request.map(drop);
            match live.reach.upgrade(&visit, request).await.map_err(|error| error.status())? {
                Upgraded::Answered(response) => Ok(Answer::Ordinary(response, None)),
                Upgraded::Switched { response, stream } => {
                    Ok(Answer::Switched(response, Stream::Tunnel(Box::new(stream))))
                }
            }
        }
        Route::Address(access) => {
            let place = live.reach.place(&cluster).map_err(|error| error.status())?;
            let unusable = |error: kubeio::AccessError| Status::bad_request(format!("The cluster: {error}."));
            let exchange = Exchange::new(*access, &live.tasks).map_err(unusable)?;
            let mut response =
                exchange.send(addressed(request, &path_and_query)?).await.map_err(|error| {
                    Status::unavailable(format!("The cluster {cluster:?}: {error}.")).retry_after(1)
                })?;
            if response.status().is_redirection()
                && let Some(location) = response.headers().get(header::LOCATION)
            {
                let location = location.to_str().unwrap_or_default().chars().take(200).collect();
                return Err(Error::Redirect(location).status());
            }
            if upgrade && response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let stream = hyper::upgrade::on(&mut response).await.map_err(|_| {
                    Status::bad_gateway(format!(
                        "The cluster {cluster:?} broke off while it switched protocols."
                    ))
                })?;
                let stream = Stream::Address(Box::new(TokioIo::new(stream)), place);
                return Ok(Answer::Switched(response.map(drop), stream));
            }
            strip_hop_by_hop(response.headers_mut());
            *response.version_mut() = http::Version::HTTP_11;
            Ok(Answer::Ordinary(response, Some(place)))
        }
    }
}

/// A request for an address: nothing in it says who the caller is here. Through a tunnel `reach` sees to that.
fn addressed(mut request: Request<Body>, path_and_query: &str) -> Result<Request<Body>, Status> {
    *request.uri_mut() = path_and_query.parse().map_err(|_| Error::Path.status())?;
    request.extensions_mut().clear();
    let headers = request.headers_mut();
    let protocol = headers.get(header::UPGRADE).cloned();
    strip_hop_by_hop(headers);
    reach::strip_identity(headers);
    headers.remove(header::EXPECT);
    // The parent's aggregator asks for gzip on its own account and inflates for nobody.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(protocol) = protocol {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    Ok(request)
}
