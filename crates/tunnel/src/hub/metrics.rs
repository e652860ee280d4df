//! What the hub counts of its tunnels (contract section 4.7, and more of our own).

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
};

use super::Refused;
use crate::ws::Totals;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// No label names a cluster: ten thousand of them would make every scrape megabytes long.
pub(super) struct Metrics {
    pub(super) connections: Gauge,
    pub(super) lifetime: Histogram,
    pub(super) opened: Counter,
    pub(super) requests: Counter,
    pub(super) streams: Gauge,
    pub(super) bytes: Totals,
    refused: Family<Reason, Counter>,
    ended: Family<Reason, Counter>,
}

impl Metrics {
    pub(super) fn new(to: &runtime::metrics::Metrics) -> Self {
        let metrics = Self {
            connections: Gauge::default(),
            lifetime: Histogram::new(exponential_buckets(60.0, 4.0, 8)),
            opened: Counter::default(),
            requests: Counter::default(),
            streams: Gauge::default(),
            bytes: Totals::default(),
            refused: Family::default(),
            ended: Family::default(),
        };
        to.register(|r| {
            r.register(
                "clusternet_socket_connections_count",
                "Open tunnel connections on this replica",
                metrics.connections.clone(),
            );
            r.register(
                "clusternet_socket_connections_duration_seconds",
                "Lifetime of tunnel connections",
                metrics.lifetime.clone(),
            );
            r.register(
                "clusterway_tunnel_opened",
                "Tunnels opened, reconnects included",
                metrics.opened.clone(),
            );
            r.register("clusterway_tunnel_refused", "Tunnels refused, by reason", metrics.refused.clone());
            r.register("clusterway_tunnel_ended", "Tunnels ended, by reason", metrics.ended.clone());
            r.register(
                "clusterway_tunnel_requests",
                "Requests sent through tunnels",
                metrics.requests.clone(),
            );
            r.register(
                "clusterway_tunnel_streams",
                "Requests and upgrades under way",
                metrics.streams.clone(),
            );
            r.register(
                "clusterway_tunnel_received_bytes",
                "Bytes from agents",
                metrics.bytes.received.clone(),
            );
            r.register("clusterway_tunnel_sent_bytes", "Bytes to agents", metrics.bytes.sent.clone());
        });
        metrics
    }

    pub(super) fn refused(&self, why: &Refused) {
        self.refused.get_or_create(&Reason { reason: why.reason() }).inc();
    }

    pub(super) fn ended(&self, reason: &'static str, lifetime: std::time::Duration) {
        self.ended.get_or_create(&Reason { reason }).inc();
        self.lifetime.observe(lifetime.as_secs_f64());
    }
}
