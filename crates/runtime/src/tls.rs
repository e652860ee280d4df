//! TLS set-up shared by every client and server.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _},
};

/// What is wrong with certificates somebody gave us.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text holds no certificate.
    #[error("{0} holds no PEM certificate")]
    NoCertificate(String),
    /// The PEM cannot be read.
    #[error("{what} is not valid PEM: {cause}")]
    Pem {
        /// Where it came from.
        what: String,
        /// The parser's words.
        cause: String,
    },
    /// The TLS library refuses it.
    #[error("{what} is not usable: {source}")]
    Refused {
        /// Where it came from.
        what: String,
        /// The library's words.
        source: rustls::Error,
    },
}

/// Makes *ring* the process's crypto provider. The first thing every `main` does.
pub fn install_crypto_provider() {
    // Losing a race against another caller leaves the same provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificates of a PEM text; `what` names it in errors.
pub fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| Error::Pem { what: what.to_owned(), cause: e.to_string() })?;
    if found.is_empty() { Err(Error::NoCertificate(what.to_owned())) } else { Ok(found) }
}

/// The private key of a PEM text.
pub fn private_key(what: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|e| Error::Pem { what: what.to_owned(), cause: e.to_string() })
}

/// A store of trusted roots from a PEM text.
pub fn roots(what: &str, pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(what, pem)? {
        store.add(certificate).map_err(|source| Error::Refused { what: what.to_owned(), source })?;
    }
    Ok(store)
}

/// A client that verifies servers against `roots`, with an optional client certificate (chain, key).
pub fn client(
    roots: RootCertStore,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<ClientConfig, Error> {
    let refused = |source| Error::Refused { what: String::from("the client's TLS configuration"), source };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_root_certificates(roots);
    match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(refused),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// For a server on 127.0.0.1 whose clients are told by us whom to trust: its configuration, and the authority (PEM) that
/// vouches for its certificate and for no other, ever: its key is gone.
///
/// # Errors
/// When the machine gives no randomness, or the TLS library refuses what was made.
pub fn loopback() -> anyhow::Result<(ServerConfig, String)> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
    let authority = params.self_signed(&key)?;
    let issuer = rcgen::Issuer::new(params, key);
    let own = rcgen::KeyPair::generate()?;
    let certificate =
        rcgen::CertificateParams::new(vec![String::from("127.0.0.1")])?.signed_by(&own, &issuer)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    Ok((config, authority.pem()))
}
