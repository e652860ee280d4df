//! Clusterway's API: the kinds, their schemas and the well-known names around them.
//!
//! * [`clusters`]: `clusters.clusternet.io/v1beta1`, stored as CRDs.
//! * [`proxies`]: `proxies.clusternet.io/v1alpha1`, served by the hub, not stored.
//! * [`names`]: labels, annotations, object names; the only place where such a string is spelled.
//! * [`crds`]: the CRD objects as generated into `deploy/crds`.
//!
//! Deliberately absent: I/O, and any behaviour beyond defaults and validation of a single object.

pub mod clusters;
pub mod crds;
pub mod names;
pub mod proxies;
mod schema;
