//! One connection, and a place on it for each request.
//!
//! The windows are set by hand, so that `STREAMS` unread answers of `STREAM_WINDOW` bytes fill `CONNECTION_WINDOW`
//! exactly: however many of them nobody reads, the others go on.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use runtime::Tasks;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};

use crate::{Body, BoxError};

/// Requests on one HTTP/2 connection.
const STREAMS: usize = 64;
/// How much of one answer may be under way unread.
const STREAM_WINDOW: u32 = 256 * 1024;
/// How much of all answers may be under way unread.
const CONNECTION_WINDOW: u32 = STREAMS as u32 * STREAM_WINDOW;
/// All header fields of one answer.
const HEADER_LIST: u32 = 64 * 1024;
/// A PING is sent this often, also while no request runs.
const PING_EVERY: Duration = Duration::from_secs(15);
/// A connection whose PING is not answered for so long is dead.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// A new connection, and the future that moves its bytes.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) driver: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
}

pub(super) struct Connection {
    sender: Sender,
    /// Requests on it; their number may be waited for.
    in_flight: watch::Sender<usize>,
}

enum Sender {
    Http2(http2::SendRequest<Full<Bytes>>),
    Http1(Mutex<http1::SendRequest<Full<Bytes>>>),
}

/// Speaks HTTP/2 over `io`.
pub(super) async fn http2<Io>(io: Io, tasks: &Tasks) -> hyper::Result<Opened>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, driver) = http2::Builder::new(Executor(tasks.clone()))
        .timer(TokioTimer::new())
        .adaptive_window(false)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_LIST)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(io))
        .await?;
    Ok(Opened { connection: Connection::new(Sender::Http2(sender)), driver: Box::pin(driver) })
}

/// Speaks HTTP/1.1 over `io`.
pub(super) async fn http1<Io>(io: Io) -> hyper::Result<Opened>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (sender, driver) = http1::Builder::new().handshake(TokioIo::new(io)).await?;
    Ok(Opened { connection: Connection::new(Sender::Http1(Mutex::new(sender))), driver: Box::pin(driver) })
}

impl Connection {
    fn new(sender: Sender) -> Self {
        Self { sender, in_flight: watch::Sender::new(0) }
    }

    /// Requests it may carry at the same time.
    pub(super) fn capacity(&self) -> usize {
        match self.sender {
            Sender::Http2(_) => STREAMS,
            Sender::Http1(_) => 1,
        }
    }

    /// Whether it will never carry another request.
    pub(super) fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::Http2(sender) => sender.is_closed(),
            Sender::Http1(sender) => sender.lock().is_closed(),
        }
    }

    /// Requests on it now.
    pub(super) fn in_flight(&self) -> usize {
        *self.in_flight.borrow()
    }

    /// Follows the number of requests on it.
    pub(super) fn follow(&self) -> watch::Receiver<usize> {
        self.in_flight.subscribe()
    }

    /// A place for one request. Whether there is one is the caller's to know.
    pub(super) fn take(self: &Arc<Self>) -> Slot {
        self.in_flight.send_modify(|number| *number += 1);
        Slot { connection: Arc::clone(self) }
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match &self.sender {
            Sender::Http2(sender) => sender.clone().send_request(request).await,
            Sender::Http1(sender) => {
                // It may still be finishing the answer before.
                poll_fn(|context| sender.lock().poll_ready(context)).await?;
                let sent = sender.lock().send_request(for_http1(request));
                sent.await
            }
        }
    }
}

/// HTTP/1.1 names the server in a header.
fn for_http1(mut request: Request<Full<Bytes>>) -> Request<Full<Bytes>> {
    let uri = request.uri();
    let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let path = uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
    if let Some(host) = host {
        request.headers_mut().insert(header::HOST, host);
    }
    *request.uri_mut() = path;
    request
}

/// A place on a connection; dropping it makes room for another request.
pub(super) struct Slot {
    connection: Arc<Connection>,
}

impl Slot {
    /// Sends a request in this place, which is held until the answer's body is dropped.
    pub(super) async fn send(self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Body>> {
        let response = self.connection.send(request).await?;
        Ok(response.map(|inner| Held { inner, _slot: self }.boxed_unsync()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connection.in_flight.send_modify(|number| *number -= 1);
    }
}

/// A body that holds its place.
struct Held {
    inner: Incoming,
    _slot: Slot,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.inner).poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Runs hyper's helpers of a connection in the owner's group.
#[derive(Clone)]
struct Executor(Tasks);

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn("request to a cluster", future);
    }
}
