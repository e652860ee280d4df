//! The objects of several scopes in order, each from some place on.

use std::collections::{BTreeMap, VecDeque};

use futures_util::future::try_join_all;
use tokio_postgres::Row;

use super::{
    error::Sorted as _,
    plan::{COLUMNS, Found, Params, Places, conditions, found, with_bodies},
    session::Channel,
    values,
};
use crate::{
    Error,
    relational::{
        place::{self, Bound, Frontier, Value, inner_order},
        plan::Plan,
    },
};

/// One scope being gone through, some objects ahead.
pub(super) struct Lane {
    pub(super) scope: usize,
    /// Behind `ahead`.
    frontier: Frontier,
    /// Matching objects in order; the next is the first.
    pub(super) ahead: VecDeque<Found>,
    /// How many objects to look at next time.
    window: usize,
}

/// The most objects looked at in all scopes at once, and the most if their bodies are looked at too.
const MOST_AT_ONCE: usize = 20_000;
const MOST_BODIES_AT_ONCE: usize = 1000;

impl Lane {
    /// `chunk` is how many objects of the scope are probably wanted.
    pub(super) fn new(plan: &Plan<'_>, scope: usize, frontier: Frontier, chunk: usize) -> Self {
        let window = if plan.looks_closer() { (chunk * 4).max(64) } else { chunk.max(4) };
        Self { scope, frontier, ahead: VecDeque::new(), window }
    }

    /// Where to begin when going on later: with what is ahead now.
    pub(super) fn into_frontier(mut self, plan: &Plan<'_>) -> Frontier {
        match self.ahead.pop_front() {
            Some(object) => Frontier::At(Bound::at(plan, &object.key, true)),
            None => self.frontier,
        }
    }

    /// Whether nothing is ahead, but may be behind the frontier.
    pub(super) fn is_dry(&self) -> bool {
        self.ahead.is_empty() && !matches!(self.frontier, Frontier::Done)
    }
}

/// Lanes that one statement can read: what their scopes have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Shape {
    /// The resource, if conditions differ by it.
    resource: Option<usize>,
    range: RangeShape,
}

/// A part of a scope: its place in the plan, where the part begins, and where it ends.
pub(super) struct Range<'l> {
    pub(super) scope: usize,
    pub(super) from: &'l Frontier,
    /// What is behind it is no part; `None` is the end of the scope.
    pub(super) until: Option<&'l Bound>,
}

/// What parts must have in common to be in one statement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RangeShape {
    /// Values of the place to begin behind, and whether it is inclusive.
    from: Option<(usize, bool)>,
    until: Option<(usize, bool)>,
    within: Within,
}

/// Which namespaces of a scope are wanted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Within {
    All,
    /// One: the index can begin with it.
    One,
    /// Some, in an order that does not begin with them: others are passed over.
    Some,
    /// Some, one after the other.
    InTurn,
}

/// Looks on in all lanes that are dry, once.
pub(super) async fn read(
    channel: &Channel,
    plan: &Plan<'_>,
    places: &Places,
    lanes: &mut [Lane],
) -> Result<(), Error> {
    let dry: Vec<usize> = (0..lanes.len()).filter(|at| lanes[*at].is_dry()).collect();
    if dry.is_empty() {
        return Ok(());
    }
    let asks_bodies = dry.iter().any(|at| plan.asks_bodies(lanes[*at].scope));
    let most = if asks_bodies { MOST_BODIES_AT_ONCE } else { MOST_AT_ONCE };
    // All with the same window: then it is a parameter.
    let window = dry.iter().map(|at| lanes[*at].window).max().unwrap_or(4).min((most / dry.len()).max(4));
    let mut shapes: BTreeMap<Shape, Vec<usize>> = BTreeMap::new();
    for at in dry {
        shapes.entry(shape(plan, &lanes[at])).or_default().push(at);
    }
    let statements: Vec<(String, Params)> =
        shapes.iter().map(|(shape, of)| statement(plan, shape, of, lanes, window)).collect();
    let answers =
        statements.iter().map(|(sql, params)| async move { channel.query(sql, &params.all()).await });
    let answers: Vec<Vec<Row>> = try_join_all(answers).await?;
    for of in shapes.values() {
        for at in of {
            lanes[*at].frontier = Frontier::Done;
            lanes[*at].window = window.saturating_mul(2);
        }
    }
    let mut candidates: BTreeMap<usize, Vec<(i64, Found)>> = BTreeMap::new();
    for row in answers.iter().flatten() {
        let at = row.try_get::<_, i32>(0).sorted()? as usize;
        let (wanted, number): (bool, i64) = (row.try_get(1).sorted()?, row.try_get(2).sorted()?);
        let Some(object) = found(places, row, 3)? else { continue };
        // The last of a whole window: there may be more.
        if number as usize == window {
            lanes[at].frontier = Frontier::At(Bound::at(plan, &object.key, false));
        }
        if wanted {
            candidates.entry(at).or_default().push((number, object));
        }
    }
    for (at, mut objects) in candidates {
        objects.sort_unstable_by_key(|(number, _)| *number);
        let mut objects: Vec<Found> = objects.into_iter().map(|(_, object)| object).collect();
        if asks_bodies {
            objects = with_bodies(channel, plan, objects).await?;
        }
        lanes[at].ahead = objects.into();
    }
    Ok(())
}

