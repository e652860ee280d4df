//! A new connection: TCP, TLS, and the protocol both sides speak.

use std::{sync::Arc, time::Duration};

use runtime::Tasks;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{
    connection::{self, Opened},
    tls,
};
use crate::{AccessError, ClusterAccess, Error, error::chain};

/// All of it takes no longer.
const CONNECT: Duration = Duration::from_secs(10);
/// HTTP/1.1 has no PING: the kernel asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A connection, with TLS or without.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) struct Dialer {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    tasks: Tasks,
}

impl Dialer {
    /// `protocols` are those that TLS offers.
    pub(super) fn new(
        access: &ClusterAccess,
        tasks: Tasks,
        protocols: &[&[u8]],
    ) -> Result<Self, AccessError> {
        let (host, port) = access.host();
        let tls = if access.is_tls() {
            Some((TlsConnector::from(Arc::new(tls::config(access, protocols)?)), tls::server_name(access)?))
        } else {
            None
        };
        Ok(Self { host: host.to_owned(), port, tls, tasks })
    }

    /// A connection that speaks HTTP.
    pub(super) async fn dial(&self) -> Result<Opened, Error> {
        let mut doing = "";
        let opened = async {
            let (io, http2) = self.steps(&mut doing).await?;
            doing = "the HTTP handshake";
            let opened =
                if http2 { connection::http2(io, &self.tasks).await } else { connection::http1(io).await };
            opened.map_err(|error| self.failed(&chain(&error)))
        };
        let opened = timeout(CONNECT, opened).await;
        opened.unwrap_or_else(|_| Err(self.too_slow(doing)))
    }

    /// A connection on which nothing has been said yet.
    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, Error> {
        let mut doing = "";
        let connected = timeout(CONNECT, self.steps(&mut doing)).await;
        connected.unwrap_or_else(|_| Err(self.too_slow(doing))).map(|(io, _)| io)
    }

    /// TCP, and TLS where the server has it; and whether they agreed on HTTP/2.
    async fn steps(&self, doing: &mut &'static str) -> Result<(Box<dyn Stream>, bool), Error> {
        *doing = "connecting";
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await;
        let tcp = tcp.map_err(|error| self.failed(&error.to_string()))?;
        // Both only make things better: without them the connection works too.
        let _ = tcp.set_nodelay(true);
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(3);
        let _ = SockRef::from(&tcp).set_tcp_keepalive(&keepalive);
        let Some((connector, name)) = &self.tls else { return Ok((Box::new(tcp), false)) };
        *doing = "the TLS handshake";
        let tls = connector.connect(name.clone(), tcp).await;
        let tls = tls.map_err(|error| self.failed(&format!("TLS: {}", chain(&error))))?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Box::new(tls), http2))
    }

    fn too_slow(&self, doing: &str) -> Error {
        self.failed(&format!("{doing} took longer than {} s", CONNECT.as_secs()))
    }

    fn failed(&self, why: &str) -> Error {
        Error::Unreachable(format!("{}:{}: {why}", self.host, self.port))
    }
}
