//! An answer on its way. Between two pieces only its place is kept, so that a slow taker holds no thread, no connection,
//! no snapshot and few bytes, and a long search gives way to others every tenth of a second.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{
    place::Frontier,
    plan::{Key, Plan},
};
use crate::{Error, OrderField, Position, Query, Row, Token};

/// Rows and bytes of one piece. A page of 500 objects of 4 KB and more is one: every further piece has to find its place
/// in all clusters again.
pub(crate) const PIECE_ROWS: u64 = 512;
pub(crate) const PIECE_BYTES: usize = 4 << 20;
/// How long one piece may take to find: twice as long after each that found nothing, so that the way back to where it
/// ended does not outweigh the way forward.
const PIECE_TIME: Duration = Duration::from_millis(100);
const LONGEST_PIECE_TIME: Duration = Duration::from_secs(5);

/// From how many objects on what is to be passed over is not looked at one by one, and in how many leaps.
pub(crate) const FAR: u64 = 1000;
pub(crate) const MOST_LEAPS: usize = 12;

/// The end of a piece's time.
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// For a piece after so many that found nothing.
    pub(crate) fn after(fruitless: u32) -> Self {
        let time = PIECE_TIME.saturating_mul(1 << fruitless.min(10));
        Self(Instant::now() + time.min(LONGEST_PIECE_TIME))
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// An answer on its way: what was asked, and how far it is.
pub(crate) struct Selection {
    pub(crate) query: Query,
    /// The last object passed.
    pub(crate) after: Option<Position>,
    /// How far scopes have been gone through beyond `after`.
    pub(crate) frontiers: HashMap<i64, Frontier>,
    /// How many pieces in a row have found nothing.
    pub(crate) fruitless: u32,
    /// Objects still to pass over.
    pub(crate) skip: u64,
    /// Rows still wanted.
    pub(crate) left: u64,
}

/// What one piece of work on an answer has found.
pub(crate) enum Found {
    /// These, and there may be more.
    Some(Vec<Row>),
    /// These are the last.
    All(Vec<Row>, Option<Token>),
}

/// How the work on a piece ended.
pub(crate) enum Ended {
    /// There may be more.
    No,
    /// With the answer.
    Yes,
    /// With the limit; there is more behind it.
    AtLimit,
}

/// Whether to go on after an object.
pub(crate) enum Next {
    More,
    /// The piece is full.
    Full,
    /// The limit is reached, and this object is beyond it.
    Beyond,
}

impl Selection {
    pub(crate) fn new(query: Query) -> Result<Self, Error> {
        Ok(Self {
            after: query.after()?,
            frontiers: HashMap::new(),
            fruitless: 0,
            skip: query.offset(),
            left: query.limit.map_or(u64::MAX, Into::into),
            query,
        })
    }

    /// How far a scope has been gone through.
    pub(crate) fn frontier(&self, plan: &Plan<'_>, scope: usize) -> Frontier {
        match (self.frontiers.get(&plan.scopes[scope].id), &self.after) {
            (Some(frontier), _) => frontier.clone(),
            (None, Some(after)) => Frontier::after(plan, scope, after),
            (None, None) => Frontier::Beginning,
        }
    }

    /// Passes over a whole scope while there is more to pass over than it holds.
    pub(crate) fn pass_whole(&mut self, plan: &Plan<'_>, group: &[usize]) -> bool {
        let [scope] = group else { return false };
        let scope = &plan.scopes[*scope];
        let untouched = self.after.is_none() && !self.frontiers.contains_key(&scope.id);
        if !(untouched && plan.takes_all() && self.skip >= scope.objects) {
            return false;
        }
        self.skip -= scope.objects;
        self.frontiers.insert(scope.id, Frontier::Done);
        true
    }

    /// How many objects to read ahead in each of so many scopes that are merged.
    pub(crate) fn ahead(&self, scopes: usize) -> usize {
        let ahead = self.left.saturating_add(self.skip).min(PIECE_ROWS) as usize + 1;
        if scopes == 1 { ahead } else { ahead * 2 / scopes.max(1) }
    }

    /// After a piece that ended so; `rows` are those, or the last of those, that it has found, if it has `any`.
    pub(crate) fn found(&mut self, rows: Vec<Row>, any: bool, ended: &Ended) -> Found {
        self.fruitless = if any { 0 } else { self.fruitless + 1 };
        match ended {
            Ended::No => Found::Some(rows),
            Ended::Yes => Found::All(rows, None),
            Ended::AtLimit => {
                let token = self.after.as_ref().map(|after| Token::new(&self.query, after));
                Found::All(rows, token)
            }
        }
    }
}

/// The first objects in order of many that come in any.
pub(crate) struct First<'p, 'q> {
    plan: &'p Plan<'q>,
    most: usize,
    keys: Vec<Key>,
}

impl<'p, 'q> First<'p, 'q> {
    pub(crate) fn new(plan: &'p Plan<'q>, most: u64) -> Self {
        Self { plan, most: usize::try_from(most).unwrap_or(usize::MAX), keys: Vec::new() }
    }

    pub(crate) fn push(&mut self, key: Key) {
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

    pub(crate) fn into_sorted(mut self) -> Vec<Key> {
        self.trim();
        self.keys
    }
}

/// The scopes in the groups that come one after the other: those of one cluster each, if the cluster decides first.
pub(crate) fn groups(plan: &Plan<'_>) -> Vec<Vec<usize>> {
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
