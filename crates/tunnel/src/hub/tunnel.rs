//! One live tunnel, as its users see it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, Uri, uri};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use runtime::CancellationToken;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use super::body::{Flight, ResponseBody};
use crate::{Body, Error, Hello, error::chain, limits, upgrade, ws::Meter};

/// A live tunnel to one agent. Cloning gives another handle.
#[derive(Clone)]
pub struct Tunnel {
    shared: Arc<Shared>,
}

struct Shared {
    id: u64,
    cluster: String,
    hello: Hello,
    since: Instant,
    sender: SendRequest<Body>,
    flights: TaskTracker,
    retired: CancellationToken,
    meter: Arc<Meter>,
    requests: Counter,
    streams: Gauge,
}

/// What became of an upgrade.
pub enum Upgrade {
    /// The child agreed: its 101, and the bytes behind it. Dropping `io` ends the stream on both sides.
    Switched {
        /// The child's answer in its HTTP/1.1 form.
        response: Response<()>,
        /// The bytes behind the upgrade.
        io: UpgradedIo,
    },
    /// The child refused, or took no notice of the upgrade: its answer.
    Answered(Response<ResponseBody>),
}

impl Tunnel {
    pub(super) fn new(
        id: u64,
        cluster: String,
        hello: Hello,
        sender: SendRequest<Body>,
        meter: Arc<Meter>,
        (requests, streams): (Counter, Gauge),
    ) -> Self {
        let flights = TaskTracker::new();
        flights.close();
        let (since, retired) = (Instant::now(), CancellationToken::new());
        let shared = Shared { id, cluster, hello, since, sender, flights, retired, meter, requests, streams };
        Self { shared: Arc::new(shared) }
    }

    /// The cluster it leads to.
    pub fn cluster(&self) -> &str {
        &self.shared.cluster
    }

    /// What its agent said of itself.
    pub fn hello(&self) -> &Hello {
        &self.shared.hello
    }

    /// When it was opened.
    pub fn since(&self) -> Instant {
        self.shared.since
    }

    /// Requests and upgrades under way.
    pub fn in_flight(&self) -> usize {
        self.shared.flights.len()
    }

    /// Payload bytes received from and sent to the agent.
    pub fn bytes(&self) -> (u64, u64) {
        (self.shared.meter.received(), self.shared.meter.sent())
    }

    /// Whether new requests are taken.
    pub fn is_open(&self) -> bool {
        !self.shared.retired.is_cancelled() && !self.shared.sender.is_closed()
    }

    /// Resolves when the tunnel is gone.
    pub async fn closed(&self) {
        self.shared.meter.closed().await;
    }

    /// Sends a request to the agent and returns its answer as soon as its headers are there; both bodies are
    /// streamed. Only path and query of the URI are used.
    ///
    /// Dropping the future or the answer's body cancels the request in the child, at once.
    pub async fn request(&self, mut request: Request<Body>) -> Result<Response<ResponseBody>, Error> {
        address(request.uri_mut());
        let mut flight = self.depart()?;
        let request = request.map(|body| flight.tie(body));
        let response =
            self.shared.sender.clone().send_request(request).await.map_err(|e| self.explain(&e))?;
        Ok(response.map(|body| ResponseBody::new(body, flight)))
    }

    /// Sends a request for an HTTP/1.1 upgrade; its headers name the protocol (`Upgrade: SPDY/3.1`).
    ///
    /// Dropping the future cancels the request in the child.
    pub async fn upgrade(&self, mut request: Request<()>) -> Result<Upgrade, Error> {
        address(request.uri_mut());
        if !upgrade::write_request(&mut request) {
            return Err(Error::Unsuitable("the request names no protocol to upgrade to"));
        }
        let flight = self.depart()?;
        let request = request.map(|()| crate::empty());
        let mut response =
            self.shared.sender.clone().send_request(request).await.map_err(|e| self.explain(&e))?;
        if !upgrade::read_response(&mut response) {
            return Ok(Upgrade::Answered(response.map(|body| ResponseBody::new(body, flight))));
        }
        let io = hyper::upgrade::on(&mut response).await.map_err(|e| self.explain(&e))?;
        let response = response.map(|_| ());
        Ok(Upgrade::Switched { response, io: UpgradedIo { io: TokioIo::new(io), _flight: flight } })
    }

    fn depart(&self) -> Result<Flight, Error> {
        if !self.is_open() {
            return Err(Error::NotSent);
        }
        let running = self.in_flight();
        if running >= limits::STREAMS {
            return Err(Error::Busy(running));
        }
        self.shared.requests.inc();
        Ok(Flight::new(self.shared.flights.token(), self.shared.streams.clone()))
    }

    fn explain(&self, error: &hyper::Error) -> Error {
        if let Some(cause) = self.shared.meter.cause() {
            return Error::Lost(cause.clone());
        }
        // hyper cancels only what it has not sent.
        if error.is_canceled() || error.is_closed() { Error::NotSent } else { Error::Reset(chain(error)) }
    }

    pub(super) fn id(&self) -> u64 {
        self.shared.id
    }

    /// Takes no new requests from now on; the tunnel's task lets the running ones finish and closes it.
    pub(super) fn retire(&self) {
        self.shared.retired.cancel();
    }

    pub(super) async fn retired(&self) {
        self.shared.retired.cancelled().await;
    }

    /// Resolves when no request is under way.
    pub(super) async fn idle(&self) {
        self.shared.flights.wait().await;
    }
}

impl std::fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Shared { id, cluster, hello, .. } = &*self.shared;
        f.debug_struct("Tunnel")
            .field("cluster", cluster)
            .field("id", id)
            .field("instance", &hello.instance)
            .field("epoch", &hello.epoch)
            .finish_non_exhaustive()
    }
}

/// HTTP/2 wants scheme and authority; behind a tunnel there is only one place to go.
fn address(uri: &mut Uri) {
    let path = uri.path_and_query().cloned().unwrap_or_else(|| uri::PathAndQuery::from_static("/"));
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTP);
    parts.authority = Some(uri::Authority::from_static("child"));
    parts.path_and_query = Some(path);
    if let Ok(addressed) = Uri::from_parts(parts) {
        *uri = addressed;
    }
}

/// The bytes behind a granted upgrade.
pub struct UpgradedIo {
    io: TokioIo<hyper::upgrade::Upgraded>,
    _flight: Flight,
}

impl AsyncRead for UpgradedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, out)
    }
}

impl AsyncWrite for UpgradedIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        // What is written is copied into one piece; a piece is a frame's worth.
        let bytes = &bytes[..bytes.len().min(16 * 1024)];
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The stream that tells both ends how the other feels about this tunnel; see [`crate::agent`].
pub(super) async fn open_session(sender: &mut SendRequest<Body>) -> Result<Incoming, Error> {
    let request = Request::builder().uri(crate::agent::SESSION_URI).body(crate::empty());
    let request = request.map_err(|_| Error::Unsuitable("the session's address is wrong"))?;
    let response = sender.send_request(request).await.map_err(|e| Error::Protocol(chain(&e)))?;
    if response.status() == http::StatusCode::OK {
        return Ok(response.into_body());
    }
    Err(Error::Protocol(format!("the agent answered {} instead of beginning a session", response.status())))
}
