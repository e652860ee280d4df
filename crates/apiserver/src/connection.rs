//! One connection: TLS, then HTTP/1.1 or HTTP/2, until it ends or is told to.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use runtime::CancellationToken;
use rustls::{ServerConfig, pki_types::CertificateDer};
use tokio::{io::BufWriter, net::TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;

use crate::{authn::Connection, limits::Limits, pipeline::Pipeline};

// HTTP/2 windows are a correctness setting: the parent sends every request over one connection, and streams that
// nobody reads must not stop the others. 256 stalled streams of the parent fit; of anybody else, 32: what a connection
// may leave unread is memory.
const STREAM_WINDOW: u32 = 256 * 1024;
const WINDOW_OF_FRONT_PROXY: u32 = 64 * 1024 * 1024;
const WINDOW_OF_OTHERS: u32 = 8 * 1024 * 1024;
const SEND_BUFFER: usize = 256 * 1024;
/// Frames are written one by one; together they make fewer TLS records and system calls. HTTP/2 only: a connection that
/// became a tunnel has no use for it, and there are thousands of those.
const WRITE_BUFFER: usize = 64 * 1024;
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Users may be in hundreds of groups, each a header of its own.
const MOST_HEADERS: usize = 1_000;
/// The HTTP libraries refuse oversized headers without a `Status`; beyond this we let them.
const HEADER_SLACK: usize = 64 * 1024;
/// Streams a client may open and cancel before we got to them. All clients of the parent share one connection: the
/// library's default of 20 would let one of them cut off all others.
const CANCELLED_STREAMS: usize = 1_000;

/// A connection that was just accepted, and what it needs.
pub(crate) struct Accepted {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    pub(crate) config: Arc<ServerConfig>,
    /// Of the authorities in `config`.
    pub(crate) generation: u64,
    pub(crate) pipeline: Arc<Pipeline>,
    /// Cancelled when the connection should come to an end.
    pub(crate) draining: CancellationToken,
}

impl Accepted {
    /// From the handshake to the end.
    pub(crate) async fn run(self) {
        let Self { stream, address, config, generation, pipeline, draining } = self;
        let limits = pipeline.limits.clone();
        // Small answers must not wait for company.
        let _ = stream.set_nodelay(true);
        let handshake = TlsAcceptor::from(config).accept(stream);
        let stream = match tokio::time::timeout(limits.handshake_deadline, handshake).await {
            Ok(Ok(stream)) => stream,
            outcome => {
                pipeline.counters.handshakes_failed.inc();
                let cause =
                    outcome.map_or_else(|_| "too slow".to_owned(), |failed| format!("{:?}", failed.err()));
                debug!(%address, cause, "TLS handshake failed");
                return;
            }
        };
        let _open = Open::new(&pipeline.counters.connections);
        let (_, session) = stream.get_ref();
        let chain = session.peer_certificates().unwrap_or_default();
        let chain: Vec<CertificateDer<'static>> = chain.iter().map(|one| one.clone().into_owned()).collect();
        let http2 = session.alpn_protocol() == Some(b"h2");
        let peer = Arc::new(Connection::new(address, chain, generation));
        tokio::select! {
            () = http(stream, http2, peer.clone(), pipeline, &draining) => {}
            // Strangers may not hold the places of those with a name.
            () = nameless(&peer, limits.nameless_deadline) => debug!(%address, "connection without a named caller cut"),
        }
    }
}

/// Ends when the deadline passes without a named caller.
async fn nameless(peer: &Connection, deadline: Duration) {
    tokio::time::sleep(deadline).await;
    if peer.is_identified() {
        std::future::pending::<()>().await;
    }
}

/// Speaks HTTP as TLS negotiated it: guessing the version from the first bytes would wait for ever for a silent client.
async fn http(
    stream: TlsStream<TcpStream>,
    http2: bool,
    peer: Arc<Connection>,
    pipeline: Arc<Pipeline>,
    draining: &CancellationToken,
) {
    let limits = pipeline.limits.clone();
    let (address, outdated) = (peer.address, peer.outdated().clone());
    let front_proxy = pipeline.is_front_proxy(&peer);
    let service = service_fn(move |request| {
        let (pipeline, peer) = (pipeline.clone(), peer.clone());
        async move { Ok::<_, Infallible>(pipeline.serve(peer, request).await) }
    });
    let told_to_end = async {
        tokio::select! {
            () = draining.cancelled() => {}
            () = outdated.cancelled() => {}
        }
    };
    let ended = async {
        if http2 {
            let io = TokioIo::new(BufWriter::with_capacity(WRITE_BUFFER, stream));
            let mut connection = pin!(newer(&limits, front_proxy).serve_connection(io, service));
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = told_to_end => connection.as_mut().graceful_shutdown(),
            }
            connection.await
        } else {
            let io = TokioIo::new(stream);
            let mut connection = pin!(older(&limits).serve_connection(io, service).with_upgrades());
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = told_to_end => connection.as_mut().graceful_shutdown(),
            }
            connection.await
        }
    };
    if let Err(error) = ended.await {
        debug!(%address, %error, "connection ended with an error");
    }
}

fn older(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(MOST_HEADERS)
        .max_buf_size((limits.header_bytes + HEADER_SLACK).max(STREAM_WINDOW as usize));
    builder
}

fn newer(limits: &Limits, front_proxy: bool) -> http2::Builder<TokioExecutor> {
    let (window, streams) = if front_proxy {
        (WINDOW_OF_FRONT_PROXY, limits.streams_of_front_proxy)
    } else {
        (WINDOW_OF_OTHERS, limits.streams_per_connection)
    };
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(window)
        .max_pending_accept_reset_streams(CANCELLED_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(limits.header_bytes + HEADER_SLACK).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWERED_WITHIN);
    builder
}

/// Counts a connection while it is open, however it ends.
struct Open(Gauge);

impl Open {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
