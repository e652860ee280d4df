//! One registry of metrics per process, in the Prometheus text format.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;

/// A handle to the process's metrics. Crates register what they count when they are built; the health server prints
/// it.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// The media type of [`Metrics::encode`].
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Registers metrics: `metrics.register(|r| r.register("name", "help", counter.clone()))`.
    pub fn register(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.registry.lock());
    }

    /// Everything, as text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail; an incomplete page is better than none should a metric's encoder err.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry.lock());
        text
    }
}
