//! From a URL to a tunnel: DNS, TCP, TLS, and the HTTP/1.1 upgrade through the parent's aggregation.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{body::Incoming, client::conn::http1, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::{
    Hello, HelloError, Version, Welcome,
    error::chain,
    hub,
    ws::handshake::{ask, granted, key},
};

/// More than this of a refusal is not read.
const REFUSAL_LIMIT: usize = 64 * 1024;
/// What the kernel holds of our bytes beyond those that are on their way.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;
/// Longer than this no Retry-After keeps us waiting.
const LONGEST_RETRY_AFTER: Duration = Duration::from_mins(10);

/// Where and how to dial.
#[derive(Clone)]
pub struct Dial {
    /// `wss://` or `https://` (`ws://`, `http://` without TLS) with the whole path of the attach request.
    pub url: Url,
    /// Roots to verify the parent against. ALPN is set here.
    pub tls: Arc<rustls::ClientConfig>,
    /// Bearer token for the parent.
    pub token: String,
    /// What the agent says of itself.
    pub hello: Hello,
    /// For everything up to the parent's answer.
    pub connect_timeout: Duration,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial")
            .field("url", &self.url.as_str())
            .field("hello", &self.hello)
            .finish_non_exhaustive()
    }
}

/// Why there is no tunnel. Variants by what can be done about it; messages are fit for a log and a condition.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DialError {
    /// The configuration is wrong: trying again is useless until it changes.
    #[error("the tunnel cannot be dialled: {0}")]
    Config(String),
    /// No connection to the parent, or it broke during the handshake.
    #[error("the parent cannot be reached: {0}")]
    Unreachable(String),
    /// The parent's certificate is not to be trusted.
    #[error("the parent's certificate cannot be trusted: {0}")]
    Tls(Untrusted),
    /// 401: the token is wrong or has expired.
    #[error("the parent does not accept the agent's credential: {0}")]
    Unauthorized(String),
    /// 403: the token is good, its rights are not.
    #[error("the parent does not allow this tunnel: {0}")]
    Forbidden(String),
    /// Any other answer.
    #[error("the parent refused the tunnel with {status}: {message}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// The answer's message, without what it may quote of ours.
        message: String,
        /// When the parent wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// Agent and hub do not understand each other.
    #[error(
        "this agent speaks tunnel protocol {ours}, the hub {theirs}: install versions that belong together"
    )]
    VersionMismatch {
        /// Ours.
        ours: Version,
        /// The hub's.
        theirs: Version,
    },
    /// The parent answered with something that is no tunnel.
    #[error("the answer is not that of a hub: {0}")]
    NotAHub(String),
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// Signed by nobody we trust.
    #[error("it is not signed by a trusted authority; check the CA given to the agent")]
    Issuer,
    /// Expired or not valid yet.
    #[error("it is not valid at this time; check its dates and this machine's clock")]
    Time,
    /// Made for another name.
    #[error("it was made for another host name than the one that was dialled")]
    Name,
    /// Anything else, in the library's words.
    #[error("{0}")]
    Other(String),
}

impl DialError {
    /// How long the parent asks us to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A tunnel's bytes, and who is at the other end.
#[derive(Debug)]
pub struct Connection<Io = TokioIo<Upgraded>> {
    /// What the hub said of itself.
    pub welcome: Welcome,
    pub(super) io: Io,
}

impl<Io> Connection<Io> {
    /// A connection whose handshake was made elsewhere: `io` is the WebSocket's bytes.
    pub fn over(io: Io, welcome: Welcome) -> Self {
        Self { welcome, io }
    }
}

/// Dials the parent and asks for a tunnel.
pub async fn connect(dial: &Dial) -> Result<Connection, DialError> {
    tokio::time::timeout(dial.connect_timeout, dial_and_ask(dial)).await.unwrap_or_else(|_| {
        Err(DialError::Unreachable(format!("no answer within {} s", dial.connect_timeout.as_secs())))
    })
}

async fn dial_and_ask(dial: &Dial) -> Result<Connection, DialError> {
    let tls = match dial.url.scheme() {
        "wss" | "https" => true,
        "ws" | "http" => false,
        other => return Err(DialError::Config(format!("{other}:// is not a scheme of a tunnel"))),
    };
    let port = dial.url.port().unwrap_or(if tls { 443 } else { 80 });
    let host = dial.url.host().ok_or_else(|| DialError::Config(String::from("the URL has no host")))?;
    let tcp = match &host {
        Host::Domain(name) => TcpStream::connect((*name, port)).await,
        Host::Ipv4(address) => TcpStream::connect((*address, port)).await,
        Host::Ipv6(address) => TcpStream::connect((*address, port)).await,
    };
    let tcp = tcp.map_err(|error| DialError::Unreachable(format!("{host}:{port}: {error}")))?;
    tune(&tcp);
    if !tls {
        return connect_over(tcp, dial).await;
    }
    let name = match &host {
        Host::Domain(name) => ServerName::try_from((*name).to_owned())
            .map_err(|_| DialError::Config(format!("{name} is not a host name")))?,
        Host::Ipv4(address) => ServerName::from(std::net::IpAddr::from(*address)),
        Host::Ipv6(address) => ServerName::from(std::net::IpAddr::from(*address)),
    };
    let mut config = (*dial.tls).clone();
    // An HTTP/2 connection to the parent cannot be upgraded.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream =
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await.map_err(|error| explain_tls(&error))?;
    connect_over(stream, dial).await
}

/// For small answers beside large ones, over an uplink that may be slow. Without either a tunnel works, so errors do
/// not matter.
fn tune(tcp: &TcpStream) {
    // Many small frames: waiting to fill packets would cost every request a round trip.
    let _ = tcp.set_nodelay(true);
    // What is in the kernel cannot be overtaken any more; it would take megabytes, seconds of a slow uplink.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(UNSENT);
}

/// Asks for a tunnel over a connection to the parent that exists already.
pub async fn connect_over<Io>(io: Io, dial: &Dial) -> Result<Connection, DialError>
where
    Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: &hyper::Error| DialError::Unreachable(chain(error));
    let key = key();
    let request = request(dial, &key)?;
    let builder = http1::Builder::new().max_buf_size(16 * 1024).handshake(TokioIo::new(io));
    let (mut sender, connection) = builder.await.map_err(|e| broken(&e))?;
    let mut connection = pin!(connection.with_upgrades().fuse());
    let answer = driving(connection.as_mut(), sender.send_request(request)).await;
    let response = answer.map_err(|e| broken(&e))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let refusal = driving(connection, async { Ok(refusal(response).await) }).await;
        return Err(refusal.unwrap_or_else(|e| broken(&e)));
    }
    if !granted(response.headers(), &key) {
        return Err(DialError::NotAHub(String::from("it grants another WebSocket than the one asked for")));
    }
    let welcome = Welcome::try_from(response.headers()).map_err(|error| match error {
        HelloError::Version { ours, theirs } => DialError::VersionMismatch { ours, theirs },
        other => DialError::NotAHub(other.to_string()),
    })?;
    let io = driving(connection, hyper::upgrade::on(response)).await.map_err(|e| broken(&e))?;
    Ok(Connection { welcome, io: TokioIo::new(io) })
}

