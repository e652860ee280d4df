//! The parent: which server, and who the caller is there. Exactly as kubectl decides it, from the same files and flags.

use std::{
    collections::HashMap,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use kube::{
    Client, Config,
    config::{
        AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedAuthInfo,
        NamedCluster, NamedContext,
    },
};

use crate::{
    args::Connection,
    failure::{Failure, chain},
};

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The parent and the caller's identity there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parent {
    /// The server.
    pub(crate) cluster: Cluster,
    /// The caller. Holds credentials.
    pub(crate) user: AuthInfo,
    /// What the kubeconfig calls this user; `None` when flags made another one of it.
    pub(crate) user_name: Option<String>,
    /// The namespace of the context.
    pub(crate) namespace: Option<String>,
}

impl Parent {
    /// What kubeconfig and flags say.
    pub(crate) fn load(flags: &Connection) -> Result<Self, Failure> {
        let file = read(flags.kubeconfig.as_deref())?;
        Self::choose(&file, flags, in_cluster())
    }

    fn choose(file: &Kubeconfig, flags: &Connection, in_cluster: Option<Self>) -> Result<Self, Failure> {
        let context = context(file, flags.context.as_deref())?;
        let cluster_name =
            flags.cluster.as_deref().or_else(|| context.as_ref().map(|context| context.cluster.as_str()));
        let user_name =
            flags.user.as_deref().or_else(|| context.as_ref().and_then(|context| context.user.as_deref()));
        let mut chosen = match (cluster_name, flags.server.is_some(), in_cluster) {
            (None, false, Some(pod)) => pod,
            (None, false, None) => {
                return Err(Failure::new("no parent is configured")
                    .because("there is no kubeconfig, or it has no current context")
                    .next("name it with --kubeconfig or $KUBECONFIG; kubectl config get-contexts shows the contexts"));
            }
            (name, ..) => Self {
                cluster: name.map(|name| find_cluster(file, name)).transpose()?.unwrap_or_default(),
                user: user_name.map(|name| find_user(file, name)).transpose()?.unwrap_or_default(),
                user_name: user_name.filter(|_| !flags.change_user()).map(str::to_owned),
                namespace: context.as_ref().and_then(|context| context.namespace.clone()),
            },
        };
        chosen.apply(flags)?;
        Ok(chosen)
    }

    fn apply(&mut self, flags: &Connection) -> Result<(), Failure> {
        if let Some(server) = &flags.server {
            self.cluster.server = Some(server.clone());
        }
        if let Some(file) = &flags.certificate_authority {
            self.cluster.certificate_authority_data = None;
            self.cluster.certificate_authority = Some(absolute(file));
        }
        if let Some(name) = &flags.tls_server_name {
            self.cluster.tls_server_name = Some(name.clone());
        }
        if let Some(skip) = flags.insecure_skip_tls_verify {
            self.cluster.insecure_skip_tls_verify = Some(skip);
        }
        if let (Some(certificate), Some(key)) = (&flags.client_certificate, &flags.client_key) {
            self.user.client_certificate_data = None;
            self.user.client_key_data = None;
            self.user.client_certificate = Some(absolute(certificate));
            self.user.client_key = Some(absolute(key));
        }
        if let Some(token) = &flags.token {
            self.user.token = Some(token.clone().into());
            self.user.token_file = None;
            self.user.exec = None;
            self.user.auth_provider = None;
        }
        if let Some(user) = &flags.impersonate {
            self.user.impersonate = Some(user.clone());
        }
        if let Some(uid) = &flags.as_uid {
            self.user.impersonate_uid = Some(uid.clone());
        }
        if !flags.as_group.is_empty() {
            self.user.impersonate_groups = Some(flags.as_group.clone());
        }
        if !flags.as_user_extra.is_empty() {
            self.user.impersonate_user_extra = Some(extras(&flags.as_user_extra)?);
        }
        Ok(())
    }

