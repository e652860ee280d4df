//! Why a visit did not take place, and what its caller is told.

use meta::Status;

/// Why a visit did not take place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No ManagedCluster has this id: the caller's mistake.
    #[error("no cluster with id {0:?} is registered")]
    UnknownCluster(String),
    /// The list of clusters has not been read yet: try again.
    #[error("the list of clusters has not been read yet")]
    NotReady,
    /// The agent of the cluster holds no tunnel: try again when it is back.
    #[error("the agent of cluster {0:?} is disconnected")]
    Disconnected(String),
    /// The child is asked too much already: try again later.
    #[error("cluster {cluster:?} already serves {limit} requests of this hub")]
    Busy {
        /// The cluster's id.
        cluster: String,
        /// The limit it is at.
        limit: usize,
    },
    /// The child did not answer in time.
    #[error("cluster {0:?} did not answer in time")]
    Timeout(String),
    /// The child answered with a redirect, which is never followed nor passed on.
    #[error("the server in the child answered with a redirect to {0:?}, which is not followed")]
    Redirect(String),
    /// The path cannot be sent.
    #[error("the path is not a valid request path")]
    Path,
    /// The tunnel failed on the way.
    #[error("the connection to cluster {cluster:?} failed")]
    Tunnel {
        /// The cluster's id.
        cluster: String,
        /// What the tunnel says.
        source: tunnel::Error,
    },
}

impl Error {
    /// What a failed visit says to its caller (contract 4.3).
    pub fn status(&self) -> Status {
        let text = match self {
            Self::UnknownCluster(id) => format!(
                "No cluster with id {id:?} is registered; kubectl get managedclusters -A shows those that are."
            ),
            Self::NotReady => String::from("The hub has just started and does not know the clusters yet."),
            Self::Disconnected(id) => format!(
                "The agent of cluster {id:?} is disconnected: it holds no tunnel to this hub. kubectl get managedclusters -A \
                 -l {}={id} shows when it reported last.",
                api::names::labels::CLUSTER_ID
            ),
            Self::Busy { cluster, limit } => {
                format!("Cluster {cluster:?} already serves {limit} requests of this hub, its limit.")
            }
            Self::Timeout(id) => format!("Cluster {id:?} did not answer in time."),
            Self::Redirect(location) => format!(
                "The server in the child answered with a redirect to {location:?}. Redirects are not followed; ask for that \
                 address if it is the right one."
            ),
            Self::Path => String::from("The path or query of the request is not valid."),
            Self::Tunnel { cluster, source } => {
                format!("The connection to cluster {cluster:?} failed: {source}.")
            }
        };
        match self {
            Self::UnknownCluster(_) | Self::Path => Status::bad_request(text),
            Self::Disconnected(_) => Status::bad_request(text).retry_after(5),
            Self::Busy { .. } => Status::too_many_requests(text).retry_after(1),
            Self::Timeout(_) => Status::timeout(text),
            Self::Redirect(_) => Status::bad_gateway(text),
            Self::NotReady | Self::Tunnel { .. } => Status::unavailable(text).retry_after(1),
        }
    }
}
