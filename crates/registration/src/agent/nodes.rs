//! What the nodes add up to. Read page by page, kept as sums: memory does not grow with the child.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
};

use api::clusters::NodeStatistics;
use futures_util::TryStreamExt as _;
use k8s_openapi::{api::core::v1::Node, apimachinery::pkg::api::resource::Quantity as ApiQuantity};
use kube::{
    Api, Client, Resource as _,
    api::{ApiResource, ListParams, WatchEvent, WatchParams},
    core::{Object, ObjectMeta},
};
use meta::Quantity;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

/// Nodes per page; a page is all that is in memory at once.
const PAGE: u32 = 100;
/// What is summed up.
const RESOURCES: [&str; 3] = ["cpu", "memory", "nvidia.com/gpu"];
/// Nodes with one of these labels do not count for labels of the cluster.
const CONTROL_PLANE: [&str; 2] = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];

/// The few fields of a node's status that count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct LiteStatus {
    #[serde(default)]
    capacity: BTreeMap<String, String>,
    #[serde(default)]
    allocatable: BTreeMap<String, String>,
    #[serde(default)]
    conditions: Vec<LiteCondition>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct LiteCondition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

/// Nothing of a node's spec counts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct NoSpec {}

/// What the nodes add up to.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) statistics: NodeStatistics,
    capacity: BTreeMap<&'static str, Quantity>,
    allocatable: BTreeMap<&'static str, Quantity>,
    workers: usize,
    /// How often each value of a label stands on a worker.
    labels: BTreeMap<String, BTreeMap<String, usize>>,
}

type LiteNode = Object<NoSpec, LiteStatus>;

fn api(child: &Client) -> Api<LiteNode> {
    Api::all_with(child.clone(), &ApiResource::erase::<Node>(&()))
}

/// Tells `changed` whenever something of a node changes that counts. Nodes send many signs of life that do not; what is
/// remembered to tell them apart is two numbers per node. Ends with an error when the watch does.
pub(super) async fn watch(child: &Client, prefixes: &[String], changed: &Arc<Notify>) -> anyhow::Result<()> {
    let nodes = api(child);
    let mut known: HashMap<u64, u64> = HashMap::new();
    let params = WatchParams::default().timeout(280);
    // Version 0: the watch begins with all nodes as they are, from the server's cache.
    let mut version = String::from("0");
    loop {
        let mut events = std::pin::pin!(nodes.watch(&params, &version).await?);
        while let Some(event) = events.try_next().await? {
            let (node, gone) = match event {
                WatchEvent::Added(node) | WatchEvent::Modified(node) => (node, false),
                WatchEvent::Deleted(node) => (node, true),
                WatchEvent::Bookmark(bookmark) => {
                    version.clone_from(&bookmark.metadata.resource_version);
                    continue;
                }
                WatchEvent::Error(status) => anyhow::bail!("the watch on nodes ended: {}", status.message),
            };
            version = node.metadata.resource_version.clone().unwrap_or(version);
            let name = digest(|hasher| node.metadata.name.hash(hasher));
            let before =
                if gone { known.remove(&name) } else { known.insert(name, what_counts(&node, prefixes)) };
            if gone || before != known.get(&name).copied() {
                changed.notify_one();
            }
        }
    }
}

fn what_counts(node: &LiteNode, prefixes: &[String]) -> u64 {
    digest(|hasher| {
        for (key, value) in node.metadata.labels.iter().flatten() {
            if CONTROL_PLANE.contains(&key.as_str())
                || prefixes.iter().any(|prefix| key.starts_with(prefix.as_str()))
            {
                (key, value).hash(hasher);
            }
        }
        if let Some(status) = &node.status {
            for resource in RESOURCES {
                (status.capacity.get(resource), status.allocatable.get(resource)).hash(hasher);
            }
            for condition in status.conditions.iter().filter(|condition| condition.kind == "Ready") {
                condition.status.hash(hasher);
            }
        }
    })
}

fn digest(feed: impl FnOnce(&mut DefaultHasher)) -> u64 {
    let mut hasher = DefaultHasher::new();
    feed(&mut hasher);
    hasher.finish()
}

/// Reads all nodes.
pub(super) async fn read(child: &Client, prefixes: &[String]) -> kube::Result<Totals> {
    let nodes = api(child);
    let mut totals = Totals::default();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = nodes.list(&page).await?;
        for node in &list.items {
            totals.add(node.meta(), node.status.as_ref(), prefixes);
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(totals),
        }
    }
}

