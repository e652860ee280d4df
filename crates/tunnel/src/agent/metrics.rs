//! What the agent counts of its tunnel.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

use crate::ws::Totals;

/// Counters of one agent's tunnels. Cloning gives another handle to the same counters.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    pub(super) connected: Gauge,
    pub(super) opened: Counter,
    pub(super) failures: Counter,
    pub(super) requests: Counter,
    pub(super) bytes: Totals,
}

impl Metrics {
    /// Counters that are registered; those of `default()` are not.
    pub fn new(to: &runtime::metrics::Metrics) -> Self {
        let counter = |name, help| to.add(name, help, Counter::default());
        Self {
            connected: to.add("clusterway_agent_tunnels", "Tunnels to the parent now open", Gauge::default()),
            opened: counter("clusterway_agent_tunnels_opened", "Tunnels opened, reconnects included"),
            failures: counter(
                "clusterway_agent_tunnel_failures",
                "Tries to open a tunnel that failed, and tunnels lost",
            ),
            requests: counter(
                "clusterway_agent_requests",
                "Requests and upgrades that came through the tunnel",
            ),
            bytes: Totals {
                received: counter("clusterway_agent_received_bytes", "Bytes from the hub"),
                sent: counter("clusterway_agent_sent_bytes", "Bytes to the hub"),
            },
        }
    }
}