fn shape(plan: &Plan<'_>, lane: &Lane) -> Shape {
    let mut range = lane.range().shape(plan);
    if place::namespaces_from(plan, lane.scope, &lane.frontier).is_some() {
        range.within = Within::InTurn;
    }
    let resource = plan.scopes[lane.scope].resource;
    Shape { resource: (!plan.query.fields.requirements.is_empty()).then_some(resource), range }
}

/// The rows of some lanes of one shape: the lane, whether the object is wanted, its place in the window, [`COLUMNS`]. Of
/// those that are not wanted there is only the last of a window.
fn statement(
    plan: &Plan<'_>,
    shape: &Shape,
    of: &[usize],
    lanes: &[Lane],
    window: usize,
) -> (String, Params) {
    let mut params = Params::new();
    let ranges: Vec<(usize, Range<'_>)> = of.iter().map(|at| (*at, lanes[*at].range())).collect();
    let source = source(plan, shape.range, &ranges, &mut params);
    let wanted = wanted(plan, shape.range, &mut params);
    let order = place::order_by(plan);
    let window = params.add(window as i64);
    let rows = |columns: &str| {
        format!("SELECT {columns} FROM clusterway.object AS o WHERE {wanted}{order} LIMIT {window}")
    };
    let numbered = |rows: &str| format!("SELECT o.*, row_number() OVER () AS number FROM ({rows}) AS o");
    let all = format!("{COLUMNS}, o.terms");
    let looked_at = match shape.range.within {
        Within::All | Within::One => numbered(&rows(&all)),
        // Others are passed over in the index, and only what is wanted is read from the table.
        Within::Some => {
            let in_index = numbered(&rows("o.namespace, o.name"));
            format!(
                "SELECT {all}, i.number FROM ({in_index}) AS i JOIN clusterway.object AS o \
                 ON o.scope = l.scope AND o.namespace = i.namespace AND o.name = i.name"
            )
        }
        Within::InTurn => {
            let each = rows(&all);
            let order = order.replace(" ORDER BY ", " ORDER BY n.at, ");
            numbered(&format!(
                "SELECT o.* FROM unnest(l.namespaces) WITH ORDINALITY AS n (namespace, at) \
                 CROSS JOIN LATERAL ({each}) AS o{order} LIMIT {window}"
            ))
        }
    };
    let closer = conditions(plan, shape.resource.unwrap_or(0), &mut params);
    let sql = format!(
        "{source} SELECT l.lane, o.wanted, o.number, {COLUMNS} FROM l CROSS JOIN LATERAL \
         (SELECT o.*, (true{closer}) AS wanted FROM ({looked_at}) AS o) AS o \
         WHERE o.wanted OR o.number = {window}"
    );
    (sql, params)
}

impl Lane {
    fn range(&self) -> Range<'_> {
        Range { scope: self.scope, from: &self.frontier, until: None }
    }
}

impl Range<'_> {
    pub(super) fn shape(&self, plan: &Plan<'_>) -> RangeShape {
        let of_bound = |bound: &Bound| (bound.values.len(), bound.inclusive);
        RangeShape {
            from: match self.from {
                Frontier::At(bound) => Some(of_bound(bound)),
                Frontier::Beginning | Frontier::Done => None,
            },
            until: self.until.map(of_bound),
            within: match plan.scopes[self.scope].namespaces.as_deref() {
                None => Within::All,
                Some(set) if set.len() == 1 => Within::One,
                Some(_) => Within::Some,
            },
        }
    }

    fn values_from(&self) -> &[Value] {
        match self.from {
            Frontier::At(bound) => &bound.values,
            Frontier::Beginning | Frontier::Done => &[],
        }
    }
}

