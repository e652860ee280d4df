//! Connections to loopback, and to nothing else.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig,
    pki_types::{PrivateKeyDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use url::Url;

/// Whom to ask, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Target {
    /// What to ask for.
    #[arg(long)]
    pub(crate) url: Url,
    /// The server's CA (PEM).
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,
    /// A client certificate (PEM).
    #[arg(long, requires = "key")]
    pub(crate) certificate: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, requires = "certificate")]
    pub(crate) key: Option<PathBuf>,
    /// A header, `NAME: VALUE`, or `@FILE` that holds one: a token on the command line is there for all to see.
    /// Repeatable.
    #[arg(long, value_parser = header)]
    pub(crate) header: Vec<String>,
}

/// A header as it stands, or from a file.
fn header(text: &str) -> Result<String, String> {
    match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path)
            .map(|line| line.trim().to_owned())
            .map_err(|cause| format!("{path}: {cause}")),
        None => Ok(text.to_owned()),
    }
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The address a name means, if it is a loopback address.
pub(crate) async fn loopback(host: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let mut found = tokio::net::lookup_host((host, port)).await.with_context(|| format!("look {host} up"))?;
    found
        .find(|address| address.ip().is_loopback() && address.is_ipv4())
        .with_context(|| format!("{host} is not on this machine: only loopback addresses are asked"))
}

/// TLS with a certificate made for this run, which is written to `path` for the client.
pub(crate) fn acceptor(names: &[&str], path: &Path) -> anyhow::Result<TlsAcceptor> {
    let pair = rcgen::generate_simple_self_signed(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    std::fs::write(path, pair.cert.pem())?;
    let key = PrivateKeyDer::try_from(pair.signing_key.serialize_der()).map_err(|e| anyhow::anyhow!(e))?;
    let server = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![pair.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

impl Target {
    pub(crate) fn tls(&self) -> anyhow::Result<Option<Arc<ClientConfig>>> {
        if self.url.scheme() != "https" {
            return Ok(None);
        }
        let read = |path: &PathBuf| std::fs::read(path).with_context(|| path.display().to_string());
        let ca = self.ca.as_ref().context("--ca is needed for https")?;
        let roots = runtime::tls::roots("--ca", &read(ca)?)?;
        let identity = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((
                runtime::tls::certificates("--certificate", &read(certificate)?)?,
                runtime::tls::private_key("--key", &read(key)?)?,
            )),
            _ => None,
        };
        Ok(Some(Arc::new(runtime::tls::client(roots, identity)?)))
    }

    pub(crate) async fn connect(&self, tls: Option<&Arc<ClientConfig>>) -> anyhow::Result<Box<dyn Io>> {
        let host = self.url.host_str().context("the URL has no host")?;
        let port = self.url.port_or_known_default().context("the URL has no port")?;
        let tcp = TcpStream::connect(loopback(host, port).await?).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Box::new(TlsConnector::from(tls.clone()).connect(name, tcp).await?))
    }

    pub(crate) async fn sender(
        &self,
        tls: Option<&Arc<ClientConfig>>,
        tasks: &runtime::Tasks,
    ) -> anyhow::Result<Sender> {
        let (sender, connection) = http1::handshake(TokioIo::new(self.connect(tls).await?)).await?;
        tasks.spawn("connection", async move {
            // The sender is told of an error.
            let _ = connection.with_upgrades().await;
        });
        Ok(sender)
    }

    /// A GET of what the URL names.
    pub(crate) fn request(&self) -> anyhow::Result<Request<Full<Bytes>>> {
        match self.url.query() {
            Some(query) => self.request_for(&format!("{}?{query}", self.url.path())),
            None => self.request_for(self.url.path()),
        }
    }

    /// A GET of another path of the same server.
    pub(crate) fn request_for(&self, path: &str) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::get(path).body(Full::default())?;
        let host = self.url[url::Position::BeforeHost..url::Position::AfterPort].parse()?;
        request.headers_mut().insert(header::HOST, host);
        for line in &self.header {
            let (name, value) =
                line.split_once(':').with_context(|| format!("--header {line:?} has no colon"))?;
            request
                .headers_mut()
                .insert(name.trim().parse::<HeaderName>()?, value.trim().parse::<HeaderValue>()?);
        }
        Ok(request)
    }
}

/// A keep-alive connection.
pub(crate) type Sender = http1::SendRequest<Full<Bytes>>;

/// The whole body of the answer to a request, which must succeed.
pub(crate) async fn whole(sender: &mut Sender, request: Request<Full<Bytes>>) -> anyhow::Result<Bytes> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let told = || String::from_utf8_lossy(body.get(..body.len().min(300)).unwrap_or_default()).into_owned();
    anyhow::ensure!(status.is_success(), "the answer was {status}: {}", told());
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_this_machine_is_asked() {
        assert!(loopback("127.0.0.2", 1).await.is_ok());
        assert!(loopback("192.0.2.1", 1).await.is_err());
    }

    #[test]
    fn a_header_may_come_from_a_file() {
        let path = std::env::temp_dir().join(format!("load-header-{}", std::process::id()));
        std::fs::write(&path, "Authorization: Bearer x\n").unwrap();
        assert_eq!(header(&format!("@{}", path.display())).unwrap(), "Authorization: Bearer x");
        std::fs::remove_file(&path).unwrap();
        assert!(header(&format!("@{}", path.display())).is_err());
        assert_eq!(header("A: b").unwrap(), "A: b");
    }
}
