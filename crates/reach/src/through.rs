//! The transport to a registered cluster: through its agent, in the name of one of the agent's accounts.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use kubeio::{Body, Error, Lane, Transport};

use crate::{Error as ReachError, Identity, Reach, Target, Visit};

/// The API server of a registered cluster, for the hub's own requests.
pub struct Through {
    reach: Reach,
    cluster_id: String,
    identity: Identity,
}

impl Through {
    /// The way to the cluster with this id, as `identity`.
    pub fn new(reach: Reach, cluster_id: impl Into<String>, identity: Identity) -> Self {
        Self { reach, cluster_id: cluster_id.into(), identity }
    }
}

impl Transport for Through {
    fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(async move {
            let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            let visit = Visit {
                cluster: self.cluster_id.clone(),
                target: Target::ApiServer,
                identity: self.identity.clone(),
                path_and_query: path.to_owned(),
                // Whoever asks knows how long he waits.
                deadline: None,
            };
            let (mut parts, body) = request.into_parts();
            parts.headers.insert(header::USER_AGENT, USER_AGENT);
            let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
            self.reach.send(&visit, Request::from_parts(parts, body)).await.map_err(|error| told(&error))
        })
    }

    fn opened(&self) -> BoxFuture<'static, ()> {
        Box::pin(self.reach.opened(&self.cluster_id))
    }
}

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("clusterway/", env!("CARGO_PKG_VERSION")));

fn told(error: &ReachError) -> Error {
    match error {
        ReachError::Busy { .. } => Error::TooManyRequests { message: error.to_string(), retry_after: None },
        ReachError::Redirect(_) | ReachError::Path => Error::Broken(error.to_string()),
        _ => Error::Unreachable(error.to_string()),
    }
}
