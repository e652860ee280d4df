//! How a cluster is reached and entered (contract 3.2).

use api::pedia::{AuthenticationFrom, CaKind, PediaClusterSpec, SecretKey};
use k8s_openapi::ByteString;
use kubeio::{AccessError, Authorization, ClientCertificate, ClusterAccess, FileReferences, Secret, Trust};

use crate::{
    Options,
    parent::{Parent, ParentError},
    rights::Reader,
};

/// How a cluster is reached. Two that are equal need no new connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Through the tunnel of its agent.
    Tunnel {
        /// Its id among the registered clusters.
        cluster_id: String,
    },
    /// At its address.
    Direct(Box<ClusterAccess>),
}

impl Way {
    /// Which cluster is at its end, as far as that can be said from here.
    pub(crate) fn origin(&self) -> String {
        match self {
            Self::Tunnel { cluster_id } => format!("tunnel:{cluster_id}"),
            Self::Direct(access) => access.server(),
        }
    }

    /// Who reads there.
    pub(crate) fn reader(&self) -> Reader {
        match self {
            Self::Tunnel { .. } => Reader::Agent,
            Self::Direct(_) => Reader::Credentials,
        }
    }
}

/// Why a cluster cannot be reached as its PediaCluster says. The texts are for whoever wrote it, and hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("spec names neither a clusterId nor a kubeconfig nor an apiserver")]
    NoServer,
    #[error(
        "there are no credentials for {0}: set clusterId, kubeconfig, tokenData, certData and keyData, or \
         authenticationFrom"
    )]
    NoCredentials(String),
    #[error(
        "authenticationFrom is switched off with the hub's flag \
         --feature-gates=ClusterAuthenticationFromSecret=false"
    )]
    SecretsOff,
    #[error("{what} is not text")]
    NotText { what: &'static str },
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Parent(#[from] ParentError),
}

/// What the hub allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The gate `ClusterAuthenticationFromSecret`.
    pub(crate) secrets: bool,
    /// A PediaCluster without CA certificates means a server that is not verified, not one with a public certificate.
    pub(crate) insecure_without_ca: bool,
}

impl Policy {
    pub(crate) fn of(options: &Options) -> Self {
        Self { secrets: options.credentials_from_secrets, insecure_without_ca: options.insecure_without_ca }
    }
}

/// Credentials beside an address.
#[derive(Default)]
struct Credentials {
    ca: Option<Vec<u8>>,
    token: Option<Vec<u8>>,
    certificate: Option<(Vec<u8>, Vec<u8>)>,
}

/// How the cluster of `spec` is reached and entered.
pub(crate) async fn resolve(
    spec: &PediaClusterSpec,
    parent: &dyn Parent,
    policy: Policy,
) -> Result<Way, ConfigError> {
    match way(spec, parent, policy).await? {
        Way::Direct(access)
            if access.authorization == Authorization::None && access.certificate.is_none() =>
        {
            Err(ConfigError::NoCredentials(access.server()))
        }
        way => Ok(way),
    }
}

/// How the cluster of `spec` is reached, with its credentials if there are any.
pub(crate) async fn way(
    spec: &PediaClusterSpec,
    parent: &dyn Parent,
    policy: Policy,
) -> Result<Way, ConfigError> {
    if let Some(cluster_id) = spec.cluster_id.as_deref().filter(|id| !id.is_empty()) {
        return Ok(Way::Tunnel { cluster_id: cluster_id.to_ascii_lowercase() });
    }
    let inline = Credentials {
        ca: bytes(spec.ca_data.as_ref()),
        token: bytes(spec.token_data.as_ref()),
        certificate: bytes(spec.cert_data.as_ref()).zip(bytes(spec.key_data.as_ref())),
    };
    let kubeconfig = bytes(spec.kubeconfig.as_ref());
    let nothing_inline = kubeconfig.is_none() && inline.token.is_none() && inline.certificate.is_none();
    let (kubeconfig, credentials) = match &spec.authentication_from {
        Some(_) if nothing_inline && !policy.secrets => return Err(ConfigError::SecretsOff),
        Some(from) if nothing_inline => referenced(from, parent).await?,
        _ => (kubeconfig, inline),
    };
    if let Some(kubeconfig) = kubeconfig {
        let text = text("kubeconfig", kubeconfig)?;
        let access = ClusterAccess::from_kubeconfig(&text, None, &FileReferences::Refused)?;
        return Ok(Way::Direct(Box::new(access)));
    }
    let server = spec.apiserver.as_deref().map(str::trim).filter(|server| !server.is_empty());
    let mut access = ClusterAccess::new(server.ok_or(ConfigError::NoServer)?)?;
    access.trust = match credentials.ca {
        Some(ca) => Trust::Roots(ca),
        None if policy.insecure_without_ca => Trust::Insecure,
        None => Trust::System,
    };
    if let Some(token) = credentials.token {
        let token = text("the token", token)?;
        access.authorization = Authorization::Bearer(Secret::from(token.trim()));
    }
    access.certificate =
        credentials.certificate.map(|(chain, key)| ClientCertificate { chain, key: Secret::from(key) });
    Ok(Way::Direct(Box::new(access)))
}

/// What the Secrets say: a whole kubeconfig, or the rest.
async fn referenced(
    from: &AuthenticationFrom,
    parent: &dyn Parent,
) -> Result<(Option<Vec<u8>>, Credentials), ParentError> {
    if let Some(kubeconfig) = &from.kubeconfig {
        let kubeconfig = parent.value(CaKind::Secret, &kubeconfig.name, &kubeconfig.key).await?;
        return Ok((Some(kubeconfig), Credentials::default()));
    }
    let ca = match &from.ca {
        Some(ca) => Some(parent.value(ca.kind.unwrap_or_default(), &ca.name, &ca.key).await?),
        None => None,
    };
    let token = secret(parent, from.token.as_ref()).await?;
    let certificate = secret(parent, from.cert.as_ref()).await?.zip(secret(parent, from.key.as_ref()).await?);
    Ok((None, Credentials { ca, token, certificate }))
}

