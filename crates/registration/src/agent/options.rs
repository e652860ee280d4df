//! What an agent is told by its flags, checked once.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use api::clusters::SyncMode;
use url::Url;

/// A flag that cannot be used. The message names the flag and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--{flag}: {problem}")]
pub struct Invalid {
    flag: &'static str,
    problem: String,
}

/// How the agent registers and reports (contract 3.1). [`Options::check`] says what is wrong with it.
#[derive(Debug, Clone)]
pub struct Options {
    /// The parent's API server.
    pub parent_url: String,
    /// A bootstrap token or ServiceAccount token of the parent.
    pub token: String,
    /// The parent's CA, if it is known.
    pub parent_ca: Option<PathBuf>,
    /// Do not verify the parent while registering.
    pub insecure: bool,
    /// The wanted name; empty for a made-up one.
    pub name: String,
    /// How a made-up name begins.
    pub name_prefix: String,
    /// The wanted namespace; empty for a made-up one.
    pub namespace: String,
    /// `StandardCluster` or `EdgeCluster`.
    pub cluster_type: String,
    /// Who applies what the parent deploys.
    pub sync_mode: SyncMode,
    /// Labels wanted on the ManagedCluster.
    pub labels: BTreeMap<String, String>,
    /// The share of worker nodes that must agree on a label.
    pub aggregate_threshold: f64,
    /// Prefixes of node labels that are aggregated.
    pub aggregate_prefixes: Vec<String>,
    /// Time between two reports of an unchanged cluster.
    pub report_period: Duration,
    /// Time between two looks at the cluster.
    pub collect_period: Duration,
    /// Name of the Lease whose UID is the cluster id.
    pub lease_name: String,
    /// Namespace of the Lease and of the Secret.
    pub lease_namespace: String,
    /// The address of the child's API server as the agent uses it.
    pub api_server: String,
    /// Gate `AppPusher`: the parent may deploy into this child.
    pub app_pusher: bool,
    /// Gate `SocketConnection`: a tunnel is opened.
    pub use_socket: bool,
    /// Requests per second the parent should send at most.
    pub kube_qps: f64,
    /// Requests the parent should send at most at once.
    pub kube_burst: i32,
}

impl Options {
    /// Says which option cannot be used, why, and what is expected.
    pub fn check(&self) -> Result<(), Invalid> {
        let invalid = |flag, problem: &str| Err(Invalid { flag, problem: problem.to_owned() });
        let url = Url::parse(&self.parent_url).ok().filter(|url| url.scheme() == "https" && url.has_host());
        if url.is_none() {
            return invalid(
                "cluster-reg-parent-url",
                "expected the https:// address of the parent's API server",
            );
        }
        if !is_token(&self.token) {
            return invalid(
                "cluster-reg-token",
                "expected a bootstrap token such as 07401b.f395accd246ae52d, or a ServiceAccount token; \
                 `kubectl clusterway token create` in the parent makes one",
            );
        }
        if !self.name.is_empty() && !is_name(&self.name, 30) {
            return invalid("cluster-reg-name", "expected at most 30 lower-case letters, digits and dashes");
        }
        if !is_name(&self.name_prefix, 24) {
            return invalid(
                "cluster-reg-name-prefix",
                "expected at most 24 lower-case letters, digits and dashes: a dash and five characters are added, and \
                 names have at most 30",
            );
        }
        if !self.namespace.is_empty() && !is_name(&self.namespace, 63) {
            return invalid(
                "cluster-reg-namespace",
                "expected at most 63 lower-case letters, digits and dashes",
            );
        }
        if !matches!(self.cluster_type.as_str(), "StandardCluster" | "EdgeCluster") {
            return invalid("cluster-reg-type", "expected StandardCluster or EdgeCluster");
        }
        if self.sync_mode == SyncMode::Push && !self.app_pusher {
            return invalid(
                "cluster-sync-mode",
                "Push needs --feature-gates=AppPusher=true: in this mode only the parent applies, and the gate says \
                 whether it may",
            );
        }
        if !(0.0..=1.0).contains(&self.aggregate_threshold) {
            return invalid("labels-aggregate-threshold", "expected a share between 0 and 1");
        }
        if self.report_period < Duration::from_secs(1) || self.collect_period < Duration::from_secs(1) {
            return invalid(
                "cluster-status-update-frequency",
                "this and the collect frequency must be at least 1s",
            );
        }
        Ok(())
    }
}

fn is_name(text: &str, longest: usize) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.len() <= longest
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text.chars().all(|c| plain(c) || c == '-')
}

/// The id and the secret of a bootstrap token.
pub(super) fn bootstrap_token(token: &str) -> Option<(&str, &str)> {
    let plain = |part: &str, length| {
        part.len() == length && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    token.split_once('.').filter(|(id, secret)| plain(id, 6) && plain(secret, 16))
}

fn is_token(token: &str) -> bool {
    let base64url = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '='))
    };
    bootstrap_token(token).is_some() || (token.split('.').count() == 3 && token.split('.').all(base64url))
}

#[cfg(test)]
pub(super) fn sample() -> Options {
    Options {
        parent_url: "https://10.0.0.10:6443".into(),
        token: "07401b.f395accd246ae52d".into(),
        parent_ca: None,
        insecure: false,
        name: String::new(),
        name_prefix: "clusternet-cluster".into(),
        namespace: String::new(),
        cluster_type: "StandardCluster".into(),
        sync_mode: SyncMode::Pull,
        labels: BTreeMap::new(),
        aggregate_threshold: 0.8,
        aggregate_prefixes: vec!["node.clusternet.io/".into()],
        report_period: Duration::from_secs(180),
        collect_period: Duration::from_secs(20),
        lease_name: "clusternet-agent".into(),
        lease_namespace: "clusternet-system".into(),
        api_server: "https://10.96.0.1".into(),
        app_pusher: true,
        use_socket: true,
        kube_qps: 50.0,
        kube_burst: 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable() {
        assert_eq!(sample().check(), Ok(()));
    }

    #[test]
    fn what_cannot_be_used_is_named_by_its_flag() {
        type Spoil = fn(&mut Options);
        let cases: [(&str, Spoil); 10] = [
            ("--cluster-reg-parent-url", |o| o.parent_url = "10.0.0.10".into()),
            ("--cluster-reg-parent-url", |o| o.parent_url = "http://10.0.0.10".into()),
            ("--cluster-reg-token", |o| o.token = "07401B.short".into()),
            ("--cluster-reg-name", |o| o.name = "a".repeat(31)),
            ("--cluster-reg-name", |o| o.name = "Upper".into()),
            ("--cluster-reg-name-prefix", |o| o.name_prefix = "x".repeat(25)),
            ("--cluster-reg-namespace", |o| o.namespace = "-x".into()),
            ("--cluster-reg-type", |o| o.cluster_type = "Big".into()),
            ("--labels-aggregate-threshold", |o| o.aggregate_threshold = 1.5),
            ("--cluster-sync-mode", |o| {
                o.sync_mode = SyncMode::Push;
                o.app_pusher = false;
            }),
        ];
        for (flag, spoil) in cases {
            let mut options = sample();
            spoil(&mut options);
            let error = options.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{flag}:")), "{error}");
        }
    }

    #[test]
    fn both_kinds_of_token_are_known() {
        assert!(is_token("07401b.f395accd246ae52d") && is_token("eyJh.eyJz-x_.c2ln"));
        for bad in ["", "a.b", "07401b.F395ACCD246AE52D", "a.b.c.d", "a..c", "a b.c.d"] {
            assert!(!is_token(bad), "{bad}");
        }
    }
}
