//! Producing an answer, one piece at a time. Between two pieces only its place is kept, so that a slow taker holds no
//! thread, no snapshot and few bytes, and a long search gives way to others every tenth of a second.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use rusqlite::Connection;

use super::{
    body::{self, Bodies},
    driver::Driver,
    error::Sorted as _,
    lane::Lane,
    leap,
    plan::{Key, Plan, Reader},
    range::Frontier,
};
use crate::{Content, Error, OrderField, Position, Query, Row, Token};

/// Rows and bytes of one piece. A page of 500 objects of 4 KB and more is one: every further piece has to find its place
/// in all clusters again.
pub(super) const PIECE_ROWS: u64 = 512;
const PIECE_BYTES: usize = 4 << 20;
/// How long one piece may take to find: twice as long after each that found nothing, so that the way back to where it
/// ended does not outweigh the way forward.
const PIECE_TIME: Duration = Duration::from_millis(100);
const LONGEST_PIECE_TIME: Duration = Duration::from_secs(5);

/// From how many objects on what is to be passed over is not looked at one by one, and in how many leaps.
const FAR: u64 = 1000;
const MOST_LEAPS: usize = 12;

/// The end of a piece's time.
pub(super) struct Deadline(Instant);

impl Deadline {
    /// For a piece after so many that found nothing.
    pub(super) fn after(fruitless: u32) -> Self {
        let time = PIECE_TIME.saturating_mul(1 << fruitless.min(10));
        Self(Instant::now() + time.min(LONGEST_PIECE_TIME))
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// An answer on its way: what was asked, and how far it is.
pub(super) struct Selection {
    pub(super) query: Query,
    /// The last object passed.
    after: Option<Position>,
    /// How far scopes have been gone through beyond `after`.
    frontiers: HashMap<i64, Frontier>,
    /// How many pieces in a row have found nothing.
    fruitless: u32,
    /// Objects still to pass over.
    skip: u64,
    /// Rows still wanted.
    left: u64,
}

/// What one piece of work on an answer has found.
pub(super) enum Found {
    /// These, and there may be more.
    Some(Vec<Row>),
    /// These are the last.
    All(Vec<Row>, Option<Token>),
}

/// Takes objects in order until a piece is full or the answer ends.
struct Piece<'s> {
    selection: &'s mut Selection,
    rows: Vec<Row>,
    bytes: usize,
}

/// Whether to go on.
enum Next {
    More,
    /// The piece is full.
    Full,
    /// The limit is reached, and this object is beyond it.
    Beyond,
}

impl Selection {
    pub(super) fn new(query: Query) -> Result<Self, Error> {
        Ok(Self {
            after: query.after()?,
            frontiers: HashMap::new(),
            fruitless: 0,
            skip: query.offset(),
            left: query.limit.map_or(u64::MAX, Into::into),
            query,
        })
    }

    /// The next piece.
    pub(super) fn advance(
        &mut self,
        connection: &Connection,
        bodies: &mut Bodies,
        plan: &Plan<'_>,
    ) -> Result<Found, Error> {
        let mut reader = Reader::new(connection, bodies)?;
        // What was begun in order is ended in order: objects may have been passed over.
        let driver = if self.frontiers.is_empty() { Driver::choose(connection, plan)? } else { None };
        let mut piece = Piece { selection: self, rows: Vec::new(), bytes: 0 };
        let ended = match driver {
            Some(driver) => piece.take_gathered(connection, plan, &mut reader, &driver)?,
            None => piece.take_merged(connection, plan, &mut reader)?,
        };
        let rows = piece.rows;
        self.fruitless = if rows.is_empty() { self.fruitless + 1 } else { 0 };
        Ok(match ended {
            Ended::No => Found::Some(rows),
            Ended::Yes => Found::All(rows, None),
            Ended::AtLimit => {
                let token = self.after.as_ref().map(|after| Token::new(plan.query, after));
                Found::All(rows, token)
            }
        })
    }
}

/// How the work on a piece ended.
enum Ended {
    /// There may be more.
    No,
    /// With the answer.
    Yes,
    /// With the limit; there is more behind it.
    AtLimit,
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
            let key = Key::read(scope, row)?;
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
            if self.pass_whole(plan, &group) {
                continue;
            }
            self.leap(connection, plan, &group)?;
            let ahead =
                (self.selection.left.saturating_add(self.selection.skip)).min(PIECE_ROWS) as usize + 1;
            let chunk = if group.len() == 1 { ahead } else { ahead * 2 / group.len() };
            let mut lanes: Vec<Lane> =
                group.iter().map(|scope| Lane::new(*scope, self.frontier(plan, *scope), chunk)).collect();
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

