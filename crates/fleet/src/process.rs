//! Processes that outlive the command that started them.
//!
//! A process is known by its pid *and* its start time, so that a recycled pid is never taken for it, and never ended.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::wait;

/// What to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// The process's name in its fleet, such as `child1/kwok`.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment variables beside the inherited ones.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Where its output goes.
    pub log: PathBuf,
}

/// A process that was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Process {
    /// What was run.
    #[serde(flatten)]
    pub spec: Spec,
    /// Its process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot.
    started: u64,
    /// The boot its pid belongs to.
    boot: String,
}

impl Process {
    /// Starts `spec` in a process group of its own, so that an interrupt of the caller does not reach it.
    pub fn start(spec: Spec) -> anyhow::Result<Self> {
        if let Some(directory) = spec.log.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&spec.log)
            .with_context(|| format!("cannot open the log {}", spec.log.display()))?;
        // Dropping the handle leaves the process running; tokio reaps it in the background.
        let child = tokio::process::Command::new(&spec.program)
            .args(&spec.args)
            .envs(&spec.env)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(false)
            .spawn()
            .with_context(|| format!("cannot start {} ({})", spec.name, spec.program.display()))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).context("the process ended at once")?;
        let Some(started) = running_since(pid) else {
            bail!("{} ended at once.{}", spec.name, tail(&spec.log));
        };
        Ok(Self { spec, pid, started, boot: boot() })
    }

    /// Whether it still runs.
    pub fn alive(&self) -> bool {
        self.boot == boot() && running_since(self.pid) == Some(self.started)
    }

    /// Sends a signal, if it still runs.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        // The descriptor pins the process: what is looked at next is what gets the signal.
        let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
        if !self.alive() {
            return Ok(());
        }
        match pidfd_send_signal(descriptor, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(cause) => Err(std::io::Error::from_raw_os_error(cause.raw_os_error()))
                .with_context(|| format!("cannot signal {} (pid {})", self.spec.name, self.pid)),
        }
    }

    /// Ends it without a warning, and waits until it is gone.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)?;
        self.gone(Duration::from_secs(10)).await
    }

    /// Asks it to end, insists after `grace`, and waits until it is gone.
    pub async fn stop(&self, grace: Duration) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        if self.gone(grace).await.is_ok() {
            return Ok(());
        }
        self.kill().await
    }

    async fn gone(&self, deadline: Duration) -> anyhow::Result<()> {
        wait::until_true(format_args!("{} to end", self.spec.name), deadline, || async { Ok(!self.alive()) })
            .await
    }

    /// The end of its log, as a part of an error message.
    pub fn log_tail(&self) -> String {
        tail(&self.spec.log)
    }

    /// Resident memory in bytes, `None` once it has ended.
    pub fn resident(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory since it started or [`Process::forget_peak`], in bytes; `None` once it has ended.
    pub fn peak(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    /// The peak is what is resident now.
    pub fn forget_peak(&self) -> anyhow::Result<()> {
        if !self.alive() {
            bail!("{} has ended", self.spec.name);
        }
        std::fs::write(format!("/proc/{}/clear_refs", self.pid), "5").context("/proc/PID/clear_refs")
    }

    fn memory(&self, which: &str) -> Option<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid)).ok().filter(|_| self.alive())?;
        let line = status.lines().find_map(|line| line.strip_prefix(which))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
    }

    /// Processor time used so far, `None` once it has ended.
    pub fn processor_time(&self) -> Option<Duration> {
        let fields = stat(self.pid).filter(|_| self.alive())?;
        let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
        // USER_HZ is 100 on every Linux we support.
        Some(Duration::from_millis(ticks * 10))
    }
}

/// The last lines of a log, as a part of an error message.
pub fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
    format!("\nThe end of {}:\n  {}", log.display(), last.join("\n  "))
}

/// The fields of `/proc/PID/stat` after the command, which may itself hold blanks and brackets.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

/// The start time of a running process; a zombie does not run. One with threads that have yet to end still holds its
/// files and ports.
fn running_since(pid: i32) -> Option<u64> {
    let fields = stat(pid)?;
    let threads: u32 = fields.get(17)?.parse().ok()?;
    if matches!((fields.first()?.as_str(), threads), ("X", _) | ("Z", 0 | 1)) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(directory: &Path) -> Process {
        Process::start(Spec {
            name: "sleeper".into(),
            program: "sleep".into(),
            args: vec!["60".into()],
            env: BTreeMap::new(),
            log: directory.join("sleeper.log"),
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_process_is_alive_until_it_is_stopped() {
        let directory = std::env::temp_dir().join(format!("fleet-process-{}", std::process::id()));
        let process = sleeper(&directory);
        assert!(process.alive() && process.resident().is_some());
        process.forget_peak().unwrap();
        // It may still grow: the peak is read last.
        let resident = process.resident();
        assert!(process.peak() >= resident);
        process.stop(Duration::from_secs(5)).await.unwrap();
        assert!(!process.alive());
        let _ = std::fs::remove_dir_all(directory);
    }

    #[tokio::test]
    async fn a_recycled_pid_is_neither_alive_nor_ended() {
        let directory = std::env::temp_dir().join(format!("fleet-recycled-{}", std::process::id()));
        let process = sleeper(&directory);
        let mut recycled = process.clone();
        recycled.started += 1;
        assert!(!recycled.alive());
        recycled.kill().await.unwrap();
        assert!(process.alive(), "somebody else's process was ended");
        process.kill().await.unwrap();
        let _ = std::fs::remove_dir_all(directory);
    }
}
