//! Helm, through its executable: one process for each operation, and nothing of it left behind.
//!
//! * [`Helm`] is the executable with the bounds it runs in.
//! * [`Helm::fetch`] gets a [`Chart`] from a [`Repository`]: an HTTP repository or an OCI registry.
//! * [`Helm::install`], [`Helm::upgrade`], [`Helm::rollback`], [`Helm::uninstall`] change the release of a [`Target`];
//!   [`Helm::release`], [`Helm::history`] and [`Helm::manifest`] say how it stands.
//! * An [`Error`] says what the caller can do about it.
//!
//! Made for **Helm 3** and tested with 3.21; Helm 4 has other flags and is refused when it is opened. A release is kept where
//! Helm keeps it, in Secrets of its namespace, so that `helm list` and `helm history` show it.
//!
//! Every process is one of its own group, with a deadline, and bounds on its memory, the files it writes and what it prints.
//! It sees an environment made for it, directories of its own that nobody else can read, and no plug-ins. The group is
//! killed when the operation is dropped. Certificates of repositories, registries and clusters are always verified.
//!
//! Deliberately absent: rendering or templates of our own, knowledge of our controllers, and retries. A credential or a value
//! is never an argument, an environment variable or part of an error: it is in a file with mode 0600 in a directory with mode
//! 0700, for as long as the operation lasts.

mod chart;
mod command;
mod error;
mod fetch;
mod limits;
mod mask;
mod options;
mod process;
mod program;
mod release;
mod repository;
mod target;
mod workspace;

pub use chart::{Chart, Metadata};
pub use error::Error;
pub use limits::Limits;
pub use options::{InstallOptions, UninstallOptions, UpgradeOptions};
pub use program::Helm;
pub use release::{Phase, Release, Revision};
pub use repository::{Credentials, Repository};
pub use target::{Cluster, Target};
