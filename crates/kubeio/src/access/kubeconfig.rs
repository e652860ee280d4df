//! A kubeconfig, as far as a server may follow it.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::{AccessError, Authorization, ClientCertificate, ClusterAccess, Secret, Trust};

/// Whether a kubeconfig may name files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileReferences {
    /// It comes from a user, who must not read our files.
    Refused,
    /// It is ours; relative paths begin in this directory.
    RelativeTo(PathBuf),
}

impl ClusterAccess {
    /// What a kubeconfig (YAML or JSON) says of `context`, or of its current context.
    ///
    /// Refused with an error of its own kind: credentials from programs (`exec`, `auth-provider`), files if
    /// `files` says so, a proxy, and impersonation.
    pub fn from_kubeconfig(
        text: &str,
        context: Option<&str>,
        files: &FileReferences,
    ) -> Result<Self, AccessError> {
        // The parser's own words quote the text, which holds secrets.
        let config: Kubeconfig = serde_saphyr::from_str(text).map_err(|error| {
            let place = error.location().map(|place| format!(" near line {}", place.line()));
            AccessError::NotKubeconfig(format!(
                "it is not YAML of a kubeconfig's form{}",
                place.unwrap_or_default()
            ))
        })?;
        let name = context
            .or(config.current_context.as_deref())
            .filter(|name| !name.is_empty())
            .ok_or(AccessError::NoContext)?;
        let context = find(config.contexts, "context", name)?.context;
        let cluster = find(config.clusters, "cluster", &context.cluster)?.cluster;
        let user_name = context.user.unwrap_or_default();
        let user = if user_name.is_empty() {
            User::default()
        } else {
            find(config.users, "user", &user_name)?.user.unwrap_or_default()
        };
        if user.exec.is_some() || user.auth_provider.is_some() {
            return Err(AccessError::Plugin { user: user_name });
        }
        if given(cluster.proxy_url.as_deref()).is_some() {
            return Err(AccessError::Unsupported("proxy-url"));
        }
        if given(user.act_as.as_deref()).is_some() || user.act_as_groups.is_some() {
            return Err(AccessError::Unsupported("impersonation (as, as-groups)"));
        }
        let mut access = Self::new(&cluster.server)?;
        access.server_name = given(cluster.tls_server_name.as_deref()).map(str::to_owned);
        access.trust = trust(&cluster, files)?;
        access.certificate = certificate(&user, files)?;
        access.authorization = authorization(&user, files)?;
        Ok(access)
    }
}

fn trust(cluster: &Cluster, files: &FileReferences) -> Result<Trust, AccessError> {
    let data = cluster.certificate_authority_data.as_deref();
    let file = cluster.certificate_authority.as_deref();
    let roots = content("certificate-authority", data, file, files)?;
    match (roots, cluster.insecure_skip_tls_verify) {
        (None, true) => Ok(Trust::Insecure),
        (None, false) => Ok(Trust::System),
        (Some(roots), false) => Ok(Trust::Roots(roots)),
        (Some(_), true) => Err(AccessError::Credential {
            what: "certificate-authority",
            why: String::from("insecure-skip-tls-verify says that it must not be used"),
        }),
    }
}

fn certificate(user: &User, files: &FileReferences) -> Result<Option<ClientCertificate>, AccessError> {
    let chain = user.client_certificate_data.as_deref();
    let chain = content("client-certificate", chain, user.client_certificate.as_deref(), files)?;
    let key = user.client_key_data.as_deref();
    let key = content("client-key", key, user.client_key.as_deref(), files)?;
    match (chain, key) {
        (Some(chain), Some(key)) => Ok(Some(ClientCertificate { chain, key: key.into() })),
        (None, None) => Ok(None),
        _ => Err(AccessError::Credential {
            what: "the client certificate",
            why: String::from("certificate and key belong together, and one is missing"),
        }),
    }
}

