//! Looking up the objects of a [`Driver`] in the file.

use std::collections::HashMap;

use rusqlite::{Connection, Row, ToSql, params};

use super::{
    error::Sorted as _,
    owners,
    plan::{COLUMNS, Reader, accepts, within},
};
use crate::{
    Error,
    relational::{
        driver::{Driver, created_range},
        ids,
        plan::{Plan, Source, listed},
    },
};

/// With more scopes than this, names are looked for in all at once.
const MOST_TRIGRAM_SCOPES: usize = 16;

/// The best driver, or `None` if it is better to go through the objects in order.
pub(super) fn choose(connection: &Connection, plan: &Plan<'_>) -> Result<Option<Driver>, Error> {
    let query = plan.query;
    if let Some(owned) = &query.owner {
        return Ok(Some(Driver::Owners(owners::uids(connection, query, owned)?)));
    }
    if !query.names.is_empty() {
        return Ok(Some(Driver::Names));
    }
    let mut best = None;
    let mut fewest = Driver::most_hits(plan) + 1;
    for driver in Driver::candidates(plan) {
        let hits = driver.estimate(connection, plan, fewest)?;
        if hits < fewest {
            (best, fewest) = (Some(driver), hits);
        }
    }
    Ok(best)
}

impl Driver {
    /// How many objects it leaves; counts up to `cap` only.
    fn estimate(&self, connection: &Connection, plan: &Plan<'_>, cap: u64) -> Result<u64, Error> {
        let mut hits = 0;
        let count = |sql: &str, params: &[&dyn ToSql]| -> Result<u64, Error> {
            connection.prepare_cached(sql).sorted()?.query_row(params, |row| row.get(0)).sorted()
        };
        let expression = trigrams(&plan.query.fuzzy_names);
        if matches!(self, Self::Trigrams) && plan.scopes.len() > MOST_TRIGRAM_SCOPES {
            let sql = "SELECT count(*) FROM (SELECT 1 FROM name_trigram WHERE name_trigram MATCH ? LIMIT ?)";
            return count(sql, params![expression, cap]);
        }
        for scope in &plan.scopes {
            match self {
                Self::Owners(_) | Self::Names => {}
                Self::Trigrams => {
                    let sql = "SELECT count(*) FROM (SELECT 1 FROM name_trigram \
                               WHERE name_trigram MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?)";
                    let ids = ids::ids(scope.id);
                    hits += count(sql, params![expression, ids.start(), ids.end(), cap - hits])?;
                }
                Self::Condition(at) => {
                    let condition = &plan.conditions[scope.resource][*at];
                    let Source::Index(key) = condition.source else { continue };
                    let (within, namespaces) = within(scope, "namespace");
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
        let expression = trigrams(&plan.query.fuzzy_names);
        if matches!(self, Self::Trigrams) && plan.scopes.len() > MOST_TRIGRAM_SCOPES {
            return look_up_names(connection, plan, reader, &expression, visit);
        }
        for (at, scope) in plan.scopes.iter().enumerate() {
            let mut look_up = |sql: &str, params: &[&dyn ToSql]| -> Result<(), Error> {
                let mut statement = connection.prepare_cached(sql).sorted()?;
                let mut rows = statement.query(params).sorted()?;
                while let Some(row) = rows.next().sorted()? {
                    if accepts(plan, at, row, reader)? {
                        visit(at, row)?;
                    }
                }
                Ok(())
            };
            match self {
                Self::Trigrams => {
                    let sql = format!(
                        "SELECT {COLUMNS} FROM name_trigram AS f CROSS JOIN object AS o ON o.id = f.rowid \
                         WHERE f.name_trigram MATCH ? AND f.rowid BETWEEN ? AND ?"
                    );
                    let ids = ids::ids(scope.id);
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
                    let (within, namespaces) = within(scope, "t.namespace");
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
        let Some(at) = places.get(&ids::scope_of(id)) else { continue };
        let mut object = objects.query([id]).sorted()?;
        if let Some(row) = object.next().sorted()?
            && accepts(plan, *at, row, reader)?
        {
            visit(*at, row)?;
        }
    }
    Ok(())
}

/// An expression for the trigram index that every name with all of `parts` in it satisfies; empty if the parts are too
/// short. The index says where to look only, so trigrams that overlap are left out.
fn trigrams(parts: &[String]) -> String {
    let mut expression = String::new();
    // No name can hold a NUL, and an expression neither.
    for part in parts.iter().filter(|part| !part.contains('\0')) {
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
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_looked_for_by_three_characters_at_a_time() {
        let of = |parts: &[&str]| trigrams(&parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["abcdefgh"]), r#""abc" AND "def" AND "fgh""#);
        assert_eq!(of(&["abc", "x", "a\"b"]), r#""abc" AND "a""b""#);
        assert_eq!(of(&["ab", ""]), "");
    }
}
