//! Looking up the objects of a [`Driver`] in the database.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;

use super::{
    error::Sorted as _,
    owners,
    plan::{COLUMNS, Found, Params, Places, conditions, found, terms_of, with_bodies},
    session::Channel,
    values,
};
use crate::{
    Error,
    relational::{
        driver::{Driver, created_range, has_trigram},
        plan::{Plan, ScopeRef, Source},
        selection::PIECE_ROWS,
    },
};

/// The best driver, or `None` if it is better to go through the objects in order. `most` is how many hits pay at most.
pub(super) async fn choose(channel: &Channel, plan: &Plan<'_>, most: u64) -> Result<Option<Driver>, Error> {
    let query = plan.query;
    if let Some(owned) = &query.owner {
        return Ok(Some(Driver::Owners(owners::uids(channel, query, owned).await?)));
    }
    if !query.names.is_empty() {
        return Ok(Some(Driver::Names));
    }
    let (trigrams, others): (Vec<_>, Vec<_>) =
        Driver::candidates(plan).into_iter().partition(|driver| matches!(driver, Driver::Trigrams));
    let hits = others.iter().map(|driver| estimate(channel, plan, driver, most + 1));
    let hits = futures_util::future::try_join_all(hits).await?;
    let mut best =
        others.into_iter().zip(hits).min_by_key(|(_, hits)| *hits).filter(|(_, hits)| *hits <= most);
    // The trigram index finds all that there are before the first is counted.
    for driver in trigrams {
        if best.as_ref().is_some_and(|(_, hits)| *hits <= PIECE_ROWS) || are_usual(channel, plan).await? {
            continue;
        }
        let hits = estimate(channel, plan, &driver, most + 1).await?;
        if hits <= best.as_ref().map_or(most, |(_, fewest)| *fewest) {
            best = Some((driver, hits));
        }
    }
    Ok(best.map(|(driver, _)| driver))
}

/// Names looked at to see whether what is looked for is in many of them.
const SAMPLE: i64 = 500;

/// Whether so many names hold what is looked for that a page of them is found sooner in order.
async fn are_usual(channel: &Channel, plan: &Plan<'_>) -> Result<bool, Error> {
    let Some(largest) = plan.scopes.iter().max_by_key(|scope| scope.objects) else { return Ok(false) };
    if plan.query.limit.is_none() {
        return Ok(false);
    }
    let mut params = Params::new();
    let scope = params.add(largest.id as i32);
    let mut holds = String::from("true");
    for part in &plan.query.fuzzy_names {
        holds += &format!(" AND strpos(s.name, {}) > 0", params.add(part.clone()));
    }
    let sql = format!(
        "SELECT count(*) FILTER (WHERE {holds}) FROM (SELECT o.name FROM clusterway.object AS o \
         WHERE o.scope = {scope} ORDER BY o.sequence LIMIT {SAMPLE}) AS s"
    );
    let hits: i64 = channel.one(&sql, &params.all()).await?.try_get(0).sorted()?;
    Ok(hits > SAMPLE / 50)
}

/// How many objects it leaves; counts up to `cap` only.
async fn estimate(channel: &Channel, plan: &Plan<'_>, driver: &Driver, cap: u64) -> Result<u64, Error> {
    let mut total = 0;
    for Lookup { from, params, .. } in lookups(plan, driver) {
        let mut params = params;
        let cap = params.add(i64::try_from(cap).unwrap_or(i64::MAX));
        let sql = format!("SELECT count(*) FROM (SELECT 1 FROM {from} LIMIT {cap}) AS s");
        let hits: i64 = channel.one(&sql, &params.all()).await?.try_get(0).sorted()?;
        total += hits as u64;
    }
    Ok(total)
}

/// The objects of some resources, and where a driver finds them.
struct Lookup {
    /// In which the objects are, up to the conditions of their index; `o` or `t` stands for one.
    from: String,
    /// What leads from there to `o`.
    join: &'static str,
    params: Params,
    /// Whose conditions the objects must satisfy.
    resource: usize,
}

/// One look-up for the resources that have the same conditions: all, unless fields are indexed for some of them; and one
/// each for the scopes of which all is wanted and those of which some namespaces are.
fn lookups(plan: &Plan<'_>, driver: &Driver) -> Vec<Lookup> {
    let apart = !plan.query.fields.requirements.is_empty();
    let resources = if apart { plan.resources.len() } else { 1 };
    let of = |resource: usize, limited: bool| {
        let wanted = |scope: &&ScopeRef<'_>| {
            (!apart || scope.resource == resource) && scope.namespaces.is_some() == limited
        };
        let scopes: Vec<&ScopeRef<'_>> = plan.scopes.iter().filter(wanted).collect();
        if scopes.is_empty() { None } else { lookup(plan, driver, resource, &scopes) }
    };
    (0..resources).flat_map(|resource| [of(resource, false), of(resource, true)]).flatten().collect()
}

