//! The server on the loopback: TLS and HTTP/2.

use std::{io, sync::Arc};

use anyhow::Context as _;
use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use runtime::Tasks;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::ApiServer;

/// Where a server listens.
#[derive(Debug, Clone)]
pub struct Listening {
    /// `https://127.0.0.1:PORT`.
    pub url: String,
    /// The certificate to trust, as PEM.
    pub ca: String,
}

impl ApiServer {
    /// Listens on the loopback until `tasks` ends. While the server is [down](ApiServer::set_down), connections are
    /// closed as soon as they are made.
    pub async fn listen(self: &Arc<Self>, tasks: &Tasks) -> anyhow::Result<Listening> {
        let pair = rcgen::generate_simple_self_signed([String::from("127.0.0.1")])?;
        let key = runtime::tls::private_key("the key", pair.signing_key.serialize_pem().as_bytes())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![pair.cert.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen on the loopback")?;
        let url = format!("https://{}", listener.local_addr()?);
        tasks.spawn("fake API server", Arc::clone(self).accept(listener, acceptor, tasks.clone()));
        Ok(Listening { url, ca: pair.cert.pem() })
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, acceptor: TlsAcceptor, tasks: Tasks) {
        let mut changed = self.changed.subscribe();
        let mut connections = tasks.child();
        loop {
            tokio::select! {
                biased;
                _ = changed.changed() => {
                    if self.state.lock().down {
                        connections.cancel();
                        connections = tasks.child();
                    }
                }
                accepted = listener.accept() => {
                    // Who goes away while he comes is nothing to end for.
                    let Ok((tcp, _)) = accepted else { continue };
                    if !self.state.lock().down {
                        connections.spawn("connection", Arc::clone(&self).converse(tcp, acceptor.clone()));
                    }
                }
            }
        }
    }

    async fn converse(self: Arc<Self>, tcp: TcpStream, acceptor: TlsAcceptor) {
        let _ = tcp.set_nodelay(true);
        let Ok(tls) = acceptor.accept(tcp).await else { return };
        let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            let answer = self.answer(path).ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset));
            std::future::ready(answer)
        });
        // How it ended is the client's to tell.
        let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tls), service).await;
    }
}
