//! What an idle tunnel costs the hub: memory, and CPU for keeping it alive.
//!
//! `cargo run --release -p tunnel --example idle -- 2000` opens that many tunnels from a second process to this one,
//! through TLS and an HTTP/1.1 upgrade as in production, and prints the growth of this process.

use std::{
    convert::Infallible,
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use http::{Request, Response};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use runtime::{Tasks, metrics::Metrics};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tunnel::{Body, Features, Hello, Version, agent, hub::Registry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["agents", url, certificate, number] => agents(url, certificate, number.parse()?).await,
        [number] => hub(number.parse()?).await,
        [] => hub(1000).await,
        _ => anyhow::bail!("expected a number of tunnels"),
    }
}

async fn hub(number: usize) -> anyhow::Result<()> {
    let certified = rcgen::generate_simple_self_signed(vec![String::from("localhost")])?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("wss://localhost:{}/", listener.local_addr()?.port());

    let tasks = Tasks::new();
    let registry = Registry::new(tasks.clone(), &Metrics::default(), "idle");
    let (accepting, accepted) = (tasks.clone(), registry.clone());
    tasks.spawn("accept", async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (acceptor, registry) = (acceptor.clone(), accepted.clone());
            accepting.spawn("connection", async move {
                if let Ok(stream) = acceptor.accept(tcp).await {
                    serve(TokioIo::new(stream), registry).await;
                }
            });
        }
    });

    let certificate = tempfile(&certified.cert.pem())?;
    let before = resident()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["agents", &url, &certificate, &number.to_string()])
        .stdin(Stdio::piped())
        .spawn()?;
    while registry.count() < number {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = resident()?;
    let cpu = cpu_seconds()?;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let cpu = cpu_seconds()? - cpu;
    let mut out = std::io::stdout();
    writeln!(out, "{number} idle tunnels: {:.1} KB each", (after - before) as f64 / number as f64)?;
    writeln!(out, "keeping them alive: {:.2} % of a core", cpu / 30.0 * 100.0)?;
    // The end of its input is the agents' end.
    drop(child.stdin.take());
    child.wait()?;
    std::fs::remove_file(certificate)?;
    tasks.shutdown(Duration::from_secs(20)).await;
    Ok(())
}

async fn serve(io: TokioIo<tokio_rustls::server::TlsStream<tokio::net::TcpStream>>, registry: Registry) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        let cluster = request.uri().path().to_owned();
        let response = registry.accept(&cluster, &mut request).unwrap_or_else(|refused| {
            let mut response = Response::new(tunnel::full(refused.status().to_json()));
            *response.status_mut() = http::StatusCode::CONFLICT;
            response
        });
        async { Ok::<_, Infallible>(response) }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).with_upgrades().await;
}

async fn agents(url: &str, certificate: &str, number: usize) -> anyhow::Result<()> {
    let roots = runtime::tls::roots("the hub's certificate", &std::fs::read(certificate)?)?;
    let tls = Arc::new(runtime::tls::client(roots, None)?);
    let tasks = Tasks::new();
    for n in 0..number {
        let dial = agent::Dial {
            url: format!("{url}{n}").parse()?,
            tls: tls.clone(),
            token: String::from("t"),
            hello: Hello {
                version: Version::OURS,
                features: Features::ours(),
                instance: n.to_string(),
                epoch: 1,
                agent_version: String::from("0.1.0"),
            },
            connect_timeout: Duration::from_secs(30),
        };
        let connection = agent::connect(&dial).await.context("dial")?;
        let group = tasks.clone();
        tasks.spawn_draining("agent", async move {
            let _ = agent::serve(connection, service_fn(answer), &agent::Metrics::default(), &group).await;
        });
    }
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    tasks.shutdown(Duration::from_secs(20)).await;
    Ok(())
}

async fn answer(_: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(tunnel::empty()))
}

fn tempfile(content: &str) -> anyhow::Result<String> {
    let path = std::env::temp_dir().join(format!("tunnel-idle-{}.pem", std::process::id()));
    std::fs::write(&path, content)?;
    Ok(path.to_string_lossy().into_owned())
}

/// Resident memory in KB.
fn resident() -> anyhow::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// CPU time used so far, at the usual 100 ticks a second.
fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().context("stat")?.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}
