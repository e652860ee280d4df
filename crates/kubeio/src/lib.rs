//! The client for other people's clusters: discovery, raw lists and watches, and single writes, over HTTP/2.
//!
//! ```text
//! Follower (list, watch, resume, relist) ─► List, Watch ─► Transport ─► Direct ══ HTTP/2 ══ API server
//!                                          discover()  ─┘           └► whoever else has a way to the cluster
//! ```
//!
//! * [`Transport`]: a way to the API server of one cluster. [`Direct`] goes to an address, [`Limited`] spares it.
//! * [`Exchange`]: a request of somebody else's, passed on with its body, upgrades included.
//! * [`ClusterAccess`]: where a cluster is and how it is entered, from values or from a kubeconfig.
//! * [`discover`]: what a cluster has.
//! * [`List`], [`Watch`]: objects as bytes, one after the other, as they arrive.
//! * [`Follower`]: one resource from now on, for ever. [`is_before`] compares resource versions.
//! * [`Write`], [`call`]: one write of one object, and its whole answer.
//!
//! Everything is pulled: nothing is read from a cluster before its caller asks for the next step, beyond the window
//! of the stream (256 KiB). So a slow caller slows the cluster's answer and nothing else, and memory is one object and
//! one window for each request.
//!
//! Deliberately absent: decoding of objects (bytes in, bytes out), caches, and any knowledge of Clusterway's own kinds.
//! Streaming lists (`sendInitialEvents`) are not used: a list is cut into items while it arrives, so they would save this side
//! nothing, and servers differ in whether they work.

mod access;
mod denial;
mod direct;
mod discovery;
mod error;
#[cfg(test)]
mod fake;
mod follow;
mod limited;
mod list;
mod request;
mod resource;
mod selection;
mod transport;
mod watch;
mod write;

pub use access::{
    AccessError, Authorization, ClientCertificate, ClusterAccess, FileReferences, Secret, Trust,
};
pub use denial::denier;
pub use direct::{Direct, Exchange};
pub use discovery::{ApiResource, Discovered, Unavailable, discover};
pub use error::Error;
pub use follow::{FollowRequest, Follower, Step, is_before};
pub use limited::Limited;
pub use list::{List, ListAt, ListRequest};
pub use request::{get, status_of};
pub use resource::Resource;
pub use selection::Selection;
pub use transport::{Body, BoxError, Lane, Transport};
pub use watch::{Watch, WatchRequest};
pub use write::{Write, call};
