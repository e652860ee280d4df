//! Our own certificate, and the word that makes the parent trust it.
//!
//! One certificate authority stands in a Secret that all replicas share. Every replica issues its serving certificate
//! from it, in memory, and re-issues it in time. The holder of the Lease rotates the authority and writes the
//! `caBundle` of our APIServices; during a rotation the bundle holds the old and the new authority, so that no
//! replica is distrusted for a moment.
//!
//! A certificate from elsewhere is served from files instead ([`from_files`]).

mod authority;
mod files;
mod keeper;

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::watch;

pub use files::from_files;
pub use keeper::start;

/// What to keep.
#[derive(Debug, Clone)]
pub struct Options {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Name of the Secret.
    pub secret: String,
    /// Names and IP addresses the serving certificate is for, for example `hub.clusternet-system.svc`.
    pub names: Vec<String>,
    /// APIServices whose `caBundle` is kept in step.
    pub api_services: Vec<String>,
}

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Secret exists and holds something else: somebody has to look.
    #[error(
        "secret {secret} does not hold a usable serving authority ({cause}); delete it to have a new one made"
    )]
    Unusable {
        /// Namespace and name.
        secret: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A certificate could not be made, most likely because of a name it should be for.
    #[error("a certificate could not be made: {0}")]
    Issue(#[from] rcgen::Error),
    /// A key or certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] runtime::tls::Error),
    /// The TLS library refuses a certificate.
    #[error("the certificate is refused: {0}")]
    Refused(#[from] rustls::Error),
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The program ends before there was a certificate.
    #[error("the program was told to end")]
    Ending,
}

/// The certificate of the moment. Cheap to clone; every clone sees every change.
#[derive(Debug, Clone)]
pub struct ServingCertificate {
    current: Arc<ArcSwap<CertifiedKey>>,
    bundle: watch::Sender<String>,
}

impl ServingCertificate {
    fn new(key: CertifiedKey, bundle: String) -> Self {
        Self { current: Arc::new(ArcSwap::from_pointee(key)), bundle: watch::Sender::new(bundle) }
    }

    /// A certificate that never changes.
    pub fn fixed(key: CertifiedKey) -> Self {
        Self::new(key, String::new())
    }

    /// For [`crate::ServerBuilder::certificate`].
    pub fn resolver(&self) -> Arc<dyn ResolvesServerCert> {
        Arc::new(self.clone())
    }

    /// The authorities that vouch for every replica's certificate, PEM; empty for a certificate from elsewhere.
    pub fn bundle(&self) -> watch::Receiver<String> {
        self.bundle.subscribe()
    }

    #[cfg(test)]
    pub(crate) fn leaf(&self) -> rustls::pki_types::CertificateDer<'static> {
        self.current.load().cert[0].clone()
    }

    fn set(&self, key: CertifiedKey) {
        self.current.store(Arc::new(key));
    }

    fn set_bundle(&self, bundle: String) {
        self.bundle.send_if_modified(|current| {
            let changed = *current != bundle;
            *current = bundle;
            changed
        });
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}
