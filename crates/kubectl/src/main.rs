//! `kubectl-clusterway`, the kubectl plug-in; also answers to the name `kubectl-clusternet`.
//!
//! It visits a child with the caller's own kubectl, and saves typing for what plain kubectl can do too: listing
//! clusters, making registration tokens, writing kubeconfigs.
//!
//! Deliberately absent: commands of kubectl's own. They are kubectl's, of whatever version the caller has.

mod args;
mod child;
mod clusters;
mod failure;
mod parent;
mod passthrough;
mod relay;

use std::{ffi::OsString, process::ExitCode};

use crate::{
    args::{
        Cli, Command, Name, TokenCommand,
        split::{Call, split},
    },
    failure::Failure,
};

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    runtime::tls::install_crypto_provider();
    let mut line = std::env::args_os();
    let name = Name::of(&line.next().unwrap_or_default().to_string_lossy());
    let line: Vec<OsString> = line.collect();
    match run(name, &line).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(name: Name, line: &[OsString]) -> Result<ExitCode, Failure> {
    match split(line) {
        Call::Visit { ours, kubectl } => {
            let cli = read(name, &ours);
            let cluster = cli.cluster_id.clone().unwrap_or_default();
            passthrough::visit(&cli, &cluster, &kubectl).await
        }
        Call::KubectlHelp(kubectl) => passthrough::plain(&kubectl).await,
        Call::NoCluster { verb } => Err(Failure::new(format!("in which cluster shall kubectl {verb} run?"))
            .because("--cluster-id is missing")
            .next(format!(
                "kubectl {0} clusters lists the clusters; then kubectl {0} --cluster-id CLUSTER {verb} …",
                name.word()
            ))),
        Call::Ours(line) => ours(name, read(name, &line)).await,
    }
}

/// Reads our flags, or prints help or what is wrong with them, and exits.
fn read(name: Name, words: &[OsString]) -> Cli {
    args::parse(name, words).unwrap_or_else(|error| error.exit())
}

async fn ours(name: Name, cli: Cli) -> Result<ExitCode, Failure> {
    Ok(ExitCode::SUCCESS)
}
