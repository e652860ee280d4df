//! The hub's end of a visit: find the cluster, hold the limit, send, stream.

use std::{
    collections::HashMap,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use api::names::headers::strip_hop_by_hop;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tunnel::hub::Registry;

use crate::{
    audit::{Open, Record, VisitMetrics},
    directory::Directory,
    error::Error,
    identity::Identity,
    target::Target,
    wire,
};

/// A streamed body; errors end the stream.
pub type Body = tunnel::Body;

/// One request to one child: everything that is decided before the first byte is sent.
#[derive(Debug, Clone)]
pub struct Visit {
    /// The cluster's id.
    pub cluster: String,
    /// Where in the cluster.
    pub target: Target,
    /// As whom.
    pub identity: Identity,
    /// Path and query there, percent-encoded.
    pub path_and_query: String,
    /// How long the whole answer may take; `None` for watches, followed logs and upgrades.
    pub deadline: Option<Duration>,
}

/// How much one child may be asked at once.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests in flight per child; watches and upgrades count while they are open.
    pub in_flight_per_child: usize,
}

/// What became of an upgrade.
pub enum Upgraded {
    /// The child switched protocols: the headers of its 101 and the bytes from here on.
    Switched {
        /// Status 101 with the child's headers.
        response: Response<()>,
        /// The open stream. Dropping it closes the child's side.
        stream: UpgradedStream,
    },
    /// The child answered as to an ordinary request, for example 403.
    Answered(Response<Body>),
}

/// The bytes of an upgraded connection.
pub struct UpgradedStream {
    /// Read and write here.
    pub io: tunnel::hub::UpgradedIo,
    _permit: OwnedSemaphorePermit,
}

/// A place among the requests in flight to one cluster.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// The way from the hub to every child. Cheap to clone.
#[derive(Clone)]
pub struct Reach {
    registry: Registry,
    directory: Directory,
    limits: Limits,
    in_flight: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
    refused: Counter,
    visits: VisitMetrics,
}

impl Reach {
    /// Sends over the tunnels of `registry` to the clusters of `directory`.
    pub fn new(
        registry: Registry,
        directory: Directory,
        limits: Limits,
        metrics: &runtime::metrics::Metrics,
    ) -> Self {
        let refused = metrics.add(
            "clusterway_reach_refused",
            "Requests refused because a child was at its limit of requests in flight",
            Counter::default(),
        );
        let visits = VisitMetrics::new(metrics);
        Self { registry, directory, limits, in_flight: Arc::default(), refused, visits }
    }

