//! Answers of few objects: the condition that leaves the fewest is looked up in its index, the others are asked of
//! what that gives, and the result is sorted.

use std::collections::HashMap;

use rusqlite::{Connection, Row, ToSql, params};

use super::{
    change,
    error::Sorted as _,
    owners,
    plan::{COLUMNS, Plan, Reader, ScopeRef, Source, listed},
    select::PIECE_ROWS,
    values::Uid,
};
use crate::{Error, OrderField};

/// What the objects of an answer can be looked up by.
pub(super) enum Driver {
    /// The controlling owners.
    Owners(Vec<Uid>),
    /// The names.
    Names,
    /// The condition at this place in [`Plan::conditions`], which lists values.
    Condition(usize),
    /// Three characters in a row of the name, as an expression for the trigram index.
    Trigrams(String),
    /// The namespaces.
    Namespaces,
    /// The time of creation.
    Created,
}

/// The most namespaces of one scope that are looked up.
const MOST_NAMESPACES: usize = 1000;
/// With more scopes than this, names are looked for in all at once.
const MOST_TRIGRAM_SCOPES: usize = 16;

impl Driver {
    /// The best driver, or `None` if it is better to go through the objects in order.
    ///
    /// Looking up and sorting `h` hits costs about as much as passing `h` objects in order; in order, the hits of a
    /// piece are found after `piece · objects / h`.
    pub(super) fn choose(connection: &Connection, plan: &Plan<'_>) -> Result<Option<Self>, Error> {
        let query = plan.query;
        if let Some(owned) = &query.owner {
            return Ok(Some(Self::Owners(owners::uids(connection, query, owned)?)));
        }
        if !query.names.is_empty() {
            return Ok(Some(Self::Names));
        }
        let objects = plan.objects();
        let piece = query.limit.map_or(PIECE_ROWS, |limit| limit.get().min(PIECE_ROWS));
        let limit = piece.saturating_add(query.offset());
        let cap = ((limit as f64 * objects as f64).sqrt() as u64).max(1000).min(plan.most_looked_up);
        let mut best = None;
        let mut fewest = cap + 1;
        for driver in Self::candidates(plan) {
            let hits = driver.estimate(connection, plan, fewest)?;
            if hits < fewest {
                (best, fewest) = (Some(driver), hits);
            }
        }
        Ok(best)
    }

