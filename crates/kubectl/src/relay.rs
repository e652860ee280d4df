//! The door between kubectl and the parent, open on this machine's loopback for as long as kubectl runs.
//!
//! kubectl believes the relay to be the child's API server. It speaks TLS with a certificate made for this run, and
//! answers only to a token made for this run (client-go sends tokens over TLS only). What it forwards carries exactly
//! the caller's identity in the parent and the caller's credential for the child, whatever kubectl sent.
//!
//! Deliberately absent: any understanding of what is asked, but where templates are. Bodies are streamed, upgraded connections copied.

mod forward;
mod headers;
mod listener;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use kube::Config;
use meta::Status;
use rand::Rng as _;
use runtime::Tasks;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    child::Child,
    failure::Failure,
    progress::Progress,
    relay::{forward::Forward, listener::Guarded},
};

/// An open door. It closes when its [`Tasks`] end.
pub(crate) struct Relay {
    address: SocketAddr,
    usual: bool,
    guarded: Arc<Guarded>,
    bearer: String,
    certificate: String,
    namespace: Option<String>,
}

/// What is at the other end of a relay.
pub(crate) struct Destination {
    /// Where in the parent.
    pub(crate) place: Place,
    /// Who the caller is there.
    pub(crate) child: Child,
    /// Who wants to see how answers come along.
    pub(crate) progress: Option<Arc<Progress>>,
}

/// A place in the parent where kubectl finds a Kubernetes API.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Behind a path.
    Behind(String),
    /// The parent itself, with templates in the place of objects.
    Templates(api::shadow::Paths),
}

impl Relay {
    /// Opens the door to a place in the parent.
    pub(crate) async fn open(
        tasks: &Tasks,
        parent: &Config,
        destination: Destination,
    ) -> Result<Self, Failure> {
        let Destination { place, child, progress } = destination;
        let failed = |why: String| Failure::new("cannot listen on this machine's loopback").because(why);
        let (listener, usual) = bind(usual_port(&parent.cluster_url.to_string(), &place))
            .await
            .map_err(|error| failed(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| failed(error.to_string()))?;
        let bearer = random_token();
        let (tls, certificate) = listener::certificate().map_err(failed)?;
        let namespace = child.namespace.clone();
        let guarded = Arc::new(Guarded::new(&bearer, Forward::new(parent, place, child)?, progress));
        tasks.spawn("relay", listener::serve(tasks.child(), listener, tls, guarded.clone()));
        Ok(Self { address, usual, guarded, bearer, certificate, namespace })
    }

    /// Whether this is the address this place usually has here, so that what kubectl caches by address can be kept.
    pub(crate) fn is_at_usual_address(&self) -> bool {
        self.usual
    }

    /// Why kubectl could not find out what the child has to offer, if that is so: kubectl itself does not say.
    pub(crate) fn refusal(&self) -> Option<&Status> {
        self.guarded.refusal()
    }

    /// Writes the kubeconfig that leads to this door, readable by its owner only.
    pub(crate) fn write_kubeconfig(&self, path: &Path) -> std::io::Result<()> {
        let mut context = json!({ "cluster": "child", "user": "visitor" });
        if let Some(namespace) = &self.namespace {
            context["namespace"] = json!(namespace);
        }
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "child",
            "contexts": [{ "name": "child", "context": context }],
            "clusters": [{ "name": "child", "cluster": {
                "server": format!("https://{}", self.address),
                "certificate-authority-data": STANDARD.encode(&self.certificate),
            }}],
            "users": [{ "name": "visitor", "user": { "token": self.bearer } }],
        });
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(config.to_string().as_bytes())
    }
}

/// The same port for the same place: kubectl keeps what it knows of a server under the server's address. Nothing
/// rests on it: whoever occupies the port only makes kubectl ask again.
fn usual_port(parent: &str, place: &Place) -> u16 {
    let mut hasher = DefaultHasher::new();
    (parent, place).hash(&mut hasher);
    20_000 + (hasher.finish() % 12_000) as u16
}

async fn bind(usual: u16) -> std::io::Result<(TcpListener, bool)> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, usual)).await {
        Ok(listener) => Ok((listener, true)),
        Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map(|listener| (listener, false)),
    }
}

/// 256 random bits.
fn random_token() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests;