    /// The address of the parent's API server, without a slash at its end.
    pub(crate) fn server(&self) -> Result<&str, Failure> {
        self.cluster.server.as_deref().map(|server| server.trim_end_matches('/')).ok_or_else(|| {
            Failure::new("the parent has no address")
                .because("the cluster in the kubeconfig has no server")
                .next("set it with kubectl config set-cluster, or give --server")
        })
    }

    /// How to reach it, with the caller's credentials.
    pub(crate) async fn config(&self) -> Result<Config, Failure> {
        self.require_verified_names()?;
        let file = self.standalone("parent", "parent", None);
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(file, &options).await.map_err(|error| {
            Failure::new("cannot use the kubeconfig of the parent").because(chain(&error))
        })?;
        if let Some(proxy) = self.cluster.proxy_url.as_ref().filter(|url| !url.is_empty()) {
            return Err(Failure::new(format!("the parent cannot be reached through the proxy {proxy}"))
                .because("proxy-url is not supported yet")
                .next(
                    "kubectl clusterway kubeconfig prints a kubeconfig for plain kubectl, which supports it",
                ));
        }
        config.proxy_url = None;
        // A watch may be silent for long: whoever calls decides how long to wait.
        config.read_timeout = None;
        config.write_timeout = None;
        Ok(config)
    }

    /// A client of the parent.
    pub(crate) async fn client(&self) -> Result<Client, Failure> {
        let mut config = self.config().await?;
        config.read_timeout = Some(std::time::Duration::from_secs(60));
        Client::try_from(config)
            .map_err(|error| Failure::new("cannot connect to the parent").because(chain(&error)))
    }

    /// A credential must not travel in clear; only `kubectl proxy` on this machine may be spoken to without TLS.
    fn require_verified_names(&self) -> Result<(), Failure> {
        let server = self.server()?;
        let url = url::Url::parse(server).map_err(|error| {
            Failure::new(format!("the parent's address {server:?} is not a URL")).because(error)
        })?;
        let local = match url.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        if url.scheme() == "https" || (url.scheme() == "http" && local) {
            return Ok(());
        }
        Err(Failure::new(format!("the parent's address {server:?} is not https"))
            .because("credentials would travel in clear")
            .next("give the https address with --server"))
    }

    /// A kubeconfig with this parent and user as its only context.
    pub(crate) fn standalone(&self, name: &str, user: &str, namespace: Option<String>) -> Kubeconfig {
        Kubeconfig {
            api_version: Some(String::from("v1")),
            kind: Some(String::from("Config")),
            clusters: vec![NamedCluster {
                name: name.to_owned(),
                cluster: Some(self.cluster.clone()),
                ..NamedCluster::default()
            }],
            auth_infos: vec![NamedAuthInfo {
                name: user.to_owned(),
                auth_info: Some(self.user.clone()),
                ..NamedAuthInfo::default()
            }],
            contexts: vec![NamedContext {
                name: name.to_owned(),
                context: Some(Context {
                    cluster: name.to_owned(),
                    user: Some(user.to_owned()),
                    namespace,
                    ..Context::default()
                }),
                ..NamedContext::default()
            }],
            current_context: Some(name.to_owned()),
            ..Kubeconfig::default()
        }
    }
}

/// The kubeconfig files that count, in kubectl's order: a flag, `$KUBECONFIG`, `~/.kube/config`.
pub(crate) fn files(flag: Option<&Path>, env: Option<&OsStr>, home: Option<PathBuf>) -> Vec<PathBuf> {
    if let Some(path) = flag {
        return vec![path.to_owned()];
    }
    let listed: Vec<PathBuf> = env
        .into_iter()
        .flat_map(|list| std::env::split_paths(list).collect::<Vec<_>>())
        .filter(|path| !path.as_os_str().is_empty())
        .collect();
    if listed.is_empty() { home.into_iter().map(|home| home.join(".kube/config")).collect() } else { listed }
}

