//! Callers: polite ones over hyper, and rude ones that write bytes.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::ca::{Ca, Identity};

pub(crate) struct Client {
    address: SocketAddr,
    roots: RootCertStore,
    identity: Option<Identity>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Asserts that this is a `metav1.Status` with its own code and an audit id; returns its message.
    pub(crate) fn status(&self, code: u16) -> String {
        assert_eq!(self.status.as_u16(), code, "{self:?}");
        let status = self.json();
        assert_eq!((&status["kind"], &status["apiVersion"]), (&"Status".into(), &"v1".into()), "{status}");
        assert_eq!((&status["status"], &status["code"]), (&"Failure".into(), &code.into()), "{status}");
        assert!(!self.header("audit-id").is_empty());
        status["message"].as_str().unwrap().to_owned()
    }
}

impl Client {
    pub(crate) fn new(address: SocketAddr, server_ca: &Ca, identity: Option<Identity>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(server_ca.certificate()).unwrap();
        Self { address, roots, identity }
    }

    /// A TLS connection that speaks `protocol`.
    pub(crate) async fn connect(&self, protocol: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let identity = self.identity.as_ref().map(|(chain, key)| (chain.clone(), key.clone_key()));
        let mut config: ClientConfig = runtime::tls::client(self.roots.clone(), identity).unwrap();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[]).await
    }

    /// One request over HTTP/1.1.
    pub(crate) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.request(request(method, path, headers, Empty::<Bytes>::new())).await
    }

    /// One request over HTTP/1.1, with a body.
    pub(crate) async fn request<B>(&self, request: Request<B>) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<crate::BoxError>,
    {
        let io = TokioIo::new(self.connect("http/1.1").await.unwrap());
        let (mut sender, connection) = http1::handshake(io).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        whole(response).await
    }

    /// A connection over HTTP/2.
    pub(crate) async fn http2<B>(&self) -> (http2::SendRequest<B>, JoinSet<hyper::Result<()>>)
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<crate::BoxError>,
    {
        let io = TokioIo::new(self.connect("h2").await.unwrap());
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        (sender, driver)
    }

    /// One request over HTTP/2.
    pub(crate) async fn get2(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send2("GET", path, headers).await
    }

    pub(crate) async fn send2(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let (mut sender, _driver) = self.http2().await;
        let path = format!("https://localhost{path}");
        whole(sender.send_request(request(method, &path, headers, Empty::<Bytes>::new())).await.unwrap())
            .await
    }

    /// Writes bytes to a new HTTP/1.1 connection and reads until the server closes it, or says nothing for a while.
    pub(crate) async fn raw(&self, bytes: &str) -> String {
        let mut stream = self.connect("http/1.1").await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut text = Vec::new();
        let mut buffer = [0_u8; 4096];
        let mut patience = Duration::from_secs(10);
        while let Ok(Ok(read @ 1..)) = tokio::time::timeout(patience, stream.read(&mut buffer)).await {
            text.extend_from_slice(&buffer[..read]);
            patience = Duration::from_millis(500);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

pub(crate) fn request<B>(method: &str, path: &str, headers: &[(&str, &str)], body: B) -> Request<B> {
    let mut request = Request::builder().method(method).uri(path);
    if path.starts_with('/') {
        request = request.header("host", "localhost");
    }
    for (name, value) in headers {
        request = request.header(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(body).unwrap()
}

pub(crate) async fn whole(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}
