//! Passing over very many objects in order, without looking at each: for offsets.
//!
//! In every scope the object is found that lies its share of the way ahead, by walking the index; of these the first
//! in order is a place up to which no scope has more than its share. What lies before it is counted, again in the
//! index, and passed over in all scopes at once. A few such leaps lead nearly all the way.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::{
    error::Sorted as _,
    lanes::{Range, RangeShape, source, wanted},
    plan::{COLUMNS, Found, Params, Places, found},
    session::Channel,
};
use crate::{
    Error, Position,
    relational::{
        place::{self, Bound, Frontier},
        plan::Plan,
    },
};

/// With fewer objects to pass over in each scope, looking at them is as quick.
const LEAST_SHARE: u64 = 32;

/// Moves the scopes with their frontiers on by at most `skip` objects in all; the answer is by how many.
///
/// Only for plans that look at nothing but what is in the index.
pub(super) async fn leap(
    channel: &Channel,
    plan: &Plan<'_>,
    places: &Places,
    lanes: &mut [(usize, Frontier)],
    skip: u64,
) -> Result<u64, Error> {
    let share = skip / lanes.len().max(1) as u64;
    if share < LEAST_SHARE {
        return Ok(0);
    }
    let place = first_ahead(channel, plan, places, lanes, share).await?;
    // Without a place no scope has its share left: all of them are passed over.
    let until = |scope| place.as_ref().map_or(Frontier::Done, |place| Frontier::after(plan, scope, place));
    let untils: Vec<Frontier> = lanes.iter().map(|(scope, _)| until(*scope)).collect();
    let passed = count(channel, plan, lanes, &untils).await?;
    for ((_, frontier), until) in lanes.iter_mut().zip(untils) {
        if !matches!((&*frontier, &until), (Frontier::Done, _) | (_, Frontier::Beginning)) {
            *frontier = until;
        }
    }
    Ok(passed)
}

/// Of the objects that are each the `share`th from the frontier of its scope, the first in order.
async fn first_ahead(
    channel: &Channel,
    plan: &Plan<'_>,
    places: &Places,
    lanes: &[(usize, Frontier)],
    share: u64,
) -> Result<Option<Position>, Error> {
    let open = lanes.iter().filter(|(scope, frontier)| {
        !matches!(frontier, Frontier::Done) && plan.scopes[*scope].objects >= share
    });
    let ranges = open.map(|(scope, frontier)| Range { scope: *scope, from: frontier, until: None });
    let statements = by_shape(plan, ranges).into_iter().map(|(shape, ranges)| async move {
        let mut params = Params::new();
        let source = source(plan, shape, &ranges, &mut params);
        let wanted = wanted(plan, shape, &mut params);
        let (order, offset) = (place::order_by(plan), params.add(share as i64 - 1));
        let sql = format!(
            "{source} SELECT {COLUMNS} FROM l CROSS JOIN LATERAL (SELECT {COLUMNS} \
             FROM clusterway.object AS o WHERE {wanted}{order} LIMIT 1 OFFSET {offset}) AS o"
        );
        channel.query(&sql, &params.all()).await
    });
    let mut first: Option<Found> = None;
    for row in try_join_all(statements).await?.iter().flatten() {
        if let Some(object) = found(places, row, 0)?
            && first.as_ref().is_none_or(|first| plan.compare(&object.key, &first.key).is_lt())
        {
            first = Some(object);
        }
    }
    Ok(first.map(|object| plan.position(&object.key)))
}

/// How many objects lie between the frontiers of the scopes and `untils`.
async fn count(
    channel: &Channel,
    plan: &Plan<'_>,
    lanes: &[(usize, Frontier)],
    untils: &[Frontier],
) -> Result<u64, Error> {
    let ranges = lanes.iter().zip(untils).filter_map(|((scope, from), until)| {
        let until: Option<&Bound> = match (from, until) {
            (Frontier::Done, _) | (_, Frontier::Beginning) => return None,
            (_, Frontier::At(bound)) => Some(bound),
            (_, Frontier::Done) => None,
        };
        Some(Range { scope: *scope, from, until })
    });
    let statements = by_shape(plan, ranges).into_iter().map(|(shape, ranges)| async move {
        let mut params = Params::new();
        let source = source(plan, shape, &ranges, &mut params);
        let wanted = wanted(plan, shape, &mut params);
        let sql = format!(
            "{source} SELECT coalesce(sum(o.objects), 0)::bigint FROM l CROSS JOIN LATERAL \
             (SELECT count(*) AS objects FROM clusterway.object AS o WHERE {wanted}) AS o"
        );
        channel.one(&sql, &params.all()).await?.try_get::<_, i64>(0).sorted()
    });
    Ok(try_join_all(statements).await?.into_iter().map(|objects| objects as u64).sum())
}

fn by_shape<'l>(
    plan: &Plan<'_>,
    ranges: impl Iterator<Item = Range<'l>>,
) -> BTreeMap<RangeShape, Vec<(usize, Range<'l>)>> {
    let mut shapes: BTreeMap<RangeShape, Vec<(usize, Range<'l>)>> = BTreeMap::new();
    for (at, range) in ranges.enumerate() {
        shapes.entry(range.shape(plan)).or_default().push((at, range));
    }
    shapes
}
