//! Who keeps the HelmReleases of which cluster, and where that runs: in the agent and in the hub.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use api::clusters::ManagedCluster;
use helm::{Helm, Limits};
use kube::{Client, ResourceExt as _};
use reach::{
    Reach,
    duty::{self, Halt, Registration},
};
use runtime::{
    OnError, Tasks,
    lease::{self, Leadership},
};
use tokio::sync::watch;

use crate::{
    access::{Access, Own, Through},
    run::{Credentials, Options, follow},
};

/// Releases of one cluster that are worked on at a time: each may wait for minutes, and takes a process.
const RELEASES: usize = 2;
/// HelmCharts, and Descriptions of charts, that the hub works on at a time.
const IN_HUB: usize = 4;

/// Keeps the HelmReleases of the agent's own cluster, while it is registered and the ManagedCluster says that the agent does.
/// `helm` is the executable; without one each HelmRelease says so. While `frozen`, nothing is changed in the cluster.
pub fn pull(
    tasks: &Tasks,
    registration: watch::Receiver<Option<Registration>>,
    child: Own,
    frozen: watch::Receiver<bool>,
    helm: Option<PathBuf>,
) {
    duty::while_registered(tasks, "charts", registration, move |term, found| {
        let (work, found, frozen) = (term.clone(), found.clone(), frozen.clone());
        let (program, helm) = (Program::Agent(child.clone()), helm.clone());
        term.supervise("charts' term", OnError::Restart, move || {
            let (work, found, frozen) = (work.clone(), found.clone(), frozen.clone());
            let (program, helm) = (program.clone(), helm.clone());
            async move {
                let crew = Crew::new(found.parent.clone(), program, helm.as_deref()).await?;
                duty::follow_own(found, frozen, work, crew).await
            }
        });
    });
}

/// The hub's part, while `leadership` is held: looks whether charts are there, makes HelmReleases of Descriptions, and keeps those
/// of the clusters that it pushes to. `helm` is the executable: without one no chart is looked for, and each HelmRelease says so.
/// `namespace` is the hub's own.
pub fn push(
    tasks: &Tasks,
    client: Client,
    reach: Reach,
    leadership: watch::Receiver<Leadership>,
    helm: Option<PathBuf>,
    namespace: String,
) {
    lease::while_held(tasks, "charts", leadership, move |term| {
        if let Some(helm) = helm.clone() {
            let (client, namespace) = (client.clone(), namespace.clone());
            term.supervise("charts that are there", OnError::Restart, move || {
                let (client, helm, namespace) = (client.clone(), helm.clone(), namespace.clone());
                async move { crate::verify(client, open(&helm).await?, IN_HUB, &namespace).await }
            });
        }
        let (parent, hub) = (client.clone(), namespace.clone());
        term.supervise("HelmReleases of Descriptions", OnError::Restart, move || {
            let (client, hub) = (parent.clone(), hub.clone());
            async move { crate::describe(client, IN_HUB, &hub).await }
        });
        let (work, client, helm) = (term.clone(), client.clone(), helm.clone());
        let program = Program::Hub { reach: reach.clone(), namespace: namespace.clone() };
        term.supervise("charts that are pushed", OnError::Restart, move || {
            let (work, client, program, helm) = (work.clone(), client.clone(), program.clone(), helm.clone());
            async move {
                let crew = Crew::new(client.clone(), program, helm.as_deref()).await?;
                duty::follow_pushed(client, work, crew).await
            }
        });
    });
}

async fn open(helm: &Path) -> anyhow::Result<Helm> {
    Ok(Helm::open(helm, &std::env::temp_dir(), Limits::default()).await?)
}

/// Where this runs, and so what it has.
#[derive(Clone)]
enum Program {
    Agent(Own),
    Hub { reach: Reach, namespace: String },
}

impl Program {
    fn name(&self) -> &'static str {
        match self {
            Self::Agent(_) => "clusternet-agent",
            Self::Hub { .. } => "clusternet-hub",
        }
    }

    fn credentials(&self) -> Credentials {
        match self {
            Self::Agent(_) => Credentials::Copied,
            Self::Hub { namespace, .. } => Credentials::PullSecrets { hub: namespace.clone() },
        }
    }

    /// The way into a cluster. What it needs is in `tasks`.
    fn access(&self, cluster: &ManagedCluster, tasks: &Tasks) -> Arc<dyn Access> {
        match self {
            Self::Agent(own) => Arc::new(own.clone()),
            Self::Hub { reach, .. } => {
                Arc::new(Through { tasks: tasks.clone(), child: duty::way(cluster, reach) })
            }
        }
    }
}

/// Those who keep HelmReleases: each follows those of one dedicated namespace.
struct Crew {
    client: Client,
    program: Program,
    helm: Option<Helm>,
}

impl Crew {
    async fn new(client: Client, program: Program, helm: Option<&Path>) -> anyhow::Result<Self> {
        let helm = match helm {
            Some(helm) => Some(open(helm).await?),
            None => None,
        };
        Ok(Self { client, program, helm })
    }
}

impl duty::Crew for Crew {
    /// Whether nothing is to be changed in the cluster.
    type Worker = watch::Sender<bool>;

    fn appoint(&mut self, cluster: &ManagedCluster, halt: Option<Halt>, tasks: &Tasks) -> Self::Worker {
        let (halted, halts) = watch::channel(halt.is_some());
        let access = self.program.access(cluster, tasks);
        let name = cluster.name_any();
        let options = Options {
            namespace: cluster.namespace().unwrap_or_default(),
            cluster: name.clone(),
            program: self.program.name(),
            parallelism: RELEASES,
            credentials: self.program.credentials(),
        };
        let (client, helm) = (self.client.clone(), self.helm.clone());
        tasks.supervise(format!("charts of {name}"), OnError::Restart, move || {
            follow(client.clone(), helm.clone(), Arc::clone(&access), halts.clone(), options.clone())
        });
        halted
    }

    fn halt(&mut self, halted: &Self::Worker, halt: Option<Halt>) {
        // What halts it, its owner or the parent's people, makes no difference to a release.
        halted.send_if_modified(|before| std::mem::replace(before, halt.is_some()) != halt.is_some());
    }

    fn dismiss(&mut self, _: Self::Worker) {}
}