fn authorization(user: &User, files: &FileReferences) -> Result<Authorization, AccessError> {
    let token = given(user.token.as_deref());
    let token_file = given(user.token_file.as_deref());
    let name = given(user.username.as_deref());
    if name.is_some() && (token.is_some() || token_file.is_some()) {
        return Err(AccessError::Credential {
            what: "the user of the kubeconfig",
            why: String::from("it has both a token and a user name"),
        });
    }
    if let Some(file) = token_file {
        return match files {
            FileReferences::Refused => Err(AccessError::File { field: "tokenFile" }),
            FileReferences::RelativeTo(directory) => Ok(Authorization::BearerFile(directory.join(file))),
        };
    }
    if let Some(token) = token {
        return Ok(Authorization::Bearer(Secret::from(token)));
    }
    Ok(match name {
        Some(name) => Authorization::Basic {
            user: name.to_owned(),
            password: Secret::from(user.password.as_deref().unwrap_or_default()),
        },
        None => Authorization::None,
    })
}

/// What a field holds, in itself (base64) or in a file. What is in itself wins.
fn content(
    field: &'static str,
    data: Option<&str>,
    file: Option<&str>,
    files: &FileReferences,
) -> Result<Option<Vec<u8>>, AccessError> {
    let unusable = |why: String| AccessError::Credential { what: field, why };
    if let Some(data) = given(data) {
        let compact: String = data.split_ascii_whitespace().collect();
        return STANDARD.decode(compact).map(Some).map_err(|_| unusable(String::from("it is not base64")));
    }
    match (given(file), files) {
        (None, _) => Ok(None),
        (Some(_), FileReferences::Refused) => Err(AccessError::File { field }),
        (Some(file), FileReferences::RelativeTo(directory)) => {
            std::fs::read(directory.join(file)).map(Some).map_err(|error| unusable(error.to_string()))
        }
    }
}

/// A field that is there and not empty.
fn given(field: Option<&str>) -> Option<&str> {
    field.filter(|text| !text.is_empty())
}

trait Named {
    fn name(&self) -> &str;
}

fn find<T: Named>(all: Option<Vec<T>>, what: &'static str, name: &str) -> Result<T, AccessError> {
    let found = all.into_iter().flatten().find(|entry| entry.name() == name);
    found.ok_or_else(|| AccessError::Missing { what, name: name.to_owned() })
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    current_context: Option<String>,
    contexts: Option<Vec<NamedContext>>,
    clusters: Option<Vec<NamedCluster>>,
    users: Option<Vec<NamedUser>>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: Option<User>,
}

impl Named for NamedContext {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for NamedCluster {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for NamedUser {
    fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    user: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    #[serde(default)]
    server: String,
    tls_server_name: Option<String>,
    #[serde(default)]
    insecure_skip_tls_verify: bool,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    username: Option<String>,
    password: Option<String>,
    exec: Option<Value>,
    auth_provider: Option<Value>,
    #[serde(rename = "as")]
    act_as: Option<String>,
    #[serde(rename = "as-groups")]
    act_as_groups: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kubeconfig with one context, whose cluster and user say this (JSON is YAML too).
    fn config(cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: here\npreferences: {{}}\n\
             contexts:\n- name: here\n  context: {{cluster: c, user: u, namespace: default}}\n\
             clusters:\n- name: c\n  cluster: {cluster}\nusers:\n- name: u\n  user: {user}\n"
        )
    }

    fn read(cluster: &str, user: &str) -> Result<ClusterAccess, AccessError> {
        ClusterAccess::from_kubeconfig(&config(cluster, user), None, &FileReferences::Refused)
    }

    #[test]
    fn a_kubeconfig_with_certificates_inside_is_read_as_kubectl_reads_it() {
        let access = read(
            r#"{"server": "https://a:6443", "certificate-authority-data": "Q0E=", "tls-server-name": "b"}"#,
            r#"{"client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ"}"#,
        )
        .unwrap();
        assert_eq!(access.server(), "https://a:6443");
        assert_eq!(access.server_name.as_deref(), Some("b"));
        assert_eq!(access.trust, Trust::Roots(b"CA".to_vec()));
        let certificate = access.certificate.unwrap();
        assert_eq!((certificate.chain.as_slice(), certificate.key.expose()), (&b"CERT"[..], &b"KEY"[..]));
        assert_eq!(access.authorization, Authorization::None);
    }

