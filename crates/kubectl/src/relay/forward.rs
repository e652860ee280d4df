//! One request to the child, through the parent.

use std::{borrow::Cow, time::Duration};

use futures_util::future::BoxFuture;
use http::{Request, Response, Uri, uri::PathAndQuery};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{Config, client::ConfigExt as _};
use meta::Status;
use tower::{BoxError, Layer as _, ServiceExt as _, util::BoxCloneSyncService};

use super::{Place, headers::outward};
use crate::{
    child::Child,
    failure::{Failure, chain},
};

/// Sends requests to one place in the parent as the caller.
pub(super) struct Forward {
    parent: BoxCloneSyncService<Request<Incoming>, Response<Incoming>, BoxError>,
    origin: Uri,
    base: String,
    place: Place,
    child: Child,
}

impl Forward {
    /// Verifies the parent with its CA and adds the caller's credentials, both as the kubeconfig says.
    pub(super) fn new(config: &Config, place: Place, child: Child) -> Result<Self, Failure> {
        let failed = |error: kube::Error| {
            Failure::new("cannot use the kubeconfig of the parent").because(chain(&error))
        };
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(Duration::from_secs(30)));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let connector = config.rustls_https_connector_with_connector(tcp).map_err(failed)?;
        let client: Client<_, Incoming> = Client::builder(TokioExecutor::new()).build(connector);
        let plain = tower::service_fn(move |request: Request<Incoming>| -> BoxFuture<'static, _> {
            let answer = client.request(request);
            Box::pin(async move { answer.await.map_err(BoxError::from) })
        });
        let named = config.extra_headers_layer().map_err(failed)?.layer(plain);
        let parent = match config.auth_layer().map_err(failed)? {
            Some(credential) => BoxCloneSyncService::new(credential.layer(named)),
            None => BoxCloneSyncService::new(named),
        };
        let base = config.cluster_url.path().trim_end_matches('/').to_owned();
        Ok(Self { parent, origin: config.cluster_url.clone(), base, place, child })
    }

    /// Sends one request and returns the answer as soon as its headers are there.
    pub(super) async fn send(&self, request: Request<Incoming>) -> Result<Response<Incoming>, Status> {
        let (mut parts, body) = request.into_parts();
        parts.uri = self.address(&parts.uri)?;
        let impersonates = parts.headers.keys().any(|name| name.as_str().starts_with("impersonate-"));
        if matches!(self.place, Place::Templates(_)) && impersonates {
            return Err(Status::bad_request(
                "There is nobody to impersonate behind the parent: give --as before the verb.",
            ));
        }
        let child = self.child.headers().await.map_err(|failure| Status::bad_gateway(failure.to_string()))?;
        parts.headers = outward(&parts.headers, child)?;
        let answer = self.parent.clone().oneshot(Request::from_parts(parts, body)).await;
        answer.map_err(|error| {
            Status::bad_gateway(format!(
                "The parent {} cannot be reached: {}.",
                self.host(),
                chain(error.as_ref())
            ))
        })
    }

    /// Where the child's path is in the parent. A path that leads out of the child is refused here: the parent would
    /// follow it, with the caller's rights in the parent.
    fn address(&self, asked: &Uri) -> Result<Uri, Status> {
        let path = asked.path();
        let climbs = path.split('/').any(|segment| {
            let plain = segment.to_ascii_lowercase().replace("%2e", ".");
            plain == "." || plain == ".."
        });
        if climbs || !path.starts_with('/') {
            return Err(Status::bad_request("The path is not one of the child's API server."));
        }
        let asked = asked.path_and_query().map_or(path, PathAndQuery::as_str);
        let (base, there) = (
            &self.base,
            match &self.place {
                Place::Behind(path) => Cow::Owned(format!("{path}{asked}")),
                Place::Templates(paths) => paths.template(asked),
            },
        );
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = Some(
            PathAndQuery::try_from(format!("{base}{there}"))
                .map_err(|_| Status::bad_request("The path of the request is not valid."))?,
        );
        Uri::from_parts(parts).map_err(|_| Status::bad_request("The path of the request is not valid."))
    }

    fn host(&self) -> &str {
        self.origin.authority().map_or("", http::uri::Authority::as_str)
    }
}
