//! The agent's flags. Names and defaults are the contract's (section 3.1) where it has them.

use std::{path::PathBuf, time::Duration};

use clap::{ArgAction, Parser};
use reach::child::AllowedTarget;
use runtime::{FeatureGates, lease, parse_duration, program::LogFlags};

/// Registers the cluster it runs in with a parent, reports how it is, lets the parent's users visit it, and applies what the
/// parent deploys into it.
#[derive(Debug, Parser)]
#[command(
    name = "clusterway-agent",
    version,
    before_help = "Examples:\n  clusterway-agent --cluster-reg-parent-url https://parent.example.com:6443 --cluster-reg-token 07401b.f395accd246ae52d\n  clusterway-agent --cluster-reg-parent-url https://10.0.0.10:6443 --cluster-reg-token \"$TOKEN\" --parent-ca /etc/parent/ca.crt --cluster-reg-name edge-7"
)]
pub(crate) struct Args {
    /// Kubeconfig of this cluster; without it the Pod's own ServiceAccount is used.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The parent's API server.
    #[arg(long, env = "PARENT_URL", value_name = "URL")]
    pub(crate) cluster_reg_parent_url: String,

    /// A bootstrap token (abcdef.0123456789abcdef) or a ServiceAccount token of the parent, used to register.
    #[arg(long, env = "REG_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) cluster_reg_token: String,

    /// The parent's CA (PEM). Without it the CA is taken from the parent's signed cluster-info, if the token is a
    /// bootstrap token, else from the system's trusted roots.
    #[arg(long, value_name = "FILE")]
    pub(crate) parent_ca: Option<PathBuf>,

    /// Do not verify the parent's certificate while registering. Whoever stands between could then register in this
    /// cluster's place.
    #[arg(long)]
    pub(crate) parent_insecure_skip_tls_verify: bool,

    /// The name of this cluster in the parent, at most 30 characters; made up when empty.
    #[arg(long, default_value = "", value_name = "NAME")]
    pub(crate) cluster_reg_name: String,

    /// How a made-up name begins.
    #[arg(long, default_value = "clusternet-cluster", value_name = "PREFIX")]
    pub(crate) cluster_reg_name_prefix: String,

    /// The wanted dedicated namespace in the parent; made up when empty.
    #[arg(long, default_value = "", value_name = "NAMESPACE")]
    pub(crate) cluster_reg_namespace: String,

    /// StandardCluster or EdgeCluster.
    #[arg(long, default_value = "StandardCluster", value_name = "TYPE")]
    pub(crate) cluster_reg_type: String,

    /// Who applies what the parent deploys: Pull, Push or Dual.
    #[arg(long, default_value = "Pull", value_name = "MODE")]
    pub(crate) cluster_sync_mode: String,

    /// Labels wanted on the ManagedCluster.
    #[arg(long, default_value = "", value_name = "K=V,…")]
    pub(crate) cluster_labels: String,

    /// The share of worker nodes that must agree on a label for the cluster to carry it.
    #[arg(long, default_value_t = 0.8, value_name = "0…1")]
    pub(crate) labels_aggregate_threshold: f64,

    /// Node labels with this prefix are aggregated. Repeatable; replaces the default.
    #[arg(long, action = ArgAction::Append, default_value = api::names::labels::NODE_PREFIX, value_name = "PREFIX")]
    pub(crate) labels_aggregate_prefix: Vec<String>,

    /// Time between two reports of an unchanged cluster.
    #[arg(long, default_value = "3m0s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) cluster_status_update_frequency: Duration,

    /// Time between two looks at the cluster.
    #[arg(long, default_value = "20s", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) cluster_status_collect_frequency: Duration,

    /// Another server in this cluster's network that the parent's users may visit:
    /// [http://|https://]HOST[:PORT]. Repeatable; none by default.
    #[arg(long, action = ArgAction::Append, value_name = "TARGET")]
    pub(crate) allow_target: Vec<AllowedTarget>,

    /// The executable of Helm 3 with which charts are installed; without it none are, and each says so.
    #[arg(long, value_name = "FILE")]
    pub(crate) helm: Option<PathBuf>,

    /// Requests per second the parent should send at most to this cluster.
    #[arg(long, default_value_t = 50.0, value_name = "QPS")]
    pub(crate) kube_api_qps: f64,

    /// Requests the parent should send at most at once.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) kube_api_burst: i32,

    /// Elect one of several agents by a Lease. Without it there must be one agent only.
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    pub(crate) leader_elect: bool,

    /// The Lease; its UID is the cluster's id.
    #[arg(long, default_value = api::names::AGENT_LEASE, value_name = "LEASE")]
    pub(crate) leader_elect_resource_name: String,

    /// The namespace of the Lease and of the agent's Secrets.
    #[arg(long, default_value = api::names::SYSTEM_NAMESPACE, env = "AGENT_NAMESPACE", value_name = "NAMESPACE")]
    pub(crate) leader_elect_resource_namespace: String,

    #[command(flatten)]
    pub(crate) leader_elect_times: lease::Times,

    /// Switches features, for example SocketConnection=true,AppPusher=true,Recovery=true. AppPusher: the parent may deploy
    /// into this cluster through the tunnel. Recovery: changes that are made in this cluster to what the parent deploys are
    /// taken back. SearchReader: the parent may read it for its search. SocketConnection: the tunnel. All are on unless
    /// switched off.
    #[arg(long, default_value = "", value_name = "NAME=BOOL,…")]
    pub(crate) feature_gates: FeatureGates,

    /// Serve /healthz, /readyz and /metrics on this address; nothing is served when it is empty.
    #[arg(long, default_value = "127.0.0.1:10650", value_name = "IP:PORT")]
    pub(crate) health_address: String,

    #[command(flatten)]
    pub(crate) log: LogFlags,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_consistent_and_the_defaults_are_the_contracts() {
        Args::command().debug_assert();
        let args = Args::parse_from([
            "clusterway-agent",
            "--cluster-reg-parent-url=https://p",
            "--cluster-reg-token=t",
        ]);
        assert_eq!(args.cluster_status_update_frequency, Duration::from_secs(180));
        assert_eq!(args.labels_aggregate_prefix, ["node.clusternet.io/"]);
        assert!(args.leader_elect && args.allow_target.is_empty());
    }
}
