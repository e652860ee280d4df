//! Which certificate authorities vouch for whom.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::{RootCertStore, server::WebPkiClientVerifier, server::danger::ClientCertVerifier};

use super::RequestHeader;

/// Why certificate authorities are not usable.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The certificates cannot be read.
    #[error(transparent)]
    Certificates(#[from] runtime::tls::Error),
    /// The TLS library refuses them.
    #[error("{what} cannot be used to verify clients: {source}")]
    Verifier {
        /// Which authority.
        what: &'static str,
        /// The library's words.
        source: rustls::server::VerifierBuilderError,
    },
    /// A list in the configuration is not JSON, or a header name is none.
    #[error("{0} is not usable: expected a JSON list of header names or names")]
    List(&'static str),
}

/// The certificate authorities at one moment. Immutable; a [`TrustStore`] holds the current one.
#[derive(Debug)]
pub struct Trust {
    generation: u64,
    client: Option<Arc<dyn ClientCertVerifier>>,
    front_proxy: Option<Arc<dyn ClientCertVerifier>>,
    union: Option<Arc<dyn ClientCertVerifier>>,
    request_header: Option<RequestHeader>,
    identity_headers: Arc<Vec<String>>,
}

impl Trust {
    /// Nobody is trusted: only bearer tokens identify a caller.
    pub fn none() -> Self {
        Self {
            generation: 0,
            client: None,
            front_proxy: None,
            union: None,
            request_header: None,
            identity_headers: Arc::default(),
        }
    }

    /// `client_ca` vouches for users (PEM); the authority in `request_header` vouches for front proxies.
    pub fn new(client_ca: Option<&str>, request_header: Option<RequestHeader>) -> Result<Self, TrustError> {
        let client = client_ca.map(|pem| runtime::tls::roots("the client CA", pem.as_bytes())).transpose()?;
        let proxy = request_header
            .as_ref()
            .map(|config| runtime::tls::roots("the requestheader CA", config.ca.as_bytes()))
            .transpose()?;
        let mut union = RootCertStore::empty();
        for roots in [&client, &proxy].into_iter().flatten() {
            union.extend(roots.roots.iter().cloned());
        }
        let any = !union.is_empty();
        Ok(Self {
            generation: 0,
            client: client.map(|roots| verifier("the client CA", roots)).transpose()?,
            front_proxy: proxy.map(|roots| verifier("the requestheader CA", roots)).transpose()?,
            union: any.then(|| verifier("the client and requestheader CAs", union)).transpose()?,
            identity_headers: Arc::new(request_header.as_ref().map(RequestHeader::names).unwrap_or_default()),
            request_header,
        })
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn client(&self) -> Option<&dyn ClientCertVerifier> {
        self.client.as_deref()
    }

    pub(crate) fn front_proxy(&self) -> Option<&dyn ClientCertVerifier> {
        self.front_proxy.as_deref()
    }

    /// Accepts at the handshake what either authority signed; which one it was is found out afterwards.
    pub(crate) fn at_handshake(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        self.union.clone()
    }

    pub(crate) fn request_header(&self) -> Option<&RequestHeader> {
        self.request_header.as_ref()
    }

    pub(crate) fn identity_headers(&self) -> &Arc<Vec<String>> {
        &self.identity_headers
    }
}

fn verifier(what: &'static str, roots: RootCertStore) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
    let verifier = builder.build().map_err(|source| TrustError::Verifier { what, source })?;
    Ok(verifier)
}

/// The certificate authorities now. Cheap to clone; every clone sees every change.
///
/// `TrustStore::default()` knows nothing yet, and a server with it answers health routes only until the first
/// [`TrustStore::set`]: what [`TrustStore::follow_config_map`] begins with.
#[derive(Clone)]
pub struct TrustStore {
    current: Arc<ArcSwap<Trust>>,
    /// Also makes writers take turns.
    generation: Arc<Mutex<u64>>,
}

impl std::fmt::Debug for TrustStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TrustStore(generation {})", self.current.load().generation)
    }
}

impl Default for TrustStore {
    fn default() -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(Trust::none())), generation: Arc::default() }
    }
}

impl TrustStore {
    /// A store that begins with `trust`.
    pub fn new(trust: Trust) -> Self {
        let store = Self::default();
        store.set(trust);
        store
    }

    /// Replaces the authorities. Connections that are open are verified again with their next request.
    pub fn set(&self, trust: Trust) {
        let mut generation = self.generation.lock();
        *generation += 1;
        self.current.store(Arc::new(Trust { generation: *generation, ..trust }));
    }

    /// The authorities now.
    pub fn current(&self) -> Arc<Trust> {
        self.current.load_full()
    }

    /// Whether any authorities have been set yet.
    pub fn is_known(&self) -> bool {
        self.current.load().generation > 0
    }
}
