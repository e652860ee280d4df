//! An echo over an upgraded connection: what a message through somebody's upgrade relay costs, and nothing else.
//!
//! The two ends exchange bare bytes: a relay of upgraded connections does not look at WebSocket frames.

use std::{
    convert::Infallible,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use runtime::Tasks;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::get::{GetArgs, report};

/// What goes there and back.
const MESSAGE: [u8; 200] = [b'x'; 200];

/// Where to serve.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A loopback address; port 0 takes a free one, which is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The name the certificate is made for.
    #[arg(long, default_value = "localhost")]
    name: String,
    /// Where to write our own certificate (PEM).
    #[arg(long)]
    certificate: PathBuf,
}

pub(crate) async fn serve(args: Args) -> anyhow::Result<()> {
    anyhow::ensure!(args.listen.ip().is_loopback(), "--listen must be a loopback address");
    let acceptor = crate::connect::acceptor(&[&args.name], &args.certificate)?;
    let listener = TcpListener::bind(args.listen).await?;
    crate::print(&json!({ "address": listener.local_addr()?.to_string() }));
    let tasks = Tasks::new();
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let (acceptor, echoes) = (acceptor.clone(), tasks.clone());
        tasks.spawn("connection", async move {
            let Ok(connection) = acceptor.accept(connection).await else { return };
            let service =
                service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(request, &echoes))));
            // A client that breaks off has its reasons.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(connection), service)
                .with_upgrades()
                .await;
        });
    }
}

/// Switches protocols if asked to; anything else is well, which is all that an API server wants to know.
fn answer(mut request: Request<Incoming>, tasks: &Tasks) -> Response<Empty<Bytes>> {
    let mut response = Response::new(Empty::new());
    let Some(protocol) = request.headers().get(header::UPGRADE).cloned() else { return response };
    tasks.spawn("echo", async move {
        // Whoever measures sees a connection that broke.
        let _ = async { echo(hyper::upgrade::on(&mut request).await?).await }.await;
    });
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::UPGRADE, protocol);
    response
}

async fn echo(upgraded: Upgraded) -> anyhow::Result<()> {
    let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
    tokio::io::copy(&mut from, &mut to).await?;
    Ok(())
}

pub(crate) async fn ask(args: GetArgs) -> anyhow::Result<()> {
    let tls = args.target.tls()?;
    let tasks = Tasks::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let target = &args.target;
    let workers = (0..args.workers).map(|_| {
        let (tls, tasks, asked) = (tls.clone(), tasks.clone(), asked.clone());
        async move {
            let mut sender = target.sender(tls.as_ref(), &tasks).await?;
            let mut request = target.request()?;
            request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
            request.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("echo"));
            let response = sender.send_request(request).await?;
            let status = response.status();
            anyhow::ensure!(status == StatusCode::SWITCHING_PROTOCOLS, "the answer was {status}");
            let mut stream = TokioIo::new(hyper::upgrade::on(response).await.context("no upgrade")?);
            let mut times = Vec::with_capacity(args.requests / args.workers + 1);
            let mut back = MESSAGE;
            for _ in 0..args.warmup.div_ceil(args.workers) {
                stream.write_all(&MESSAGE).await?;
                stream.read_exact(&mut back).await?;
            }
            let began = Instant::now();
            while asked.fetch_add(1, Ordering::Relaxed) < args.requests {
                let sent = Instant::now();
                stream.write_all(&MESSAGE).await?;
                stream.read_exact(&mut back).await?;
                times.push(sent.elapsed());
            }
            anyhow::Ok((times, began, Instant::now()))
        }
    });
    report(try_join_all(workers).await?)
}
