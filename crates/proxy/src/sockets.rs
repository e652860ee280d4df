//! The API as the generic server sees it: what exists, what must be authorised, what runs long.

use std::{sync::Arc, time::Duration};

use apiserver::{Api, Attributes, Body, Context, RequestInfo, Resource};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use meta::Status;
use reach::Reach;
use runtime::{Tasks, events::Events};
use tunnel::hub::Registry;

use crate::{attach, openapi, refusals::Refusals, visit};

/// How visits are served.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the whole answer to a request that is neither watch, follow nor upgrade may take.
    pub visit_deadline: Duration,
    /// Whether tunnels and visits are served at all (gate `SocketConnection`).
    pub enabled: bool,
}

/// `proxies.clusternet.io/v1alpha1`, ready to be served.
pub struct Sockets(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) reach: Reach,
    pub(crate) registry: Registry,
    pub(crate) options: Options,
    pub(crate) tasks: Tasks,
    pub(crate) refusals: Refusals,
}

impl Sockets {
    /// Serves tunnels into `registry` and visits through `reach`; upgraded streams run in `tasks`. Refused tunnels that
    /// people should look into become `events` on the ManagedCluster.
    pub fn new(reach: Reach, registry: Registry, options: Options, events: Events, tasks: Tasks) -> Self {
        let refusals = Refusals::new(events);
        Self(Arc::new(Inner { reach, registry, options, tasks, refusals }))
    }
}

impl Api for Sockets {
    fn group(&self) -> &str {
        api::proxies::GROUP
    }

    fn version(&self) -> &str {
        api::proxies::VERSION
    }

    /// Only connections are offered, so discovery lists no verbs and `kubectl api-resources` stays quiet about
    /// sockets (contract 1.11).
    fn resources(&self) -> Vec<Resource> {
        let socket = |name: &str| Resource {
            name: name.to_owned(),
            singular: String::from("socket"),
            kind: String::from("Socket"),
            namespaced: false,
            verbs: Vec::new(),
            short_names: vec![String::from("ss")],
            categories: vec![String::from("clusternet")],
            kind_from: None,
        };
        let sub = |name: &str| Resource {
            singular: String::new(),
            short_names: Vec::new(),
            categories: Vec::new(),
            ..socket(name)
        };
        vec![socket("sockets"), sub("sockets/attach"), sub("sockets/proxy")]
    }

    fn openapi(&self) -> serde_json::Value {
        openapi::document()
    }

    /// `direct`, `http` and `https` are short ways to say `proxy/…`: who may not use `sockets/proxy` may not use
    /// them either.
    fn attributes(&self, info: &RequestInfo) -> Attributes {
        let mut attributes = Attributes::of(info);
        if matches!(attributes.subresource.as_str(), "direct" | "http" | "https") {
            attributes.subresource = String::from("proxy");
        }
        attributes
    }

    /// Visits keep their own deadline, tunnels have none.
    fn long_running(&self, info: &RequestInfo) -> bool {
        info.subresource.is_some()
    }

    fn handle(
        &self,
        context: Context,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        let inner = self.0.clone();
        Box::pin(async move {
            let info = &context.info;
            if info.resource != api::proxies::RESOURCE || info.namespace.is_some() {
                return Err(Status::not_found(format!(
                    "The server does not know the resource {:?}.",
                    info.resource
                )));
            }
            if !inner.options.enabled {
                return Err(Status::unavailable(
                    "Visits and tunnels are switched off on this hub (feature gate SocketConnection).",
                ));
            }
            let Some(cluster) = info.name.clone() else {
                return Err(Status::method_not_allowed(
                    "Sockets are not stored and cannot be listed; kubectl get managedclusters -A shows the clusters.",
                ));
            };
            match info.subresource.as_deref() {
                Some("attach") => attach::serve(&inner, &context, &cluster, request),
                Some("proxy" | "direct" | "http" | "https") => {
                    visit::serve(inner, context, cluster, request).await
                }
                Some(other) => {
                    Err(Status::not_found(format!("The subresource {other:?} of sockets does not exist.")))
                }
                None => Err(Status::method_not_allowed(format!(
                    "A socket can only be connected to: agents use {}, visits {}.",
                    api::proxies::tunnel_path(&cluster),
                    api::proxies::direct_path(&cluster),
                ))),
            }
        })
    }
}
