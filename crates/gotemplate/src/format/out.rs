//! Where text is written to while a value is printed.

use crate::{error::Limit, limits::Budget};

/// Bytes up to what the budget has left. Beyond that they are dropped, and [`Out::finish`] is the error: printing code
/// need not look after every piece, only stop descending when [`Out::is_stopped`].
#[derive(Debug)]
pub(crate) struct Out {
    bytes: Vec<u8>,
    room: usize,
    stopped: Option<Limit>,
}

impl Out {
    pub(crate) fn new(budget: &Budget) -> Self {
        Self { bytes: Vec::new(), room: budget.memory_left(), stopped: None }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if bytes.len() > self.room {
            self.stop(Limit::Memory);
        } else if self.stopped.is_none() {
            self.room -= bytes.len();
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(crate) fn push_char(&mut self, c: char) {
        self.push(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    pub(crate) fn repeat(&mut self, byte: u8, count: usize) {
        if count > self.room {
            self.stop(Limit::Memory);
        } else if self.stopped.is_none() {
            self.room -= count;
            self.bytes.resize(self.bytes.len() + count, byte);
        }
    }

    /// The first reason counts.
    pub(crate) fn stop(&mut self, limit: Limit) {
        self.stopped.get_or_insert(limit);
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// What was written, and paid for.
    pub(crate) fn finish(self, budget: &mut Budget) -> Result<Vec<u8>, Limit> {
        if let Some(limit) = self.stopped {
            return Err(limit);
        }
        budget.make(self.bytes.len())?;
        Ok(self.bytes)
    }
}
