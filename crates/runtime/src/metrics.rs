//! One registry of metrics per process, in the Prometheus text format.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::registry::{Metric, Registry};

/// A handle to the process's metrics. Crates register what they count when they are built; the health server prints
/// it.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// The media type of [`Metrics::encode`].
    pub const CONTENT_TYPE: &'static str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Registers a metric and gives it back, to be counted with.
    ///
    /// ```
    /// use prometheus_client::metrics::counter::Counter;
    /// use runtime::metrics::Metrics;
    ///
    /// let metrics = Metrics::default();
    /// let tries: Counter = metrics.add("tries", "How often it was tried", Counter::default());
    /// tries.inc();
    /// assert!(metrics.encode().contains("tries_total 1"));
    /// ```
    pub fn add<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        self.registry.lock().register(name, help, metric.clone());
        metric
    }

    /// Everything, as text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail; an incomplete page is better than none should a metric's encoder err.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry.lock());
        text
    }
}
