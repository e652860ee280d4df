//! The shadow API, `shadow/v1alpha1`: ordinary objects that the parent only keeps (contract `clusternet.md`, section 4.8).
//!
//! ```text
//!                                   Catalogue: which kinds there are
//!                                        ▼
//! kubectl ─► apiserver ─► Shadow: kind, scope ─► patch ─► trim ─► check ─► Manifest ─► parent
//!                                                                  ├ dry run, for who may do it for real
//!                                                                  └ the parent's schema, with a Warning
//! ```
//!
//! A Deployment sent to `/apis/shadow/v1alpha1/namespaces/qux/deployments` becomes the template of the Manifest
//! `deployments.qux.web` in the reserved namespace, where no controller of the parent acts on it, and is read back as the
//! Deployment it was. What is pure is in modules of its own (names, conversion, trimming, patches, schemas, tables); what asks
//! the parent goes over one [`kubeio::Transport`].
//!
//! Deliberately absent: authentication and the right to the group `shadow` itself (`apiserver` has seen to that), copies of
//! Manifests in memory (every answer is the parent's own state), deploying anything, finalizers of Manifests, and
//! `deletecollection`, which is answered and does nothing: it is how the parent clears a namespace that is deleted, and
//! templates have to outlive that. For the same reason discovery does not offer `delete`, though it is served.

mod answer;
mod apply;
mod catalogue;
mod check;
mod definition;
mod follow;
mod identity;
mod manifest;
mod object;
mod parent;
mod patch;
mod preset;
mod read;
mod route;
mod scale;
mod scaling;
mod schema;
mod serve;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod trim;
mod validate;
mod write;

pub use catalogue::Catalogue;
pub use parent::KubeTransport;
pub use preset::{DRY_RUN, DryRun};
pub use serve::Shadow;
