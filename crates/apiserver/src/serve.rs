//! The listener: accepts, speaks TLS and HTTP, and ends gracefully.

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use runtime::{CancellationToken, Tasks, metrics::Metrics};
use rustls::{pki_types::CertificateDer, server::ResolvesServerCert};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::{debug, info, warn};

use crate::{
    Api, Authenticator, Authorizer, Check,
    authn::Connection,
    discovery::Discovery,
    health::Health,
    limits::{InFlight, Limits},
    metrics::Counters,
    openapi::OpenApi,
    pipeline::{Pipeline, Served},
    tls::Acceptor,
};

// HTTP/2 windows are a correctness setting: the parent sends every request over one connection, and streams that
// nobody reads must not stop the others. 256 stalled streams fit.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
const SEND_BUFFER: usize = 256 * 1024;
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Users may be in hundreds of groups, each a header of its own.
const MOST_HEADERS: usize = 1_000;
/// The HTTP libraries refuse oversized headers without a `Status`; beyond this we let them.
const HEADER_SLACK: usize = 64 * 1024;

/// What a server is made of. Set the fields, then [`ServerBuilder::bind`].
pub struct ServerBuilder {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What is served.
    pub apis: Vec<Arc<dyn Api>>,
    /// Who is calling.
    pub authenticator: Authenticator,
    /// What they may.
    pub authorizer: Authorizer,
    /// Our certificate.
    pub certificate: Arc<dyn ResolvesServerCert>,
    /// How much of everything.
    pub limits: Limits,
    /// Where requests are counted, and what `/metrics` shows.
    pub metrics: Metrics,
    /// What must hold before the server is ready, beside knowing whom to trust.
    pub checks: Vec<Check>,
    /// The program's name, for OpenAPI.
    pub title: String,
    /// The program's version, for `/version` and OpenAPI.
    pub version: String,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    acceptor: Acceptor,
    pipeline: Arc<Pipeline>,
    limits: Limits,
    ending: CancellationToken,
}

impl ServerBuilder {
    /// Opens the listening socket. Connections wait there until [`Server::run`].
    pub async fn bind(self) -> std::io::Result<Server> {
        let listener = TcpListener::bind(self.listen).await?;
        let ending = CancellationToken::new();
        let trust = self.authenticator.trust().clone();
        let mut checks = vec![Check::new("authentication-config", {
            let trust = trust.clone();
            move || trust.is_known()
        })];
        checks.extend(self.checks);
        let pipeline = Pipeline {
            authenticator: self.authenticator,
            authorizer: self.authorizer,
            in_flight: InFlight::new(&self.limits),
            discovery: Discovery::new(&self.apis),
            openapi: OpenApi::new(&self.apis, &self.title, &self.version),
            health: Health::new(checks, ending.clone()),
            version: version(&self.version),
            counters: Counters::new(&self.metrics),
            metrics: self.metrics,
            limits: self.limits.clone(),
            apis: by_group_version(self.apis),
        };
        let acceptor = Acceptor::new(trust, self.certificate);
        Ok(Server { listener, acceptor, pipeline: Arc::new(pipeline), limits: self.limits, ending })
    }
}

impl Server {
    /// Where the server listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the group ends; then accepts no more, says so on `/readyz` and to every connection, and lets
    /// requests in flight end within the drain deadline.
    pub async fn run(self, tasks: Tasks) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let graceful = GracefulShutdown::new();
        let hurry = CancellationToken::new();
        let token = tasks.token();
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = token.cancelled() => break,
                accepted = accepted => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: a moment's rest, or this would spin.
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let config = match self.acceptor.config() {
                Ok(config) => config,
                Err(error) => {
                    warn!(%error, "TLS cannot be set up");
                    continue;
                }
            };
            let (watcher, hurry) = (graceful.watcher(), hurry.clone());
            let (pipeline, limits) = (self.pipeline.clone(), self.limits.clone());
            tasks.spawn_draining("connection", async move {
                let _place = place;
                tokio::select! {
                    () = hurry.cancelled() => {}
                    () = connection(stream, address, TlsAcceptor::from(config), pipeline, limits, watcher) => {}
                }
            });
        }
        self.ending.cancel();
        drop(self.listener);
        info!(connections = graceful.count(), "draining connections");
        if tokio::time::timeout(self.limits.drain_deadline, graceful.shutdown()).await.is_err() {
            warn!("connections were still busy at the drain deadline and are cut");
        }
        hurry.cancel();
    }
}

/// One connection, from its handshake to its end.
async fn connection(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    pipeline: Arc<Pipeline>,
    limits: Limits,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Small answers must not wait for company.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(limits.handshake_deadline, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            pipeline.counters.handshakes_failed.inc();
            debug!(%address, %error, "TLS handshake failed");
            return;
        }
        Err(_) => {
            pipeline.counters.handshakes_failed.inc();
            debug!(%address, "TLS handshake took too long");
            return;
        }
    };
    pipeline.counters.connections.inc();
    let counters = pipeline.counters.clone();
    serve(stream, address, pipeline, &limits, watcher).await;
    counters.connections.dec();
}

async fn serve(
    stream: TlsStream<TcpStream>,
    address: SocketAddr,
    pipeline: Arc<Pipeline>,
    limits: &Limits,
    watcher: hyper_util::server::graceful::Watcher,
) {
    let (_, session) = stream.get_ref();
    let chain: Vec<CertificateDer<'static>> = session
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|certificate| certificate.clone().into_owned())
        .collect();
    let http2 = session.alpn_protocol() == Some(b"h2");
    let peer = Arc::new(Connection::new(address, chain));
    let service = service_fn(move |request| {
        let (pipeline, peer) = (pipeline.clone(), peer.clone());
        async move { Ok::<_, Infallible>(pipeline.serve(peer, request).await) }
    });
    let builder = protocol(limits, http2);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served.into_owned()).await {
        debug!(%address, error, "connection ended with an error");
    }
}

/// HTTP as TLS negotiated it: no guessing from the first bytes, which a silent client could delay for ever.
fn protocol(limits: &Limits, http2: bool) -> auto::Builder<TokioExecutor> {
    let builder = auto::Builder::new(TokioExecutor::new());
    let mut builder = if http2 { builder.http2_only() } else { builder.http1_only() };
    let headers = limits.header_bytes + HEADER_SLACK;
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(MOST_HEADERS)
        .max_buf_size(headers.max(STREAM_WINDOW as usize));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_per_connection)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(headers).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWERED_WITHIN);
    builder
}

fn by_group_version(apis: Vec<Arc<dyn Api>>) -> BTreeMap<(String, String), Served> {
    apis.into_iter()
        .map(|api| ((api.group().to_owned(), api.version().to_owned()), Served::new(api)))
        .collect()
}

/// What `/version` says. Kubernetes' clients expect these fields.
fn version(version: &str) -> serde_json::Value {
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    serde_json::json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{version}"),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
