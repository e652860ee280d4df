//! Producing an answer, one piece at a time.

use std::collections::{HashMap, HashSet};

use super::{
    driver,
    error::Sorted as _,
    lanes::{self, Lane},
    leap,
    plan::{self, Found as Object, Params, Places, conditions},
    session::Channel,
};
use crate::{
    Content, Error, Row,
    relational::{
        driver::{Driver, created_range},
        pieces::Portions,
        place::Frontier,
        plan::{Plan, ScopeRef},
        selection::{
            Deadline, Ended, FAR, First, Found, MOST_LEAPS, Next, PIECE_BYTES, PIECE_ROWS, Selection, groups,
        },
    },
};

/// Takes objects in order until a piece is full or the answer ends.
struct Piece<'s, 'c> {
    channel: &'c Channel,
    plan: &'c Plan<'c>,
    places: &'c Places,
    selection: &'s mut Selection,
    objects: Vec<Object>,
    bytes: usize,
}

/// The next piece of an answer, as far as it has not gone out in `portions`.
pub(super) async fn advance(
    channel: &Channel,
    plan: &Plan<'_>,
    selection: &mut Selection,
    mut portions: Portions,
) -> Result<Found, Error> {
    let places = plan::places(plan);
    // What was begun in order is ended in order: objects may have been passed over.
    let driver = if selection.frontiers.is_empty() {
        driver::choose(channel, plan, Driver::most_hits(plan)).await?
    } else {
        None
    };
    let content = plan.query.content;
    let mut piece = Piece { channel, plan, places: &places, selection, objects: Vec::new(), bytes: 0 };
    let ended = match driver {
        Some(driver) => piece.take_gathered(&driver).await?,
        None => piece.take_merged().await?,
    };
    let objects = piece.objects;
    plan::contents(channel, &objects, content, |object, json| {
        portions.push(Row { position: plan.position(&object.key), uid: object.key.uid.text(), json })
    })
    .await?;
    Ok(selection.found(portions.rest(), !objects.is_empty(), &ended))
}

impl Piece<'_, '_> {
    async fn take_gathered(&mut self, driver: &Driver) -> Result<Ended, Error> {
        let Selection { skip, left, after, .. } = &*self.selection;
        let most = skip.saturating_add(PIECE_ROWS.min(*left)).saturating_add(1);
        let mut sizes = HashMap::new();
        let mut first = First::new(self.plan, most);
        driver::look_up(self.channel, self.plan, self.places, driver, |Object { key, size }| {
            if after
                .as_ref()
                .is_none_or(|after| self.plan.position(&key).compare(after, &self.plan.order).is_gt())
            {
                sizes.insert(key.id, size);
                first.push(key);
            }
        })
        .await?;
        for key in first.into_sorted() {
            let size = sizes.get(&key.id).copied().unwrap_or_default();
            match self.take(&Object { key, size }) {
                Next::More => {}
                Next::Full => return Ok(Ended::No),
                Next::Beyond => return Ok(Ended::AtLimit),
            }
        }
        Ok(Ended::Yes)
    }

    async fn take_merged(&mut self) -> Result<Ended, Error> {
        for group in groups(self.plan) {
            if self.selection.pass_whole(self.plan, &group) {
                continue;
            }
            self.leap(&group).await?;
            let chunk = self.selection.ahead(group.len());
            let lane = |scope: &usize| {
                Lane::new(self.plan, *scope, self.selection.frontier(self.plan, *scope), chunk)
            };
            let mut lanes: Vec<Lane> = group.iter().map(lane).collect();
            let ended = self.merge(&mut lanes).await?;
            for lane in lanes {
                let scope = self.plan.scopes[lane.scope].id;
                self.selection.frontiers.insert(scope, lane.into_frontier(self.plan));
            }
            if !matches!(ended, Ended::Yes) {
                return Ok(ended);
            }
        }
        Ok(Ended::Yes)
    }

    /// Passes over most of what is to be passed over, if that is much.
    async fn leap(&mut self, group: &[usize]) -> Result<(), Error> {
        if self.selection.skip < FAR || self.plan.looks_closer() {
            return Ok(());
        }
        let mut lanes: Vec<_> =
            group.iter().map(|scope| (*scope, self.selection.frontier(self.plan, *scope))).collect();
        // Where the scopes are too unlike each other, leaps are short: then the rest is gone through.
        for _ in 0..MOST_LEAPS {
            let skip = self.selection.skip;
            let passed = leap::leap(self.channel, self.plan, self.places, &mut lanes, skip).await?;
            self.selection.skip -= passed;
            if passed == 0 {
                break;
            }
        }
        for (scope, frontier) in lanes {
            self.selection.frontiers.insert(self.plan.scopes[scope].id, frontier);
        }
        Ok(())
    }

    /// Takes the first of all lanes, again and again.
    async fn merge(&mut self, lanes: &mut [Lane]) -> Result<Ended, Error> {
        let deadline = Deadline::after(self.selection.fruitless);
        let plan = self.plan;
        loop {
            if !self.fill(lanes, &deadline).await? {
                return Ok(Ended::No);
            }
            // The lanes that have something ahead, the one with the first object last.
            let mut open: Vec<usize> = (0..lanes.len()).filter(|at| !lanes[*at].ahead.is_empty()).collect();
            let later = |lanes: &[Lane], a: usize, b: usize| {
                plan.compare(&lanes[b].ahead[0].key, &lanes[a].ahead[0].key)
            };
            open.sort_unstable_by(|a, b| later(lanes, *a, *b));
            let mut dry = false;
            while let Some(first) = open.pop() {
                match self.take(&lanes[first].ahead[0]) {
                    Next::More => drop(lanes[first].ahead.pop_front()),
                    Next::Full => return Ok(Ended::No),
                    Next::Beyond => return Ok(Ended::AtLimit),
                }
                if lanes[first].is_dry() {
                    dry = true;
                    break;
                }
                if !lanes[first].ahead.is_empty() {
                    let place = open.partition_point(|other| later(lanes, *other, first).is_lt());
                    open.insert(place, first);
                }
            }
            if !dry {
                return Ok(Ended::Yes);
            }
        }
    }