/// The condition on an object `o` to be in a part `l` of a shape and in the query's time.
pub(super) fn wanted(plan: &Plan<'_>, shape: RangeShape, params: &mut Params) -> String {
    let mut sql = String::from("o.scope = l.scope");
    sql += match shape.within {
        Within::All => "",
        Within::One => " AND o.namespace = l.namespaces[1]",
        Within::Some => " AND o.namespace = ANY(l.namespaces)",
        Within::InTurn => " AND o.namespace = n.namespace",
    };
    for (operator, bound) in [(">=", plan.query.since), ("<", plan.query.before)] {
        if let Some(bound) = bound {
            sql += &format!(" AND o.created {operator} {}", params.add(bound));
        }
    }
    let order = inner_order(plan);
    if let Some((values, inclusive)) = shape.from {
        sql += &place::behind(&order[..values], inclusive, |at| format!("l.b{at}"));
    }
    if let Some((values, inclusive)) = shape.until {
        let order = place::opposite(&order[..values]);
        sql += &place::behind(&order, !inclusive, |at| format!("l.e{at}"));
    }
    sql
}

/// Parts of one shape as rows of `l`, for the beginning of a statement: a number, the scope, namespaces, and the values
/// of the places where each begins and ends.
pub(super) fn source(
    plan: &Plan<'_>,
    shape: RangeShape,
    ranges: &[(usize, Range<'_>)],
    params: &mut Params,
) -> String {
    let numbers = params.add(ranges.iter().map(|(at, _)| *at as i32).collect::<Vec<_>>());
    let scopes: Vec<i32> = ranges.iter().map(|(_, range)| plan.scopes[range.scope].id as i32).collect();
    let scopes = params.add(scopes);
    let in_turn = shape.within == Within::InTurn;
    let listed: Vec<_> = ranges.iter().map(|(_, range)| namespaces(plan, range, in_turn)).collect();
    let listed = params.add(listed);
    let mut arrays = format!("{numbers}::int[], {scopes}::int[], {listed}::text[]");
    let mut names = String::from("lane, scope, listed");
    for at in 0..shape.from.map_or(0, |(values, _)| values) {
        arrays += ", ";
        arrays += &column(
            &ranges.iter().filter_map(|(_, range)| range.values_from().get(at)).collect::<Vec<_>>(),
            params,
        );
        names += &format!(", b{at}");
    }
    for at in 0..shape.until.map_or(0, |(values, _)| values) {
        arrays += ", ";
        arrays += &column(
            &ranges.iter().filter_map(|(_, range)| range.until?.values.get(at)).collect::<Vec<_>>(),
            params,
        );
        names += &format!(", e{at}");
    }
    let selected = names.replace("listed", "listed::text[] AS namespaces");
    // As it stands, or the text of the array would be read again for every object.
    format!("WITH l AS MATERIALIZED (SELECT {selected} FROM unnest({arrays}) AS u ({names}))")
}

/// The values at one place of several bounds, which are all of one kind.
fn column(values: &[&Value], params: &mut Params) -> String {
    match values.first() {
        Some(Value::Number(_)) => {
            let numbers = values.iter().map(|value| if let Value::Number(it) = value { *it } else { 0 });
            params.add(numbers.collect::<Vec<i64>>()) + "::bigint[]"
        }
        Some(Value::Version(_)) => {
            let versions = values.iter().map(|value| match value {
                Value::Version(version) => values::version(version),
                Value::Number(_) | Value::Text(_) => Vec::new(),
            });
            params.add(versions.collect::<Vec<Vec<u8>>>()) + "::bytea[]"
        }
        Some(Value::Text(_)) | None => {
            let texts = values.iter().map(|value| match value {
                Value::Text(text) => text.clone(),
                Value::Number(_) | Value::Version(_) => String::new(),
            });
            params.add(texts.collect::<Vec<String>>()) + "::text[]"
        }
    }
}

/// The namespaces that are wanted of a scope, in turn those from its frontier on, as the text of an array.
fn namespaces(plan: &Plan<'_>, range: &Range<'_>, in_turn: bool) -> Option<String> {
    let set = plan.scopes[range.scope].namespaces.as_deref()?;
    let quoted = |namespace: &str| format!("\"{}\"", namespace.replace('\\', "\\\\").replace('"', "\\\""));
    let list = |all: &mut dyn Iterator<Item = &str>| -> String {
        all.filter(|namespace| values::storable(namespace)).map(quoted).collect::<Vec<_>>().join(",")
    };
    let rest = place::namespaces_from(plan, range.scope, range.from).filter(|_| in_turn);
    let listed = match rest {
        Some(mut rest) => list(&mut *rest),
        None => list(&mut set.iter().map(String::as_str)),
    };
    Some(format!("{{{listed}}}"))
}
