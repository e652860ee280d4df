//! What the server counts.

use std::{sync::Arc, time::Instant};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
};
use runtime::metrics::Metrics;

/// The label values of one request. They come from the served APIs, never from the caller: what is not served counts
/// as `other`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Route {
    verb: String,
    group: String,
    resource: String,
    subresource: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    verb: String,
    group: String,
    resource: String,
    subresource: String,
    code: u16,
}

/// What requests count as whose caller left before there was an answer.
const CLIENT_GONE: u16 = 499;

#[derive(Debug, Clone)]
pub(crate) struct Counters {
    requests: Family<Outcome, Counter>,
    durations: Family<Route, Histogram>,
    in_flight: Family<Route, Gauge>,
    pub(crate) connections: Gauge,
    pub(crate) handshakes_failed: Counter,
    pub(crate) panics: Counter,
}

impl Counters {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let new_histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 2.5, 14));
        let counter = |name, help| metrics.add(name, help, Counter::default());
        Self {
            requests: metrics.add(
                "clusterway_apiserver_requests",
                "Requests answered, by verb, resource and code",
                Family::default(),
            ),
            durations: metrics.add(
                "clusterway_apiserver_request_duration_seconds",
                "Time to the end of the answer, watches, upgrades and other long-running requests left out",
                Family::new_with_constructor(new_histogram),
            ),
            in_flight: metrics.add(
                "clusterway_apiserver_requests_in_flight",
                "Requests being served",
                Family::default(),
            ),
            connections: metrics.add(
                "clusterway_apiserver_connections",
                "Open connections",
                Gauge::default(),
            ),
            handshakes_failed: counter(
                "clusterway_apiserver_handshakes_failed",
                "TLS handshakes that failed",
            ),
            panics: counter(
                "clusterway_apiserver_panics",
                "Requests that ended in a panic and were answered 500",
            ),
        }
    }

    /// A request begins.
    pub(crate) fn begin(&self, route: Route) -> Measured {
        self.in_flight.get_or_create(&route).inc();
        Measured {
            counters: Arc::new(self.clone()),
            route,
            started: Instant::now(),
            code: CLIENT_GONE,
            timed: true,
        }
    }
}

impl Route {
    pub(crate) fn new(verb: &str, group: &str, resource: &str, subresource: &str) -> Self {
        let [verb, group, resource, subresource] = [verb, group, resource, subresource].map(str::to_owned);
        Self { verb, group, resource, subresource }
    }
}

/// One request on its way; counted when this is dropped.
#[derive(Debug)]
pub(crate) struct Measured {
    counters: Arc<Counters>,
    route: Route,
    started: Instant,
    code: u16,
    timed: bool,
}

impl Measured {
    /// The answer's code is known. Long-running requests say nothing about speed and are not timed.
    pub(crate) fn answered(&mut self, code: u16, timed: bool) {
        self.code = code;
        self.timed = timed;
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let Route { verb, group, resource, subresource } = self.route.clone();
        let outcome = Outcome { verb, group, resource, subresource, code: self.code };
        self.counters.requests.get_or_create(&outcome).inc();
        if self.timed {
            self.counters.durations.get_or_create(&self.route).observe(self.started.elapsed().as_secs_f64());
        }
        self.counters.in_flight.get_or_create(&self.route).dec();
    }
}
