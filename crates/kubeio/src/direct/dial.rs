//! A new connection: TCP, TLS, and the protocol both sides speak.

use std::{sync::Arc, time::Duration};

use runtime::Tasks;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
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

pub(super) struct Dialer {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    tasks: Tasks,
}

impl Dialer {
    pub(super) fn new(access: &ClusterAccess, tasks: Tasks) -> Result<Self, AccessError> {
        let (host, port) = access.host();
        let tls = if access.is_tls() {
            Some((TlsConnector::from(Arc::new(tls::config(access)?)), tls::server_name(access)?))
        } else {
            None
        };
        Ok(Self { host: host.to_owned(), port, tls, tasks })
    }

    pub(super) async fn dial(&self) -> Result<Opened, Error> {
        let deadline = Instant::now() + CONNECT;
        let mut doing = "connecting";
        match timeout_at(deadline, self.steps(&mut doing)).await {
            Ok(result) => result,
            Err(_) => Err(self.failed(&format!("{doing} took longer than {} s", CONNECT.as_secs()))),
        }
    }

    async fn steps(&self, doing: &mut &'static str) -> Result<Opened, Error> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await;
        let tcp = tcp.map_err(|error| self.failed(&error.to_string()))?;
        // Both only make things better: without them the connection works too.
        let _ = tcp.set_nodelay(true);
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE).with_retries(3);
        let _ = SockRef::from(&tcp).set_tcp_keepalive(&keepalive);
        let Some((connector, name)) = &self.tls else {
            *doing = "HTTP/1.1";
            return connection::http1(tcp).await.map_err(|error| self.failed(&chain(&error)));
        };
        *doing = "the TLS handshake";
        let tls = connector.connect(name.clone(), tcp).await;
        let tls = tls.map_err(|error| self.failed(&format!("TLS: {}", chain(&error))))?;
        let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
        *doing = "the HTTP handshake";
        let opened =
            if http2 { connection::http2(tls, &self.tasks).await } else { connection::http1(tls).await };
        opened.map_err(|error| self.failed(&chain(&error)))
    }

    fn failed(&self, why: &str) -> Error {
        Error::Unreachable(format!("{}:{}: {why}", self.host, self.port))
    }
}
