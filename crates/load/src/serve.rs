//! A source of bytes that costs next to nothing.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;

const CHUNK: usize = 64 * 1024;

/// Where to serve.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A loopback address; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    anyhow::ensure!(args.listen.ip().is_loopback(), "--listen must be a loopback address");
    let listener = TcpListener::bind(args.listen).await?;
    crate::print(&json!({ "address": listener.local_addr()?.to_string() }));
    let tasks = runtime::Tasks::new();
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        tasks.spawn("connection", async move {
            let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&request))));
            // A client that breaks off has its reasons.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

fn answer(request: &Request<Incoming>) -> Response<Generated> {
    let wanted = request.uri().query().and_then(|query| query.strip_prefix("bytes=")?.parse().ok());
    let left = if request.uri().path() == "/bulk" { wanted.unwrap_or(1 << 20) } else { 200 };
    Response::new(Generated { left, chunk: Bytes::from(vec![b'x'; CHUNK]) })
}

/// So many bytes, without holding them.
struct Generated {
    left: u64,
    chunk: Bytes,
}

impl Body for Generated {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let size = self.left.min(CHUNK as u64);
        self.left -= size;
        Poll::Ready(Some(Ok(Frame::data(self.chunk.slice(..size as usize)))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
