//! Passing over very many objects in order, without looking at each: for offsets.
//!
//! In every scope the object is found that lies its share of the way ahead, by walking the index; of these the first
//! in order is a place up to which no scope has more than its share. What lies before it is counted, again in the
//! index, and passed over in all scopes at once. A few such leaps lead nearly all the way.

use rusqlite::{Connection, OptionalExtension as _, params_from_iter};

use super::{
    error::Sorted as _,
    plan::{COLUMNS, key},
    range,
};
use crate::{
    Error,
    relational::{
        place::{self, Frontier},
        plan::{Key, Plan},
    },
};

/// With fewer objects to pass over in each scope, looking at them is as quick.
const LEAST_SHARE: u64 = 32;

/// Moves the scopes with their frontiers on by at most `skip` objects in all; the answer is by how many.
///
/// Only for plans that look at nothing but what is in the index.
pub(super) fn leap(
    connection: &Connection,
    plan: &Plan<'_>,
    lanes: &mut [(usize, Frontier)],
    skip: u64,
) -> Result<u64, Error> {
    let share = skip / lanes.len().max(1) as u64;
    if share < LEAST_SHARE {
        return Ok(0);
    }
    let mut first: Option<Key> = None;
    for (scope, frontier) in &*lanes {
        if let Some(key) = ahead(connection, plan, *scope, frontier, share)?
            && first.as_ref().is_none_or(|first| plan.compare(&key, first).is_lt())
        {
            first = Some(key);
        }
    }
    let place = first.map(|key| plan.position(&key));
    let mut passed = 0;
    for (scope, frontier) in lanes {
        // Without a place no scope has its share left: all of them are passed over.
        let until = place.as_ref().map_or(Frontier::Done, |place| Frontier::after(plan, *scope, place));
        passed += count(connection, plan, *scope, frontier, &until)?;
        if !matches!((&*frontier, &until), (Frontier::Done, _) | (_, Frontier::Beginning)) {
            *frontier = until;
        }
    }
    Ok(passed)
}

/// The object that is the `share`th from `frontier`.
fn ahead(
    connection: &Connection,
    plan: &Plan<'_>,
    scope: usize,
    frontier: &Frontier,
    share: u64,
) -> Result<Option<Key>, Error> {
    if matches!(frontier, Frontier::Done) || plan.scopes[scope].objects < share {
        return Ok(None);
    }
    let (rows, mut params) = range::rows(plan, scope, None, frontier, None);
    params.push((share as i64 - 1).into());
    let sql = format!("SELECT {COLUMNS}{rows}{} LIMIT 1 OFFSET ?", place::order_by(plan));
    connection
        .prepare_cached(&sql)
        .sorted()?
        .query_row(params_from_iter(params), |row| Ok(key(scope, row)))
        .optional()
        .sorted()?
        .transpose()
}

/// How many objects lie between two places.
fn count(
    connection: &Connection,
    plan: &Plan<'_>,
    scope: usize,
    from: &Frontier,
    until: &Frontier,
) -> Result<u64, Error> {
    let until = match (from, until) {
        (Frontier::Done, _) | (_, Frontier::Beginning) => return Ok(0),
        (_, Frontier::At(bound)) => Some(bound),
        (_, Frontier::Done) => None,
    };
    let (rows, params) = range::rows(plan, scope, None, from, until);
    connection
        .prepare_cached(&format!("SELECT count(*){rows}"))
        .sorted()?
        .query_row(params_from_iter(params), |row| row.get(0))
        .sorted()
}
