//! What is known of a stream from outside, while it runs and after.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use prometheus_client::metrics::counter::Counter;
use runtime::CancellationToken;

use super::Error;

/// Bytes of all streams of a process.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Payload received.
    pub received: Counter,
    /// Payload sent.
    pub sent: Counter,
}

/// Bytes, end and cause of the end of one stream. The libraries above lose the cause; it is found here.
#[derive(Debug, Default)]
pub struct Meter {
    received: AtomicU64,
    sent: AtomicU64,
    totals: Totals,
    cause: OnceLock<Error>,
    closed: CancellationToken,
}

impl Meter {
    pub(super) fn new(totals: Totals) -> Self {
        Self { totals, ..Self::default() }
    }

    /// Payload bytes received.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Payload bytes sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Why the stream ended; `None` while it runs, and when our side ended it.
    pub fn cause(&self) -> Option<&Error> {
        self.cause.get()
    }

    /// Resolves when the stream is gone, for whatever reason.
    pub async fn closed(&self) {
        self.closed.cancelled().await;
    }

    pub(super) fn count_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.totals.received.inc_by(bytes as u64);
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.totals.sent.inc_by(bytes as u64);
    }

    /// The first cause counts: later ones are its consequences.
    pub(super) fn failed(&self, cause: &Error) {
        let _ = self.cause.set(cause.clone());
    }

    pub(super) fn dropped(&self) {
        self.closed.cancel();
    }
}