    #[test]
    fn a_token_or_a_password_is_taken_and_both_are_refused() {
        let server = r#"{"server": "https://a"}"#;
        let token = read(server, r#"{"token": "t"}"#).unwrap();
        assert_eq!(token.authorization, Authorization::Bearer("t".into()));
        assert_eq!(token.trust, Trust::System);
        let basic = read(server, r#"{"username": "n", "password": "p"}"#).unwrap();
        assert_eq!(
            basic.authorization,
            Authorization::Basic { user: String::from("n"), password: "p".into() }
        );
        let both = read(server, r#"{"username": "n", "password": "p", "token": "t"}"#);
        assert!(matches!(both, Err(AccessError::Credential { .. })));
    }

    #[test]
    fn what_a_server_does_not_do_for_a_user_is_refused_by_name() {
        let server = r#"{"server": "https://a"}"#;
        let plugin = AccessError::Plugin { user: String::from("u") };
        for (cluster, user, expected) in [
            (server, r#"{"exec": {"command": "rm"}}"#, plugin.clone()),
            (server, r#"{"auth-provider": {"name": "gcp"}}"#, plugin),
            (server, r#"{"tokenFile": "/etc/shadow"}"#, AccessError::File { field: "tokenFile" }),
            (
                server,
                r#"{"client-certificate": "/a", "client-key": "/b"}"#,
                AccessError::File { field: "client-certificate" },
            ),
            (
                r#"{"server": "https://a", "certificate-authority": "/etc/shadow"}"#,
                "{}",
                AccessError::File { field: "certificate-authority" },
            ),
            (
                r#"{"server": "https://a", "proxy-url": "http://p"}"#,
                "{}",
                AccessError::Unsupported("proxy-url"),
            ),
            (
                server,
                r#"{"token": "t", "as": "admin"}"#,
                AccessError::Unsupported("impersonation (as, as-groups)"),
            ),
        ] {
            assert_eq!(read(cluster, user), Err(expected), "{cluster} {user}");
        }
    }

    #[test]
    fn insecure_is_said_by_the_kubeconfig_and_never_assumed() {
        let insecure = r#"{"server": "https://a", "insecure-skip-tls-verify": true}"#;
        assert_eq!(read(insecure, "{}").unwrap().trust, Trust::Insecure);
        let contradictory = r#"{"server": "https://a", "insecure-skip-tls-verify": true, "certificate-authority-data": "Q0E="}"#;
        assert!(matches!(read(contradictory, "{}"), Err(AccessError::Credential { .. })));
    }

    #[test]
    fn files_are_read_where_they_are_allowed() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.crt"), "CA").unwrap();
        let files = FileReferences::RelativeTo(directory.path().to_owned());
        let text = config(
            r#"{"server": "https://a", "certificate-authority": "ca.crt"}"#,
            r#"{"tokenFile": "token"}"#,
        );
        let access = ClusterAccess::from_kubeconfig(&text, Some("here"), &files).unwrap();
        assert_eq!(access.trust, Trust::Roots(b"CA".to_vec()));
        assert_eq!(access.authorization, Authorization::BearerFile(directory.path().join("token")));
    }

    #[test]
    fn what_is_missing_is_named() {
        let text = config(r#"{"server": "https://a"}"#, "{}");
        let none = ClusterAccess::from_kubeconfig("{}", None, &FileReferences::Refused);
        assert_eq!(none, Err(AccessError::NoContext));
        let other = ClusterAccess::from_kubeconfig(&text, Some("there"), &FileReferences::Refused);
        assert_eq!(other, Err(AccessError::Missing { what: "context", name: String::from("there") }));
        let no_user = text.replace("- name: u\n", "- name: v\n");
        let no_user = ClusterAccess::from_kubeconfig(&no_user, None, &FileReferences::Refused);
        assert_eq!(no_user, Err(AccessError::Missing { what: "user", name: String::from("u") }));
    }

    #[test]
    fn a_broken_kubeconfig_is_refused_without_quoting_it() {
        let error = read(r#"{"server": "https://a"}"#, r#"{"token": ["hunter2"]}"#).unwrap_err().to_string();
        assert!(error.contains("line") && !error.contains("hunter2"), "{error}");
        for bad in ["", ":", "[]", "a: b: c", "current-context: [x]"] {
            assert!(ClusterAccess::from_kubeconfig(bad, None, &FileReferences::Refused).is_err(), "{bad}");
        }
    }
}
