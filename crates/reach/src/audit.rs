//! One structured line and one count per visit, written when its last byte has passed.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt as _;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
};
use runtime::metrics::Metrics;
use tokio::time::Instant;

use crate::Body;

/// What is counted of visits. Labels are few on purpose: clusters come and go, objects never name a series.
#[derive(Clone, Default)]
pub(crate) struct VisitMetrics {
    requests: Family<Labels, Counter>,
    bytes: Counter,
    open: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    verb: String,
    code: u16,
}

impl VisitMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            requests: metrics.add(
                "clusterway_visit_requests",
                "Visits to children by verb and status code",
                Family::default(),
            ),
            bytes: metrics.add(
                "clusterway_visit_bytes",
                "Bytes sent to callers of visits",
                Counter::default(),
            ),
            open: metrics.add("clusterway_visit_open", "Visits being served now", Gauge::default()),
        }
    }
}

/// What is known of a visit before its answer: who, whereto, what.
pub struct Record {
    /// The id under which the parent's audit log knows the request.
    pub audit_id: String,
    /// Who asks.
    pub user: String,
    /// Of which cluster.
    pub cluster: String,
    /// The HTTP method.
    pub verb: String,
    /// The path there, without the query, which may hold what is nobody's business.
    pub path: String,
    /// When it came.
    pub started: Instant,
}

/// A record that is written once, whatever happens: at the end of the body, or when the caller goes away.
pub struct Open {
    record: Record,
    status: u16,
    bytes: u64,
    complete: bool,
    metrics: VisitMetrics,
}

impl Open {
    pub(crate) fn new(record: Record, metrics: &VisitMetrics) -> Self {
        metrics.open.inc();
        Self { record, status: 0, bytes: 0, complete: false, metrics: metrics.clone() }
    }

    /// The visit ended without a body of its own.
    pub fn end(mut self, status: u16) {
        self.status = status;
        self.complete = true;
    }

    /// The upgraded stream ended after `bytes`.
    pub fn end_stream(mut self, bytes: u64) {
        self.bytes = bytes;
        self.end(101);
    }

    /// Follows the body of `response` to its end.
    pub fn follow(mut self, response: Response<Body>) -> Response<Body> {
        self.status = response.status().as_u16();
        response.map(|inner| Followed { inner, open: self }.boxed_unsync())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Record { audit_id, user, cluster, verb, path, started } = &self.record;
        self.metrics.open.dec();
        self.metrics.bytes.inc_by(self.bytes);
        self.metrics.requests.get_or_create(&Labels { verb: verb.clone(), code: self.status }).inc();
        tracing::info!(
            target: "audit",
            %audit_id, %user, %cluster, %verb, %path,
            status = self.status,
            bytes = self.bytes,
            complete = self.complete,
            duration_ms = started.elapsed().as_millis() as u64,
            "visit"
        );
    }
}

struct Followed {
    inner: Body,
    open: Open,
}

impl HttpBody for Followed {
    type Data = Bytes;
    type Error = tunnel::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.open.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                self.open.complete = self.inner.is_end_stream();
            }
            Poll::Ready(None) => self.open.complete = true,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
