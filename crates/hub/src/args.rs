//! The hub's flags. Names and defaults are the contract's (section 4.1) where it has them.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::Parser;
use runtime::{FeatureGates, lease, parse_duration, program::LogFlags};

/// The control plane of Clusterway: approves registrations, follows the clusters, and is the way to them.
#[derive(Debug, Parser)]
#[command(
    name = "clusterway-hub",
    version,
    before_help = "Examples:\n  clusterway-hub\n  clusterway-hub --kubeconfig ./parent.kubeconfig --bind-address 127.0.0.1 --secure-port 9443"
)]
pub(crate) struct Args {
    /// Kubeconfig of the parent; without it the Pod's own ServiceAccount is used.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The address to serve on.
    #[arg(long, default_value = "0.0.0.0", value_name = "IP")]
    pub(crate) bind_address: IpAddr,

    /// The HTTPS port to serve on.
    #[arg(long, default_value_t = 443, value_name = "PORT")]
    pub(crate) secure_port: u16,

    /// The address at which other hubs reach this one; without it, the address to serve on if that is a single one. Hubs
    /// without the store of the search relay searches there while this hub has it.
    #[arg(long, env = "POD_IP", value_name = "IP")]
    pub(crate) advertise_address: Option<IpAddr>,

    /// The namespace the hub lives in: its Service, Lease and CA.
    #[arg(long, default_value = api::names::SYSTEM_NAMESPACE, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub(crate) namespace: String,

    /// The Service the parent reaches the hub by; its DNS name stands in the serving certificate.
    #[arg(long, default_value = "clusternet-hub", value_name = "SERVICE")]
    pub(crate) service_name: String,

    /// More names or addresses for the serving certificate, for clients that come to the hub directly. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) serving_name: Vec<String>,

    /// Name of the Lease by which one of several hubs runs the controllers. Another Lease, this name and -sync (and the
    /// --sharding-name), says which hub synchronises and has the store of the search open.
    #[arg(long, default_value = "clusternet-hub", value_name = "LEASE")]
    pub(crate) leader_elect_resource_name: String,

    #[command(flatten)]
    pub(crate) leader_elect_times: lease::Times,

    /// Switches features, for example SocketConnection=true,Recovery=true. Recovery: changes that are made in a cluster the
    /// hub deploys into (sync mode Push or Dual) are taken back. Both are on unless switched off.
    #[arg(long, default_value = "", value_name = "NAME=BOOL,…")]
    pub(crate) feature_gates: FeatureGates,

    /// The executable of Helm 3 with which charts are looked for, and installed in clusters that the hub deploys into. Without it
    /// HelmCharts have no status, and what is to be installed by the hub says so.
    #[arg(long, value_name = "FILE")]
    pub(crate) helm: Option<std::path::PathBuf>,

    /// The namespace of the Manifests: what is sent to the shadow API is kept there. The hub's rights and the policy that
    /// fences them name it, too (deploy/hub).
    #[arg(long, default_value = api::names::apps::RESERVED_NAMESPACE, value_name = "NAMESPACE")]
    pub(crate) reserved_namespace: String,

    /// Take every label an agent asks for, not only those under node.clusternet.io/ and agent.clusterway.io/. Labels
    /// place workloads and secrets: a child could then draw them to itself.
    #[arg(long)]
    pub(crate) trust_agent_labels: bool,

    /// Answer requests without a public key with a token in clear, which everybody who may read the request can use.
    /// For agents of other makes only.
    #[arg(long)]
    pub(crate) allow_clear_tokens: bool,

    /// How long the whole answer to a visit, or to a search on a path that may last, may take that is neither a watch, a
    /// followed log nor an upgrade.
    #[arg(long, default_value = "10m", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) visit_deadline: Duration,

    /// Requests in flight per caller; watches count while they are open.
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub(crate) max_in_flight_per_caller: usize,

    /// Requests in flight per child; watches count while they are open.
    #[arg(long, default_value_t = 2000, value_name = "N")]
    pub(crate) max_in_flight_per_child: usize,

    /// A directory for the store of the search: a SQLite file, search.db. One hub at a time has it open and
    /// synchronises; the others relay searches to that one. Hubs that share the directory take over where another
    /// ended; hubs with a directory each collect everything again when it is their turn. Without it, and without
    /// --storage-config or the variable DB_TYPE, this hub synchronises nothing and relays every search.
    #[arg(long, env = "CLUSTERWAY_DATA_DIR", value_name = "DIRECTORY")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Where the store of the search is, as a YAML file: `type: sqlite` and `dsn: FILE`, or `type: postgres` with a
    /// `dsn` or `host`, `port`, `user`, `password`, `database` and `sslMode`. The variables DB_TYPE, DB_DSN, DB_HOST,
    /// DB_PORT, DB_USER, DB_PASSWORD and DB_DATABASE go over it and can take its place. It wins over --data-dir.
    #[arg(long, value_name = "FILE")]
    pub(crate) storage_config: Option<PathBuf>,

