//! The executable.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::sync::Semaphore;

use crate::{
    command::command,
    error::{Error, Step},
    limits::Limits,
    mask::Mask,
    process::{self, Failure},
    workspace::Workspace,
};

/// How long it may take to tell its version.
const QUICK: Duration = Duration::from_secs(30);

/// The `helm` executable, with the bounds of what it does. Clones share both.
#[derive(Debug, Clone)]
pub struct Helm(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    program: PathBuf,
    limits: Limits,
    temporary: PathBuf,
    permits: Semaphore,
    version: String,
}

impl Helm {
    /// The executable at `program`, after it has told its version. What operations need is written below the directory
    /// `temporary`.
    ///
    /// # Errors
    /// [`Error::Program`] if it is not there, cannot be run, or is not Helm 3.
    pub async fn open(program: &Path, temporary: &Path, limits: Limits) -> Result<Self, Error> {
        let inner = |version: String| Inner {
            program: program.to_owned(),
            permits: Semaphore::new(limits.concurrency.max(1)),
            limits: limits.clone(),
            temporary: temporary.to_owned(),
            version,
        };
        let unknown = Self(Arc::new(inner(String::new())));
        let workspace = unknown.workspace()?;
        let args = ["version", "--template", "{{.Version}}"];
        let printed = unknown.run(&workspace, args, &Mask::default(), Step::Release, QUICK).await;
        let printed = printed.map_err(|error| match error {
            Error::Program(why) => Error::Program(format!("{}: {why}", program.display())),
            other => Error::Program(format!("{} does not tell its version: {other}", program.display())),
        })?;
        let version = String::from_utf8_lossy(&printed).trim().to_owned();
        if !version.starts_with("v3.") {
            let found = if version.is_empty() { "no version" } else { &version };
            let program = program.display();
            return Err(Error::Program(format!(
                "{program} is {found}, and Helm 3 is needed (3.21 is what is tested)"
            )));
        }
        Ok(Self(Arc::new(inner(version))))
    }

    /// The version it tells, such as `v3.21`.
    pub fn version(&self) -> &str {
        &self.0.version
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn workspace(&self) -> Result<Workspace, Error> {
        Workspace::new(&self.0.temporary)
    }

    /// Runs Helm once, when there is room for it, and returns what it printed. `mask` is taken out of what it says.
    pub(crate) async fn run(
        &self,
        workspace: &Workspace,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        mask: &Mask,
        step: Step,
        deadline: Duration,
    ) -> Result<Vec<u8>, Error> {
        let command = command(&self.0.program, workspace, &self.0.limits, args);
        // It is closed by nobody.
        let Ok(_permit) = self.0.permits.acquire().await else {
            return Err(Error::Program(String::from("the program is ending")));
        };
        let result = process::run(command, &self.0.limits, deadline).await;
        result.map_err(|failure| {
            let failure = match failure {
                Failure::Exit { said, printed } => {
                    Failure::Exit { said: mask.hide(&said), printed: mask.hide(&printed) }
                }
                other => other,
            };
            Error::of(failure, step)
        })
    }
}
