//! Charts and their releases (contract sections 1.8 and 5.9).
//!
//! ```text
//! HelmChart   ─► verify: is the chart there? ─► HelmChart.status                      (in the hub)
//! Description ─► describe: one HelmRelease for each chart, and its credentials         (in the hub)
//! HelmRelease ─► round: look ─► plan ─► fetch ─► install, upgrade, … ─► status        (where it is applied)
//! ```
//!
//! [`pull`] is all of that in the agent, [`push`] all in the hub; [`reach::duty`] says who works for which cluster. In parts:
//! [`follow`] keeps the HelmReleases of one dedicated namespace applied in one cluster, for whoever has a way there
//! ([`Access`]). [`verify`] looks whether the charts of HelmCharts are in their repositories, and [`describe()`] makes the
//! HelmReleases of Descriptions.
//!
//! Pure: `describe`, `plan` (what has to be done), `status`, `trouble` (what a failure means for people), `wanted`. Rounds: `round`.
//! Tasks: `crew`, `watched`, `queue`. Ways out: `access`, `credentials`, `crds`, `parent`, and the crate `helm`.
//!
//! * What is as it is wanted is left alone: a release is compared by chart, version and values. Where the version is a range or
//!   not set, what was found for this generation of the HelmRelease stays.
//! * What fails is tried again with growing pauses, and costs nothing in between.
//! * Where a release is stands on its HelmRelease before it is installed, so that a kill leaves nothing behind that nobody
//!   removes.
//! * An operation that was interrupted is taken back before the next: Helm itself would refuse for ever.
//! * Credentials of repositories come from one Secret of the dedicated namespace ([`api::names::helm::CREDENTIALS`]), which is
//!   all that a cluster may read of the parent's Secrets. The hub reads a pull secret where its owner has let it, in the
//!   namespace of the HelmChart only, and gives it to no repository but the HelmChart's own.
//!
//! Deliberately absent: how Helm is run (crate `helm`), which charts a cluster gets, and drift of what a chart has installed.

mod access;
mod crds;
mod credentials;
mod crew;
mod describe;
mod hub;
mod parent;
mod plan;
mod queue;
mod round;
mod run;
mod status;
mod trouble;
mod verify;
mod wanted;
mod watched;

pub use access::{Access, NoAccess, Own, Way};
pub use crew::{pull, push};
pub use hub::describe;
pub use run::{Credentials, Options, follow};
pub use verify::verify;
