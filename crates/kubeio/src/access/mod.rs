//! Where a cluster is and how it is entered: values, before anything is connected.

mod kubeconfig;
mod secret;

use std::path::PathBuf;

use http::Uri;

pub use kubeconfig::FileReferences;
pub use secret::Secret;

/// Where a cluster is and how it is entered.
///
/// Two of them are equal if a connection made with one may stand for a connection made with the other. `Debug` shows
/// no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAccess {
    /// Scheme, authority, and a path that stands before every other: see [`ClusterAccess::server`].
    pub(crate) server: Uri,
    /// Whom the server's certificate may come from.
    pub trust: Trust,
    /// The name the server's certificate is for, if not that in its URL.
    pub server_name: Option<String>,
    /// What is sent with each request.
    pub authorization: Authorization,
    /// What is shown in the TLS handshake, beside `authorization`.
    pub certificate: Option<ClientCertificate>,
}

/// Whom a server's certificate may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// The roots of the operating system.
    System,
    /// The certificates of this PEM text.
    Roots(Vec<u8>),
    /// Anybody. Whoever is on the way can read and change everything, credentials included.
    Insecure,
}

/// What is sent in the `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorization {
    /// Nothing.
    None,
    /// A bearer token.
    Bearer(Secret),
    /// A bearer token in a file that somebody else renews; it is read again every minute, and after a 401.
    BearerFile(PathBuf),
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and what signed it, PEM.
    pub chain: Vec<u8>,
    /// The private key, PEM.
    pub key: Secret,
}

/// Why nothing can be connected with what was given. Somebody has to change it; every message is for that person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The address is not one.
    #[error("the server {url:?} is not usable: {why}")]
    Server {
        /// The address as it was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A certificate, key or token cannot be used.
    #[error("{what} cannot be used: {why}")]
    Credential {
        /// Which.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The text is not a kubeconfig.
    #[error("the kubeconfig cannot be read: {0}")]
    NotKubeconfig(String),
    /// The kubeconfig names something that is not in it.
    #[error("the kubeconfig has no {what} {name:?}")]
    Missing {
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// The name that is missed.
        name: String,
    },
    /// No context was asked for, and the kubeconfig has no current one.
    #[error("the kubeconfig has no current-context")]
    NoContext,
    /// The kubeconfig wants a program to be run, which a server never does for a user.
    #[error(
        "user {user:?} of the kubeconfig gets its credential from a program (exec or auth-provider), which is not run \
         here: use a token or a client certificate"
    )]
    Plugin {
        /// The user's name in the kubeconfig.
        user: String,
    },
    /// The kubeconfig refers to a file, and the files around are not its author's.
    #[error("{field} of the kubeconfig refers to a file: put the content itself into {field}-data or token")]
    File {
        /// The field.
        field: &'static str,
    },
    /// The kubeconfig asks for something that is not supported, and going on without it would not be the same.
    #[error("{0} of the kubeconfig is not supported")]
    Unsupported(&'static str),
}

impl ClusterAccess {
    /// The cluster at `server`, entered by nobody, trusted by the roots of the system.
    ///
    /// `server` is a URL with scheme `https` or `http`; without a scheme it is `https`. It may have a path, which is
    /// put before every other.
    ///
    /// ```
    /// let access = kubeio::ClusterAccess::new("https://10.0.0.7:6443")?;
    /// assert_eq!(access.server(), "https://10.0.0.7:6443");
    /// # Ok::<(), kubeio::AccessError>(())
    /// ```
    pub fn new(server: &str) -> Result<Self, AccessError> {
        Ok(Self {
            server: parse_server(server)?,
            trust: Trust::System,
            server_name: None,
            authorization: Authorization::None,
            certificate: None,
        })
    }

    /// The cluster's URL, without a slash at the end.
    pub fn server(&self) -> String {
        self.server.to_string().trim_end_matches('/').to_owned()
    }

    /// What stands before the path of every request; empty or beginning with a slash, never ending with one.
    pub(crate) fn prefix(&self) -> &str {
        self.server.path().trim_end_matches('/')
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.server.scheme() == Some(&http::uri::Scheme::HTTPS)
    }

    /// Host (an IPv6 address without brackets) and port.
    pub(crate) fn host(&self) -> (&str, u16) {
        let host = self.server.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let usual = if self.is_tls() { 443 } else { 80 };
        (host, self.server.port_u16().unwrap_or(usual))
    }
}

fn parse_server(text: &str) -> Result<Uri, AccessError> {
    // What is wrong may be a password in the wrong place.
    let shown = if text.contains('@') { "…" } else { text };
    let error = |why| AccessError::Server { url: shown.to_owned(), why };
    let text = text.trim();
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let uri: Uri = with_scheme.parse().map_err(|_| error("it is not a URL"))?;
    if !matches!(uri.scheme_str(), Some("https" | "http")) {
        return Err(error("its scheme is neither https nor http"));
    }
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    if authority.contains('@') {
        return Err(error("it holds a user name"));
    }
    let host = uri.host().unwrap_or_default();
    if host.is_empty() || (authority.len() > host.len() && uri.port_u16().is_none()) {
        return Err(error("its host or port is missing"));
    }
    if uri.query().is_some() || with_scheme.contains('#') {
        return Err(error("it has a query or fragment"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_url_with_a_host_and_perhaps_a_path() {
        for (text, tls, host, port, prefix) in [
            ("https://10.0.0.7:6443", true, "10.0.0.7", 6443, ""),
            ("https://a.example/k8s/clusters/c-1/", true, "a.example", 443, "/k8s/clusters/c-1"),
            ("http://localhost:8001/", false, "localhost", 8001, ""),
            ("https://[::1]:6443", true, "::1", 6443, ""),
            ("10.0.0.7:6443", true, "10.0.0.7", 6443, ""),
        ] {
            let access = ClusterAccess::new(text).unwrap();
            assert_eq!(
                (access.is_tls(), access.host(), access.prefix()),
                (tls, (host, port), prefix),
                "{text}"
            );
        }
    }

    #[test]
    fn a_bad_server_is_refused_and_a_password_in_it_is_not_repeated() {
        for bad in ["", "ftp://a", "https://", "https://a:x", "https://a/?q", "https://a/#f", "unix:///run/x"]
        {
            assert!(matches!(ClusterAccess::new(bad), Err(AccessError::Server { .. })), "{bad}");
        }
        let error = ClusterAccess::new("https://root:hunter2@a").unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn secrets_are_compared_but_never_shown() {
        let with = |token: &str| {
            let mut access = ClusterAccess::new("a").unwrap();
            access.authorization = Authorization::Bearer(Secret::from(token));
            access
        };
        assert_eq!(with("hunter2"), with("hunter2"));
        assert_ne!(with("hunter2"), with("hunter3"));
        assert!(!format!("{:?}", with("hunter2")).contains("hunter2"));
    }
}
