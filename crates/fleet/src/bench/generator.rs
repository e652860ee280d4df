//! The load generator: a program of its own, always built with optimisation.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::{cluster::Cluster, fleet::Fleet, install, paths, pki::Pair, seed};

/// The built generator.
pub(super) struct Generator {
    program: PathBuf,
}

/// A part of the generator that runs until it is dropped, and where it listens.
pub(super) struct Server {
    _process: Child,
    pub(super) address: String,
}

impl Generator {
    /// Builds it.
    pub(super) async fn build() -> anyhow::Result<Self> {
        let programs = install::cargo_build(&["--profile", "release", "-p", "load"]).await?;
        let program = programs.into_iter().find(|path| path.ends_with("load")).context("no program called load")?;
        Ok(Self { program })
    }

    /// Runs one measurement and gives its line.
    pub(super) async fn measure(&self, args: &[String]) -> anyhow::Result<Value> {
        let mut command = Command::new(&self.program);
        let output = command.args(args).stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(300), output).await.context("load does not end")??;
        if !output.status.success() {
            bail!("load {}: {}", args.first().map_or("", String::as_str), String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("load printed no JSON")
    }

    /// Starts a server of it.
    pub(super) async fn serve(&self, args: &[String]) -> anyhow::Result<Server> {
        let mut process = Command::new(&self.program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("no standard output")?).lines();
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.context("load does not listen")??;
        let line: Value = serde_json::from_str(&line.context("load ended")?)?;
        let address = line.get("address").and_then(Value::as_str).context("no address")?.to_owned();
        Ok(Server { _process: process, address })
    }
}

/// What is asked: a URL, and as whom.
#[derive(Clone)]
pub(super) struct Question(Vec<String>);

impl Question {
    /// A path of a child's API server, asked of it directly.
    pub(super) async fn direct(child: &Cluster, path: &str) -> anyhow::Result<Self> {
        let token = child.token_of(seed::NAMESPACE, "visitor").await?;
        Ok(Self(vec![
            format!("--url={}{path}", child.url()),
            format!("--ca={}", child.authority()?.certificate_file().display()),
            format!("--header=Authorization: Bearer {token}"),
        ]))
    }

    /// A path behind a child's `…/proxy`, asked through the parent by an ordinary visitor.
    pub(super) async fn through(fleet: &Fleet, child: &Cluster, path: &str) -> anyhow::Result<Self> {
        let registered = fleet.registered(child).await?.context("the child is not registered")?;
        let token = child.token_of(seed::NAMESPACE, "visitor").await?;
        let visit = install::visit_path(&registered.id);
        let proxy = visit.trim_end_matches("/direct");
        let mut question = Self::of_parent(fleet, &format!("{proxy}{path}"))?;
        question.0.push(format!("--header=Clusterway-Child-Authorization: Bearer {token}"));
        Ok(question)
    }

    /// A path of the parent.
    pub(super) fn of_parent(fleet: &Fleet, path: &str) -> anyhow::Result<Self> {
        let parent = fleet.parent()?;
        let group = "bench-visitors";
        let directory = parent.directory.join("users/bench");
        let certificate = directory.join("visitor.crt");
        if !certificate.is_file() {
            let pair: Pair = parent.authority()?.client("bench", &[group])?;
            pair.write(&directory, "visitor")?;
        }
        Ok(Self(vec![
            format!("--url={}{path}", parent.url()),
            format!("--ca={}", parent.authority()?.certificate_file().display()),
            format!("--certificate={}", certificate.display()),
            format!("--key={}", directory.join("visitor.key").display()),
        ]))
    }

    /// Any other URL with its CA.
    pub(super) fn of(url: &str, authority: &std::path::Path) -> Self {
        Self(vec![format!("--url={url}"), format!("--ca={}", authority.display())])
    }

    /// The arguments of a command of the generator.
    pub(super) fn args(&self, command: &str, more: &[&str]) -> Vec<String> {
        let mut args = vec![command.to_owned()];
        args.extend(self.0.iter().cloned());
        args.extend(more.iter().map(|&argument| argument.to_owned()));
        args
    }
}

/// Lets the benchmarks' visitor into every child, and gives it something to look at.
pub(super) async fn admit(fleet: &Fleet) -> anyhow::Result<()> {
    let example = std::fs::read_to_string(paths::workspace().join("deploy/examples/visit-one-cluster.yaml"))?;
    for child in fleet.children() {
        child.apply(&crate::e2e::runner::visitor_manifest()).await?;
        let registered = fleet.registered(&child).await?.context("the child is not registered")?;
        let manifest = example.replace("$CLUSTERID", &registered.id).replace("$GROUP", "bench-visitors");
        fleet.parent()?.apply(&manifest).await?;
    }
    Ok(())
}

/// A number of a measurement.
pub(super) fn number(line: &Value, field: &str) -> anyhow::Result<f64> {
    line.get(field).and_then(Value::as_f64).with_context(|| format!("load told no {field}"))
}