/// Waits for `future` while the connection works for it. The connection may end in the very step that completes the
/// future.
async fn driving<T>(
    connection: Pin<&mut impl Future<Output = hyper::Result<()>>>,
    future: impl Future<Output = hyper::Result<T>>,
) -> hyper::Result<T> {
    let mut future = pin!(future);
    tokio::select! {
        biased;
        done = &mut future => done,
        ended = connection => {
            ended?;
            future.await
        }
    }
}

fn request(dial: &Dial, key: &str) -> Result<Request<Empty<Bytes>>, DialError> {
    let path = match dial.url.query() {
        None => dial.url.path().to_owned(),
        Some(query) => format!("{}?{query}", dial.url.path()),
    };
    let host = match (dial.url.host_str(), dial.url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return Err(DialError::Config(String::from("the URL has no host"))),
    };
    let mut bearer = HeaderValue::from_str(&format!("Bearer {}", dial.token.trim()))
        .map_err(|_| DialError::Config(String::from("the token holds characters no header can carry")))?;
    bearer.set_sensitive(true);
    let request = Request::get(path).header(header::HOST, host).header(header::AUTHORIZATION, bearer);
    let request =
        request.header(header::USER_AGENT, format!("clusterway-agent/{}", dial.hello.agent_version));
    let mut request = request.body(Empty::new()).map_err(|error| DialError::Config(error.to_string()))?;
    ask(request.headers_mut(), key);
    dial.hello.write(request.headers_mut()).map_err(|error| DialError::Config(error.to_string()))?;
    Ok(request)
}

/// What an answer that is not 101 means.
async fn refusal(response: Response<Incoming>) -> DialError {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, REFUSAL_LIMIT).collect().await.map(http_body_util::Collected::to_bytes);
    let status: Option<meta::Status> = body.ok().and_then(|body| serde_json::from_slice(&body).ok());
    if let Some(theirs) = status.as_ref().and_then(hub::version_in) {
        return DialError::VersionMismatch { ours: Version::OURS, theirs };
    }
    let in_header =
        head.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let in_body = || status.as_ref()?.details.as_ref()?.retry_after_seconds.map(u64::from);
    let retry_after = in_header.or_else(in_body).map(|s| Duration::from_secs(s).min(LONGEST_RETRY_AFTER));
    let message = status.map(|status| status.message).filter(|message| !message.is_empty());
    let message =
        message.unwrap_or_else(|| head.status.canonical_reason().unwrap_or("no reason given").to_owned());
    match head.status {
        StatusCode::UNAUTHORIZED => DialError::Unauthorized(message),
        StatusCode::FORBIDDEN => DialError::Forbidden(message),
        status if status.is_success() => DialError::NotAHub(format!("it is {status} instead of an upgrade")),
        status => DialError::Refused { status, message, retry_after },
    }
}

fn explain_tls(error: &std::io::Error) -> DialError {
    use rustls::{CertificateError as C, Error as E};
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<E>());
    let Some(cause) = cause else { return DialError::Unreachable(format!("TLS handshake: {error}")) };
    DialError::Tls(match cause {
        E::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => Untrusted::Issuer,
        E::InvalidCertificate(
            C::Expired | C::ExpiredContext { .. } | C::NotValidYet | C::NotValidYetContext { .. },
        ) => Untrusted::Time,
        E::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => Untrusted::Name,
        E::InvalidCertificate(other) => Untrusted::Other(format!("{other:?}")),
        other => return DialError::Unreachable(format!("TLS handshake: {other}")),
    })
}
