//! `clusterway-agent`: wires registration, tunnel and visits of one child together and nothing else.
//!
//! Deliberately absent: behaviour. Each line here hands one part to another.

mod args;
mod wiring;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;
use runtime::Tasks;

use crate::args::Args;

/// How long a shutdown may take: the tunnel drains within 10 s.
const SHUTDOWN: Duration = Duration::from_secs(15);

// Two threads serve one tunnel well; more only cost memory on a small box.
#[tokio::main(flavor = "current_thread")]
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
