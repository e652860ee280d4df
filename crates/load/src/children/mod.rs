//! Many simulated clusters in one process, each behind a tunnel of its own and registered in the parent.
//!
//! ```text
//! hub ══ tunnel ══╗
//! hub ══ tunnel ══╬═ one answer: discovery, get, list, watch, server-side apply, delete
//! loopback HTTP ══╝  /children/NUMBER/…            /counts: what all of them were asked
//!                      /holding?path=…&text=…: in how many of them an object has a text in it
//! ```
//!
//! They are written by one manager only, and what they hold is in memory.

mod answer;
mod objects;
mod register;

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tunnel::{
    Body, Features, Hello, Version,
    agent::{Dial, State},
};

pub(crate) use self::register::write;
use self::{
    answer::{Child, Counts, Query},
    register::Registered,
};
use crate::connect::Target;

/// How many, and whose.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The parent: `--url` is its address.
    #[command(flatten)]
    target: Target,
    /// How many clusters.
    #[arg(long)]
    children: usize,
    /// A label, and how many clusters have it: `KEY=NUMBER`. Repeatable. Each cluster has its number as
    /// `bench.clusterway.io/number` anyway.
    #[arg(long, value_parser = label)]
    label: Vec<(String, usize)>,
}

/// All tunnels are open by then.
const OPENED: Duration = Duration::from_secs(120);

fn label(text: &str) -> Result<(String, usize), String> {
    let parts = text.split_once('=').and_then(|(key, number)| Some((key.to_owned(), number.parse().ok()?)));
    parts.ok_or_else(|| format!("{text} is not KEY=NUMBER"))
}

/// Serves until it is ended.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let registered = register::register(&args.target, args.children, &args.label).await?;
    let counts = Arc::new(Counts::default());
    let tasks = runtime::Tasks::new();
    let mut children = Vec::new();
    let mut states = Vec::new();
    for one in registered {
        let child = Child::new(Arc::clone(&counts));
        states.push(tunnel(&args.target, &one, &child, &tasks)?);
        children.push(child);
    }
    let open = try_join_all(states.iter_mut().map(|state| state.wait_for(|state| state.connected)));
    let opened = timeout(OPENED, open).await.is_ok();
    let closed = states.iter().map(|state| state.borrow().clone()).find(|state| !state.connected);
    if let Some(closed) = closed.filter(|_| !opened) {
        anyhow::bail!("not all tunnels are open in time; of one: {}", closed.last_error.unwrap_or_default());
    }

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::print(&json!({ "address": listener.local_addr()?.to_string() }));
    let children: Arc<[Arc<Child>]> = children.into();
    loop {
        let (tcp, _) = listener.accept().await?;
        tasks.spawn("connection", converse(tcp, Arc::clone(&children), Arc::clone(&counts)));
    }
}

/// Keeps a tunnel open to a cluster.
fn tunnel(
    target: &Target,
    registered: &Registered,
    child: &Arc<Child>,
    tasks: &runtime::Tasks,
) -> anyhow::Result<watch::Receiver<State>> {
    let path = format!("/apis/proxies.clusternet.io/v1alpha1/sockets/{}/attach", registered.id);
    // The token says who it is; a certificate would count before it.
    let nobody = Target { certificate: None, key: None, ..target.clone() };
    let dial = Dial {
        url: target.url.join(&path)?,
        tls: nobody.tls()?.context("the parent speaks https")?,
        token: registered.token.clone(),
        hello: Hello {
            version: Version::OURS,
            features: Features::ours(),
            instance: registered.id.clone(),
            epoch: 1,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        connect_timeout: Duration::from_secs(30),
    };
    let (state, opened) = watch::channel(State::default());
    let (child, group) = (Arc::clone(child), tasks.clone());
    tasks.spawn("tunnel", async move {
        // Kept for the time of the tunnel: it is never replaced.
        let (_dial, dial) = watch::channel(Arc::new(dial));
        let service = service_fn(move |request: Request<Incoming>| {
            let child = Arc::clone(&child);
            async move {
                let target =
                    request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
                answered(&child, request, &target).await
            }
        });
        tunnel::agent::keep(dial, service, state, tunnel::agent::Metrics::default(), &group).await;
    });
    Ok(opened)
}

async fn answered(
    child: &Arc<Child>,
    request: Request<Incoming>,
    target: &str,
) -> Result<Response<Body>, hyper::Error> {
    let method = request.method().clone();
    let body = request.into_body().collect().await?.to_bytes();
    Ok(child.answer(&method, target, &body))
}

/// A connection over the loopback.
async fn converse(tcp: TcpStream, children: Arc<[Arc<Child>]>, counts: Arc<Counts>) {
    let _ = tcp.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let (children, counts) = (Arc::clone(&children), Arc::clone(&counts));
        async move {
            let target =
                request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
            if target == "/counts" {
                return Ok::<_, Infallible>(answer::json(200, &counts.line()));
            }
            if let Some(query) = target.strip_prefix("/holding?").map(Query) {
                let of = |name: &str| query.get(name).unwrap_or_default();
                let (path, text) = (of("path"), of("text"));
                let holding = children.iter().filter(|child| child.has(&path, &text)).count();
                return Ok(answer::json(200, &json!({ "holding": holding })));
            }
            let found = target.strip_prefix("/children/").and_then(|rest| {
                let (number, path) = rest.split_once('/')?;
                Some((children.get(number.parse::<usize>().ok()?)?, format!("/{path}")))
            });
            let Some((child, path)) = found else {
                return Ok(answer::json(404, &json!({ "message": "there is no such cluster" })));
            };
            Ok(answered(child, request, &path)
                .await
                .unwrap_or_else(|_| answer::json(400, &json!({ "message": "the body broke off" }))))
        }
    });
    // How it ended is the client's to tell.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(tcp), service).await;
}
