//! The transport to a registered cluster: through its agent, as the agent's reader.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use kubeio::{Body, Error, Lane, Transport};
use reach::{Identity, Reach, Target, Visit};

/// A registered cluster.
pub(crate) struct Tunnel {
    pub(crate) reach: Reach,
    pub(crate) cluster_id: String,
}

impl Transport for Tunnel {
    fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(async move {
            let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            let visit = Visit {
                cluster: self.cluster_id.clone(),
                target: Target::ApiServer,
                identity: Identity::reader(),
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

fn told(error: &reach::Error) -> Error {
    match error {
        reach::Error::Busy { .. } => Error::TooManyRequests { message: error.to_string(), retry_after: None },
        reach::Error::Redirect(_) | reach::Error::Path => Error::Broken(error.to_string()),
        _ => Error::Unreachable(error.to_string()),
    }
}
