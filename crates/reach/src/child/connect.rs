//! Pools of connections to the child: one without a client certificate, and a few for callers who bring their own.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use meta::Status;
use parking_lot::Mutex;
use rustls::RootCertStore;
use sha2::{Digest as _, Sha256};

use crate::visit::Body;

pub(super) type Pool = Client<HttpsConnector<HttpConnector>, Body>;

/// How many callers with certificates of their own keep a pool; the one unused for longest makes room.
const CERTIFICATE_POOLS: usize = 8;

pub(super) struct Connections {
    roots: RootCertStore,
    plain: Pool,
    /// Newest last. The key is a digest, so that no private key is kept beyond its connection.
    by_certificate: Mutex<Vec<([u8; 32], Pool)>>,
}

impl Connections {
    pub(super) fn new(roots: RootCertStore) -> Result<Self, runtime::tls::Error> {
        let plain = pool(runtime::tls::client(roots.clone(), None)?);
        Ok(Self { roots, plain, by_certificate: Mutex::default() })
    }

    /// The pool for a request: never one whose connections belong to another certificate.
    pub(super) fn of(&self, certificate: Option<(HeaderValue, HeaderValue)>) -> Result<Pool, Status> {
        let Some((certificate, key)) = certificate else { return Ok(self.plain.clone()) };
        let digest: [u8; 32] = Sha256::new()
            .chain_update(certificate.as_bytes())
            .chain_update([0])
            .chain_update(key.as_bytes())
            .finalize()
            .into();
        let mut pools = self.by_certificate.lock();
        if let Some(found) = pools.iter().position(|(known, _)| *known == digest) {
            let entry = pools.remove(found);
            let pool = entry.1.clone();
            pools.push(entry);
            return Ok(pool);
        }
        let wrong = || Status::bad_request("The client certificate for the child is not usable.");
        let decode = |value: &HeaderValue| STANDARD.decode(value.as_bytes()).map_err(|_| wrong());
        let chain = runtime::tls::certificates("certificate", &decode(&certificate)?).map_err(|_| wrong())?;
        let key = runtime::tls::private_key("key", &decode(&key)?).map_err(|_| wrong())?;
        let pool = pool(runtime::tls::client(self.roots.clone(), Some((chain, key))).map_err(|_| wrong())?);
        if pools.len() == CERTIFICATE_POOLS {
            pools.remove(0);
        }
        pools.push((digest, pool.clone()));
        Ok(pool)
    }
}

/// HTTP/1.1 on purpose: one connection per request in flight, so that a bulk answer holds up no other.
fn pool(tls: rustls::ClientConfig) -> Pool {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(Duration::from_secs(10)));
    tcp.set_keepalive(Some(Duration::from_secs(30)));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .pool_max_idle_per_host(32)
        .build(connector)
}
