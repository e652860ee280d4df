//! From a Subscription and the clusters to a decision (contract sections 1.4, 6.2 and 6.3).
//!
//! A [`Scheduler`] is one strategy. [`scheduler`] finds the one a Subscription asks for. There is one so far,
//! [`Replication`]; those that divide replicas are others, and find candidates and refusals in this module too.
//!
//! Where the contract's reference withdraws workloads that nothing else replaces, they stay:
//!
//! * When no cluster fits, or no cluster is known at all, what runs stays where it runs, and the decision says so.
//! * A cluster that was lost (the hub's own taints) stays bound: a workload is not deleted because its cluster comes back.
//!
//! Weights have no meaning for [`Replication`]. Priorities order Subscriptions, not clusters, and are the caller's.

mod candidates;
mod decision;
mod replication;
mod taints;

use std::{collections::BTreeSet, fmt};

use api::apps::{SchedulingStrategy, SubscriptionSpec};
use meta::{LabelExpression, LabelSelector, StructuredLabelSelector};

pub use decision::{Choice, Chosen, Decision, Outcome, Refusal, Refused};
pub use replication::Replication;
pub use taints::{tolerates, untolerated};

use crate::{Cluster, ClusterKey};

/// What a decision is made of.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// What is wanted.
    pub spec: &'r SubscriptionSpec,
    /// Every cluster there is.
    pub clusters: &'r [Cluster],
    /// Where the Subscription is bound by now.
    pub bound: &'r BTreeSet<ClusterKey>,
}

/// A strategy: from a request to a decision. It decides the same for the same request, in whatever order the clusters are.
pub trait Scheduler: fmt::Debug + Sync {
    /// Decides.
    ///
    /// # Errors
    ///
    /// When the Subscription is not one a decision can be made for; the user has to change it.
    fn schedule(&self, request: &Request<'_>) -> Result<Decision, ScheduleError>;
}

/// The strategy a Subscription asks for; none where the Subscription is another scheduler's.
///
/// # Errors
///
/// When no strategy does what the Subscription asks for.
pub fn scheduler(
    spec: &SubscriptionSpec,
    name: &str,
) -> Result<Option<&'static dyn Scheduler>, ScheduleError> {
    if spec.scheduler_name != name {
        return Ok(None);
    }
    match spec.scheduling_strategy {
        SchedulingStrategy::Replication => Ok(Some(&Replication)),
        SchedulingStrategy::Dividing => Err(ScheduleError::StrategyUnsupported),
    }
}

/// No decision can be made: a mistake in the Subscription.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A selector is none.
    #[error("spec.subscribers[{subscriber}].clusterAffinity.{field}: expected {expected}")]
    SelectorInvalid {
        /// Which subscriber.
        subscriber: usize,
        /// The field of the selector.
        field: String,
        /// What should stand there.
        expected: &'static str,
    },
    /// Groups without a size.
    #[error(
        "spec.subscribers[{subscriber}].subGroupStrategy: with schedulingBySubGroup every subscriber needs one; set minClusters"
    )]
    SubGroupMissing {
        /// Which subscriber.
        subscriber: usize,
    },
    /// The strategy Dividing.
    #[error("spec.schedulingStrategy: Dividing is not supported yet; use Replication")]
    StrategyUnsupported,
}

impl ScheduleError {
    /// The reason for a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SelectorInvalid { .. } => "SelectorInvalid",
            Self::SubGroupMissing { .. } => "SubGroupMissing",
            Self::StrategyUnsupported => "StrategyUnsupported",
        }
    }
}

/// A label selector as objects hold it, made ready to match.
pub(crate) fn selector(
    selector: &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector,
) -> Result<LabelSelector, meta::InvalidSelectorError> {
    let expressions = selector.match_expressions.iter().flatten();
    LabelSelector::try_from(StructuredLabelSelector {
        match_labels: selector.match_labels.clone(),
        match_expressions: Some(
            expressions
                .map(|expression| LabelExpression {
                    key: expression.key.clone(),
                    operator: expression.operator.clone(),
                    values: expression.values.clone(),
                })
                .collect(),
        ),
    })
}

#[cfg(test)]
mod tests;
