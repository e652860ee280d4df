//! `clusterway-hub`: wires the services of the parent together and nothing else.
//!
//! Deliberately absent: behaviour. Each line here hands one part to another.

mod args;
mod search;
mod storage;
mod wiring;

use std::{process::ExitCode, time::Duration};

use clap::Parser as _;

use crate::args::Args;

/// How long a shutdown may take: tunnels drain within 10 s, requests within as much.
const SHUTDOWN: Duration = Duration::from_secs(25);

#[tokio::main]
async fn main() -> ExitCode {
    runtime::tls::install_crypto_provider();
    let args = Args::parse();
    let log = args.log.clone();
    runtime::program::run(&log, SHUTDOWN, async |tasks| wiring::start(tasks, args).await).await
}
