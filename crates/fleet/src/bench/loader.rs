//! Running the release-built load generator.

use std::{path::PathBuf, process::Stdio};

use anyhow::Context as _;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{fleet::Fleet, paths};

/// The program `load`.
pub(super) struct Loader {
    program: PathBuf,
}

/// Something of it that serves until it is dropped.
pub(super) struct Served {
    /// `IP:PORT`.
    pub(super) address: String,
    _process: Child,
}

impl Loader {
    /// Builds it; a debug build would measure itself.
    pub(super) async fn build(fleet: &Fleet) -> anyhow::Result<Self> {
        let step = fleet.progress().begin("load generator (release)");
        let status = Command::new("cargo")
            .args(["build", "--quiet", "--release", "-p", "load"])
            .current_dir(paths::workspace())
            .stdin(Stdio::null())
            .status()
            .await?;
        anyhow::ensure!(status.success(), "the load generator does not build");
        step.done();
        Ok(Self { program: target().join("release/load") })
    }

    /// Runs a command that ends, and reads its line.
    pub(super) async fn run(&self, args: &[String]) -> anyhow::Result<Value> {
        let output =
            Command::new(&self.program).args(args).stdin(Stdio::null()).kill_on_drop(true).output().await?;
        let error = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "load {}: {error}", args.first().map_or("", String::as_str));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Starts a command that serves, and reads its address.
    pub(super) async fn serve(&self, args: &[String]) -> anyhow::Result<Served> {
        let mut process = Command::new(&self.program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().context("no stdout")?;
        let line = BufReader::new(stdout).lines().next_line().await?.context("load ended at once")?;
        let found: Value = serde_json::from_str(&line)?;
        let address = found["address"].as_str().context("no address")?.to_owned();
        Ok(Served { address, _process: process })
    }
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| paths::workspace().join("target"), PathBuf::from)
}

/// A number of a line of JSON.
pub(super) fn number(line: &Value, name: &str) -> anyhow::Result<f64> {
    line[name].as_f64().with_context(|| format!("no {name} in {line}"))
}

/// The middle of some values: what one noisy moment does not move.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_not_moved_by_one_outlier() {
        assert!((median(vec![3.0, 900.0, 1.0]) - 3.0).abs() < f64::EPSILON);
    }
}