fn read(flag: Option<&Path>) -> Result<Kubeconfig, Failure> {
    let mut merged = Kubeconfig::default();
    for path in files(flag, std::env::var_os("KUBECONFIG").as_deref(), std::env::home_dir()) {
        // As kubectl does: a file that is named must be there, others may be missing.
        if flag.is_none() && !path.try_exists().unwrap_or(true) {
            continue;
        }
        merged = merged.merge(read_file(&path)?).map_err(|error| {
            Failure::new(format!("cannot read the kubeconfig {}", path.display())).because(chain(&error))
        })?;
    }
    Ok(merged)
}

/// One kubeconfig file, with the paths in it made absolute.
pub(crate) fn read_file(path: &Path) -> Result<Kubeconfig, Failure> {
    Kubeconfig::read_from(absolute(path)).map_err(|error| {
        let failure = Failure::new(format!("cannot read the kubeconfig {}", path.display()));
        match error {
            KubeconfigError::ReadConfig(cause, _) => failure.because(cause),
            other => failure.because(chain(&other)),
        }
    })
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).to_string_lossy().into_owned()
}

/// The wanted context, or the current one, if there is any.
pub(crate) fn context(file: &Kubeconfig, wanted: Option<&str>) -> Result<Option<Context>, Failure> {
    let current = file.current_context.as_deref().filter(|name| !name.is_empty());
    let Some(name) = wanted.or(current) else { return Ok(None) };
    let found = file.contexts.iter().find(|context| context.name == name);
    found.map(|context| context.context.clone()).ok_or_else(|| {
        Failure::new(format!("the kubeconfig has no context {name:?}")).next(
            suggest(name, file.contexts.iter().map(|context| context.name.as_str()))
                .unwrap_or_else(|| String::from("kubectl config get-contexts shows those it has")),
        )
    })
}

fn find_cluster(file: &Kubeconfig, name: &str) -> Result<Cluster, Failure> {
    file.clusters
        .iter()
        .find(|cluster| cluster.name == name)
        .and_then(|cluster| cluster.cluster.clone())
        .ok_or_else(|| {
            Failure::new(format!("the kubeconfig has no cluster {name:?}"))
                .next("kubectl config get-clusters shows those it has; the cluster to visit is named with --cluster-id")
        })
}

/// The user of that name in a kubeconfig.
pub(crate) fn find_user(file: &Kubeconfig, name: &str) -> Result<AuthInfo, Failure> {
    file.auth_infos
        .iter()
        .find(|user| user.name == name)
        .map(|user| user.auth_info.clone().unwrap_or_default())
        .ok_or_else(|| {
            Failure::new(format!("the kubeconfig has no user {name:?}"))
                .next("kubectl config get-users shows those it has")
        })
}

/// The parent a Pod runs in.
fn in_cluster() -> Option<Parent> {
    let host = std::env::var("KUBERNETES_SERVICE_HOST").ok()?;
    let port = std::env::var("KUBERNETES_SERVICE_PORT").ok()?;
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Some(Parent {
        cluster: Cluster {
            server: Some(format!("https://{host}:{port}")),
            certificate_authority: Some(format!("{SERVICE_ACCOUNT}/ca.crt")),
            ..Cluster::default()
        },
        user: AuthInfo { token_file: Some(format!("{SERVICE_ACCOUNT}/token")), ..AuthInfo::default() },
        ..Parent::default()
    })
}

fn extras(pairs: &[String]) -> Result<HashMap<String, Vec<String>>, Failure> {
    let mut extras: HashMap<String, Vec<String>> = HashMap::new();
    for pair in pairs {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::new(format!("--as-user-extra {pair:?} is not KEY=VALUE")))?;
        extras.entry(key.to_owned()).or_default().push(value.to_owned());
    }
    Ok(extras)
}