fn lookup(plan: &Plan<'_>, driver: &Driver, resource: usize, scopes: &[&ScopeRef<'_>]) -> Option<Lookup> {
    let ids: Vec<i32> = scopes.iter().map(|scope| scope.id as i32).collect();
    let mut params = Params::new();
    let object = "clusterway.object AS o";
    let mut join = "";
    let from = match driver {
        Driver::Owners(owners) => {
            let owners: Vec<Vec<u8>> = owners.iter().map(values::uid).collect();
            let (ids, owners) = (params.add(ids), params.add(owners));
            format!("{object} WHERE o.scope = ANY({ids}) AND o.owner = ANY({owners}) AND o.owner IS NOT NULL")
        }
        Driver::Names => {
            let names: Vec<String> =
                plan.query.names.iter().filter(|name| values::storable(name)).cloned().collect();
            let (ids, names) = (params.add(ids), params.add(names));
            format!(
                "unnest({ids}::int[]) AS l (scope) CROSS JOIN unnest({names}::text[]) AS n (name) CROSS JOIN LATERAL \
                 (SELECT o.* FROM {object} WHERE o.scope = l.scope AND o.name = n.name OFFSET 0) AS o"
            )
        }
        Driver::Condition(at) => {
            let condition = &plan.conditions[resource][*at];
            let (Source::Index(key), meta::Operator::In(set)) = (&condition.source, &condition.operator)
            else {
                return None;
            };
            let terms = params.add(terms_of(*key, set));
            join = " JOIN clusterway.object AS o ON o.id = t.object";
            let namespaces: usize =
                scopes.iter().filter_map(|scope| scope.namespaces.as_ref()).map(|it| it.len()).sum();
            if namespaces > 0 && namespaces <= 4 * scopes.len() {
                let (ids, namespaces) = pairs(scopes, &mut params);
                format!(
                    "unnest({ids}, {namespaces}) AS l (scope, namespace) JOIN clusterway.term AS t \
                     ON t.scope = l.scope AND t.term = ANY({terms}) AND t.namespace = l.namespace"
                )
            } else {
                let ids = params.add(ids);
                let mut from =
                    format!("clusterway.term AS t WHERE t.scope = ANY({ids}) AND t.term = ANY({terms})");
                if namespaces > 0 {
                    // Asked of what the index has, and not looked up in it for each namespace again; whose they are
                    // is asked of each object.
                    let all: BTreeSet<&String> =
                        scopes.iter().filter_map(|it| it.namespaces.as_deref()).flatten().collect();
                    let all: Vec<String> =
                        all.into_iter().filter(|it| values::storable(it)).cloned().collect();
                    from += &format!(" AND t.namespace || '' = ANY({})", params.add(all));
                }
                from
            }
        }
        Driver::Trigrams => {
            let mut like = String::from("true");
            for part in plan.query.fuzzy_names.iter().filter(|part| has_trigram(part)) {
                like += &format!(" AND n.name LIKE {}", params.add(pattern(part)));
            }
            let ids = params.add(ids);
            // Apart, so that it is this index in any case.
            format!(
                "(WITH named AS MATERIALIZED (SELECT n.* FROM clusterway.object AS n WHERE {like}) \
                 SELECT * FROM named) AS o WHERE o.scope = ANY({ids})"
            )
        }
        Driver::Namespaces => {
            let (ids, namespaces) = pairs(scopes, &mut params);
            format!(
                "unnest({ids}, {namespaces}) AS l (scope, namespace) \
                 JOIN {object} ON o.scope = l.scope AND o.namespace = l.namespace"
            )
        }
        Driver::Created => {
            let (since, before) = created_range(plan);
            let (ids, since, before) = (params.add(ids), params.add(since), params.add(before));
            format!("{object} WHERE o.scope = ANY({ids}) AND o.created >= {since} AND o.created < {before}")
        }
    };
    Some(Lookup { from, join, params, resource })
}

/// The scopes with each of the namespaces that are wanted of them: two marks for arrays of the same length.
fn pairs(scopes: &[&ScopeRef<'_>], params: &mut Params) -> (String, String) {
    let (mut ids, mut namespaces) = (Vec::new(), Vec::new());
    for scope in scopes {
        for namespace in scope.namespaces.iter().flat_map(|set| set.iter()).filter(|it| values::storable(it))
        {
            ids.push(scope.id as i32);
            namespaces.push(namespace.clone());
        }
    }
    (params.add(ids) + "::int[]", params.add(namespaces) + "::text[]")
}

/// A pattern for LIKE that is satisfied by what holds `part`.
fn pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// Shows `visit` the objects that satisfy the whole query, in no order. One whose field is a list may be shown several
/// times.
pub(super) async fn look_up(
    channel: &Channel,
    plan: &Plan<'_>,
    places: &Places,
    driver: &Driver,
    mut visit: impl FnMut(Found),
) -> Result<(), Error> {
    for Lookup { from, join, mut params, resource } in lookups(plan, driver) {
        let mut wanted = conditions(plan, resource, &mut params);
        let (since, before) = created_range(plan);
        if plan.query.since.is_some() {
            wanted += &format!(" AND o.created >= {}", params.add(since));
        }
        if plan.query.before.is_some() {
            wanted += &format!(" AND o.created < {}", params.add(before));
        }
        // The conditions of the index are those of a subquery, so that they alone decide where to look.
        let sql = if join.is_empty() {
            format!("SELECT {COLUMNS} FROM (SELECT o.* FROM {from}) AS o WHERE true{wanted}")
        } else {
            format!(
                "SELECT {COLUMNS} FROM (SELECT DISTINCT t.object FROM {from}) AS t{join} WHERE true{wanted}"
            )
        };
        let mut rows = channel.stream(&sql, &params.all()).await?;
        let mut candidates = Vec::new();
        while let Some(row) = rows.try_next().await? {
            let Some(object) = found(places, &row, 0)? else { continue };
            let namespaces = &plan.scopes[object.key.scope].namespaces;
            if namespaces.as_ref().is_some_and(|set| !set.contains(&object.key.namespace)) {
                continue;
            }
            if plan.asks_bodies(object.key.scope) {
                candidates.push(object);
            } else {
                visit(object);
            }
        }
        with_bodies(channel, plan, candidates).await?.into_iter().for_each(&mut visit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_literal() {
        assert_eq!(pattern(r"a_b%c\"), r"%a\_b\%c\\%");
    }
}
