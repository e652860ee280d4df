//! From an ancestor down to the owners that the wanted objects have.

use std::collections::BTreeSet;

use super::{error::Sorted as _, session::Channel, values};
use crate::{Ancestor, Error, OwnedBy, Query, relational::uid::Uid};

/// The most owners a query may lead to.
const MOST: usize = 10_000;

/// The uids of which one is the controlling owner of every wanted object.
pub(super) async fn uids(channel: &Channel, query: &Query, owned: &OwnedBy) -> Result<Vec<Uid>, Error> {
    // One cluster exactly: the query was validated.
    let Some(cluster) = query.clusters.iter().flatten().next() else { return Ok(Vec::new()) };
    if query.allowed.as_ref().is_some_and(|allowed| !allowed.contains_key(cluster))
        || !values::storable(cluster.as_str())
    {
        return Ok(Vec::new());
    }
    let scopes = "SELECT s.id, r.api_group, r.resource FROM clusterway.scope AS s \
                  JOIN clusterway.resource AS r ON r.id = s.resource WHERE s.cluster = $1 AND s.objects > 0";
    let scopes = channel.query(scopes, &[&cluster.as_str()]).await?;
    let all: Vec<i32> = scopes.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().sorted()?;
    let mut uids: BTreeSet<Vec<u8>> = match &owned.ancestor {
        Ancestor::Uid(uid) => [values::uid(&Uid::new(uid))].into(),
        Ancestor::Named { name, .. } if !values::storable(name) => BTreeSet::new(),
        Ancestor::Named { name, group_resource } => {
            let mut wanted = Vec::new();
            for row in &scopes {
                let (group, resource): (&str, &str) = (row.try_get(1).sorted()?, row.try_get(2).sorted()?);
                if group_resource.as_ref().is_none_or(|(g, r)| (g.as_str(), r.as_str()) == (group, resource))
                {
                    wanted.push(row.try_get::<_, i32>(0).sorted()?);
                }
            }
            let sql = "SELECT o.uid, o.namespace FROM clusterway.object AS o WHERE o.scope = ANY($1) AND o.name = $2";
            let mut found = BTreeSet::new();
            for row in channel.query(sql, &[&wanted, name]).await? {
                let namespace: &str = row.try_get(1).sorted()?;
                if query.namespaces.is_empty() || namespace.is_empty() || query.namespaces.contains(namespace)
                {
                    found.insert(row.try_get(0).sorted()?);
                }
            }
            found
        }
    };
    for _ in 0..owned.seniority {
        let sql = "SELECT DISTINCT o.uid FROM clusterway.object AS o \
                   WHERE o.scope = ANY($1) AND o.owner = ANY($2) AND o.owner IS NOT NULL LIMIT $3";
        let owners: Vec<Vec<u8>> = uids.into_iter().collect();
        let rows = channel.query(sql, &[&all, &owners, &(MOST as i64 + 1)]).await?;
        if rows.len() > MOST {
            return Err(Error::invalid("ownerSeniority", format!("leads to more than {MOST} owners")));
        }
        uids = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().sorted()?;
    }
    uids.iter().map(|bytes| values::read_uid(bytes)).collect()
}
