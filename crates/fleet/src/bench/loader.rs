//! Running the release-built load generator.

use std::{path::PathBuf, process::Stdio};

use anyhow::Context as _;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{cargo::cargo, cluster::Cluster, fleet::Fleet, paths};

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
        Self::build_as(fleet, "release").await
    }

    /// Builds it with another cargo profile, for working on a benchmark.
    pub(super) async fn build_as(fleet: &Fleet, profile: &str) -> anyhow::Result<Self> {
        let step = fleet.progress().begin(format_args!("load generator ({profile})"));
        let build = ["build", "--quiet", "--profile", profile, "-p", "load", "--target-dir"];
        let status = cargo(&build).arg(built()).status().await?;
        anyhow::ensure!(status.success(), "the load generator does not build");
        step.done();
        let directory = if profile == "dev" { "debug" } else { profile };
        Ok(Self { program: built().join(directory).join("load") })
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

/// Somebody with a client certificate of a cluster.
pub(super) struct User {
    cluster: Cluster,
    certificate: PathBuf,
    key: PathBuf,
}

impl User {
    /// Made by the cluster's authority.
    pub(super) fn new(fleet: &Fleet, cluster: &Cluster, name: &str, groups: &[&str]) -> anyhow::Result<Self> {
        let pair = cluster.authority()?.client(name, groups)?;
        let file = |extension| fleet.directory().join(format!("{}-{name}.{extension}", cluster.name));
        let user = Self { cluster: cluster.clone(), certificate: file("crt"), key: file("key") };
        paths::write(&user.certificate, &pair.certificate)?;
        paths::write(&user.key, &pair.key)?;
        Ok(user)
    }

    /// A path of the cluster's API server, asked for by this user.
    pub(super) fn target(&self, path: &str) -> Vec<String> {
        let mut words = target(&self.cluster, path);
        words.push(format!("--certificate={}", self.certificate.display()));
        words.push(format!("--key={}", self.key.display()));
        words
    }
}

/// A path of a cluster's API server, asked for by nobody.
pub(super) fn target(cluster: &Cluster, path: &str) -> Vec<String> {
    vec![
        format!("--url={}{path}", cluster.url()),
        format!("--ca={}", cluster.directory.join("pki/ca.crt").display()),
    ]
}

/// A header with a token, by way of a file: command lines are there for all to see.
pub(super) fn header(cluster: &Cluster, name: &str, token: &str) -> anyhow::Result<String> {
    let path = cluster.directory.join(format!("bench-{}", name.to_lowercase()));
    paths::write(&path, format!("{name}: Bearer {token}"))?;
    Ok(format!("--header=@{}", path.display()))
}

/// A command and the rest of its words.
pub(super) fn words(command: &str, rest: &[String]) -> Vec<String> {
    std::iter::once(command.to_owned()).chain(rest.iter().cloned()).collect()
}

/// A command that asks a target so often, and with so many connections.
pub(super) fn asked(command: &str, target: &[String], workers: usize, requests: usize) -> Vec<String> {
    let mut all = words(command, target);
    all.extend([format!("--workers={workers}"), format!("--requests={requests}")]);
    all
}

/// Where cargo puts what it builds for benchmarks: not beside the programs, which have other features of the same crates
/// and would be built anew each time.
pub(super) fn built() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| paths::workspace().join("target"), PathBuf::from).join("bench")
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