    fn candidates(plan: &Plan<'_>) -> Vec<Self> {
        let query = plan.query;
        let conditions = plan.conditions.first().map_or(0, Vec::len);
        let looked_up = |at: &usize| {
            plan.conditions.iter().all(|conditions| {
                let condition = &conditions[*at];
                matches!(condition.source, Source::Index(_)) && listed(&condition.operator).is_some()
            })
        };
        let mut candidates: Vec<Self> = (0..conditions).filter(looked_up).map(Self::Condition).collect();
        candidates.extend(trigrams(&query.fuzzy_names).map(Self::Trigrams));
        let by_creation = plan.order.first().is_some_and(|term| term.field == OrderField::CreatedAt);
        if (query.since.is_some() || query.before.is_some()) && !by_creation {
            candidates.push(Self::Created);
        }
        let few = |scope: &ScopeRef<'_>| {
            scope.namespaces.as_ref().is_some_and(|namespaces| namespaces.len() <= MOST_NAMESPACES)
        };
        if !plan.scopes.is_empty() && plan.scopes.iter().all(few) {
            candidates.push(Self::Namespaces);
        }
        candidates
    }

    /// How many objects it leaves; counts up to `cap` only.
    fn estimate(&self, connection: &Connection, plan: &Plan<'_>, cap: u64) -> Result<u64, Error> {
        let mut hits = 0;
        let count = |sql: &str, params: &[&dyn ToSql]| -> Result<u64, Error> {
            connection.prepare_cached(sql).sorted()?.query_row(params, |row| row.get(0)).sorted()
        };
        if let Self::Trigrams(expression) = self
            && plan.scopes.len() > MOST_TRIGRAM_SCOPES
        {
            let sql = "SELECT count(*) FROM (SELECT 1 FROM name_trigram WHERE name_trigram MATCH ? LIMIT ?)";
            return count(sql, params![expression, cap]);
        }
        for scope in &plan.scopes {
            match self {
                Self::Owners(_) | Self::Names => {}
                Self::Trigrams(expression) => {
                    let sql = "SELECT count(*) FROM (SELECT 1 FROM name_trigram \
                               WHERE name_trigram MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?)";
                    let ids = change::ids(scope.id);
                    hits += count(sql, params![expression, ids.start(), ids.end(), cap - hits])?;
                }
                Self::Condition(at) => {
                    let condition = &plan.conditions[scope.resource][*at];
                    let Source::Index(key) = condition.source else { continue };
                    let (within, namespaces) = scope.within("namespace");
                    let sql = format!(
                        "SELECT count(*) FROM (SELECT 1 FROM term \
                         WHERE scope = ? AND key = ? AND value = ?{within} LIMIT ?)"
                    );
                    for value in listed(&condition.operator).into_iter().flatten() {
                        let value: &dyn ToSql = &value;
                        let mut params: Vec<&dyn ToSql> = vec![&scope.id, &key, value];
                        params.extend(namespaces.iter().map(|list| list as &dyn ToSql));
                        let left = cap.saturating_sub(hits);
                        params.push(&left);
                        hits += count(&sql, &params)?;
                    }
                }
                Self::Namespaces => {
                    let sql = "SELECT count(*) FROM (SELECT 1 FROM object INDEXED BY object_key \
                               WHERE scope = ? AND namespace = ? LIMIT ?)";
                    for namespace in scope.namespaces.iter().flat_map(|set| set.iter()) {
                        hits += count(sql, params![scope.id, namespace, cap.saturating_sub(hits)])?;
                    }
                }
                Self::Created => {
                    let sql = "SELECT count(*) FROM (SELECT 1 FROM object INDEXED BY object_created \
                               WHERE scope = ? AND created >= ? AND created < ? LIMIT ?)";
                    let (since, before) = created_range(plan);
                    hits += count(sql, params![scope.id, since, before, cap - hits])?;
                }
            }
            if hits >= cap {
                return Ok(cap);
            }
        }
        Ok(hits)
    }

    /// Shows `visit` the objects that satisfy the whole query, with their scope, in no order. One whose field is a
    /// list may be shown several times.
    pub(super) fn look_up(
        &self,
        connection: &Connection,
        plan: &Plan<'_>,
        reader: &mut Reader<'_>,
        mut visit: impl FnMut(usize, &Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let Self::Trigrams(expression) = self
            && plan.scopes.len() > MOST_TRIGRAM_SCOPES
        {
            return look_up_names(connection, plan, reader, expression, visit);
        }
        for (at, scope) in plan.scopes.iter().enumerate() {
            let mut look_up = |sql: &str, params: &[&dyn ToSql]| -> Result<(), Error> {
                let mut statement = connection.prepare_cached(sql).sorted()?;
                let mut rows = statement.query(params).sorted()?;
                while let Some(row) = rows.next().sorted()? {
                    if plan.accepts(at, row, reader)? {
                        visit(at, row)?;
                    }
                }
                Ok(())
            };
            match self {
                Self::Trigrams(expression) => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM name_trigram AS f CROSS JOIN object AS o ON o.id = f.rowid \
                         WHERE f.name_trigram MATCH ? AND f.rowid BETWEEN ? AND ?"
                    );
                    let ids = change::ids(scope.id);
                    look_up(&sql, params![expression, ids.start(), ids.end()])?;
                }
                Self::Owners(owners) => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM object AS o INDEXED BY object_owner WHERE o.scope = ? AND o.owner = ?"
                    );
                    for owner in owners {
                        look_up(&sql, params![scope.id, owner])?;
                    }
                }
                Self::Names => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM object AS o INDEXED BY object_name WHERE o.scope = ? AND o.name = ?"
                    );
                    for name in &plan.query.names {
                        look_up(&sql, params![scope.id, name])?;
                    }
                }
                Self::Condition(condition) => {
                    let condition = &plan.conditions[scope.resource][*condition];
                    let Source::Index(key) = condition.source else { continue };
                    let (within, namespaces) = scope.within("t.namespace");
                    let sql = format!(
                        "SELECT {COLUMNS} FROM term AS t CROSS JOIN object AS o ON o.id = t.object \
                         WHERE t.scope = ? AND t.key = ? AND t.value = ?{within}"
                    );
                    for value in listed(&condition.operator).into_iter().flatten() {
                        let value: &dyn ToSql = &value;
                        let mut params: Vec<&dyn ToSql> = vec![&scope.id, &key, value];
                        params.extend(namespaces.iter().map(|list| list as &dyn ToSql));
                        look_up(&sql, &params)?;
                    }
                }
                Self::Namespaces => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM object AS o INDEXED BY object_key WHERE o.scope = ? AND o.namespace = ?"
                    );
                    for namespace in scope.namespaces.iter().flat_map(|set| set.iter()) {
                        look_up(&sql, params![scope.id, namespace])?;
                    }
                }
                Self::Created => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM object AS o INDEXED BY object_created \
                         WHERE o.scope = ? AND o.created >= ? AND o.created < ?"
                    );
                    let (since, before) = created_range(plan);
                    look_up(&sql, params![scope.id, since, before])?;
                }
            }
        }
        Ok(())
    }
}

