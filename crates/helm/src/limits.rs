//! The bounds of a process.

use std::time::Duration;

/// How much one operation may use, and how many run at once.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Processes at the same time; more wait.
    pub concurrency: usize,
    /// Bytes of memory a process may hold. What needs more is [`Error::TooLarge`](crate::Error::TooLarge).
    pub memory: u64,
    /// Bytes of the largest file a process may write: the index of a repository, a chart.
    pub file: u64,
    /// Bytes of the largest packed chart.
    pub chart: u64,
    /// Bytes a process may print.
    pub output: usize,
    /// How long a repository may take for its index, and again for a chart.
    pub fetch: Duration,
}

impl Default for Limits {
    /// For charts and repositories as they are published: the largest public index is about 30 MB, a release record of Helm is
    /// at most 1 MB.
    fn default() -> Self {
        Self {
            concurrency: 4,
            memory: 768 << 20,
            file: 64 << 20,
            chart: 16 << 20,
            output: 16 << 20,
            fetch: Duration::from_secs(60),
        }
    }
}