/// "did you mean …?", when one of the known names is near.
pub(crate) fn suggest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let near = known
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, name)| {
            *distance <= 1 + wrong.chars().count() / 3 || (wrong.len() > 2 && name.contains(wrong))
        })
        .min()?;
    Some(format!("did you mean {}?", near.1))
}

/// How many letters differ (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let change = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    const FILE: &str = "
apiVersion: v1
kind: Config
current-context: one
contexts:
- name: one
  context: {cluster: c1, user: u1, namespace: ns1}
- name: two
  context: {cluster: c2, user: u2}
clusters:
- name: c1
  cluster: {server: 'https://one:6443/'}
- name: c2
  cluster: {server: 'https://two:6443'}
users:
- name: u1
  user: {token: t1}
- name: u2
  user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: login}}
";

    fn choose(flags: &Connection) -> Result<Parent, Failure> {
        Parent::choose(&Kubeconfig::from_yaml(FILE).unwrap(), flags, None)
    }

    #[test]
    fn the_current_context_is_the_parent_unless_flags_say_otherwise() {
        assert_eq!(choose(&Connection::default()).unwrap().server().unwrap(), "https://one:6443");
        let flags = Connection { context: Some("two".into()), ..Connection::default() };
        assert_eq!(choose(&flags).unwrap().server().unwrap(), "https://two:6443");
        let flags =
            Connection { cluster: Some("c2".into()), user: Some("u1".into()), ..Connection::default() };
        let mixed = choose(&flags).unwrap();
        assert_eq!(mixed.server().unwrap(), "https://two:6443");
        assert_eq!(mixed.user.token.unwrap().expose_secret(), "t1");
    }

    #[test]
    fn the_user_has_the_name_it_has_in_the_kubeconfig_until_flags_make_another_one_of_it() {
        let parent = choose(&Connection::default()).unwrap();
        assert_eq!((parent.user_name.as_deref(), parent.namespace.as_deref()), (Some("u1"), Some("ns1")));
        let boss = Connection { impersonate: Some("boss".into()), ..Connection::default() };
        assert_eq!(choose(&boss).unwrap().user_name, None);
    }

    #[test]
    fn a_token_by_flag_replaces_every_other_way_to_get_one() {
        let flags =
            Connection { context: Some("two".into()), token: Some("t".into()), ..Connection::default() };
        let user = choose(&flags).unwrap().user;
        assert!(user.exec.is_none());
        assert_eq!(user.token.unwrap().expose_secret(), "t");
    }

    #[test]
    fn a_wrong_context_is_answered_with_the_near_one() {
        let flags = Connection { context: Some("tow".into()), ..Connection::default() };
        let text = choose(&flags).unwrap_err().to_string();
        assert!(text.contains("no context \"tow\"") && text.contains("did you mean two?"), "{text}");
    }

    #[test]
    fn credentials_do_not_travel_in_clear_except_to_this_machine() {
        for (server, fine) in [
            ("https://p:6443", true),
            ("http://127.0.0.1:8001", true),
            ("http://localhost:8001", true),
            ("http://p:8080", false),
            ("http://localhost.evil.example", false),
        ] {
            let flags = Connection { server: Some(server.to_owned()), ..Connection::default() };
            assert_eq!(choose(&flags).unwrap().require_verified_names().is_ok(), fine, "{server}");
        }
    }

    #[test]
    fn kubeconfigs_are_looked_for_where_kubectl_looks() {
        let home = || Some(PathBuf::from("/home/me"));
        assert_eq!(files(None, None, home()), [PathBuf::from("/home/me/.kube/config")]);
        assert_eq!(files(None, Some(OsStr::new("")), home()), [PathBuf::from("/home/me/.kube/config")]);
        assert_eq!(files(None, Some(OsStr::new("a::b")), home()), [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!(files(Some(Path::new("c")), Some(OsStr::new("a")), home()), [PathBuf::from("c")]);
    }
}
