//! The life of a long-running program, from its log to its exit code.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::{Tasks, logging};

/// Flags of every program.
#[derive(Debug, Clone, clap::Args)]
pub struct LogFlags {
    /// How log lines are written: text or json.
    #[arg(long, default_value = "text", value_name = "FORMAT")]
    pub log_format: logging::Format,

    /// What is logged: a level, or levels per module such as info,registration=debug. A hub's target audit has the
    /// visits.
    #[arg(long, default_value = "info", env = "CLUSTERWAY_LOG", value_name = "FILTER")]
    pub log: String,
}

/// The cluster a program works in: that of a kubeconfig, or the one whose Pod it is.
pub async fn own_cluster(kubeconfig: Option<&Path>) -> anyhow::Result<Config> {
    Ok(match kubeconfig {
        Some(path) => {
            let kubeconfig =
                Kubeconfig::read_from(path).with_context(|| format!("--kubeconfig {}", path.display()))?;
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?
        }
        None => Config::incluster()
            .context("no --kubeconfig was given, and this is no Pod with a ServiceAccount")?,
    })
}

/// Starts logging and then, with `start`, the program's parts; waits until the program is asked to end, and gives the
/// parts as long as `shutdown` for it. The first failure is told on stderr and is the exit code.
pub async fn run(
    log: &LogFlags,
    shutdown: Duration,
    start: impl AsyncFnOnce(&Tasks) -> anyhow::Result<()>,
) -> ExitCode {
    let ended = async {
        logging::init(log.log_format, &log.log)?;
        let tasks = Tasks::new();
        start(&tasks).await?;
        tasks.until_asked_to_end().await?;
        tasks.shutdown(shutdown).await.map_or(Ok(()), Err)
    };
    match ended.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may be what failed.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
