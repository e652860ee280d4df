//! Connections to the parent.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use kube::{Client, Config};

/// By whom the parent must be vouched for.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// This CA (PEM).
    Authority(String),
    /// The system's trusted roots.
    System,
    /// Nobody; only while registering and only when a flag says so.
    Unverified,
}

/// What is needed to open a tunnel to the parent, and to speak with it as this cluster.
#[derive(Clone)]
pub struct ParentCredentials {
    /// The parent, with the current token.
    pub client: Client,
    /// The parent's API server.
    pub url: String,
    /// Verifies the parent.
    pub tls: Arc<rustls::ClientConfig>,
    /// The child's current token in the parent.
    pub token: String,
    /// Which cluster this is.
    pub cluster_id: String,
    /// The dedicated namespace in the parent.
    pub namespace: String,
    /// The ManagedCluster.
    pub name: String,
}

impl std::fmt::Debug for ParentCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParentCredentials")
            .field("url", &self.url)
            .field("cluster_id", &self.cluster_id)
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A client of the parent, with a bearer token or none.
pub(super) fn client(url: &str, roots: &Roots, token: Option<&str>) -> anyhow::Result<Client> {
    let mut config = Config::new(url.parse().context("--cluster-reg-parent-url is not a URL")?);
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(Duration::from_secs(60));
    match roots {
        Roots::Authority(pem) => {
            let found = runtime::tls::certificates("the parent's CA", pem.as_bytes())?;
            config.root_cert = Some(found.into_iter().map(|der| der.to_vec()).collect());
        }
        Roots::System => {}
        Roots::Unverified => config.accept_invalid_certs = true,
    }
    config.auth_info.token = token.map(|token| token.to_owned().into());
    Ok(Client::try_from(config)?)
}

/// TLS for the tunnel, with the same roots.
pub(super) fn tls(roots: &Roots) -> anyhow::Result<rustls::ClientConfig> {
    let store = match roots {
        Roots::Authority(pem) => runtime::tls::roots("the parent's CA", pem.as_bytes())?,
        Roots::System => {
            let mut store = rustls::RootCertStore::empty();
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            anyhow::ensure!(
                !store.is_empty(),
                "the system has no trusted roots; name the parent's CA with --parent-ca"
            );
            store
        }
        Roots::Unverified => anyhow::bail!("the tunnel is never opened to a parent that is not verified"),
    };
    Ok(runtime::tls::client(store, None)?)
}

/// Says what is wrong with the connection to the parent, and what to do.
pub(super) fn explain(error: kube::Error, url: &str) -> anyhow::Error {
    let text = format!("{:#}", anyhow::Error::new(error));
    let remedy = if text.contains("UnknownIssuer") {
        "its certificate is signed by nobody we trust: name the parent's CA with --parent-ca"
    } else if text.contains("Expired") || text.contains("NotValidYet") {
        "its certificate is not valid now: check the clocks of both clusters, then the certificate"
    } else if text.contains("NotValidForName") {
        "its certificate is for another name: use an address of the certificate in --cluster-reg-parent-url"
    } else if text.contains("(401)") || text.contains("Unauthorized") {
        "it does not know the token: it has expired, was deleted, or belongs to another parent; `kubectl clusterway \
         token create` in the parent makes a new one"
    } else {
        "check --cluster-reg-parent-url, and that this network lets connections out to it"
    };
    anyhow::anyhow!("the parent {url} cannot be used: {remedy} ({text})")
}

/// Whether the parent does not know who we are (any more).
pub(super) fn is_unauthorized(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 401)
}
