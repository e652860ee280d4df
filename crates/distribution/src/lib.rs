//! Deploys to many clusters from one object (contract `clusternet.md`, sections 1.4 to 1.7, 5.5 to 5.8, 5.10 and 6.3): the
//! parent's part. What a Description says is applied in its cluster by a deployer, which reports into its status.
//!
//! ```text
//! Subscription ─► subscription: placement chooses clusters ─► one Base for each
//! Base ─► base: Manifests and HelmCharts of its feeds ─► render: overrides ─► Descriptions ─► (deployer) ─► their status
//! status ─► sum ─► Subscription
//! ```
//!
//! [`world`] holds the parent in indexes, and wakes whoever a change concerns; [`queue`] has each object once; a worker looks
//! at one object at a time, from what is known and not from what happened. Pure are `bindings`, `description`, `marks`,
//! `render`, `report` and `sum`: what should be, given what is.
//!
//! * A write is made only of a difference; nothing is written after a restart that changed nothing.
//! * What is deployed is withdrawn by a positive decision only: a Subscription, a feed in it or a cluster of it is taken away.
//!   That a Manifest is gone, an override fails, a Base was deleted by hand or nothing fits withdraws nothing.
//! * One feed that is missing, one cluster that refuses keeps nothing from the others.
//! * Nothing of an object or an override is in a message or a log but names, kinds and paths.
//!
//! Deliberately absent: any way to a child, and how charts are fetched and installed. Which deployer applies a Description is not
//! decided here.

mod base;
mod bindings;
mod contents;
mod counters;
mod description;
mod feeds;
mod hub;
mod key;
mod lost;
mod marks;
mod outcome;
mod parent;
mod queue;
mod render;
mod report;
mod rules;
mod run;
mod subscription;
mod sum;
#[cfg(test)]
mod tests;
mod work;
mod world;

pub use run::start;

/// How the distribution works.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the Manifests are.
    pub reserved_namespace: String,
    /// The Subscriptions with this `schedulerName` are scheduled here.
    pub scheduler_name: String,
    /// Whether a feed that a Subscription deploys is kept from deletion (contract 5.8). Otherwise its deletion takes it from the
    /// Subscriptions.
    pub protect_feeds: bool,
    /// How many objects are looked at at once.
    pub concurrency: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            reserved_namespace: api::names::apps::RESERVED_NAMESPACE.to_owned(),
            scheduler_name: api::names::apps::DEFAULT_SCHEDULER.to_owned(),
            protect_feeds: true,
            concurrency: 16,
        }
    }
}
