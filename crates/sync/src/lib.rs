//! Keeps the store in step with the clusters that PediaClusters name (contract `clusterpedia.md`, sections 1 and 3).
//!
//! ```text
//! PediaCluster ─► run ─► cluster (way there, rules: valid?) ─► session (probe, scout, rules ─► targets)
//!                           └─► status                            └─► follow, one for each target ─► store
//! ```
//!
//! [`Ways`] tells others how a cluster is reached.
//!
//! Three kinds of files: what should be, given what is (`rules`, `prune`, `place`, `object`, `batch`, `rights`,
//! `status`: pure functions); tasks (`run`, `cluster`, `session`, `probe`, `scout`, `columns`, `follow`, `takeover`); and
//! the ways out (`access`, `parent`).
//!
//! * Nothing is listed again that did not change: a checkpoint is stored in the transaction of the rows that lead to it,
//!   and says what it was made from.
//! * Memory does not depend on what clusters send: for each resource there are two batches, of each object that
//!   changes its last state only, and the batches of all clusters share a [budget](Options::buffer_bytes).
//! * Rows go when an object, a rule or a PediaCluster goes; never because a cluster could not be reached or asked.
//! * The values in Secrets are dropped before anything is stored, unless every rule that selects them says otherwise.
//!
//! * Events about what a rule selects (`eventsInvolvedResources`) are synchronised as the Events they are, and go when
//!   they go in the cluster; whoever reads the store finds them by what they are about.
//!
//! Deliberately absent: conversion between versions, carrying what is stored from one shard's store to another's, and
//! everything about reading the store.

mod access;
mod batch;
mod cluster;
mod columns;
mod counters;
#[cfg(test)]
mod fake;
mod follow;
mod limits;
mod object;
mod parent;
mod place;
mod probe;
mod prune;
mod report;
mod rights;
mod rules;
mod run;
mod scout;
mod session;
mod status;
mod takeover;
#[cfg(test)]
mod tests;
mod ways;

use std::{sync::Arc, time::Duration};

use kube::Client;
use kubeio::Transport;
use reach::{Identity, Reach, Through};
use runtime::{Tasks, metrics::Metrics};
use store::Store;
use tokio::sync::{Semaphore, watch};

use crate::{access::Policy, cluster::Shared, counters::Counters, limits::Budget, parent::KubeParent};

pub use access::Way;
pub use rules::Gates;
pub use ways::{WayError, Ways};

/// How clusters are synchronised.
#[derive(Debug, Clone)]
pub struct Options {
    /// The hub's own namespace, with the Secrets and ConfigMaps that PediaClusters refer to.
    pub namespace: String,
    /// Secrets there that are the hub's own, and never sent to a cluster.
    pub reserved_secrets: Vec<String>,
    /// What rules may ask for.
    pub gates: Gates,
    /// The gate `ClusterAuthenticationFromSecret`: credentials may come from Secrets.
    pub credentials_from_secrets: bool,
    /// A PediaCluster without CA certificates means a server that is not verified. Otherwise the operating system's
    /// roots are trusted.
    pub insecure_without_ca: bool,
    /// Lists that run at the same time, of all clusters.
    pub lists: usize,
    /// Lists that run at the same time, of one cluster.
    pub lists_per_cluster: usize,
    /// Bytes of all clusters that may wait for the store, beside one object for each resource that is being read.
    pub buffer_bytes: usize,
    /// Resources of one cluster that are synchronised at most, whatever its rules select: each costs the cluster a watch.
    pub resources_per_cluster: usize,
    /// Which PediaClusters are ours: those with this `spec.shardingName`; empty is the default shard.
    pub sharding_name: String,
    /// The Lease of the hub that synchronises the default shard; [`shard_lease`] names those of others.
    pub lease: String,
    /// A PediaCluster that is to be ours is taken from a shard whose Lease nobody has renewed for so long; never if it is
    /// zero.
    pub takeover_after: Duration,
}

/// The Lease of the hub that synchronises a shard: `base` is that of the default shard, whose name is empty.
///
/// ```
/// assert_eq!(sync::shard_lease("hub-sync", ""), "hub-sync");
/// assert_eq!(sync::shard_lease("hub-sync", "east"), "hub-sync-east");
/// ```
pub fn shard_lease(base: &str, shard: &str) -> String {
    if shard.is_empty() { base.to_owned() } else { format!("{base}-{shard}") }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: api::names::SYSTEM_NAMESPACE.to_owned(),
            reserved_secrets: Vec::new(),
            gates: Gates::default(),
            credentials_from_secrets: true,
            insecure_without_ca: false,
            lists: 8,
            lists_per_cluster: 2,
            buffer_bytes: 256 << 20,
            resources_per_cluster: 2_000,
            sharding_name: String::new(),
            lease: String::from("clusternet-hub-sync"),
            takeover_after: Duration::from_mins(10),
        }
    }
}

/// Starts synchronisation in this process: into the store of `stores`, while there is one. It is there in one process at
/// a time.
pub fn start(
    tasks: &Tasks,
    client: Client,
    stores: watch::Receiver<Option<Arc<dyn Store>>>,
    reach: Reach,
    options: Options,
    metrics: &Metrics,
) {
    let parent = Arc::new(KubeParent::new(client.clone(), &options));
    let counters = Counters::register(metrics);
    let shared = move |store| {
        let reach = reach.clone();
        Arc::new(Shared {
            parent: parent.clone(),
            store,
            tunnel: Box::new(move |cluster_id: &str| {
                let through = Through::new(reach.clone(), cluster_id, Identity::reader());
                Arc::new(through) as Arc<dyn Transport>
            }),
            lists: Arc::new(Semaphore::new(options.lists.max(1))),
            lists_per_cluster: options.lists_per_cluster,
            budget: Budget::new(options.buffer_bytes),
            policy: Policy::of(&options),
            gates: options.gates,
            most_resources: options.resources_per_cluster,
            sharding_name: options.sharding_name.clone(),
            takeover_after: options.takeover_after,
            counters: counters.clone(),
        })
    };
    tasks.spawn_draining("synchronisation", run::work(tasks.clone(), client, stores, shared));
}