impl Totals {
    fn add(&mut self, metadata: &ObjectMeta, status: Option<&LiteStatus>, prefixes: &[String]) {
        let ready =
            status.and_then(|status| status.conditions.iter().find(|condition| condition.kind == "Ready"));
        let count = match ready.map(|condition| condition.status.as_str()) {
            None => &mut self.statistics.lost_nodes,
            Some("True") => &mut self.statistics.ready_nodes,
            Some("False") => &mut self.statistics.not_ready_nodes,
            Some(_) => &mut self.statistics.unknown_nodes,
        };
        *count += 1;
        if let Some(status) = status {
            add(&mut self.capacity, &status.capacity);
            add(&mut self.allocatable, &status.allocatable);
        }
        let labels = metadata.labels.iter().flatten();
        if CONTROL_PLANE
            .iter()
            .any(|role| metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(*role)))
        {
            return;
        }
        self.workers += 1;
        for (key, value) in
            labels.filter(|(key, _)| prefixes.iter().any(|prefix| key.starts_with(prefix.as_str())))
        {
            *self.labels.entry(key.clone()).or_default().entry(value.clone()).or_default() += 1;
        }
    }

    /// Labels that at least `threshold` of the workers agree on.
    pub(super) fn agreed_labels(&self, threshold: f64) -> BTreeMap<String, String> {
        let agreed = self.labels.iter().filter_map(|(key, values)| {
            let (value, count) = values.iter().max_by_key(|(_, count)| **count)?;
            let share = *count as f64 / self.workers.max(1) as f64;
            (share >= threshold).then(|| (key.clone(), value.clone()))
        });
        agreed.collect()
    }

    /// Sums of capacity, as the API writes them.
    pub(super) fn capacity(&self) -> BTreeMap<String, ApiQuantity> {
        self.printed(&self.capacity)
    }

    /// Sums of what pods can have, as the API writes them.
    pub(super) fn allocatable(&self) -> BTreeMap<String, ApiQuantity> {
        self.printed(&self.allocatable)
    }

    fn printed(&self, sums: &BTreeMap<&'static str, Quantity>) -> BTreeMap<String, ApiQuantity> {
        // GPUs are mentioned where there are any.
        let shown = |name: &str| {
            name != RESOURCES[2] || self.capacity.get(name).is_some_and(|total| !total.is_zero())
        };
        let shown = sums.iter().filter(|(name, _)| shown(name));
        shown.map(|(name, total)| ((*name).to_owned(), ApiQuantity(total.to_string()))).collect()
    }
}

fn add(sums: &mut BTreeMap<&'static str, Quantity>, amounts: &BTreeMap<String, String>) {
    for resource in RESOURCES {
        if let Some(amount) = amounts.get(resource).and_then(|text| text.parse::<Quantity>().ok()) {
            let sum = sums.entry(resource).or_insert(Quantity::ZERO);
            *sum = *sum + amount;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(labels: &[(&str, &str)], ready: Option<&str>, cpu: &str) -> (ObjectMeta, LiteStatus) {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let conditions = ready.map(|status| LiteCondition { kind: "Ready".into(), status: status.into() });
        let amounts =
            BTreeMap::from([("cpu".to_owned(), cpu.to_owned()), ("pods".to_owned(), "110".to_owned())]);
        let status = LiteStatus {
            capacity: amounts.clone(),
            allocatable: amounts,
            conditions: conditions.into_iter().collect(),
        };
        (ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }, status)
    }

    fn totals(nodes: &[(ObjectMeta, LiteStatus)]) -> Totals {
        let mut totals = Totals::default();
        for (metadata, status) in nodes {
            totals.add(metadata, Some(status), &["node.clusternet.io/".to_owned()]);
        }
        totals
    }

    #[test]
    fn nodes_are_counted_by_their_ready_condition() {
        let found = totals(&[
            node(&[], Some("True"), "1"),
            node(&[], Some("False"), "1"),
            node(&[], Some("Unknown"), "1"),
            node(&[], None, "1"),
        ]);
        let NodeStatistics { ready_nodes, not_ready_nodes, unknown_nodes, lost_nodes } = found.statistics;
        assert_eq!((ready_nodes, not_ready_nodes, unknown_nodes, lost_nodes), (1, 1, 1, 1));
    }

    #[test]
    fn sums_hold_what_the_contract_names_and_gpus_only_where_there_are_some() {
        let found = totals(&[node(&[], Some("True"), "3500m"), node(&[], Some("True"), "500m")]);
        assert_eq!(found.capacity(), BTreeMap::from([("cpu".to_owned(), ApiQuantity("4".into()))]));
    }

    #[test]
    fn a_label_counts_when_enough_workers_agree() {
        let zone = |value| node(&[("node.clusternet.io/zone", value), ("other", "x")], Some("True"), "1");
        let master = node(
            &[("node-role.kubernetes.io/control-plane", ""), ("node.clusternet.io/zone", "b")],
            Some("True"),
            "1",
        );
        let all = totals(&[zone("a"), zone("a"), master.clone()]);
        assert_eq!(
            all.agreed_labels(0.8),
            BTreeMap::from([("node.clusternet.io/zone".to_owned(), "a".to_owned())])
        );
        assert!(totals(&[zone("a"), zone("b"), master.clone()]).agreed_labels(0.8).is_empty());
        assert!(totals(&[master]).agreed_labels(0.8).is_empty());
    }
}
