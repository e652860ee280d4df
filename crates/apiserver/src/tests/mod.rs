//! The whole server, in this process: real TLS and HTTP on loopback, a scripted parent behind it.

pub(crate) mod ca;
mod client;
mod echo;
mod parent;

mod attacks;
mod documents;
mod identity;
mod lifecycle;
mod limits;
mod protocol;
mod relayed;
mod serving;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use runtime::{Tasks, metrics::Metrics};
use rustls::server::ResolvesServerCertUsingSni;

use crate::{
    Authenticator, Authorizer, Check, Limits, RequestHeader, Server, ServerBuilder, Tokens, Trust, TrustStore,
};

use self::{ca::Ca, client::Client, echo::Echo, parent::Parent};

/// The user name of the replicas.
pub(crate) const REPLICAS: &str = "system:serviceaccount:hubs:hub";

/// A running server and everything around it.
pub(crate) struct World {
    pub(crate) client_ca: Ca,
    pub(crate) proxy_ca: Ca,
    pub(crate) parent: Parent,
    pub(crate) trust: TrustStore,
    pub(crate) metrics: Metrics,
    pub(crate) echo: Arc<Echo>,
    pub(crate) address: SocketAddr,
    pub(crate) tasks: Tasks,
    server_ca: Ca,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let world = Self::build(limits).await;
        world.trust.set(trust(&world.client_ca, &world.proxy_ca, &["front-proxy"]));
        world
    }

    /// Before anything was read from the parent.
    pub(crate) async fn ignorant() -> Self {
        Self::build(Limits::default()).await
    }

    async fn build(limits: Limits) -> Self {
        let (client_ca, proxy_ca, server_ca) = (Ca::new("clients"), Ca::new("proxies"), Ca::new("servers"));
        let (parent, trust) = (Parent::default(), TrustStore::default());
        let (metrics, tasks, echo) = (Metrics::default(), Tasks::new(), Arc::new(Echo::default()));
        let server = ServerBuilder {
            listen: ([127, 0, 0, 1], 0).into(),
            apis: vec![echo.clone()],
            authenticator: Authenticator::new(trust.clone(), Some(Tokens::new(parent.client())))
                .with_replicas(REPLICAS),
            authorizer: Authorizer::new(parent.client()),
            certificate: Arc::new(resolver(&server_ca)),
            limits,
            metrics: metrics.clone(),
            checks: vec![Check::new("always", || true)],
            title: String::from("test"),
            version: String::from("1.2.3"),
        };
        let server: Server = server.bind().await.unwrap();
        let address = server.address().unwrap();
        tasks.spawn_draining("server", server.run(tasks.child()));
        Self { client_ca, proxy_ca, parent, trust, metrics, echo, address, tasks, server_ca }
    }

    /// A caller who shows no certificate.
    pub(crate) fn nobody(&self) -> Client {
        Client::new(self.address, &self.server_ca, None)
    }

    /// A caller with a certificate of the client CA.
    pub(crate) fn user(&self, name: &str, groups: &[&str]) -> Client {
        Client::new(self.address, &self.server_ca, Some(self.client_ca.issue(name, groups)))
    }

    /// The parent's API server.
    pub(crate) fn front_proxy(&self) -> Client {
        self.signed_by_proxy_ca("front-proxy")
    }

    /// A caller whose certificate the requestheader CA signed.
    pub(crate) fn signed_by_proxy_ca(&self, name: &str) -> Client {
        Client::new(self.address, &self.server_ca, Some(self.proxy_ca.issue(name, &["proxy-group"])))
    }

    /// A caller whose certificate an unknown authority signed.
    pub(crate) fn stranger(&self) -> Client {
        Client::new(
            self.address,
            &self.server_ca,
            Some(Ca::new("clients").issue("front-proxy", &["system:masters"])),
        )
    }

    pub(crate) async fn end(self) {
        assert!(self.tasks.shutdown(Duration::from_secs(10)).await.is_none());
    }
}

/// Both authorities, and whom the second one allows to speak for others.
pub(crate) fn trust(client_ca: &Ca, proxy_ca: &Ca, allowed: &[&str]) -> Trust {
    Trust::new(Some(&client_ca.pem()), Some(RequestHeader::usual(proxy_ca.pem(), allowed))).unwrap()
}

fn resolver(ca: &Ca) -> ResolvesServerCertUsingSni {
    let mut resolver = ResolvesServerCertUsingSni::new();
    resolver.add("localhost", ca.serving("localhost")).unwrap();
    resolver
}

/// Waits until something holds; fails after ten seconds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
