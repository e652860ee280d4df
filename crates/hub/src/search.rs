//! The store of the search, wherever it is open, and the search API over it.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use apiserver::{Api, Authorizer, serving::ServingCertificate};
use futures_util::{FutureExt as _, future::BoxFuture};
use kube::Client;
use kubeio::Authorization;
use meta::Status;
use reach::Reach;
use replicas::{Holder, Relay, RelayOptions, Relayed, Stores};
use runtime::{Tasks, lease, metrics::Metrics};
use search::{Catalogue, Flags, Forwarding, Live, Search, Way};
use secrecy::ExposeSecret as _;
use store::ClusterName;
use tokio::sync::watch;

use crate::{args::Args, storage, wiring::service_name};

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

/// What all parts of the search share.
pub(crate) struct Parts<'a> {
    pub(crate) tasks: &'a Tasks,
    pub(crate) client: Client,
    pub(crate) metrics: &'a Metrics,
    /// This process's, in every Lease.
    pub(crate) identity: String,
    pub(crate) args: &'a Args,
}

impl Parts<'_> {
    /// The store, while this process has it; nothing if it was not given one.
    pub(crate) fn stores(&self) -> anyhow::Result<Option<Stores>> {
        let args = self.args;
        let environment = |name: &str| std::env::var(name).ok();
        let config =
            storage::configured(args.storage_config.as_deref(), args.data_dir.as_deref(), environment)?;
        let Some(config) = config else { return Ok(None) };
        let options = lease::Options {
            namespace: args.namespace.clone(),
            name: args.sync_lease(),
            identity: self.identity.clone(),
            times: args.leader_elect_times.clone(),
            annotations: BTreeMap::from([(
                api::names::annotations::HUB_ADDRESS.to_owned(),
                args.advertised().as_ref().map(SocketAddr::to_string).unwrap_or_default(),
            )]),
        };
        let client = self.client.clone();
        let elect = Box::new(move |tasks: &Tasks| lease::elect(tasks, client.clone(), options.clone()));
        let sharing = storage::sharing(&config);
        Ok(Some(replicas::keep(self.tasks, sharing, elect, storage::open(config), self.metrics)))
    }

    /// The APIs: answered from the store of this process, or by the hub that has it.
    pub(crate) fn apis(
        &self,
        stores: Option<Stores>,
        authorizer: Authorizer,
        certificate: &ServingCertificate,
        credential: Authorization,
        live: Option<Live>,
    ) -> Vec<Arc<dyn Api>> {
        let catalogue = match &stores {
            Some(_) => Catalogue::follow(self.tasks, self.client.clone()),
            None => watch::channel(Arc::default()).1,
        };
        let stores = stores.unwrap_or_else(Stores::none);
        let (namespace, lease) = (&self.args.namespace, self.args.sync_lease());
        let holder = Holder::follow(self.tasks, self.client.clone(), namespace, &lease);
        let options = RelayOptions {
            identity: self.identity.clone(),
            server_name: service_name(self.args),
            authorities: certificate.bundle(),
            credential,
        };
        let relay = Arc::new(Relay::new(self.tasks, holder, options, self.metrics));
        let search =
            Search::new(stores.searched.clone(), catalogue, authorizer, self.args.visit_deadline, live);
        let relayed =
            |api| Arc::new(Relayed::new(api, stores.searched.clone(), relay.clone())) as Arc<dyn Api>;
        search.apis().into_iter().map(relayed).collect()
    }
}

/// The credential of this hub's account, for other hubs: its token. Client certificates are not passed on.
pub(crate) fn credential(config: &kube::Config) -> Authorization {
    let account = &config.auth_info;
    match (&account.token, &account.token_file) {
        (Some(token), _) => Authorization::Bearer(token.expose_secret().into()),
        (None, Some(file)) => Authorization::BearerFile(file.into()),
        (None, None) => Authorization::None,
    }
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
