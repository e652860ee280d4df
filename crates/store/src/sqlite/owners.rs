//! From an ancestor down to the owners that the wanted objects have.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::error::Sorted as _;
use crate::{Ancestor, ClusterName, Error, OwnedBy, Query, relational::uid::Uid};

/// The most owners a query may lead to.
const MOST: usize = 10_000;

/// The uids of which one is the controlling owner of every wanted object.
pub(super) fn uids(connection: &Connection, query: &Query, owned: &OwnedBy) -> Result<Vec<Uid>, Error> {
    // One cluster exactly: the query was validated.
    let Some(cluster) = query.clusters.iter().flatten().next() else { return Ok(Vec::new()) };
    if query.allowed.as_ref().is_some_and(|allowed| !allowed.contains_key(cluster)) {
        return Ok(Vec::new());
    }
    let scopes = scopes(connection, cluster)?;
    let mut uids: BTreeSet<Uid> = match &owned.ancestor {
        Ancestor::Uid(uid) => [Uid::new(uid)].into(),
        Ancestor::Named { name, group_resource } => {
            let wanted = |scope: &&ScopeOf| match group_resource {
                Some((group, resource)) => scope.group == *group && scope.resource == *resource,
                None => true,
            };
            let mut found = BTreeSet::new();
            for scope in scopes.iter().filter(wanted) {
                let sql =
                    "SELECT uid, namespace FROM object INDEXED BY object_name WHERE scope = ? AND name = ?";
                let mut statement = connection.prepare_cached(sql).sorted()?;
                let mut rows = statement.query(params![scope.id, name]).sorted()?;
                while let Some(row) = rows.next().sorted()? {
                    let namespace: String = row.get(1).sorted()?;
                    let within = query.namespaces.is_empty()
                        || namespace.is_empty()
                        || query.namespaces.contains(&namespace);
                    if within {
                        found.insert(row.get(0).sorted()?);
                    }
                }
            }
            found
        }
    };
    for _ in 0..owned.seniority {
        let mut next = BTreeSet::new();
        let sql = "SELECT uid FROM object INDEXED BY object_owner WHERE scope = ? AND owner = ?";
        let mut statement = connection.prepare_cached(sql).sorted()?;
        for uid in &uids {
            for scope in &scopes {
                let mut rows = statement.query(params![scope.id, uid]).sorted()?;
                while let Some(row) = rows.next().sorted()? {
                    next.insert(row.get(0).sorted()?);
                    if next.len() > MOST {
                        return Err(Error::invalid(
                            "ownerSeniority",
                            format!("leads to more than {MOST} owners"),
                        ));
                    }
                }
            }
        }
        uids = next;
    }
    Ok(uids.into_iter().collect())
}

struct ScopeOf {
    id: i64,
    group: String,
    resource: String,
}

/// All that is stored of a cluster.
fn scopes(connection: &Connection, cluster: &ClusterName) -> Result<Vec<ScopeOf>, Error> {
    let sql = "SELECT s.id, r.api_group, r.resource FROM scope AS s JOIN resource AS r ON r.id = s.resource \
               WHERE s.cluster = ? AND s.objects > 0";
    let mut statement = connection.prepare_cached(sql).sorted()?;
    let scopes = statement
        .query_map([cluster.as_str()], |row| {
            Ok(ScopeOf { id: row.get(0)?, group: row.get(1)?, resource: row.get(2)? })
        })
        .sorted()?;
    scopes.collect::<rusqlite::Result<_>>().sorted()
}