    /// The registered clusters.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Waits until the way to a cluster opens the next time, from this call on: for whoever has found it shut.
    pub fn opened(&self, cluster: &str) -> impl Future<Output = ()> + Send + 'static {
        self.registry.opened(cluster)
    }

    /// Begins the one line and count of a visit.
    pub fn record(&self, record: Record) -> Open {
        Open::new(record, &self.visits)
    }

    /// A place among the requests in flight to a cluster, held until it is dropped. [`Reach::send`] and
    /// [`Reach::upgrade`] take one themselves; this is for whoever has another way to a cluster.
    pub fn place(&self, cluster: &str) -> Result<Place, Error> {
        self.admit(cluster).map(|permit| Place { _permit: permit })
    }

    /// Sends an ordinary request and streams the answer. Hop-by-hop and identity headers of `request` are replaced;
    /// its URI is not used.
    pub async fn send(&self, visit: &Visit, request: Request<Body>) -> Result<Response<Body>, Error> {
        let (tunnel, permit) = self.open(visit)?;
        let request = address(visit, request)?;
        let ends = visit.deadline.map(|deadline| Instant::now() + deadline);
        let answer = tunnel.request(request);
        let answer = match ends {
            Some(ends) => tokio::time::timeout_at(ends, answer)
                .await
                .map_err(|_| Error::Timeout(visit.cluster.clone()))?,
            None => answer.await,
        };
        let response = answer.map_err(|source| Error::Tunnel { cluster: visit.cluster.clone(), source })?;
        finish(response, permit, ends)
    }

    /// Sends a request to switch protocols (exec, attach, port-forward) and returns the open stream.
    pub async fn upgrade(&self, visit: &Visit, request: Request<()>) -> Result<Upgraded, Error> {
        let (tunnel, permit) = self.open(visit)?;
        let protocol = request.headers().get(http::header::UPGRADE).cloned();
        let mut request = address(visit, request)?;
        if let Some(protocol) = protocol {
            request.headers_mut().insert(http::header::UPGRADE, protocol);
        }
        let outcome = tunnel.upgrade(request).await;
        match outcome.map_err(|source| Error::Tunnel { cluster: visit.cluster.clone(), source })? {
            tunnel::hub::Upgrade::Switched { response, io } => {
                Ok(Upgraded::Switched { response, stream: UpgradedStream { io, _permit: permit } })
            }
            tunnel::hub::Upgrade::Answered(response) => {
                finish(response, permit, None).map(Upgraded::Answered)
            }
        }
    }

    fn open(&self, visit: &Visit) -> Result<(tunnel::hub::Tunnel, OwnedSemaphorePermit), Error> {
        if self.directory.get(&visit.cluster).is_none() {
            let known = self.directory.is_complete();
            return Err(if known { Error::UnknownCluster(visit.cluster.clone()) } else { Error::NotReady });
        }
        let tunnel =
            self.registry.get(&visit.cluster).ok_or_else(|| Error::Disconnected(visit.cluster.clone()))?;
        Ok((tunnel, self.admit(&visit.cluster)?))
    }

    fn admit(&self, cluster: &str) -> Result<OwnedSemaphorePermit, Error> {
        let limit = self.limits.in_flight_per_child;
        let semaphore = {
            let mut all = self.in_flight.lock();
            // Clusters that went away leave an idle semaphore; drop those when the map has grown past the fleet.
            if all.len() > 64 && !all.contains_key(cluster) {
                all.retain(|_, semaphore| semaphore.available_permits() < limit);
            }
            all.entry(cluster.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(limit))).clone()
        };
        semaphore.try_acquire_owned().map_err(|_| {
            self.refused.inc();
            Error::Busy { cluster: cluster.to_owned(), limit }
        })
    }
}

/// Makes a foreign request one for the child: its path there, its target, its identity.
fn address<B>(visit: &Visit, mut request: Request<B>) -> Result<Request<B>, Error> {
    let uri = Uri::builder()
        .scheme("http")
        .authority("child")
        .path_and_query(visit.path_and_query.as_str())
        .build();
    *request.uri_mut() = uri.map_err(|_| Error::Path)?;
    *request.version_mut() = http::Version::HTTP_2;
    wire::write(request.headers_mut(), &visit.target, &visit.identity);
    Ok(request)
}

/// Cleans the child's answer and ties the permit and the deadline to its body.
fn finish<B>(
    response: Response<B>,
    permit: OwnedSemaphorePermit,
    ends: Option<Instant>,
) -> Result<Response<Body>, Error>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<tunnel::BoxError>,
{
    let (mut parts, body) = response.into_parts();
    if parts.status.is_redirection() && parts.headers.contains_key(http::header::LOCATION) {
        let location =
            parts.headers.get(http::header::LOCATION).and_then(|l| l.to_str().ok()).unwrap_or_default();
        return Err(Error::Redirect(location.chars().take(200).collect()));
    }
    strip_hop_by_hop(&mut parts.headers);
    parts.version = http::Version::HTTP_11;
    let timer = ends.map(|ends| Box::pin(tokio::time::sleep_until(ends)));
    let body = Held { inner: Box::pin(body.map_err(Into::into)), timer, _permit: permit };
    Ok(Response::from_parts(parts, body.boxed_unsync()))
}

/// A body that holds its place in the child's limit until it ends, and ends at its deadline.
struct Held<B> {
    inner: Pin<Box<B>>,
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
    _permit: OwnedSemaphorePermit,
}

impl<B> HttpBody for Held<B>
where
    B: HttpBody<Data = Bytes, Error = tunnel::BoxError>,
{
    type Data = Bytes;
    type Error = tunnel::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Some(Err("the answer took longer than its deadline".into())));
        }
        self.inner.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
