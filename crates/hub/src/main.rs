//! `clusterway-hub`: wires the services of the parent together and nothing else.
//!
//! Deliberately absent: behaviour. Each line here hands one part to another.

mod args;
mod wiring;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;
use runtime::Tasks;

use crate::args::Args;

/// How long a shutdown may take: tunnels drain within 10 s, requests within as much.
const SHUTDOWN: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() -> ExitCode {
    runtime::tls::install_crypto_provider();
    let args = Args::parse();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may be what failed.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    runtime::logging::init(args.log_format, &args.log)?;
    let tasks = Tasks::new();
    wiring::start(&tasks, args).await?;
    tasks.until_asked_to_end().await?;
    match tasks.shutdown(SHUTDOWN).await {
        None => Ok(()),
        Some(failure) => Err(failure),
    }
}
