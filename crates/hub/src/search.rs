//! The search API over the store, if this process has one.

use std::sync::Arc;

use apiserver::{Api, Authorizer};
use futures_util::{FutureExt as _, future::BoxFuture};
use kube::Client;
use meta::Status;
use reach::Reach;
use runtime::Tasks;
use search::{Catalogue, Flags, Forwarding, Live, Search, Way};
use store::{ClusterName, Store};

use crate::args::Args;

/// The APIServices of the search.
pub(crate) const API_SERVICES: [&str; 2] = ["v1beta1.clusterpedia.io", "v1alpha1.pedia.clusterpedia.io"];

/// What the flags let go to clusters.
pub(crate) fn forwarding(args: &Args) -> anyhow::Result<Option<Forwarding>> {
    let flags = Flags {
        subresources: args.allowed_proxy_subresources.clone(),
        pediacluster_config: args.allow_pediacluster_config_for_proxy_request,
        proxy_path: args.enable_proxy_path_for_forward_request,
        unsynchronised: args.allow_forward_unsync_resource_request,
    };
    let gate = args.feature_gates.enabled(Forwarding::GATE, false);
    Forwarding::new(gate, &flags, args.visit_deadline).map_err(anyhow::Error::msg)
}

/// What serves them.
pub(crate) fn apis(
    tasks: &Tasks,
    client: Client,
    store: Option<Arc<dyn Store>>,
    authorizer: Authorizer,
    args: &Args,
    live: Option<Live>,
) -> Vec<Arc<dyn Api>> {
    let search = match store {
        Some(store) => {
            let catalogue = Catalogue::follow(tasks, client);
            Search::new(store, catalogue, authorizer, args.visit_deadline, live)
        }
        None => Search::without_store(),
    };
    search.apis()
}

/// The way of requests to clusters, if anything may go there.
pub(crate) fn live(
    forwarding: Option<Forwarding>,
    ways: sync::Ways,
    reach: Reach,
    tasks: Tasks,
) -> Option<Live> {
    forwarding.map(|forwarding| Live::new(Ways(ways), reach, tasks, forwarding))
}

/// What the synchronisation knows of clusters, for the search.
struct Ways(sync::Ways);

impl search::Ways for Ways {
    fn of<'a>(&'a self, cluster: &'a ClusterName) -> BoxFuture<'a, Result<Way, Status>> {
        let way = self.0.of(cluster.as_str()).map(|way| match way {
            Ok(sync::Way::Tunnel { cluster_id }) => Ok(Way::Tunnel(cluster_id)),
            Ok(sync::Way::Direct(access)) => Ok(Way::Address(access)),
            Err(error @ sync::WayError::Later) => Err(Status::unavailable(error.to_string()).retry_after(1)),
            Err(error) => Err(Status::bad_request(error.to_string())),
        });
        way.boxed()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn refusal(flags: &[&str]) -> Option<String> {
        let args = Args::parse_from(["clusterway-hub"].iter().chain(flags));
        forwarding(&args).err().map(|error| error.to_string())
    }

    #[test]
    fn number_82_the_hub_does_not_start_with_flags_that_its_gate_does_not_allow() {
        let gate = "--feature-gates=AllowProxyRequestToClusters=true";
        let log = "--allowed-proxy-subresources=pods/log,exec";
        assert!(refusal(&[log]).is_some_and(|text| text.contains("AllowProxyRequestToClusters")));
        assert_eq!(refusal(&[log, gate]), None);
        assert!(refusal(&["--allowed-proxy-subresources=pods/trace", gate]).is_some());
        assert!(refusal(&["--enable-proxy-path-for-forward-request"]).is_some());
        assert_eq!(refusal(&[]), None);
    }
}
