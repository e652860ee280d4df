//! Producing an answer, one piece at a time.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::{
    driver,
    error::Sorted as _,
    lane::Lane,
    leap,
    plan::{Reader, key},
};
use crate::{
    Content, Error, Row,
    relational::{
        body::{self, Bodies},
        driver::Driver,
        pieces::Portions,
        place::Frontier,
        plan::{Key, Plan},
        selection::{
            Deadline, Ended, FAR, First, Found, MOST_LEAPS, Next, PIECE_BYTES, PIECE_ROWS, Selection, groups,
        },
    },
};

/// Takes objects in order until a piece is full or the answer ends.
struct Piece<'s> {
    selection: &'s mut Selection,
    portions: Portions,
    rows: u64,
    bytes: usize,
}

impl Selection {
    /// The next piece, as far as it has not gone out in `portions`.
    pub(super) fn advance(
        &mut self,
        connection: &Connection,
        bodies: &mut Bodies,
        plan: &Plan<'_>,
        portions: Portions,
    ) -> Result<Found, Error> {
        let mut reader = Reader::new(connection, bodies)?;
        // What was begun in order is ended in order: objects may have been passed over.
        let driver = if self.frontiers.is_empty() { driver::choose(connection, plan)? } else { None };
        let mut piece = Piece { selection: self, portions, rows: 0, bytes: 0 };
        let ended = match driver {
            Some(driver) => piece.take_gathered(connection, plan, &mut reader, &driver)?,
            None => piece.take_merged(connection, plan, &mut reader)?,
        };
        let Piece { portions, rows, .. } = piece;
        Ok(self.found(portions.rest(), rows > 0, &ended))
    }
}

impl Piece<'_> {
    fn take_gathered(
        &mut self,
        connection: &Connection,
        plan: &Plan<'_>,
        reader: &mut Reader<'_>,
        driver: &Driver,
    ) -> Result<Ended, Error> {
        let Selection { skip, left, after, .. } = &*self.selection;
        let mut first = First::new(plan, skip.saturating_add(PIECE_ROWS.min(*left)).saturating_add(1));
        driver.look_up(connection, plan, reader, |scope, row| {
            let key = key(scope, row)?;
            if after.as_ref().is_none_or(|after| plan.position(&key).compare(after, &plan.order).is_gt()) {
                first.push(key);
            }
            Ok(())
        })?;
        let keys = first.into_sorted();
        for key in &keys {
            match self.take(plan, key, reader)? {
                Next::More => {}
                Next::Full => return Ok(Ended::No),
                Next::Beyond => return Ok(Ended::AtLimit),
            }
        }
        Ok(Ended::Yes)
    }

    fn take_merged(
        &mut self,
        connection: &Connection,
        plan: &Plan<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<Ended, Error> {
        for group in groups(plan) {
            if self.selection.pass_whole(plan, &group) {
                continue;
            }
            self.leap(connection, plan, &group)?;
            let chunk = self.selection.ahead(group.len());
            let mut lanes: Vec<Lane> = group
                .iter()
                .map(|scope| Lane::new(*scope, self.selection.frontier(plan, *scope), chunk))
                .collect();
            let ended = self.merge(connection, plan, reader, &mut lanes)?;
            for lane in lanes {
                let scope = plan.scopes[lane.scope].id;
                self.selection.frontiers.insert(scope, lane.into_frontier(plan));
            }
            if !matches!(ended, Ended::Yes) {
                return Ok(ended);
            }
        }
        Ok(Ended::Yes)
    }

    /// Passes over most of what is to be passed over, if that is much.
    fn leap(&mut self, connection: &Connection, plan: &Plan<'_>, group: &[usize]) -> Result<(), Error> {
        if self.selection.skip < FAR || plan.looks_closer() {
            return Ok(());
        }
        let mut lanes: Vec<(usize, Frontier)> =
            group.iter().map(|scope| (*scope, self.selection.frontier(plan, *scope))).collect();
        // Where the scopes are too unlike each other, leaps are short: then the rest is gone through.
        for _ in 0..MOST_LEAPS {
            let passed = leap::leap(connection, plan, &mut lanes, self.selection.skip)?;
            self.selection.skip -= passed;
            if passed == 0 {
                break;
            }
        }
        for (scope, frontier) in lanes {
            self.selection.frontiers.insert(plan.scopes[scope].id, frontier);
        }
        Ok(())
    }

    /// Takes the first of all lanes, again and again.
    fn merge(
        &mut self,
        connection: &Connection,
        plan: &Plan<'_>,
        reader: &mut Reader<'_>,
        lanes: &mut [Lane],
    ) -> Result<Ended, Error> {
        let deadline = Deadline::after(self.selection.fruitless);
        for lane in &mut *lanes {
            if !lane.refill(connection, plan, reader, &deadline)? {
                return Ok(Ended::No);
            }
        }
        // Many lanes may have taken all of the time.
        let deadline = Deadline::after(self.selection.fruitless);
        // The lanes that have something ahead, the one with the first object last.
        let mut open: Vec<usize> = (0..lanes.len()).filter(|at| !lanes[*at].ahead.is_empty()).collect();
        let later = |lanes: &[Lane], a: usize, b: usize| plan.compare(&lanes[b].ahead[0], &lanes[a].ahead[0]);
        open.sort_unstable_by(|a, b| later(lanes, *a, *b));
        let mut taken = 0_u32;
        while let Some(first) = open.pop() {
            match self.take(plan, &lanes[first].ahead[0], reader)? {
                Next::More => drop(lanes[first].ahead.pop_front()),
                Next::Full => return Ok(Ended::No),
                Next::Beyond => return Ok(Ended::AtLimit),
            }
            taken += 1;
            if taken.is_multiple_of(64) && deadline.is_over() {
                return Ok(Ended::No);
            }
            if !lanes[first].refill(connection, plan, reader, &deadline)? {
                return Ok(Ended::No);
            }
            if !lanes[first].ahead.is_empty() {
                let place = open.partition_point(|other| later(lanes, *other, first).is_lt());
                open.insert(place, first);
            }
        }
        Ok(Ended::Yes)
    }

    /// Takes the next object in order.
    fn take(&mut self, plan: &Plan<'_>, key: &Key, reader: &mut Reader<'_>) -> Result<Next, Error> {
        if self.selection.left == 0 {
            return Ok(Next::Beyond);
        }
        if self.rows >= PIECE_ROWS || self.bytes >= PIECE_BYTES {
            return Ok(Next::Full);
        }
        if self.selection.skip > 0 {
            self.selection.skip -= 1;
            return Ok(Next::More);
        }
        let position = plan.position(key);
        let json = match plan.query.content {
            Content::Keys => Vec::new(),
            Content::Metadata | Content::Whole => {
                reader.json(key.id)?.ok_or_else(|| Error::Corrupt("an object without a body".into()))?
            }
        };
        self.bytes += json.len();
        self.rows += 1;
        self.selection.after = Some(position.clone());
        self.selection.left -= 1;
        let row = Row { position, uid: key.uid.text(), json: body::cut(json, plan.query.content)? };
        Ok(if self.portions.push(row) { Next::More } else { Next::Full })
    }
}

