//! Clusterway's API: the kinds, their schemas and the well-known names around them.
//!
//! * [`clusters`]: `clusters.clusternet.io/v1beta1`, stored as CRDs.
//! * [`proxies`]: `proxies.clusternet.io/v1alpha1`, served by the hub, not stored.
//! * [`pedia`]: `cluster.clusterpedia.io/v1alpha2`, what is synchronised from which cluster, stored as CRDs.
//! * [`policy`]: `policy.clusterpedia.io/v1alpha1`, clusters of other platforms, stored as CRDs.
//! * [`search`]: `clusterpedia.io/v1beta1`, served by the hub, not stored; `search.clusterway.io/v1alpha1`, collections of
//!   one's own, stored as a CRD.
//! * [`apps`]: `apps.clusternet.io/v1alpha1`, what is deployed to which clusters; only the CRD of Manifests is installed yet.
//! * [`shadow`]: `shadow/v1alpha1`, templates of ordinary objects, served by the hub and stored as Manifests.
//! * [`conditions`]: how a condition is put among others.
//! * [`names`]: labels, annotations, object names; the only place where such a string is spelled.
//! * [`crds`]: the CRD objects as generated into `deploy/crds`.
//!
//! Deliberately absent: I/O, and any behaviour beyond defaults and validation of a single object.

pub mod apps;
pub mod clusters;
pub mod conditions;
pub mod crds;
pub mod names;
pub mod pedia;
pub mod policy;
pub mod proxies;
mod schema;
pub mod search;
pub mod shadow;