/// The names of all scopes at once.
fn look_up_names(
    connection: &Connection,
    plan: &Plan<'_>,
    reader: &mut Reader<'_>,
    expression: &str,
    mut visit: impl FnMut(usize, &Row<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let places: HashMap<i64, usize> =
        plan.scopes.iter().enumerate().map(|(at, scope)| (scope.id, at)).collect();
    let sql = "SELECT rowid FROM name_trigram WHERE name_trigram MATCH ?";
    let mut found = connection.prepare_cached(sql).sorted()?;
    let mut found = found.query([expression]).sorted()?;
    let sql = format!("SELECT {COLUMNS} FROM object AS o WHERE o.id = ?");
    let mut objects = connection.prepare_cached(&sql).sorted()?;
    while let Some(row) = found.next().sorted()? {
        let id: i64 = row.get(0).sorted()?;
        let Some(at) = places.get(&change::scope_of(id)) else { continue };
        let mut object = objects.query([id]).sorted()?;
        if let Some(row) = object.next().sorted()?
            && plan.accepts(*at, row, reader)?
        {
            visit(*at, row)?;
        }
    }
    Ok(())
}

fn created_range(plan: &Plan<'_>) -> (i64, i64) {
    (plan.query.since.unwrap_or(i64::MIN), plan.query.before.unwrap_or(i64::MAX))
}

/// An expression for the trigram index that every name with all of `parts` in it satisfies; `None` if the parts are
/// too short. The index says where to look only, so trigrams that overlap are left out.
fn trigrams(parts: &[String]) -> Option<String> {
    let mut expression = String::new();
    for part in parts {
        let characters: Vec<char> = part.chars().collect();
        let Some(last) = characters.len().checked_sub(3) else { continue };
        for start in (0..last).step_by(3).chain([last]) {
            let trigram: String = characters[start..start + 3].iter().collect();
            if !expression.is_empty() {
                expression.push_str(" AND ");
            }
            expression.push('"');
            expression.push_str(&trigram.replace('"', "\"\""));
            expression.push('"');
        }
    }
    Some(expression).filter(|expression| !expression.is_empty() && !expression.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_by_three_characters_at_a_time() {
        let of = |parts: &[&str]| trigrams(&parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["abcdefgh"]).as_deref(), Some(r#""abc" AND "def" AND "fgh""#));
        assert_eq!(of(&["abc", "x", "a\"b"]).as_deref(), Some(r#""abc" AND "a""b""#));
        assert_eq!(of(&["ab", ""]), None);
    }
}
