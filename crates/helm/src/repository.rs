//! Where charts come from.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use crate::{
    command::{REGISTRIES, REPOSITORIES},
    error::Error,
    mask::Mask,
    workspace::Workspace,
};

/// How the repository is called in the files that Helm reads.
pub(crate) const ALIAS: &str = "repository";

/// A repository of charts or a registry that holds some.
#[derive(Debug, Clone)]
pub struct Repository {
    pub(crate) url: Url,
    /// A registry is asked without TLS.
    pub plain_http: bool,
    /// What it wants to know.
    pub credentials: Option<Credentials>,
    /// Whom its certificate is to come from (PEM), instead of the authorities of the machine.
    pub authority: Option<String>,
}

/// A user and a password.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user.
    pub username: String,
    /// The password, or a token.
    pub password: SecretString,
}

impl Repository {
    /// The repository at a URL: `http`, `https`, or `oci` for a registry.
    ///
    /// # Errors
    /// [`Error::Unusable`] for anything else, and for a URL with a password in it: it would be seen by everybody who can read
    /// the object it stands in.
    pub fn new(url: &str) -> Result<Self, Error> {
        let unusable = |why: &str| Error::Unusable(format!("the URL of the repository {why}"));
        let url = Url::parse(url.trim()).map_err(|error| unusable(&format!("is none: {error}")))?;
        if !matches!(url.scheme(), "http" | "https" | "oci") || url.host_str().is_none_or(str::is_empty) {
            return Err(unusable("is not http://…, https://… or oci://…"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(unusable("holds credentials; they belong into the pull secret"));
        }
        Ok(Self { url, plain_http: false, credentials: None, authority: None })
    }

    /// Whether it is a registry.
    pub fn is_registry(&self) -> bool {
        self.url.scheme() == "oci"
    }

    /// Writes what Helm has to know of it.
    pub(crate) fn write(&self, workspace: &Workspace) -> Result<(), Error> {
        let authority = match &self.authority {
            Some(pem) => Some(workspace.write("authority.pem", pem.as_bytes())?),
            None => None,
        };
        let credentials = self.credentials.as_ref();
        if self.is_registry() {
            let host = match self.url.port() {
                Some(port) => format!("{}:{port}", self.url.host_str().unwrap_or_default()),
                None => self.url.host_str().unwrap_or_default().to_owned(),
            };
            let auths = credentials.map_or_else(
                || json!({}),
                |credentials| {
                    let pair = format!("{}:{}", credentials.username, credentials.password.expose_secret());
                    json!({ host: { "auth": STANDARD.encode(pair) } })
                },
            );
            workspace.write(REGISTRIES, json!({ "auths": auths }).to_string().as_bytes())?;
            return Ok(());
        }
        let mut entry = json!({ "name": ALIAS, "url": self.url.as_str() });
        if let Some(credentials) = credentials {
            entry["username"] = json!(credentials.username);
            entry["password"] = json!(credentials.password.expose_secret());
        }
        if let Some(path) = authority {
            entry["caFile"] = json!(path);
        }
        // JSON is YAML.
        let file = json!({ "apiVersion": "", "generated": "0001-01-01T00:00:00Z", "repositories": [entry] });
        workspace.write(REPOSITORIES, file.to_string().as_bytes())?;
        Ok(())
    }

    pub(crate) fn mask(&self) -> Mask {
        let mut mask = Mask::default();
        if let Some(credentials) = &self.credentials {
            let password = credentials.password.expose_secret();
            mask.add(password);
            mask.add(&format!("{}:{password}", credentials.username));
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_of_a_known_kind_and_holds_no_password() {
        for good in [
            "https://charts.example.com",
            "http://127.0.0.1:8080/charts/",
            "oci://registry.example.com:5000/charts",
        ] {
            assert!(Repository::new(good).is_ok(), "{good}");
        }
        for bad in
            ["", "charts.example.com", "ftp://x", "https://user:hunter2@charts.example.com", "file:///etc"]
        {
            let error = Repository::new(bad).unwrap_err();
            assert!(matches!(&error, Error::Unusable(_)) && !error.to_string().contains("hunter2"), "{bad}");
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        let mut repository = Repository::new("https://charts.example.com").unwrap();
        repository.credentials = Some(Credentials { username: "u".into(), password: "hunter2".into() });
        assert!(!format!("{repository:?}").contains("hunter2"));
    }
}
