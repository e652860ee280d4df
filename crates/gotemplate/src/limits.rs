//! How much a template may take, and what of it has been taken.

use crate::error::Limit;

/// What one rendering may take. Time is bounded by steps: none takes longer than a few microseconds.
///
/// The defaults leave room for any sensible policy or chart, and end the worst template after a second or two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Size of the result. Default 1 MiB.
    pub output_bytes: usize,
    /// Actions, operands, calls and turns of loops; long texts and lists count more than once. Default 1,000,000.
    pub steps: u64,
    /// Blocks, parentheses and templates called, one inside the other. Default 200.
    pub depth: usize,
    /// Everything the template makes on its way, the intermediate included; never given back. Default 32 MiB.
    pub memory_bytes: usize,
    /// Size of one regular expression with its repetitions written out, in characters. Default 2,000.
    pub regex_size: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            output_bytes: 1 << 20,
            steps: 1_000_000,
            depth: 200,
            memory_bytes: 32 << 20,
            regex_size: 2_000,
        }
    }
}

/// Nothing nested deeper than this is printed, copied or compared: each level takes a piece of the thread's stack.
pub(crate) const VALUE_DEPTH: usize = 150;

/// What is left of the [`Limits`].
#[derive(Debug)]
pub(crate) struct Budget {
    steps: u64,
    memory: usize,
    depth: usize,
    pub(crate) regex_size: usize,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            steps: limits.steps,
            memory: limits.memory_bytes,
            depth: limits.depth,
            regex_size: limits.regex_size,
        }
    }

    pub(crate) fn step(&mut self) -> Result<(), Limit> {
        self.steps(1)
    }

    pub(crate) fn steps(&mut self, count: u64) -> Result<(), Limit> {
        self.steps = self.steps.checked_sub(count).ok_or(Limit::Steps)?;
        Ok(())
    }

    /// Work on `bytes` bytes that makes nothing new.
    pub(crate) fn read(&mut self, bytes: usize) -> Result<(), Limit> {
        self.steps(bytes as u64 / 64)
    }

    /// `bytes` bytes are about to be made.
    pub(crate) fn make(&mut self, bytes: usize) -> Result<(), Limit> {
        self.read(bytes)?;
        self.memory = self.memory.checked_sub(bytes).ok_or(Limit::Memory)?;
        Ok(())
    }

    /// `count` values are about to be put into a list or a dictionary.
    pub(crate) fn make_values(&mut self, count: usize) -> Result<(), Limit> {
        self.make(count.saturating_mul(32))
    }

    /// How many bytes can still be made.
    pub(crate) fn memory_left(&self) -> usize {
        self.memory
    }

    /// One level deeper; [`Budget::leave`] goes back.
    pub(crate) fn enter(&mut self) -> Result<(), Limit> {
        self.depth = self.depth.checked_sub(1).ok_or(Limit::Depth)?;
        Ok(())
    }

    pub(crate) fn leave(&mut self) {
        self.depth += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_never_grows_and_never_wraps() {
        let mut budget = Budget::new(&Limits { steps: 10, memory_bytes: 128, depth: 1, ..Limits::default() });
        assert_eq!(budget.make(usize::MAX), Err(Limit::Steps));
        assert_eq!(budget.make(129), Err(Limit::Memory));
        assert_eq!(budget.make(128), Ok(()));
        assert_eq!(budget.make(1), Err(Limit::Memory));
        assert_eq!(budget.enter(), Ok(()));
        assert_eq!(budget.enter(), Err(Limit::Depth));
        budget.leave();
        assert_eq!(budget.enter(), Ok(()));
    }
}