async fn secret(parent: &dyn Parent, key: Option<&SecretKey>) -> Result<Option<Vec<u8>>, ParentError> {
    match key {
        Some(SecretKey { name, key }) => parent.value(CaKind::Secret, name, key).await.map(Some),
        None => Ok(None),
    }
}

fn bytes(value: Option<&ByteString>) -> Option<Vec<u8>> {
    value.map(|value| value.0.clone()).filter(|value| !value.is_empty())
}

fn text(what: &'static str, value: Vec<u8>) -> Result<String, ConfigError> {
    String::from_utf8(value).map_err(|_| ConfigError::NotText { what })
}

#[cfg(test)]
mod tests {
    use api::pedia::CaKey;

    use super::*;
    use crate::fake::FakeParent;

    const SAFE: Policy = Policy { secrets: true, insecure_without_ca: false };

    async fn resolved(spec: &PediaClusterSpec, parent: &FakeParent) -> Result<Way, ConfigError> {
        resolve(spec, parent, SAFE).await
    }

    fn direct(way: Result<Way, ConfigError>) -> ClusterAccess {
        let Ok(Way::Direct(access)) = way else { panic!("{way:?}") };
        *access
    }

    fn data(text: &str) -> ByteString {
        ByteString(text.as_bytes().to_vec())
    }

    fn key(name: &str) -> SecretKey {
        SecretKey { name: name.into(), key: "value".into() }
    }

    fn at(server: &str) -> PediaClusterSpec {
        PediaClusterSpec { apiserver: Some(server.into()), ..PediaClusterSpec::default() }
    }

    const KUBECONFIG: &str = "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], \
        clusters: [{name: k, cluster: {server: 'https://from-kubeconfig'}}], users: [{name: u, user: {token: t}}]}";

    #[tokio::test]
    async fn a_registered_cluster_needs_nothing_but_its_id() {
        let spec = PediaClusterSpec { cluster_id: Some("ABC".into()), ..PediaClusterSpec::default() };
        let way = resolved(&spec, &FakeParent::default()).await;
        assert_eq!(way, Ok(Way::Tunnel { cluster_id: "abc".into() }));
    }

    #[tokio::test]
    async fn a_kubeconfig_wins_over_everything_beside_it() {
        let spec = PediaClusterSpec {
            kubeconfig: Some(data(KUBECONFIG)),
            token_data: Some(data("x")),
            ..at("https://b")
        };
        let access = direct(resolved(&spec, &FakeParent::default()).await);
        assert_eq!(access.server(), "https://from-kubeconfig");
    }

    #[tokio::test]
    async fn an_address_needs_credentials_and_credentials_an_address() {
        let parent = FakeParent::default();
        let nobody = resolved(&at("https://a"), &parent).await;
        assert_eq!(nobody, Err(ConfigError::NoCredentials("https://a".into())));
        let nowhere = PediaClusterSpec { token_data: Some(data("t")), ..PediaClusterSpec::default() };
        assert_eq!(resolved(&nowhere, &parent).await, Err(ConfigError::NoServer));
    }

    #[tokio::test]
    async fn a_server_without_ca_is_verified_unless_the_hub_was_told_otherwise() {
        let spec = PediaClusterSpec { token_data: Some(data("t\n")), ..at("https://a") };
        let parent = FakeParent::default();
        let access = direct(resolved(&spec, &parent).await);
        assert_eq!(access.trust, Trust::System);
        assert_eq!(access.authorization, Authorization::Bearer(Secret::from("t")));
        let policy = Policy { insecure_without_ca: true, ..SAFE };
        assert_eq!(direct(resolve(&spec, &parent, policy).await).trust, Trust::Insecure);
    }

    #[tokio::test]
    async fn credentials_come_from_secrets_and_a_ca_from_a_config_map() {
        let parent = FakeParent::default();
        parent.set(CaKind::Secret, "token", "value", "t");
        parent.set(CaKind::ConfigMap, "ca", "ca.crt", "PEM");
        let ca = CaKey { kind: Some(CaKind::ConfigMap), name: "ca".into(), key: "ca.crt".into() };
        let from =
            AuthenticationFrom { token: Some(key("token")), ca: Some(ca), ..AuthenticationFrom::default() };
        let spec = PediaClusterSpec { authentication_from: Some(from), ..at("https://a") };
        let access = direct(resolved(&spec, &parent).await);
        assert_eq!(access.trust, Trust::Roots(b"PEM".to_vec()));
        assert_eq!(access.authorization, Authorization::Bearer(Secret::from("t")));
        let off = Policy { secrets: false, ..SAFE };
        assert_eq!(resolve(&spec, &parent, off).await, Err(ConfigError::SecretsOff));
    }

    #[tokio::test]
    async fn a_secret_that_is_missing_is_named() {
        let from = AuthenticationFrom { kubeconfig: Some(key("gone")), ..AuthenticationFrom::default() };
        let spec = PediaClusterSpec { authentication_from: Some(from), ..PediaClusterSpec::default() };
        let error = resolved(&spec, &FakeParent::default()).await.unwrap_err();
        assert!(matches!(&error, ConfigError::Parent(ParentError::Missing(name)) if name.contains("gone")));
    }
}
