//! Who a request is in the child.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;

use crate::wire::Agents;

/// Exactly one identity, chosen by the hub from what the caller handed it for the child.
#[derive(Clone, Default)]
pub struct Identity {
    credential: Option<Credential>,
    impersonation: Vec<(&'static str, HeaderValue)>,
}

/// A credential for the child. Passed on and forgotten: never stored, never printed.
#[derive(Clone)]
pub(crate) enum Credential {
    /// The value of the `Authorization` header towards the child.
    Authorization(HeaderValue),
    /// Base64 of a client certificate chain and its key, both PEM.
    Certificate { certificate: HeaderValue, key: HeaderValue },
    /// One of the agent's own ServiceAccounts. Only the agent has its token.
    Agents(Agents),
}

/// What the caller handed over as a credential for the child cannot be one. The text never repeats it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidCredential(&'static str);

impl Identity {
    /// Nobody: the child sees `system:anonymous`.
    pub fn anonymous() -> Self {
        Self::default()
    }

    /// Whoever the agent lets read its cluster for the search: its ServiceAccount for that, whose token the agent adds.
    /// For the hub's own requests, never for a caller's.
    pub fn reader() -> Self {
        Self { credential: Some(Credential::Agents(Agents::Reader)), impersonation: Vec::new() }
    }

    /// Whoever the agent lets apply what the parent deploys: its ServiceAccount for that. For the hub's own requests,
    /// never for a caller's.
    pub fn deployer() -> Self {
        Self { credential: Some(Credential::Agents(Agents::Deployer)), impersonation: Vec::new() }
    }

    /// A bearer token valid in the child.
    pub fn bearer(token: &str) -> Result<Self, InvalidCredential> {
        Self::authorization(&format!("Bearer {token}"))
    }

    /// The value of `Clusterway-Child-Authorization`: `Bearer TOKEN`, or
    /// `Certificate BASE64(PEM):BASE64(KEY PEM)` for a client certificate.
    pub fn authorization(value: &str) -> Result<Self, InvalidCredential> {
        if let Some(pair) = value.strip_prefix("Certificate ") {
            let (certificate, key) = pair.split_once(':').ok_or(InvalidCredential(
                "The credential for the child has no private key: expected Certificate BASE64(PEM):BASE64(KEY PEM).",
            ))?;
            return Self::certificate(certificate, key);
        }
        let token = value.strip_prefix("Bearer ").map(str::trim).unwrap_or_default();
        if token.is_empty() {
            return Err(InvalidCredential(
                "The credential for the child is neither Bearer TOKEN nor Certificate BASE64(PEM):BASE64(KEY PEM).",
            ));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| {
            InvalidCredential("The token for the child holds characters no HTTP header can carry.")
        })?;
        value.set_sensitive(true);
        Ok(Self { credential: Some(Credential::Authorization(value)), impersonation: Vec::new() })
    }

    /// A client certificate for the child: base64 of its PEM and of its key's PEM (contract 2.5).
    pub fn certificate(certificate: &str, key: &str) -> Result<Self, InvalidCredential> {
        const WRONG: InvalidCredential = InvalidCredential(
            "The client certificate for the child is not usable: expected base64 of a PEM certificate and base64 of \
             its PEM private key.",
        );
        let decode = |text: &str| STANDARD.decode(text.trim()).map_err(|_| WRONG);
        let (chain, private) = (decode(certificate)?, decode(key)?);
        let chain = runtime::tls::certificates("the certificate", &chain).map_err(|_| WRONG)?;
        let private = runtime::tls::private_key("the key", &private).map_err(|_| WRONG)?;
        // Building a client from the two finds a key that does not belong to the certificate.
        runtime::tls::client(rustls::RootCertStore::empty(), Some((chain, private))).map_err(|_| WRONG)?;
        let sensitive = |text: &str| {
            let mut value = HeaderValue::from_str(text.trim()).map_err(|_| WRONG)?;
            value.set_sensitive(true);
            Ok(value)
        };
        let credential =
            Credential::Certificate { certificate: sensitive(certificate)?, key: sensitive(key)? };
        Ok(Self { credential: Some(credential), impersonation: Vec::new() })
    }

    /// Asks the child to act as somebody else; the child's own RBAC decides whether the credential may.
    pub fn impersonate(
        mut self,
        user: Option<&str>,
        uid: Option<&str>,
        groups: &[String],
    ) -> Result<Self, InvalidCredential> {
        const WRONG: InvalidCredential = InvalidCredential(
            "The user, uid or group to impersonate in the child holds characters no HTTP header can carry.",
        );
        if user.is_none() && (uid.is_some() || !groups.is_empty()) {
            return Err(InvalidCredential(
                "A uid or group to impersonate in the child needs a user to impersonate.",
            ));
        }
        let single = [("impersonate-user", user), ("impersonate-uid", uid)];
        let wanted = single
            .into_iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)))
            .chain(groups.iter().map(|group| ("impersonate-group", group.as_str())));
        for (name, value) in wanted {
            self.impersonation.push((name, HeaderValue::from_str(value).map_err(|_| WRONG)?));
        }
        Ok(self)
    }

    /// Whether any credential for the child came along.
    pub fn is_anonymous(&self) -> bool {
        self.credential.is_none()
    }

    pub(crate) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    pub(crate) fn impersonation(&self) -> &[(&'static str, HeaderValue)] {
        &self.impersonation
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let form = match self.credential {
            None => "anonymous",
            Some(Credential::Authorization(_)) => "bearer token",
            Some(Credential::Certificate { .. }) => "client certificate",
            Some(Credential::Agents(Agents::Reader)) => "reader",
            Some(Credential::Agents(Agents::Deployer)) => "deployer",
        };
        write!(f, "Identity({form})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_credential_is_refused_without_repeating_it() {
        for bad in [
            "",
            "Bearer",
            "Bearer  ",
            "Basic c2VjcmV0",
            "Certificate abc",
            "Certificate %%%:%%%",
            "Bearer a\nb",
        ] {
            let error = Identity::authorization(bad).unwrap_err().to_string();
            assert!(!error.contains("c2VjcmV0") && !error.contains("abc"), "{error}");
        }
    }

    #[test]
    fn an_identity_never_prints_its_credential() {
        let identity = Identity::bearer("very-secret").unwrap();
        assert_eq!(format!("{identity:?}"), "Identity(bearer token)");
    }

    #[test]
    fn groups_without_a_user_are_refused_as_kubernetes_does() {
        assert!(Identity::anonymous().impersonate(None, None, &["g".to_owned()]).is_err());
    }
}
