//! The registered clusters: which there are, and which one a name means.

mod show;

use api::{clusters::ManagedCluster, names::labels};
use jiff::Timestamp;
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{
    args::{Connection, Output},
    failure::Failure,
    output::{data, say},
    parent::{Parent, suggest},
};

const PAGE: u32 = 500;

/// `clusters`: prints them.
pub(crate) async fn print(
    connection: &Connection,
    output: Output,
    selector: Option<&str>,
    headers: bool,
) -> Result<(), Failure> {
    let client = Parent::load(connection)?.client().await?;
    let params = selector.map_or_else(ListParams::default, |selector| ListParams::default().labels(selector));
    let found = list(&client, connection.namespace.as_deref(), &params).await?;
    if found.is_empty() && matches!(output, Output::Table | Output::Wide) {
        say("No clusters found. kubectl clusterway token create prints how to register one.");
        return Ok(());
    }
    data(&show::show(found, output, headers, Timestamp::now())?)
}

/// The id of the cluster that `wanted` means: an id, or the name of a ManagedCluster.
pub(crate) async fn resolve(parent: &Parent, wanted: &str) -> Result<String, Failure> {
    // An id says it all, and whoever may visit a cluster need not be allowed to list all of them.
    if is_id(wanted) {
        return Ok(wanted.to_ascii_lowercase());
    }
    Ok(find(&parent.client().await?, wanted).await?.spec.cluster_id)
}

/// The cluster that `wanted` means: an id, or the name of a ManagedCluster.
pub(crate) async fn find(client: &Client, wanted: &str) -> Result<ManagedCluster, Failure> {
    let named = list(client, None, &ListParams::default().fields(&format!("metadata.name={wanted}"))).await?;
    if !named.is_empty() {
        return choose(wanted, &named).cloned();
    }
    choose(wanted, &list(client, None, &ListParams::default()).await?).cloned()
}

fn choose<'c>(wanted: &str, clusters: &'c [ManagedCluster]) -> Result<&'c ManagedCluster, Failure> {
    let exact: Vec<&ManagedCluster> = clusters.iter().filter(|cluster| is_called(cluster, wanted)).collect();
    match exact[..] {
        [one] => Ok(one),
        [] => {
            let names: Vec<String> = clusters.iter().map(ResourceExt::name_any).collect();
            Err(Failure::new(format!("no cluster is called {wanted:?}")).next(
                suggest(wanted, names.iter().map(String::as_str)).unwrap_or_else(|| {
                    String::from("kubectl clusterway clusters lists the clusters of this parent")
                }),
            ))
        }
        _ => {
            let ids: Vec<String> = exact
                .iter()
                .map(|cluster| {
                    format!(
                        "{} (namespace {})",
                        cluster.spec.cluster_id,
                        cluster.namespace().unwrap_or_default()
                    )
                })
                .collect();
            Err(Failure::new(format!("several clusters are called {wanted:?}"))
                .because(ids.join(", "))
                .next("name one by its id"))
        }
    }
}

fn is_called(cluster: &ManagedCluster, wanted: &str) -> bool {
    cluster.name_any() == wanted
        || cluster.spec.cluster_id.eq_ignore_ascii_case(wanted)
        || cluster.labels().get(labels::CLUSTER_NAME).is_some_and(|name| name == wanted)
}

/// Whether a text has the form of a cluster id.
fn is_id(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(i, letter)| match i {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}

/// All clusters, page by page.
pub(crate) async fn list(
    client: &Client,
    namespace: Option<&str>,
    params: &ListParams,
) -> Result<Vec<ManagedCluster>, Failure> {
    let api: Api<ManagedCluster> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let mut params = params.clone().limit(PAGE);
    let mut found = Vec::new();
    loop {
        let page = api
            .list(&params)
            .await
            .map_err(|error| Failure::parent("list the clusters of the parent", &error))?;
        found.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(found),
        }
    }
}

#[cfg(test)]
mod tests;