    fn frontier(&self, plan: &Plan<'_>, scope: usize) -> Frontier {
        match (self.selection.frontiers.get(&plan.scopes[scope].id), &self.selection.after) {
            (Some(frontier), _) => frontier.clone(),
            (None, Some(after)) => Frontier::after(plan, scope, after),
            (None, None) => Frontier::Beginning,
        }
    }

    /// Passes over a whole scope while there is more to pass over than it holds.
    fn pass_whole(&mut self, plan: &Plan<'_>, group: &[usize]) -> bool {
        let [scope] = group else { return false };
        let selection = &mut *self.selection;
        let scope = &plan.scopes[*scope];
        let untouched = selection.after.is_none() && !selection.frontiers.contains_key(&scope.id);
        if !(untouched && plan.takes_all() && selection.skip >= scope.objects) {
            return false;
        }
        selection.skip -= scope.objects;
        selection.frontiers.insert(scope.id, Frontier::Done);
        true
    }

    /// Passes over most of what is to be passed over, if that is much.
    fn leap(&mut self, connection: &Connection, plan: &Plan<'_>, group: &[usize]) -> Result<(), Error> {
        if self.selection.skip < FAR || plan.looks_closer() {
            return Ok(());
        }
        let mut lanes: Vec<(usize, Frontier)> =
            group.iter().map(|scope| (*scope, self.frontier(plan, *scope))).collect();
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
        if self.rows.len() as u64 >= PIECE_ROWS || self.bytes >= PIECE_BYTES {
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
        self.rows.push(Row {
            position: position.clone(),
            uid: key.uid.text(),
            json: body::cut(json, plan.query.content)?,
        });
        self.selection.after = Some(position);
        self.selection.left -= 1;
        Ok(Next::More)
    }
}

/// The first objects in order of many that come in any.
struct First<'p, 'q> {
    plan: &'p Plan<'q>,
    most: usize,
    keys: Vec<Key>,
}

impl<'p, 'q> First<'p, 'q> {
    fn new(plan: &'p Plan<'q>, most: u64) -> Self {
        Self { plan, most: usize::try_from(most).unwrap_or(usize::MAX), keys: Vec::new() }
    }

    fn push(&mut self, key: Key) {
        self.keys.push(key);
        if self.keys.len() / 2 >= self.most {
            self.trim();
        }
    }

    fn trim(&mut self) {
        self.keys.sort_unstable_by(|a, b| self.plan.compare(a, b));
        self.keys.dedup_by_key(|key| key.id);
        self.keys.truncate(self.most);
    }

    fn into_sorted(mut self) -> Vec<Key> {
        self.trim();
        self.keys
    }
}

/// The scopes in the groups that come one after the other: those of one cluster each, if the cluster decides first.
fn groups(plan: &Plan<'_>) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..plan.scopes.len()).collect();
    match plan.order.first() {
        Some(term) if term.field == OrderField::Cluster => {
            let mut groups: Vec<Vec<usize>> = all
                .chunk_by(|a, b| plan.scopes[*a].cluster == plan.scopes[*b].cluster)
                .map(<[usize]>::to_vec)
                .collect();
            if term.descending {
                groups.reverse();
            }
            groups
        }
        _ if all.is_empty() => Vec::new(),
        _ => vec![all],
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
            && let Some(driver) = Driver::choose(connection, plan)?
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
