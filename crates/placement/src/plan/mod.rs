//! What would change in the clusters if objects were stored in the parent: the hub's work, done in memory.
//!
//! What would be is rendered as the hub renders it, and compared with what the Descriptions hold, which is what is deployed.
//! Only what the new objects concern is looked at: what else is on its way to a cluster is no part of the plan.
//!
//! An override whose policy is `ApplyLater` changes nothing by itself, and is in [`Plan::waiting`]. HelmCharts are compared as
//! what their HelmReleases say, chart, options and values; what a chart makes of them in a cluster is not looked at, and what
//! the values are is never shown. Nothing is known of the clusters themselves: an object that exists there already is taken
//! over, and shown as created.

mod charts;
mod draw;
mod planner;
mod sources;

use api::{
    apps::{Base, Description, Feed},
    clusters::ManagedCluster,
};
use serde::Serialize;
use serde_json::Value;

use crate::overrides::Limits;

use planner::Planner;
pub use sources::{SourceError, Sources};

/// What stands in the parent.
#[derive(Debug, Clone, Default)]
pub struct Parent {
    /// What people wrote.
    pub sources: Sources,
    /// The clusters.
    pub clusters: Vec<ManagedCluster>,
    /// What the hub made of it.
    pub bases: Vec<Base>,
    /// What is deployed.
    pub descriptions: Vec<Description>,
}

/// What would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// In the order of clusters, Subscriptions and feeds.
    pub changes: Vec<Change>,
    /// What overrides with the policy `ApplyLater` will change when something else changes the feed.
    pub waiting: Vec<Change>,
    /// What stands against it, in full sentences.
    pub errors: Vec<String>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// What would become of an object in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// `namespace/name` of the ManagedCluster.
    pub cluster: String,
    /// `namespace/name` of the Subscription.
    pub subscription: String,
    /// What.
    pub action: Action,
    /// Which object, or which HelmChart.
    pub object: Feed,
    /// What a HelmChart is in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// The fields that differ, the first hundred; of an object that is created: those that differ from its template.
    pub fields: Vec<Field>,
    /// How many more fields differ.
    pub omitted: usize,
}

/// A release of Helm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Its name.
    pub name: String,
    /// Its namespace in the cluster.
    pub namespace: String,
    /// The chart.
    pub chart: String,
    /// The version of the chart; none is the newest.
    pub version: Option<String>,
}

/// What would be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The object is new in the cluster, or is taken over there.
    Create,
    /// The object is changed.
    Change,
    /// The object is deleted.
    Delete,
}

/// A field that differs. Values of Secrets, and those for charts, are hidden.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// A JSON pointer; of a HelmChart, `/spec/…` is into the spec of its HelmRelease and `/values/…` into the values.
    pub path: String,
    /// What is there, as JSON of at most 120 bytes; none where nothing is.
    pub before: Option<String>,
    /// What would be there.
    pub after: Option<String>,
    /// The overrides that set it, the last one won; or else those that no longer do.
    pub overrides: Vec<String>,
}

impl Plan {
    /// Whether nothing would change, and nothing stands against it.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.errors.is_empty()
    }
}

/// Plans: what would be deployed if `files` were stored in the parent. `scheduler` is the name the hub schedules under.
///
/// # Errors
///
/// When one of them is nothing that people store.
pub fn plan(
    parent: &Parent,
    files: Vec<Value>,
    scheduler: &str,
    limits: &Limits,
) -> Result<Plan, SourceError> {
    let mut after = parent.sources.clone();
    let named: Vec<Feed> = files.iter().filter_map(Feed::of).collect();
    for file in files {
        after.insert(file)?;
    }
    let mut planner = Planner::new(parent, &after, scheduler, limits);
    for (name, subscription) in &after.subscriptions {
        planner.subscription(
            &format!("{}/{}", name.0, name.1),
            parent.sources.subscriptions.get(name),
            subscription,
        );
    }
    for feed in named.iter().filter(|feed| after.templates.contains_key(*feed)) {
        planner.is_it_fed(feed);
    }
    Ok(planner.finish())
}

#[cfg(test)]
mod tests;
