//! A small HTTP client that sends exactly what a test wants sent: any header, any path, no redirect followed.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::pki::Pair;

/// A client of one server.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    tls2: Arc<ClientConfig>,
    tasks: runtime::Tasks,
}

/// A response whose body was read.
pub type Answer = Response<Bytes>;

impl Client {
    /// A client of the server at `url` (https, an IP address and a port), which `authority` (PEM) vouches for.
    pub fn new(url: &str, authority: &str, identity: Option<&Pair>) -> anyhow::Result<Self> {
        let address = url
            .strip_prefix("https://")
            .and_then(|rest| rest.trim_end_matches('/').parse().ok())
            .with_context(|| format!("{url} is not https://IP:PORT"))?;
        let roots = runtime::tls::roots("the CA", authority.as_bytes())?;
        let identity = match identity {
            Some(pair) => Some((
                runtime::tls::certificates("the client's certificate", pair.certificate.as_bytes())?,
                runtime::tls::private_key("the client's key", pair.key.as_bytes())?,
            )),
            None => None,
        };
        let mut tls = runtime::tls::client(roots, identity)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tls2 = tls.clone();
        tls2.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self { address, tls: Arc::new(tls), tls2: Arc::new(tls2), tasks: runtime::Tasks::new() })
    }

    /// A TLS connection, for tests that speak by hand.
    pub async fn connect(&self) -> anyhow::Result<TlsStream<TcpStream>> {
        self.dial(&self.tls).await
    }

    async fn dial(&self, tls: &Arc<ClientConfig>) -> anyhow::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address)
            .await
            .with_context(|| format!("cannot reach {}", self.address))?;
        tcp.set_nodelay(true)?;
        let name = ServerName::IpAddress(self.address.ip().into());
        TlsConnector::from(tls.clone()).connect(name, tcp).await.context("TLS handshake")
    }

    /// One HTTP/1.1 request on a connection of its own; the answer's body streams. An upgrade can be taken over with
    /// `hyper::upgrade::on`.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        self.http1().await?.send(request).await
    }

    /// A keep-alive HTTP/1.1 connection.
    pub async fn http1(&self) -> anyhow::Result<Http1> {
        let io = TokioIo::new(self.connect().await?);
        let (sender, connection) = conn::http1::handshake(io).await?;
        self.tasks.spawn("connection", async move {
            // The error reaches the caller through the sender.
            let _ = connection.with_upgrades().await;
        });
        Ok(Http1 { sender, host: self.address.to_string() })
    }

    /// An HTTP/2 connection; clones share it.
    pub async fn http2(&self) -> anyhow::Result<Http2> {
        let io = TokioIo::new(self.dial(&self.tls2).await?);
        let (sender, connection) = conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(16 << 20)
            .handshake(io)
            .await?;
        self.tasks.spawn("connection", async move {
            let _ = connection.await;
        });
        Ok(Http2 { sender, authority: self.address.to_string() })
    }

    /// GET, with the whole body.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.whole(Request::get(path).body(Full::default())?).await
    }

    /// Any request, with the whole body of the answer.
    pub async fn whole(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let (parts, body) = self.send(request).await?.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
    }
}

/// A keep-alive HTTP/1.1 connection.
pub struct Http1 {
    sender: conn::http1::SendRequest<Full<Bytes>>,
    host: String,
}

impl Http1 {
    /// One request; the answer's body must be read before the next.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, self.host.parse()?);
        }
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}

/// An HTTP/2 connection.
#[derive(Clone)]
pub struct Http2 {
    sender: conn::http2::SendRequest<Full<Bytes>>,
    authority: String,
}

impl Http2 {
    /// One request.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        *request.uri_mut() = format!("https://{}{path}", self.authority).parse()?;
        self.sender.ready().await?;
        Ok(self.sender.send_request(request).await?)
    }
}
