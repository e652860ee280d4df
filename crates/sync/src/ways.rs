//! The ways to clusters, for whoever visits them beside the synchronisation.

use api::pedia::PediaCluster;
use kube::{Api, Client};

use crate::{
    Options,
    access::{self, ConfigError, Policy, Way},
    parent::KubeParent,
};

/// How the clusters of PediaClusters are reached.
pub struct Ways {
    clusters: Api<PediaCluster>,
    parent: KubeParent,
    policy: Policy,
}

/// Why there is no way. The texts are for whoever asked, and hold no secret.
#[derive(Debug, thiserror::Error)]
pub enum WayError {
    /// There is no such PediaCluster.
    #[error("there is no PediaCluster {0:?}")]
    Unknown(String),
    /// The PediaCluster does not say it as it should.
    #[error("the cluster cannot be reached as its PediaCluster says: {0}")]
    Invalid(String),
    /// The parent did not answer; it may work later.
    #[error("the parent did not tell how the cluster is reached")]
    Later,
}

impl Ways {
    /// Asks the parent with `client`, which needs `get` on PediaClusters and on what they refer to.
    pub fn new(client: Client, options: &Options) -> Self {
        let clusters = Api::all(client.clone());
        Self { clusters, parent: KubeParent::new(client, options), policy: Policy::of(options) }
    }

    /// The way to a cluster as its PediaCluster has it now, with the credentials there if there are any.
    pub async fn of(&self, name: &str) -> Result<Way, WayError> {
        let found = self.clusters.get_opt(name).await.map_err(|error| {
            tracing::warn!(%error, "a PediaCluster cannot be read");
            WayError::Later
        })?;
        let cluster = found.ok_or_else(|| WayError::Unknown(name.to_owned()))?;
        access::way(&cluster.spec, &self.parent, self.policy).await.map_err(|error| match error {
            ConfigError::Parent(crate::parent::ParentError::Later(_)) => WayError::Later,
            error => WayError::Invalid(error.to_string()),
        })
    }
}
