//! Who the caller is in the child: the credential of the child kubeconfig, in the form the hub passes on.
//!
//! The credential is used for this one visit. It is never printed, and stored nowhere.

mod exec;

use std::path::{Path, PathBuf};

use api::names::headers;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue};
use kube::config::{AuthInfo, Kubeconfig};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use crate::{
    args::ChildFlags,
    child::exec::Exec,
    failure::Failure,
    parent::{context, find_user, read_file},
};

/// The caller's identity in the child.
#[derive(Debug)]
pub(crate) struct Child {
    source: Source,
    /// Whom to act as in the child.
    pub(crate) impersonation: Impersonation,
    /// The namespace the child kubeconfig prefers.
    pub(crate) namespace: Option<String>,
}

/// Whom to act as in the child; the child's RBAC decides whether the caller may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Impersonation {
    pub(crate) user: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) groups: Vec<String>,
}

/// One credential for the child.
#[derive(Debug, Clone)]
pub(crate) enum Credential {
    /// A bearer token.
    Token(SecretString),
    /// A client certificate and its key, both PEM.
    Certificate { certificate: SecretString, key: SecretString },
}

#[derive(Debug)]
enum Source {
    Nobody,
    Fixed(Credential),
    TokenFile(PathBuf),
    Exec(Box<Mutex<Exec>>),
}

impl Child {
    /// What the flags say.
    pub(crate) fn load(flags: &ChildFlags) -> Result<Self, Failure> {
        let Some(path) = &flags.child_kubeconfig else {
            return Ok(Self { impersonation: Impersonation::of(flags, None), ..Self::anonymous(None) });
        };
        Self::choose(&read_file(path)?, path, flags)
    }

    /// Nobody beside who the caller is in the parent.
    pub(crate) fn anonymous(namespace: Option<String>) -> Self {
        Self { source: Source::Nobody, impersonation: Impersonation::default(), namespace }
    }

    fn choose(file: &Kubeconfig, path: &Path, flags: &ChildFlags) -> Result<Self, Failure> {
        let context = context(file, flags.child_context.as_deref())?;
        let user = match (context.as_ref().and_then(|context| context.user.as_deref()), &file.auth_infos[..])
        {
            (Some(name), _) => find_user(file, name)?,
            // No current context, but no doubt either.
            (None, [only]) => only.auth_info.clone().unwrap_or_default(),
            (None, _) => {
                return Err(Failure::new(format!("the child kubeconfig {} names no user", path.display()))
                    .because("it has no current context")
                    .next("choose one with --child-context"));
            }
        };
        Ok(Self {
            source: Source::of(&user, path)?,
            impersonation: Impersonation::of(flags, Some(&user)),
            namespace: context.and_then(|context| context.namespace),
        })
    }

    /// The credential as it is now: token files are read and exec plug-ins run when their last answer expires.
    pub(crate) async fn credential(&self) -> Result<Option<Credential>, Failure> {
        match &self.source {
            Source::Nobody => Ok(None),
            Source::Fixed(credential) => Ok(Some(credential.clone())),
            Source::TokenFile(path) => {
                let token = tokio::fs::read_to_string(path).await.map_err(|error| {
                    Failure::new(format!("cannot read the child's token file {}", path.display()))
                        .because(error)
                })?;
                Ok(Some(Credential::Token(token.trim().to_owned().into())))
            }
            Source::Exec(exec) => exec.lock().await.credential().await.map(Some),
        }
    }

    /// Whether the credential changes while it is used, so that a copy of it is a snapshot.
    pub(crate) fn expires(&self) -> bool {
        matches!(self.source, Source::TokenFile(_) | Source::Exec(_))
    }

    /// The headers that carry this identity through the parent.
    pub(crate) async fn headers(&self) -> Result<HeaderMap, Failure> {
        let mut carried = HeaderMap::new();
        if let Some(credential) = self.credential().await? {
            carried.insert(HeaderName::from_static(headers::CHILD_AUTHORIZATION), credential.header()?);
        }
        self.impersonation.write(&mut carried)?;
        Ok(carried)
    }
}

