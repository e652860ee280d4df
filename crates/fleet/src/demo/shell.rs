//! Where the commands of the story run, and are shown.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
};

use crate::{fleet::Fleet, paths};

/// Where commands run: with a kubeconfig, and the fleet's programs first in the path.
pub(super) struct Shell {
    fleet: Fleet,
    kubeconfig: PathBuf,
}

impl Shell {
    pub(super) fn new(fleet: &Fleet, kubeconfig: &std::path::Path) -> Self {
        Self { fleet: fleet.clone(), kubeconfig: kubeconfig.to_owned() }
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["-c", &format!("exec {line}")])
            .current_dir(paths::workspace())
            .env("PATH", format!("{}:{path}", self.fleet.bin().display()))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.fleet.directory().join("kubectl-cache"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command and shows it with what it prints. It must succeed.
    pub(super) async fn show(&self, line: &str) -> anyhow::Result<()> {
        let progress = self.fleet.progress();
        progress.command(line);
        let status = tokio::time::timeout(Duration::from_secs(60), self.command(line).status())
            .await
            .with_context(|| format!("it does not end: {line}"))??;
        if !status.success() {
            bail!("it failed: {line}");
        }
        Ok(())
    }

    /// Runs a command with standard input, without showing the command.
    pub(super) async fn pipe(&self, line: &str, input: &str) -> anyhow::Result<()> {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        if !child.wait().await?.success() {
            bail!("it failed: {line}");
        }
        Ok(())
    }

    /// Starts a command that runs until it is dropped, and shows it.
    pub(super) fn start(&self, line: &str) -> anyhow::Result<Running> {
        self.fleet.progress().command(line);
        // In a group of its own, because the plug-in runs a kubectl of its own.
        let mut child = self.command(line).process_group(0).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("no standard output")?;
        let lines = BufReader::new(stdout).lines();
        Ok(Running { child, fleet: self.fleet.clone(), line: line.to_owned(), lines })
    }
}

/// A command that runs; it ends when this is dropped.
pub(super) struct Running {
    child: Child,
    fleet: Fleet,
    line: String,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The id is there until the process was waited for, so it cannot be somebody else's by now.
        let group =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

impl Running {
    /// Shows its lines until one holds `wanted`.
    pub(super) async fn until_line(&mut self, wanted: &str) -> anyhow::Result<()> {
        let found = async {
            while let Some(line) = self.lines.next_line().await? {
                self.fleet.progress().line(&line);
                if line.contains(wanted) {
                    return anyhow::Ok(true);
                }
            }
            Ok(false)
        };
        match tokio::time::timeout(Duration::from_secs(30), found).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => bail!("it ended: {}", self.line),
            Ok(Err(cause)) => Err(cause),
            Err(_) => bail!("it never printed {wanted:?}: {}", self.line),
        }
    }
}
