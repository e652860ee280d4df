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
        let counter = |name, help| to.add(name, help, Counter::default());
        let by_reason = |name, help| to.add(name, help, Family::default());
        let gauge = |name, help| to.add(name, help, Gauge::default());
        Self {
            connections: gauge(
                "clusternet_socket_connections_count",
                "Open tunnel connections on this replica",
            ),
            lifetime: to.add(
                "clusternet_socket_connections_duration_seconds",
                "Lifetime of tunnel connections",
                Histogram::new(exponential_buckets(60.0, 4.0, 8)),
            ),
            opened: counter("clusterway_tunnel_opened", "Tunnels opened, reconnects included"),
            requests: counter("clusterway_tunnel_requests", "Requests sent through tunnels"),
            streams: gauge("clusterway_tunnel_streams", "Requests and upgrades under way"),
            bytes: Totals {
                received: counter("clusterway_tunnel_received_bytes", "Bytes from agents"),
                sent: counter("clusterway_tunnel_sent_bytes", "Bytes to agents"),
            },
            refused: by_reason("clusterway_tunnel_refused", "Tunnels refused, by reason"),
            ended: by_reason("clusterway_tunnel_ended", "Tunnels ended, by reason"),
        }
    }

    pub(super) fn refused(&self, why: &Refused) {
        self.refused.get_or_create(&Reason { reason: why.reason() }).inc();
    }

    pub(super) fn ended(&self, reason: &'static str, lifetime: std::time::Duration) {
        self.ended.get_or_create(&Reason { reason }).inc();
        self.lifetime.observe(lifetime.as_secs_f64());
    }
}