/// A count on its way.
#[derive(Default)]
pub(super) struct Counting {
    pub(super) total: u64,
    frontiers: HashMap<i64, Frontier>,
}

impl Counting {
    /// Counts on; `true` when all is counted.
    pub(super) fn advance(
        &mut self,
        connection: &Connection,
        bodies: &mut Bodies,
        plan: &Plan<'_>,
    ) -> Result<bool, Error> {
        if plan.takes_all() {
            self.total = plan.objects();
            return Ok(true);
        }
        let mut reader = Reader::new(connection, bodies)?;
        if self.frontiers.is_empty()
            && let Some(driver) = driver::choose(connection, plan)?
        {
            let mut objects = HashSet::new();
            driver.look_up(connection, plan, &mut reader, |_, row| {
                objects.insert(row.get::<_, i64>(0).sorted()?);
                Ok(())
            })?;
            self.total = objects.len() as u64;
            return Ok(true);
        }
        let deadline = Deadline::after(0);
        for (at, scope) in plan.scopes.iter().enumerate() {
            let frontier = self.frontiers.get(&scope.id).cloned().unwrap_or(Frontier::Beginning);
            if matches!(frontier, Frontier::Done) {
                continue;
            }
            let mut lane = Lane::new(at, frontier, usize::MAX);
            loop {
                let in_time = lane.refill(connection, plan, &mut reader, &deadline)?;
                self.total += lane.ahead.len() as u64;
                let ended = lane.ahead.is_empty() && in_time;
                lane.ahead.clear();
                if ended || deadline.is_over() {
                    break;
                }
            }
            self.frontiers.insert(scope.id, lane.into_frontier(plan));
            if deadline.is_over() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
