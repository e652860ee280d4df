//! Whom the server has to be.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};

use crate::{AccessError, ClientCertificate, ClusterAccess, Trust};

/// HTTP/2 if the server has it.
pub(super) const ANY_PROTOCOL: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The TLS side of `access`, with the protocols to choose from.
pub(super) fn config(access: &ClusterAccess, protocols: &[&[u8]]) -> Result<ClientConfig, AccessError> {
    let roots = match &access.trust {
        Trust::System => system_roots()?,
        Trust::Roots(pem) => {
            runtime::tls::roots("the CA", pem).map_err(|error| unusable("the CA", &error))?
        }
        Trust::Insecure => RootCertStore::empty(),
    };
    let identity = access.certificate.as_ref().map(identity).transpose();
    let mut config = identity
        .and_then(|identity| runtime::tls::client(roots, identity))
        .map_err(|error| unusable("the client certificate", &error))?;
    if access.trust == Trust::Insecure {
        let provider = Arc::clone(config.crypto_provider());
        config.dangerous().set_certificate_verifier(Arc::new(Anybody(provider)));
    }
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

/// The name the server's certificate has to be for.
pub(super) fn server_name(access: &ClusterAccess) -> Result<ServerName<'static>, AccessError> {
    let name = access.server_name.as_deref().unwrap_or_else(|| access.host().0);
    ServerName::try_from(name.to_owned()).map_err(|error| unusable("the name of the server", &error))
}

/// The chain and the key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(certificate: &ClientCertificate) -> Result<Identity, runtime::tls::Error> {
    let chain = runtime::tls::certificates("the certificate", &certificate.chain)?;
    Ok((chain, runtime::tls::private_key("the key", certificate.key.expose())?))
}

fn system_roots() -> Result<RootCertStore, AccessError> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        let why = String::from("the system has none, and no CA was given");
        return Err(AccessError::Credential { what: "the trusted roots", why });
    }
    Ok(store)
}

fn unusable(what: &'static str, error: &dyn std::error::Error) -> AccessError {
    AccessError::Credential { what, why: error.to_string() }
}

/// Believes everybody to be the server, as [`Trust::Insecure`] says; that the other side holds the key of the
/// certificate it shows is still checked.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
