//! One leg of a chain of plain TLS relays: the reference for bulk through the tunnel.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// From where to where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A loopback address; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to pass bytes on to.
    #[arg(long)]
    to: SocketAddr,
    /// The certificate of the next relay, if it speaks TLS.
    #[arg(long)]
    to_certificate: Option<PathBuf>,
    /// Where to write our own certificate (PEM), made for localhost.
    #[arg(long)]
    certificate: PathBuf,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.listen.ip().is_loopback() && args.to.ip().is_loopback(),
        "only loopback addresses are relayed"
    );
    let acceptor = crate::connect::acceptor(&["localhost", "127.0.0.1"], &args.certificate)?;
    let connector = match &args.to_certificate {
        Some(path) => {
            let pem = std::fs::read(path).with_context(|| path.display().to_string())?;
            let client = runtime::tls::client(runtime::tls::roots("--to-certificate", &pem)?, None)?;
            Some(TlsConnector::from(Arc::new(client)))
        }
        None => None,
    };
    let listener = TcpListener::bind(args.listen).await?;
    crate::print(&json!({ "address": listener.local_addr()?.to_string() }));
    let tasks = runtime::Tasks::new();
    loop {
        let (connection, _) = listener.accept().await?;
        let (acceptor, connector) = (acceptor.clone(), connector.clone());
        tasks.spawn("relay", async move {
            // A leg that breaks takes the chain with it; whoever measures sees that.
            let _ = pass(connection, &acceptor, args.to, connector.as_ref()).await;
        });
    }
}

async fn pass(
    from: TcpStream,
    acceptor: &TlsAcceptor,
    to: SocketAddr,
    connector: Option<&TlsConnector>,
) -> anyhow::Result<()> {
    from.set_nodelay(true)?;
    let mut from = acceptor.accept(from).await?;
    let mut next = TcpStream::connect(to).await?;
    next.set_nodelay(true)?;
    match connector {
        Some(connector) => {
            let mut next = connector.connect(ServerName::try_from("localhost")?, next).await?;
            tokio::io::copy_bidirectional(&mut from, &mut next).await?;
        }
        None => {
            tokio::io::copy_bidirectional(&mut from, &mut next).await?;
        }
    }
    Ok(())
}
