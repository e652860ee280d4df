//! The objects of one scope in order, from some place on.

use std::collections::VecDeque;

use rusqlite::{Connection, params_from_iter};

use super::{
    error::Sorted as _,
    plan::{COLUMNS, Reader, accepts, key},
    range,
};
use crate::{
    Error,
    relational::{
        place::{self, Bound, Frontier},
        plan::{Key, Plan},
        selection::Deadline,
    },
};

/// One scope being gone through, some objects ahead.
pub(super) struct Lane {
    pub(super) scope: usize,
    /// Behind `ahead`.
    frontier: Frontier,
    /// Matching objects in order; the next is the first.
    pub(super) ahead: VecDeque<Key>,
    /// How many objects to read next time.
    chunk: usize,
}

/// The most objects read ahead in one scope.
const MOST_AHEAD: usize = 512;

impl Lane {
    pub(super) fn new(scope: usize, frontier: Frontier, chunk: usize) -> Self {
        Self { scope, frontier, ahead: VecDeque::new(), chunk: chunk.clamp(4, MOST_AHEAD) }
    }

    /// Where to begin when going on later: with what is ahead now.
    pub(super) fn into_frontier(mut self, plan: &Plan<'_>) -> Frontier {
        match self.ahead.pop_front() {
            Some(key) => Frontier::At(Bound::at(plan, &key, true)),
            None => self.frontier,
        }
    }

    /// Reads on, if nothing is ahead, until something is or the scope ends; `false` if the time was over first.
    pub(super) fn refill(
        &mut self,
        connection: &Connection,
        plan: &Plan<'_>,
        reader: &mut Reader<'_>,
        deadline: &Deadline,
    ) -> Result<bool, Error> {
        if !self.ahead.is_empty() || matches!(self.frontier, Frontier::Done) {
            return Ok(true);
        }
        loop {
            let in_time = self.read(connection, plan, reader, deadline)?;
            if !self.ahead.is_empty() || matches!(self.frontier, Frontier::Done) {
                return Ok(true);
            }
            if !in_time {
                return Ok(false);
            }
        }
    }

    /// Reads once; `false` if the time was over before the chunk was full.
    fn read(
        &mut self,
        connection: &Connection,
        plan: &Plan<'_>,
        reader: &mut Reader<'_>,
        deadline: &Deadline,
    ) -> Result<bool, Error> {
        let (namespace, next) = match place::namespace_at(plan, self.scope, &self.frontier) {
            Some((namespace, next)) => (Some(namespace), next),
            None => (None, Frontier::Done),
        };
        let looks_closer = plan.looks_closer();
        let (rows, mut params) = range::rows(plan, self.scope, namespace, &self.frontier, None);
        let limit = if looks_closer { -1 } else { self.chunk as i64 };
        params.push(limit.into());
        let sql = format!("SELECT {COLUMNS}{rows}{} LIMIT ?", place::order_by(plan));
        let mut statement = connection.prepare_cached(&sql).sorted()?;
        let mut rows = statement.query(params_from_iter(params)).sorted()?;
        let mut read = 0_usize;
        let mut last: Option<Key> = None;
        while let Some(row) = rows.next().sorted()? {
            read += 1;
            if !looks_closer || accepts(plan, self.scope, row, reader)? {
                self.ahead.push_back(key(self.scope, row)?);
                last = None;
                if self.ahead.len() == self.chunk {
                    break;
                }
            } else if read.is_multiple_of(64) && deadline.is_over() {
                last = Some(key(self.scope, row)?);
                break;
            }
        }
        let full = self.ahead.len() == self.chunk;
        let interrupted = last.is_some();
        let reached = last.as_ref().or_else(|| self.ahead.back());
        self.frontier = match reached {
            Some(key) if full || interrupted => Frontier::At(Bound::at(plan, key, false)),
            _ => next,
        };
        self.chunk = (self.chunk * 2).min(MOST_AHEAD);
        Ok(!interrupted)
    }
}
