//! Decisions, and what they say of themselves.

use std::collections::BTreeMap;

use crate::{ClusterKey, text};

/// The longest message of a decision, in bytes.
const MESSAGE: usize = 1_024;

/// Which clusters were chosen, which refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What came of it.
    pub outcome: Outcome,
    /// The clusters it is for, in ascending order.
    pub chosen: Vec<Chosen>,
    /// The clusters that a subscriber selects and that it is not for, in ascending order.
    pub refused: Vec<Refused>,
    /// How many clusters no subscriber selects.
    pub unselected: usize,
}

/// What came of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Clusters fit, and are chosen.
    Scheduled,
    /// No cluster fits; the Subscription stays where it is bound.
    Kept,
    /// No cluster fits, and the Subscription is bound nowhere.
    Unschedulable,
}

/// A chosen cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub cluster: ClusterKey,
    /// Why.
    pub because: Choice,
}

/// Why a cluster is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// It fits.
    Fits,
    /// It has a taint of the hub, `key=value:effect`, which would keep it from being chosen anew. The workloads stay: they
    /// are not deleted because the cluster is lost, or comes back.
    KeptInSpiteOf(String),
    /// Nothing fits, and it was bound before.
    KeptForWantOfAnother,
}

/// A cluster that was not chosen although a subscriber selects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which.
    pub cluster: ClusterKey,
    /// Why.
    pub because: Refusal,
}

/// Why a cluster is not chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It has a taint, `key=value:effect`, that the Subscription does not tolerate.
    Taint(String),
    /// It is being deleted.
    BeingDeleted,
    /// The groups it is in have enough clusters.
    NotNeeded,
}

impl Refusal {
    /// Why, and what to do about it, for `count` clusters.
    fn sentence(&self, count: usize) -> String {
        let (has, is, its) = if count == 1 { ("has", "is", "its") } else { ("have", "are", "their") };
        match self {
            Self::Taint(taint) => {
                format!("{count} {has} the taint {taint}, which spec.clusterTolerations does not tolerate")
            }
            Self::BeingDeleted => format!("{count} {is} being deleted"),
            Self::NotNeeded => {
                format!("{count} {is} not needed: {its} groups have subGroupStrategy.minClusters clusters")
            }
        }
    }
}

impl Decision {
    /// The value of `status.bindingClusters`.
    pub fn binding(&self) -> Vec<String> {
        self.chosen.iter().map(|chosen| chosen.cluster.as_str().to_owned()).collect()
    }

    /// The status of the condition Scheduled.
    pub fn scheduled(&self) -> bool {
        self.outcome == Outcome::Scheduled
    }

    /// The reason of the condition Scheduled.
    pub fn reason(&self) -> &'static str {
        match self.outcome {
            Outcome::Scheduled => "Scheduled",
            Outcome::Kept => "NothingFitsKept",
            Outcome::Unschedulable => "NothingFits",
        }
    }

    /// What there is to say, for people: at most 1,024 bytes, with the first names of each sort.
    pub fn message(&self) -> String {
        let mut sentences = Vec::new();
        if self.scheduled() {
            let names: Vec<&str> = self.chosen.iter().map(|chosen| chosen.cluster.as_str()).collect();
            sentences.push(format!("{} chosen: {}.", counted(names.len()), text::names(&names)));
        } else {
            let all = self.refused.len() + self.unselected;
            sentences.push(format!("0/{all} clusters are available."));
        }
        if self.refused.is_empty() && !self.scheduled() {
            sentences.push(String::from(
                "No cluster has the labels that spec.subscribers select; label a ManagedCluster or change clusterAffinity.",
            ));
        }
        for (because, names) in self.refusals() {
            sentences.push(format!("{} ({}).", because.sentence(names.len()), text::names(&names)));
        }
        for (taint, names) in self.lost() {
            sentences.push(format!(
                "Kept in spite of the taint {taint}, until another decision withdraws it: {}.",
                text::names(&names)
            ));
        }
        if self.outcome == Outcome::Kept {
            let names: Vec<&str> = self.chosen.iter().map(|chosen| chosen.cluster.as_str()).collect();
            sentences.push(format!(
                "What runs stays where it runs: {}. Delete the Subscription to withdraw it.",
                text::names(&names)
            ));
        }
        text::cut(&sentences.join(" "), MESSAGE)
    }

    /// The clusters by why they were refused.
    fn refusals(&self) -> BTreeMap<&Refusal, Vec<&str>> {
        let mut by_reason: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for refused in &self.refused {
            by_reason.entry(&refused.because).or_default().push(refused.cluster.as_str());
        }
        by_reason
    }

    /// The clusters that were kept in spite of a taint, by taint.
    fn lost(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut by_taint: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for chosen in &self.chosen {
            if let Choice::KeptInSpiteOf(taint) = &chosen.because {
                by_taint.entry(taint.as_str()).or_default().push(chosen.cluster.as_str());
            }
        }
        by_taint
    }
}

fn counted(clusters: usize) -> String {
    if clusters == 1 { String::from("1 cluster is") } else { format!("{clusters} clusters are") }
}