    /// Mebibytes of objects, of all clusters, that may wait for the store; beyond that, clusters are read more slowly.
    #[arg(long, default_value_t = 256, value_name = "MIB")]
    pub(crate) sync_buffer_mib: u16,

    /// Resources of one cluster that are synchronised at most, whatever the rules of its PediaCluster select; each is a
    /// watch on its API server.
    #[arg(long, default_value_t = 2000, value_name = "N")]
    pub(crate) max_resources_per_cluster: usize,

    /// The shard of this hub: it synchronises the PediaClusters with this spec.shardingName, each once the hub of the
    /// shard before has let it go or is gone. Lower-case letters, digits and hyphens.
    #[arg(long, default_value = "", value_parser = sharding_name, value_name = "NAME")]
    pub(crate) sharding_name: String,

    /// A PediaCluster that is to be this shard's, and that the shard before has not let go, is taken when the Lease of that
    /// shard's hub has not been renewed for so long; 0s: never. The Leases of all shards are in --namespace.
    #[arg(long, default_value = "10m", value_parser = parse_duration, value_name = "DURATION")]
    pub(crate) shard_takeover_after: Duration,

    /// Do not verify the API server of a PediaCluster that has no caData. Whoever stands between reads its objects and
    /// its credentials. Without this flag the system's trusted roots are used.
    #[arg(long)]
    pub(crate) insecure_pediaclusters: bool,

    /// Subresources that the search passes on to the cluster, such as pods/log, exec or services/proxy; proxy alone is
    /// that of pods, services and nodes. Needs --feature-gates=AllowProxyRequestToClusters=true, like the three flags
    /// below.
    #[arg(long, value_delimiter = ',', value_name = "SUBRESOURCE,…")]
    pub(crate) allowed_proxy_subresources: Vec<String>,

    /// Let requests that the search passes on to a cluster, and that bring no credential for it, use the one with which
    /// the cluster is synchronised. Who may do that has the right to resources/credentials in clusterpedia.io.
    #[arg(long)]
    pub(crate) allow_pediacluster_config_for_proxy_request: bool,

    /// Pass on every request behind resources/clusters/NAME/proxy/ and resources/NAME/proxy/proxy/ to the cluster.
    #[arg(long)]
    pub(crate) enable_proxy_path_for_forward_request: bool,

    /// Pass on marked requests (X-Clusterpedia-Forward) also for resources that are not synchronised.
    #[arg(long)]
    pub(crate) allow_forward_unsync_resource_request: bool,

    #[command(flatten)]
    pub(crate) log: LogFlags,
}

impl Args {
    /// The Lease whose holder synchronises the shard.
    pub(crate) fn sync_lease(&self) -> String {
        sync::shard_lease(&self.default_sync_lease(), &self.sharding_name)
    }

    /// The Lease whose holder synchronises the shard without a name.
    pub(crate) fn default_sync_lease(&self) -> String {
        format!("{}-sync", self.leader_elect_resource_name)
    }

    /// Where other hubs reach this one, if that is known.
    pub(crate) fn advertised(&self) -> Option<SocketAddr> {
        let served = Some(self.bind_address).filter(|address| !address.is_unspecified());
        Some(SocketAddr::new(self.advertise_address.or(served)?, self.secure_port))
    }
}

/// It is a part of the name of a Lease.
fn sharding_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.bytes().all(allowed) && !text.ends_with('-') && text.len() <= 63 {
        return Ok(text.to_owned());
    }
    Err(String::from(
        "it may have up to 63 lower-case letters, digits and hyphens, with no hyphen at the end",
    ))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_consistent_and_the_defaults_parse() {
        Args::command().debug_assert();
        let args = Args::parse_from(["clusterway-hub"]);
        assert_eq!(args.leader_elect_times.duration, Duration::from_secs(15));
        assert!(!args.allow_clear_tokens && !args.trust_agent_labels);
    }

    #[test]
    fn every_shard_has_a_lease_of_its_own() {
        let lease = |flags: &[&str]| Args::parse_from([&["clusterway-hub"], flags].concat()).sync_lease();
        assert_eq!(lease(&[]), "clusternet-hub-sync");
        assert_eq!(lease(&["--sharding-name=east"]), "clusternet-hub-sync-east");
        for wrong in ["East", "a/b", "a-"] {
            assert!(Args::try_parse_from(["clusterway-hub", "--sharding-name", wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_hubs_are_told_an_address_that_leads_here_or_none() {
        let told = |flags: &[&str]| Args::parse_from([&["clusterway-hub"], flags].concat()).advertised();
        assert_eq!(told(&[]), None);
        let address = |text: &str| Some(text.parse().unwrap());
        assert_eq!(told(&["--bind-address=127.0.0.1"]), address("127.0.0.1:443"));
        assert_eq!(told(&["--advertise-address=fd00::1", "--secure-port=8443"]), address("[fd00::1]:8443"));
    }
}
