//! The listener: accepts, speaks TLS and HTTP, and ends gracefully.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use runtime::{CancellationToken, Tasks, metrics::Metrics};
use rustls::server::ResolvesServerCert;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::{
    Api, Authenticator, Authorizer, Check, connection,
    discovery::Discovery,
    health::Health,
    limits::{InFlight, Limits},
    metrics::Counters,
    openapi::OpenApi,
    pipeline::{Pipeline, Served},
    tls::Acceptor,
};

/// What a server is made of. Set the fields, then [`ServerBuilder::bind`].
pub struct ServerBuilder {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// What is served.
    pub apis: Vec<Arc<dyn Api>>,
    /// Who is calling.
    pub authenticator: Authenticator,
    /// What they may.
    pub authorizer: Authorizer,
    /// Our certificate.
    pub certificate: Arc<dyn ResolvesServerCert>,
    /// How much of everything.
    pub limits: Limits,
    /// Where requests are counted, and what `/metrics` shows.
    pub metrics: Metrics,
    /// What must hold before the server is ready, beside knowing whom to trust.
    pub checks: Vec<Check>,
    /// The program's name, for OpenAPI.
    pub title: String,
    /// The program's version, for `/version` and OpenAPI.
    pub version: String,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    acceptor: Acceptor,
    pipeline: Arc<Pipeline>,
    limits: Limits,
    ending: CancellationToken,
}

impl ServerBuilder {
    /// Opens the listening socket. Connections wait there until [`Server::run`].
    pub async fn bind(self) -> std::io::Result<Server> {
        let listener = TcpListener::bind(self.listen).await?;
        let ending = CancellationToken::new();
        let trust = self.authenticator.trust().clone();
        let mut checks = vec![Check::new("authentication-config", {
            let trust = trust.clone();
            move || trust.is_known()
        })];
        checks.extend(self.checks);
        let pipeline = Pipeline {
            authenticator: self.authenticator,
            authorizer: self.authorizer,
            in_flight: InFlight::new(&self.limits),
            discovery: Discovery::new(&self.apis),
            openapi: OpenApi::new(&self.apis, &self.title, &self.version),
            health: Health::new(checks, ending.clone()),
            version: version(&self.version),
            counters: Counters::new(&self.metrics),
            metrics: self.metrics,
            limits: self.limits.clone(),
            apis: by_group_version(self.apis),
        };
        let acceptor = Acceptor::new(trust, self.certificate);
        Ok(Server { listener, acceptor, pipeline: Arc::new(pipeline), limits: self.limits, ending })
    }
}

impl Server {
    /// Where the server listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the group ends; then accepts no more, says so on `/readyz` and to every connection, and lets
    /// requests in flight end within the drain deadline.
    pub async fn run(self, tasks: Tasks) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let open = TaskTracker::new();
        let hurry = CancellationToken::new();
        let token = tasks.token();
        loop {
            let accepted = async {
                let place = places.clone().acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = token.cancelled() => break,
                accepted = accepted => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: a moment's rest, or this would spin.
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (generation, config) = match self.acceptor.config() {
                Ok(made) => made,
                Err(error) => {
                    warn!(%error, "TLS cannot be set up");
                    continue;
                }
            };
            let accepted = connection::Accepted {
                stream,
                address,
                config,
                generation,
                pipeline: self.pipeline.clone(),
                draining: self.ending.clone(),
            };
            let (open, hurry) = (open.token(), hurry.clone());
            tasks.spawn_draining("connection", async move {
                let _place = (place, open);
                tokio::select! {
                    () = hurry.cancelled() => {}
                    () = accepted.run() => {}
                }
            });
        }
        self.ending.cancel();
        drop(self.listener);
        info!(connections = open.len(), "draining connections");
        open.close();
        if tokio::time::timeout(self.limits.drain_deadline, open.wait()).await.is_err() {
            warn!("connections were still busy at the drain deadline and are cut");
        }
        hurry.cancel();
    }
}

fn by_group_version(apis: Vec<Arc<dyn Api>>) -> BTreeMap<(String, String), Served> {
    apis.into_iter()
        .map(|api| ((api.group().to_owned(), api.version().to_owned()), Served::new(api)))
        .collect()
}

/// What `/version` says. Kubernetes' clients expect these fields.
fn version(version: &str) -> serde_json::Value {
    let mut numbers = version.split('.');
    let (major, minor) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    serde_json::json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{version}"),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}
