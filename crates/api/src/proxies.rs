//! `proxies.clusternet.io/v1alpha1`: the door to the children. Served by the hub, stored nowhere.

use serde::{Deserialize, Serialize};

/// The API group of [`Socket`].
pub const GROUP: &str = "proxies.clusternet.io";
/// The API version of [`Socket`].
pub const VERSION: &str = "v1alpha1";
/// The resource (plural) of [`Socket`].
pub const RESOURCE: &str = "sockets";

/// The connection to one child; its name is the cluster id. It can only be connected to, through its subresources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Socket {
    /// The path behind `/proxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// The path of a child's API server behind the parent's address: append an API path such as `/api/v1/nodes`.
pub fn direct_path(cluster_id: &str) -> String {
    format!("/apis/{GROUP}/{VERSION}/{RESOURCE}/{cluster_id}/proxy/direct")
}

/// The path an agent opens its tunnel on. The parent counts `attach` as long-running, so a tunnel holds no seat of
/// its priority-and-fairness queues.
pub fn tunnel_path(cluster_id: &str) -> String {
    format!("/apis/{GROUP}/{VERSION}/{RESOURCE}/{cluster_id}/attach")
}
