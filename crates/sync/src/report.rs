//! How the synchronisation of a cluster stands: what its tasks tell, and its status is made of.

use std::{collections::BTreeMap, sync::Arc};

use api::pedia::SyncState;
use store::Resource;
use tokio::sync::watch;

/// How the synchronisation of a cluster stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) running: Running,
    /// Why it is not known what the cluster has now, if it was known before.
    pub(crate) outdated: Option<String>,
    /// Why not everything is synchronised that the rules select.
    pub(crate) left_out: Option<String>,
    pub(crate) health: Health,
    /// The cluster's Kubernetes version, once it has told it.
    pub(crate) version: Option<String>,
    pub(crate) resources: BTreeMap<Resource, ResourceReport>,
}

/// Whether the synchronisation runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Running {
    /// Not begun.
    #[default]
    Waiting,
    /// It could not begin, and is tried again.
    Failed(String),
    /// It runs.
    Yes,
    /// It was stopped.
    Stopped,
}

/// Whether the cluster answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Health {
    /// Nobody has asked.
    #[default]
    Unknown,
    /// It answers well.
    Healthy,
    /// It answers badly.
    Unhealthy(String),
    /// It does not answer.
    NotReachable(String),
}

/// How one resource stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResourceReport {
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    pub(crate) state: State,
    /// The first list has not been stored whole.
    pub(crate) initial: bool,
}

/// The state of one resource, with a reason of the contract (1.4) and words for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) status: SyncState,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl State {
    pub(crate) fn new(status: SyncState, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }

    pub(crate) fn syncing() -> Self {
        Self::new(SyncState::Syncing, "", "")
    }
}

/// Where the tasks of one cluster tell how they stand.
#[derive(Debug, Clone)]
pub(crate) struct Board(Arc<watch::Sender<Report>>);

impl Board {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Report::default())))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Report> {
        self.0.subscribe()
    }

    /// Changes the report. Nobody is woken if it says what it said before.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut Report)) {
        self.0.send_if_modified(|report| {
            let before = report.clone();
            change(report);
            *report != before
        });
    }

    /// How a resource stands, if it is followed.
    pub(crate) fn tell_of(&self, resource: &Resource, change: impl FnOnce(&mut ResourceReport)) {
        self.0.send_if_modified(|report| {
            let Some(of) = report.resources.get_mut(resource) else { return false };
            let before = of.clone();
            change(of);
            *of != before
        });
    }
}
