//! `cargo xtask`: everything a developer runs. Thin: the work is done by `fleet`.

use clap::{Parser, Subcommand};
use fleet::{Fleet, Progress, Tools};

mod check;
mod r#gen;

/// What a developer of Clusterway runs.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Finds or builds the Kubernetes programs of the fleet, and prints their versions.
    Tools,
    /// Writes what is generated and checked in.
    Gen {
        /// Only tell whether it is up to date.
        #[arg(long)]
        check: bool,
    },
    /// Shows what Clusterway does, step by step, on a fleet of real clusters.
    Demo {
        /// Afterwards, ends everything the demo started, and nothing else.
        #[arg(long)]
        teardown: bool,
        /// The cargo profile of the programs; dev builds faster.
        #[arg(long, default_value = "release", value_name = "PROFILE")]
        profile: String,
    },
    /// Runs everything continuous integration runs.
    Test {
        /// Only what needs no clusters: format, lints, unit tests.
        #[arg(long, conflicts_with = "e2e")]
        unit: bool,
        /// Only the end-to-end tests, or one of them, or the scenarios of the files whose names begin so.
        #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "")]
        e2e: Option<String>,
        /// Leave the tests' fleet up afterwards, and use it if it is up: for working on one test.
        #[arg(long)]
        keep: bool,
        /// The cargo profile of the programs under test; dev builds faster.
        #[arg(long, default_value = "dev", value_name = "PROFILE")]
        profile: String,
    },
    /// Takes the figures of docs/benchmarks.md, each with its reference, on the fleet that is up and installed.
    Bench {
        /// Only this benchmark.
        name: Option<String>,
        /// One JSON object per line instead of a table.
        #[arg(long)]
        json: bool,
        /// How many pods the benchmark search has in its store: fewer for working on it.
        #[arg(long, default_value_t = 1_000_000, value_name = "N")]
        pods: u32,
        /// How many clusters the benchmark fanout simulates: fewer for working on it.
        #[arg(long, default_value_t = 500, value_name = "N")]
        clusters: usize,
        /// How often the benchmark fanout is repeated at most: fewer for working on it.
        #[arg(long, default_value_t = 5, value_name = "N")]
        rounds: usize,
        /// The cargo profile of the load generator of the benchmark fanout; dev is for working on it.
        #[arg(long, default_value = "release", value_name = "PROFILE")]
        profile: String,
    },
    /// One parent and its children, as processes on this machine.
    #[command(subcommand)]
    Fleet(FleetCommand),
}

#[derive(Debug, Subcommand)]
enum FleetCommand {
    /// Starts the clusters, as far as they do not run; kubeconfigs are in target/fleet/NAME/kubeconfig.
    Up {
        /// How many children.
        #[arg(long, default_value_t = 2, value_name = "N")]
        children: u8,
    },
    /// Builds Clusterway and runs it: the hub beside the parent, an agent beside each child; logs are in
    /// target/fleet/log.
    Install {
        /// The cargo profile of the programs; dev builds faster.
        #[arg(long, default_value = "release", value_name = "PROFILE")]
        profile: String,
    },
    /// Creates many pods in one child.
    Load {
        /// Which.
        #[arg(long, default_value = "child1", value_name = "NAME")]
        child: String,
        /// How many there shall be.
        #[arg(long, default_value_t = 20_000, value_name = "N")]
        pods: u32,
    },
    /// Ends the processes that were started, and only those, and forgets their data.
    Down,
}

