//! An API that needs the store, wherever that is.

use std::sync::Arc;

use apiserver::{Api, Attributes, Body, Context, RequestInfo, Resource};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use meta::Status;
use store::Store;
use tokio::sync::watch;

use crate::{Relay, keep::Passing, withdrawn::until_withdrawn};

/// Serves an API where the store is open, and passes its requests on to the holder of the Lease elsewhere.
pub struct Relayed {
    api: Arc<dyn Api>,
    stores: Passing,
    relay: Arc<Relay>,
}

impl Relayed {
    /// `api` reads from `stores`; without a store here, `relay` is the way to another replica's.
    pub fn new(
        api: Arc<dyn Api>,
        stores: watch::Receiver<Option<Arc<dyn Store>>>,
        relay: Arc<Relay>,
    ) -> Self {
        Self { api, stores, relay }
    }
}

impl Api for Relayed {
    fn group(&self) -> &str {
        self.api.group()
    }

    fn version(&self) -> &str {
        self.api.version()
    }

    fn resources(&self) -> Vec<Resource> {
        self.api.resources()
    }

    fn openapi(&self) -> serde_json::Value {
        self.api.openapi()
    }

    fn attributes(&self, info: &RequestInfo) -> Attributes {
        self.api.attributes(info)
    }

    fn long_running(&self, info: &RequestInfo) -> bool {
        self.api.long_running(info)
    }

    fn takes_relayed(&self) -> bool {
        true
    }

    fn handle(
        &self,
        context: Context,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        if self.stores.borrow().is_some() {
            let (answer, stores) = (self.api.handle(context, request), self.stores.clone());
            return Box::pin(async move { Ok(answer.await?.map(|body| until_withdrawn(body, stores))) });
        }
        let relay = self.relay.clone();
        Box::pin(async move {
            if context.peer.relayed {
                // Whoever relayed it will soon know better; going on from here could go round in circles.
                return Err(Status::unavailable(
                    "The hub that was to search does not have the store any more. Try again in a moment.",
                )
                .retry_after(1));
            }
            relay.pass_on(&context, request).await
        })
    }
}
