//! Serving the hub over a tunnel.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use hyper::{body::Incoming, server::conn::http2, service::Service};
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::counter::Counter;
use runtime::{CancellationToken, Tasks};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tracing::debug;

use super::{Connection, Metrics};
use crate::{
    Body, BoxError, Error,
    error::chain,
    limits,
    streams::Executor,
    upgrade::{self, Asked},
    ws::{self, Role, Stream},
};

/// How a tunnel ended that did not break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Our group of tasks ended: running requests were finished, as far as the deadline allowed.
    Drained,
    /// The hub said good-bye: it is shutting down, or another tunnel took this one's place.
    ByHub,
}

/// Serves the hub until the tunnel ends or `tasks` does; then new requests are refused, and running ones have 10 s
/// to finish.
///
/// `service` is called once per request, concurrently. A request for an upgrade has its HTTP/1.1 form: it is granted
/// by answering 101 and taking the bytes from [`hyper::upgrade::on`], refused by any other answer. A service whose
/// caller gave up is dropped in the middle.
pub async fn serve<Io, S>(
    connection: Connection<Io>,
    service: S,
    metrics: &Metrics,
    tasks: &Tasks,
) -> Result<Ended, Error>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    // Whatever happens here, no stream outlives this function.
    let kill = CancellationToken::new();
    let _killed = kill.clone().drop_guard();
    let draining = CancellationToken::new();

    let (stream, meter) = Stream::new(connection.io, Role::Client, metrics.bytes.clone());
    let server = limits::server(Executor::new(tasks.clone(), kill));
    let front = Front { service, requests: metrics.requests.clone(), draining: draining.clone() };
    let mut serving: Pin<Box<dyn Serving>> = drive(&server, stream, front);
    let group = tasks.token();
    tokio::select! {
        ended = &mut serving => {
            return match (meter.cause(), ended) {
                (Some(ws::Error::Closed(_)), _) | (None, Ok(())) => Ok(Ended::ByHub),
                (Some(cause), _) => Err(Error::Lost(cause.clone())),
                (None, Err(error)) => Err(Error::Protocol(chain(&error))),
            };
        }
        () = group.cancelled() => {}
    }
    // First the session ends, so that the hub sends nothing more; then GOAWAY.
    draining.cancel();
    serving.as_mut().graceful_shutdown();
    match timeout(limits::DRAIN_DEADLINE, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(error = chain(&error), "the tunnel broke while draining"),
        Err(_) => debug!("requests were still running at the deadline for draining"),
    }
    Ok(Ended::Drained)
}

/// A connection being served. Behind a trait object, because the compiler cannot prove the future of a caller `Send`
/// when it has to look through the connection's own type for it.
trait Serving: Future<Output = hyper::Result<()>> + Send {
    /// GOAWAY: no new requests; running ones may finish.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<Io, S> Serving for http2::Connection<TokioIo<Stream<Io>>, Front<S>, Executor>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        http2::Connection::graceful_shutdown(self);
    }
}

fn drive<Io, S>(
    server: &http2::Builder<Executor>,
    stream: Stream<Io>,
    front: Front<S>,
) -> Pin<Box<dyn Serving>>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    Box::pin(server.serve_connection(TokioIo::new(stream), front))
}

/// Stands before the service: answers what concerns the tunnel itself.
struct Front<S> {
    service: S,
    requests: Counter,
    draining: CancellationToken,
}

impl<S> Service<Request<Incoming>> for Front<S>
where
    S: Service<Request<Incoming>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if request.uri().authority().is_some_and(|authority| authority.as_str() == "session") {
            let session = Session { ended: Box::pin(self.draining.clone().cancelled_owned()) };
            return Box::pin(async { Ok(Response::new(Body::new(session))) });
        }
        self.requests.inc();
        match upgrade::read_request(&mut request) {
            Asked::Foreign => Box::pin(async {
                let mut response = Response::new(crate::empty());
                *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
                Ok(response)
            }),
            asked => {
                let answer = self.service.call(request);
                Box::pin(async move {
                    let mut response = answer.await.map_err(Into::into)?;
                    if matches!(asked, Asked::Upgrade) {
                        upgrade::write_response(&mut response);
                    }
                    Ok(response)
                })
            }
        }
    }
}

/// The body of the hub's session: nothing, and an end when we begin to drain.
struct Session {
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl http_body::Body for Session {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        ready!(self.ended.as_mut().poll(cx));
        Poll::Ready(None)
    }
}