    /// Reads on until no lane is dry; `false` if the time was over first.
    async fn fill(&self, lanes: &mut [Lane], deadline: &Deadline) -> Result<bool, Error> {
        while lanes.iter().any(Lane::is_dry) {
            lanes::read(self.channel, self.plan, self.places, lanes).await?;
            if deadline.is_over() {
                return Ok(!lanes.iter().any(Lane::is_dry));
            }
        }
        Ok(true)
    }

    /// Takes the next object in order.
    fn take(&mut self, object: &Object) -> Next {
        if self.selection.left == 0 {
            return Next::Beyond;
        }
        if self.objects.len() as u64 >= PIECE_ROWS || self.bytes >= PIECE_BYTES {
            return Next::Full;
        }
        if self.selection.skip > 0 {
            self.selection.skip -= 1;
            return Next::More;
        }
        if self.plan.query.content != Content::Keys {
            self.bytes += object.size;
        }
        self.selection.after = Some(self.plan.position(&object.key));
        self.objects.push(object.clone());
        self.selection.left -= 1;
        Next::More
    }
}

/// A count on its way.
#[derive(Default)]
pub(super) struct Counting {
    pub(super) total: u64,
    /// Scopes that have been counted, by number.
    counted: HashSet<i64>,
    /// How far the scope has been gone through that is being counted.
    frontier: Option<Frontier>,
}

/// Objects that one statement counts: they take it a second or so.
const COUNTED_AT_ONCE: u64 = 500_000;

impl Counting {
    /// Counts on; `true` when all is counted.
    pub(super) async fn advance(&mut self, channel: &Channel, plan: &Plan<'_>) -> Result<bool, Error> {
        if plan.takes_all() {
            self.total = plan.objects();
            return Ok(true);
        }
        let places = plan::places(plan);
        // Nothing is sorted here: the index of the condition is better as long as it leaves out much.
        if self.counted.is_empty()
            && self.frontier.is_none()
            && let Some(driver) = driver::choose(channel, plan, plan.most_looked_up).await?
        {
            let mut objects = HashSet::new();
            driver::look_up(channel, plan, &places, &driver, |object| {
                objects.insert(object.key.id);
            })
            .await?;
            self.total = objects.len() as u64;
            return Ok(true);
        }
        if (0..plan.scopes.len()).any(|scope| plan.asks_bodies(scope)) {
            return self.count_bodies(channel, plan, &places).await;
        }
        let mut left = COUNTED_AT_ONCE;
        for (at, scope) in plan.scopes.iter().enumerate() {
            if !self.counted.contains(&scope.id) {
                if left == 0 {
                    return Ok(false);
                }
                left = left.saturating_sub(scope.objects);
                self.total += count_scope(channel, plan, at).await?;
                self.counted.insert(scope.id);
            }
        }
        Ok(true)
    }

    /// One scope after the other, as an answer would go through it.
    async fn count_bodies(
        &mut self,
        channel: &Channel,
        plan: &Plan<'_>,
        places: &Places,
    ) -> Result<bool, Error> {
        let Some(at) = plan.scopes.iter().position(|scope| !self.counted.contains(&scope.id)) else {
            return Ok(true);
        };
        let deadline = Deadline::after(u32::MAX);
        let mut lane = Lane::new(plan, at, self.frontier.take().unwrap_or(Frontier::Beginning), 512);
        while lane.is_dry() && !deadline.is_over() {
            lanes::read(channel, plan, places, std::slice::from_mut(&mut lane)).await?;
            self.total += lane.ahead.len() as u64;
            lane.ahead.clear();
        }
        if lane.is_dry() {
            self.frontier = Some(lane.into_frontier(plan));
        } else {
            self.counted.insert(plan.scopes[at].id);
        }
        Ok(false)
    }
}

async fn count_scope(channel: &Channel, plan: &Plan<'_>, at: usize) -> Result<u64, Error> {
    let ScopeRef { id, resource, namespaces, .. } = &plan.scopes[at];
    let mut params = Params::new();
    let mut sql =
        format!("SELECT count(*) FROM clusterway.object AS o WHERE o.scope = {}", params.add(*id as i32));
    if let Some(set) = namespaces {
        let set: Vec<String> = set.iter().filter(|it| super::values::storable(it)).cloned().collect();
        sql += &format!(" AND o.namespace = ANY({})", params.add(set));
    }
    let (since, before) = created_range(plan);
    if plan.query.since.is_some() {
        sql += &format!(" AND o.created >= {}", params.add(since));
    }
    if plan.query.before.is_some() {
        sql += &format!(" AND o.created < {}", params.add(before));
    }
    sql += &conditions(plan, *resource, &mut params);
    Ok(channel.one(&sql, &params.all()).await?.try_get::<_, i64>(0).sorted()? as u64)
}
