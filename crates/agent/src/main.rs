//! `clusterway-agent`: wires registration, tunnel and visits of one child together and nothing else.
//!
//! Deliberately absent: behaviour. Each line here hands one part to another.

mod args;
mod deploying;
mod wiring;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;

use crate::args::Args;

/// How long a shutdown may take: the tunnel drains within 10 s.
const SHUTDOWN: Duration = Duration::from_secs(15);

// One thread carries one tunnel faster than two that wake each other, and needs less memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    runtime::tls::install_crypto_provider();
    let args = Args::parse();
    let log = args.log.clone();
    runtime::program::run(&log, SHUTDOWN, async |tasks| wiring::start(tasks, args).await).await
}
