//! One live tunnel, as its users see it.

use std::sync::Arc;

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::SendRequest};
use http::{HeaderMap, Request, Response, StatusCode, Uri, header, uri};
use http_body::Body as _;
use parking_lot::Mutex;
use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use runtime::{CancellationToken, Tasks};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::stream::{Flight, ResponseBody, UpgradedIo, upload};
use crate::{Body, Error, Hello, limits, upgrade, ws::Meter};

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
    /// Gone when no new requests are taken; the connection ends when no stream is left either.
    sender: Mutex<Option<SendRequest<Bytes>>>,
    flights: TaskTracker,
    retired: CancellationToken,
    meter: Arc<Meter>,
    parts: Parts,
}

/// What a tunnel gets from its registry.
pub(super) struct Parts {
    /// Where uploads run.
    pub(super) tasks: Tasks,
    pub(super) requests: Counter,
    pub(super) streams: Gauge,
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
        sender: SendRequest<Bytes>,
        meter: Arc<Meter>,
        parts: Parts,
    ) -> Self {
        let flights = TaskTracker::new();
        flights.close();
        let (since, retired) = (Instant::now(), CancellationToken::new());
        let sender = Mutex::new(Some(sender));
        Self {
            shared: Arc::new(Shared { id, cluster, hello, since, sender, flights, retired, meter, parts }),
        }
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
        self.shared.sender.lock().is_some()
    }

    /// Resolves when the tunnel is gone.
    pub async fn closed(&self) {
        self.shared.meter.closed().await;
    }

    /// Sends a request to the agent and returns its answer as soon as its headers are there; both bodies are
    /// streamed. Only path and query of the URI are used.
    ///
    /// Dropping the future or the answer's body cancels the request in the child, at once.
    pub async fn request(&self, request: Request<Body>) -> Result<Response<ResponseBody>, Error> {
        let (mut head, body) = request.into_parts();
        strip_connection(&mut head.headers);
        let ended = body.is_end_stream();
        if let Some(length @ 1..) = body.size_hint().exact() {
            head.headers.entry(header::CONTENT_LENGTH).or_insert(length.into());
        }
        let mut flight = self.depart()?;
        let (answer, sending) = self.send(Request::from_parts(head, ()), ended).await?;
        if !ended {
            let upload = upload(body, sending, flight.given_up());
            self.shared.parts.tasks.spawn_draining("upload through a tunnel", upload);
        }
        let answer = answer.await.map_err(|error| self.explain(&error))?;
        Ok(into_response(answer, flight))
    }

    /// Sends a request for an HTTP/1.1 upgrade; its headers name the protocol (`Upgrade: SPDY/3.1`).
    ///
    /// Dropping the future cancels the request in the child.
    pub async fn upgrade(&self, mut request: Request<()>) -> Result<Upgrade, Error> {
        if !upgrade::write_request(&mut request) {
            return Err(Error::Unsuitable("the request names no protocol to upgrade to"));
        }
        strip_connection(request.headers_mut());
        request.headers_mut().remove(header::CONTENT_LENGTH);
        let flight = self.depart()?;
        let (answer, mut sending) = self.send(request, false).await?;
        let mut answer = answer.await.map_err(|error| self.explain(&error))?;
        if upgrade::read_response(&mut answer) {
            let (head, receiving) = answer.into_parts();
            let io = UpgradedIo::new(sending, receiving, flight);
            return Ok(Upgrade::Switched { response: Response::from_parts(head, ()), io });
        }
        // We have nothing to say to whoever refused; an agent that does not listen any more need not hear it.
        let _ = sending.send_data(Bytes::new(), true);
        Ok(Upgrade::Answered(into_response(answer, flight)))
    }

    fn depart(&self) -> Result<Flight, Error> {
        let running = self.in_flight();
        if running >= limits::STREAMS {
            return Err(Error::Busy(running));
        }
        Ok(Flight::new(self.shared.flights.token(), self.shared.parts.streams.clone()))
    }

    async fn send(
        &self,
        mut request: Request<()>,
        ended: bool,
    ) -> Result<(h2::client::ResponseFuture, SendStream<Bytes>), Error> {
        address(request.uri_mut());
        let sender = self.shared.sender.lock().clone().ok_or(Error::NotSent)?;
        // Ready at once, unless the connection is ending: our own limit is below the agent's.
        let mut sender = sender.ready().await.map_err(|_| Error::NotSent)?;
        self.shared.parts.requests.inc();
        sender.send_request(request, ended).map_err(|error| self.explain(&error))
    }

    fn explain(&self, error: &h2::Error) -> Error {
        Error::of_stream(error, self.shared.meter.cause())
    }

    pub(super) fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    pub(super) fn id(&self) -> u64 {
        self.shared.id
    }

    /// Takes no new requests from now on; the tunnel's task lets the running ones finish and closes it.
    pub(crate) fn retire(&self) {
        self.shared.retired.cancel();
        self.shared.sender.lock().take();
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

/// What means something to one connection only; HTTP/2 refuses to carry it.
fn strip_connection(headers: &mut HeaderMap) {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_owned()))
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"] {
        headers.remove(name);
    }
}

fn into_response(answer: Response<RecvStream>, flight: Flight) -> Response<ResponseBody> {
    let length =
        answer.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    answer.map(|body| {
        // An answer to HEAD names a length and has no body.
        let length = if body.is_end_stream() { Some(0) } else { length };
        ResponseBody::new(body, length, flight)
    })
}

/// The stream that proves that the agent serves, and whose end tells that it drains; see [`crate::agent`].
pub(super) async fn open_session(sender: SendRequest<Bytes>) -> Result<RecvStream, Error> {
    let request = Request::builder().uri(crate::agent::SESSION_URI).body(());
    let request = request.map_err(|_| Error::Unsuitable("the session's address is wrong"))?;
    let failed = |error: h2::Error| Error::Protocol(error.to_string());
    let mut sender = sender.ready().await.map_err(failed)?;
    let (answer, _) = sender.send_request(request, true).map_err(failed)?;
    let answer = answer.await.map_err(failed)?;
    if answer.status() == StatusCode::OK {
        return Ok(answer.into_body());
    }
    Err(Error::Protocol(format!("the agent answered {} instead of beginning a session", answer.status())))
}