fn main() -> std::process::ExitCode {
    let args = Args::parse();
    runtime::tls::install_crypto_provider();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(args)));
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            Progress::new().failed(format_args!("{error:#}"));
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let progress = Progress::new();
    match args.command {
        Command::Tools => {
            for (program, version) in Tools::ensure(progress).await?.versions().await? {
                progress.done(format_args!("{version}  {}", program.display()));
            }
            Ok(())
        }
        Command::Gen { check } => r#gen::run(check),
        Command::Fleet(command) => run_fleet(command, progress).await,
        Command::Demo { teardown, profile } => {
            let told = Box::pin(demo(profile, teardown, progress)).await;
            let ended = if teardown { Fleet::down(fleet::DEFAULT, progress).await } else { Ok(()) };
            told.and(ended)
        }
        Command::Test { unit, e2e, keep, profile } => {
            let scope = match e2e {
                _ if unit => check::Scope::Unit,
                None => check::Scope::All,
                Some(only) => check::Scope::EndToEnd(Some(only).filter(|only| !only.is_empty())),
            };
            Box::pin(check::run(scope, &check::Options { profile, keep }, progress)).await
        }
        Command::Bench { name, json, pods, clusters, rounds, profile } => {
            let options = fleet::bench::Options { pods, clusters, rounds, profile };
            bench(name.as_deref(), json, &options, progress).await
        }
    }
}

async fn demo(profile: String, teardown: bool, progress: Progress) -> anyhow::Result<()> {
    progress.title("A parent and two children: real Kubernetes control planes, as processes on this machine");
    progress.command("cargo xtask fleet up");
    let fleet = up(2, progress).await?;
    let options = fleet::install::Options { profile, ..fleet::install::Options::default() };
    tokio::select! {
        result = fleet::demo::run(&fleet, &options) => result?,
        () = fleet::interrupted() => anyhow::bail!("interrupted; `cargo xtask fleet down` ends what runs"),
    }
    if !teardown {
        progress.line(format_args!("\nThe fleet keeps running; `cargo xtask fleet down` ends it."));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures are the command's data")]
async fn bench(
    only: Option<&str>,
    json: bool,
    options: &fleet::bench::Options,
    progress: Progress,
) -> anyhow::Result<()> {
    let fleet = Fleet::open(fleet::DEFAULT, progress).await?;
    let mut missed = 0;
    for bench in fleet::bench::all().into_iter().filter(|bench| only.is_none_or(|only| only == bench.name)) {
        let figures = (bench.run)(&fleet, options)
            .await
            .unwrap_or_else(|cause| vec![fleet::bench::Figure::failed(bench.name, &cause)]);
        for figure in figures {
            missed += usize::from(!figure.ok);
            println!("{}", if json { serde_json::to_string(&figure)? } else { figure.row() });
        }
    }
    anyhow::ensure!(missed == 0, "{missed} figures miss their budget");
    Ok(())
}

async fn run_fleet(command: FleetCommand, progress: Progress) -> anyhow::Result<()> {
    match command {
        FleetCommand::Up { children } => {
            let fleet = up(children, progress).await?;
            for cluster in fleet.clusters() {
                progress.note(format_args!("export KUBECONFIG={}", cluster.kubeconfig().display()));
            }
            Ok(())
        }
        FleetCommand::Install { profile } => {
            let fleet = Fleet::open(fleet::DEFAULT, progress).await?;
            fleet.install(&fleet::install::Options { profile, ..fleet::install::Options::default() }).await
        }
        FleetCommand::Load { child, pods } => {
            let fleet = Fleet::open(fleet::DEFAULT, progress).await?;
            fleet::load::load(&fleet, &fleet.cluster(&child)?, pods).await
        }
        FleetCommand::Down => Fleet::down(fleet::DEFAULT, progress).await,
    }
}

/// Brings the developer's fleet up. An interrupted first start leaves nothing behind.
async fn up(children: u8, progress: Progress) -> anyhow::Result<Fleet> {
    let fresh = !Fleet::exists(fleet::DEFAULT);
    tokio::select! {
        result = Fleet::up(fleet::DEFAULT, children, progress) => return result,
        () = fleet::interrupted() => {}
    }
    if fresh {
        Fleet::down(fleet::DEFAULT, progress).await?;
    }
    anyhow::bail!("interrupted")
}
