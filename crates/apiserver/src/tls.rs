//! The listener's side of TLS: our certificate, and the client certificates we ask for.

use std::sync::Arc;

use parking_lot::Mutex;
use rustls::{ServerConfig, server::ResolvesServerCert};

use crate::authn::{Trust, TrustStore};

/// Makes the configuration for every new connection, always with the authorities of the moment.
pub(crate) struct Acceptor {
    trust: TrustStore,
    certificate: Arc<dyn ResolvesServerCert>,
    made: Mutex<Option<(u64, Arc<ServerConfig>)>>,
}

impl Acceptor {
    pub(crate) fn new(trust: TrustStore, certificate: Arc<dyn ResolvesServerCert>) -> Self {
        Self { trust, certificate, made: Mutex::new(None) }
    }

    /// The configuration now, and of which authorities; made anew when the authorities have changed.
    pub(crate) fn config(&self) -> Result<(u64, Arc<ServerConfig>), rustls::Error> {
        let trust = self.trust.current();
        let mut made = self.made.lock();
        if let Some((generation, config)) = &*made
            && *generation == trust.generation()
        {
            return Ok((*generation, config.clone()));
        }
        let config = Arc::new(self.make(&trust)?);
        *made = Some((trust.generation(), config.clone()));
        Ok((trust.generation(), config))
    }

    fn make(&self, trust: &Trust) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match trust.at_handshake() {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(self.certificate.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}