impl Source {
    fn of(user: &AuthInfo, path: &Path) -> Result<Self, Failure> {
        let certificate = inline_or_file(
            user.client_certificate_data.as_deref(),
            user.client_certificate.as_deref(),
            "client certificate",
        )?;
        let key = inline_or_file(
            user.client_key_data.as_ref().map(ExposeSecret::expose_secret),
            user.client_key.as_deref(),
            "client key",
        )?;
        // An API server looks at the certificate first; so do we.
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                return Ok(Self::Fixed(Credential::Certificate { certificate, key }));
            }
            (None, None) => {}
            _ => {
                return Err(Failure::new("the child kubeconfig has half a client certificate")
                    .because("client-certificate and client-key are only useful together"));
            }
        }
        if let Some(token) = user.token.as_ref().filter(|token| !token.expose_secret().is_empty()) {
            return Ok(Self::Fixed(Credential::Token(token.clone())));
        }
        if let Some(file) = &user.token_file {
            return Ok(Self::TokenFile(PathBuf::from(file)));
        }
        if let Some(exec) = &user.exec {
            return Ok(Self::Exec(Box::new(Mutex::new(Exec::new(exec.clone())?))));
        }
        if user.username.is_some() {
            return Err(Failure::new("the child kubeconfig uses a password")
                .because("Kubernetes has not accepted passwords since v1.19")
                .next("use a token or a client certificate"));
        }
        if let Some(provider) = &user.auth_provider {
            return Err(Failure::new(format!(
                "the child kubeconfig uses the auth provider {:?}",
                provider.name
            ))
            .because("auth providers were removed from kubectl in v1.26")
            .next("use an exec plug-in, a token or a client certificate"));
        }
        Err(Failure::new(format!("the child kubeconfig {} holds no credential", path.display()))
            .next("leave --child-kubeconfig out to visit anonymously"))
    }
}

impl Impersonation {
    /// The flags, or else what the child kubeconfig asks for.
    fn of(flags: &ChildFlags, user: Option<&AuthInfo>) -> Self {
        if flags.clusternet_as.is_some() {
            return Self {
                user: flags.clusternet_as.clone(),
                uid: flags.clusternet_as_uid.clone(),
                groups: flags.clusternet_as_group.clone(),
            };
        }
        user.map_or_else(Self::default, |user| Self {
            user: user.impersonate.clone(),
            uid: user.impersonate_uid.clone(),
            groups: user.impersonate_groups.clone().unwrap_or_default(),
        })
    }

    fn write(&self, carried: &mut HeaderMap) -> Result<(), Failure> {
        let singles =
            [(headers::CHILD_IMPERSONATE_USER, &self.user), (headers::CHILD_IMPERSONATE_UID, &self.uid)];
        let named = singles
            .into_iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| (name, value)))
            .chain(self.groups.iter().map(|group| (headers::CHILD_IMPERSONATE_GROUP, group)));
        for (name, value) in named {
            let value = HeaderValue::from_str(value).map_err(|_| {
                Failure::new(format!("{value:?} cannot be impersonated"))
                    .because("it holds characters no HTTP header can carry")
            })?;
            carried.append(HeaderName::from_static(name), value);
        }
        Ok(())
    }
}

impl Credential {
    /// The value of `Clusterway-Child-Authorization`.
    pub(crate) fn header(&self) -> Result<HeaderValue, Failure> {
        let text = match self {
            Self::Token(token) => format!("Bearer {}", token.expose_secret()),
            Self::Certificate { certificate, key } => {
                format!("Certificate {}:{}", encode(certificate), encode(key))
            }
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            Failure::new("the child's token is not usable")
                .because("it holds characters no HTTP header can carry")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Base64 of a PEM text.
pub(crate) fn encode(pem: &SecretString) -> String {
    STANDARD.encode(pem.expose_secret())
}

fn inline_or_file(
    data: Option<&str>,
    file: Option<&str>,
    what: &str,
) -> Result<Option<SecretString>, Failure> {
    let bytes = match (data.filter(|data| !data.is_empty()), file) {
        (Some(data), _) => STANDARD.decode(data.trim()).map_err(|_| {
            Failure::new(format!("the {what} in the child kubeconfig is not usable"))
                .because("it is not base64")
        })?,
        (None, Some(path)) => std::fs::read(path)
            .map_err(|error| Failure::new(format!("cannot read the child's {what} {path}")).because(error))?,
        (None, None) => return Ok(None),
    };
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::new(format!("the {what} in the child kubeconfig is not usable")).because("it is not PEM")
    })?;
    Ok(Some(text.into()))
}

#[cfg(test)]
mod tests;
