//! The part of the hub that looks after charts.

mod push;

use std::path::PathBuf;

use helm::{Helm, Limits};
use kube::Client;
use reach::Reach;
use runtime::{
    OnError, Tasks,
    lease::{self, Leadership},
};
use tokio::sync::watch;

/// HelmCharts, and Descriptions of charts, that are worked on at a time.
const PARALLELISM: usize = 4;

/// What it works with.
#[derive(Clone)]
pub(crate) struct Charts {
    /// The parent.
    pub(crate) client: Client,
    /// The ways to the children.
    pub(crate) reach: Reach,
    /// The helm executable, if there is one. Without it no chart is looked for, and none is installed from here.
    pub(crate) helm: Option<PathBuf>,
    /// The hub's own.
    pub(crate) namespace: String,
}

impl Charts {
    /// Looks whether charts are there, makes HelmReleases of Descriptions, and applies those of the clusters that the hub deploys
    /// into, while `leadership` is held.
    pub(crate) fn start(self, tasks: &Tasks, leadership: watch::Receiver<Leadership>) {
        lease::while_held(tasks, "charts", leadership, move |term| {
            if let Some(program) = self.helm.clone() {
                let (client, hub) = (self.client.clone(), self.namespace.clone());
                term.supervise("charts that are there", OnError::Restart, move || {
                    let (client, program, hub) = (client.clone(), program.clone(), hub.clone());
                    async move { releases::verify(client, open(&program).await?, PARALLELISM, &hub).await }
                });
            }
            let (client, hub) = (self.client.clone(), self.namespace.clone());
            term.supervise("HelmReleases of Descriptions", OnError::Restart, move || {
                let (client, hub) = (client.clone(), hub.clone());
                async move { releases::describe(client, PARALLELISM, &hub).await }
            });
            let (charts, work) = (self.clone(), term.clone());
            term.supervise("charts that are pushed", OnError::Restart, move || {
                push::push(work.child(), charts.clone())
            });
        });
    }
}

async fn open(program: &std::path::Path) -> anyhow::Result<Helm> {
    Ok(Helm::open(program, &std::env::temp_dir(), Limits::default()).await?)
}
