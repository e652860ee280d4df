//! `cargo xtask test`: everything continuous integration runs.

use std::process::Stdio;

use anyhow::Context as _;
use fleet::{Fleet, Progress, cargo, e2e::runner};

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    All,
    /// What needs no fleet.
    Unit,
    /// End-to-end tests, one or all.
    EndToEnd(Option<String>),
}

/// How the end-to-end tests run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The cargo profile of the programs under test.
    pub(crate) profile: String,
    /// Leave the fleet up afterwards, and use it if it is up: for working on one test.
    pub(crate) keep: bool,
}

/// Runs the checks, prints `N passed, N failed`, and fails if one did.
pub(crate) async fn run(scope: Scope, options: &Options, progress: Progress) -> anyhow::Result<()> {
    let mut report = runner::Report::default();
    if !matches!(scope, Scope::EndToEnd(_)) {
        unit(&mut report, progress).await?;
    }
    match scope {
        Scope::Unit => {}
        Scope::All => Box::pin(end_to_end(None, options, &mut report, progress)).await?,
        Scope::EndToEnd(only) => {
            Box::pin(end_to_end(only.as_deref(), options, &mut report, progress)).await?;
        }
    }
    progress.line(format_args!("\n{} passed, {} failed", report.passed, report.failed));
    anyhow::ensure!(report.failed == 0, "not everything passed");
    Ok(())
}

async fn unit(report: &mut runner::Report, progress: Progress) -> anyhow::Result<()> {
    progress.title("Format, lints, generated files, unit tests");
    let step = progress.begin("PostgreSQL for the tests of the store");
    let installed = testkit::postgres::programs();
    if let Err(cause) = &installed {
        progress.note(format_args!("{cause:#}"));
    }
    count(report, installed.is_ok(), step, progress, "PostgreSQL for the tests of the store");
    for (name, args) in [
        ("format", &["fmt", "--all", "--check"][..]),
        ("lints", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"]),
        ("unit tests", &["test", "--workspace", "--quiet"]),
    ] {
        let step = progress.begin(name);
        let passed = cargo(args).await?;
        count(report, passed, step, progress, name);
    }
    let step = progress.begin("generated files are up to date");
    let result = crate::r#gen::run(true);
    if let Err(cause) = &result {
        progress.note(format_args!("{cause:#}"));
    }
    count(report, result.is_ok(), step, progress, "generated files");
    if cargo_quiet(&["deny", "--version"]).await? {
        let step = progress.begin("dependency policy (cargo-deny)");
        let passed = cargo(&["deny", "--log-level", "error", "check", "bans", "licenses", "sources"]).await?;
        count(report, passed, step, progress, "dependency policy");
    } else {
        progress.note(
            "dependency policy skipped: cargo-deny is not installed; `cargo install --locked cargo-deny`",
        );
    }
    Ok(())
}

fn count(
    report: &mut runner::Report,
    passed: bool,
    step: fleet::progress::Step,
    progress: Progress,
    name: &str,
) {
    if passed {
        report.passed += 1;
        step.done();
    } else {
        report.failed += 1;
        progress.failed(name);
    }
}

async fn end_to_end(
    only: Option<&str>,
    options: &Options,
    report: &mut runner::Report,
    progress: Progress,
) -> anyhow::Result<()> {
    progress.title("End-to-end tests, on a fleet of their own");
    if !options.keep {
        // What an interrupted run left behind is not a clean start.
        Fleet::down(runner::FLEET, Progress::quiet()).await?;
    }
    let result = tokio::select! {
        result = on_a_fleet(only, options, report, progress) => result,
        () = fleet::interrupted() => Err(anyhow::anyhow!("interrupted")),
    };
    if options.keep {
        progress.note("the fleet stays up; the next run without --keep takes it down");
    } else {
        Fleet::down(runner::FLEET, Progress::quiet()).await.context("cannot take the fleet down")?;
    }
    result
}

async fn on_a_fleet(
    only: Option<&str>,
    options: &Options,
    report: &mut runner::Report,
    progress: Progress,
) -> anyhow::Result<()> {
    let selection = runner::Selection::of(only)?;
    let fleet = Fleet::up(runner::FLEET, 2, progress).await?;
    let install = fleet::install::Options {
        profile: options.profile.clone(),
        named: false,
        ..fleet::install::Options::default()
    };
    let everything = only.is_none();
    if everything && fleet.process(fleet::install::HUB).is_none() {
        // These need a parent without a hub, which would answer their requests and let their Descriptions go.
        fleet.install_parent().await?;
        ask_parent(&fleet, "fleet", "policies", "CLUSTERWAY_POLICIES_KUBECONFIG", report).await?;
        ask_parent(&fleet, "releases", "cluster", "CLUSTERWAY_HELM_KUBECONFIG", report).await?;
    }
    fleet.install(&install).await?;
    progress.title("Scenarios and tests");
    if everything {
        ask_parent(&fleet, "fleet", "rights", "CLUSTERWAY_RIGHTS_KUBECONFIG", report).await?;
        for test in ["repositories", "releases"] {
            ask_parent(&fleet, "helm", test, "CLUSTERWAY_HELM_KUBECONFIG", report).await?;
        }
    }
    runner::prepare(&fleet).await.context("cannot prepare the tests")?;
    *report += selection.play(&fleet).await?;
    let of_the_search = selection.of_the_search();
    if !of_the_search.is_empty() {
        on_postgres(&fleet, &of_the_search, report).await?;
    }
    fleet.until_all_visitable().await?;
    *report += selection.test(&fleet).await;
    Ok(())
}

/// Plays scenarios again, with a hub that stores in PostgreSQL.
async fn on_postgres(
    fleet: &Fleet,
    selection: &runner::Selection,
    report: &mut runner::Report,
) -> anyhow::Result<()> {
    fleet.progress().title("The same on PostgreSQL");
    if let Err(missing) = testkit::postgres::programs() {
        fleet.progress().note(format_args!("skipped: {missing:#}"));
        return Ok(());
    }
    let server = testkit::postgres::Postgres::start().await?;
    let dsn = server.create_database("search").await?;
    let config = server.write_private("storage.yaml", &format!("type: postgres\ndsn: '{dsn}'\n"))?;
    fleet.use_storage(Some(config)).await?;
    *report += selection.play(fleet).await?;
    fleet.use_storage(None).await
}

/// Runs an integration test of a crate that wants the parent's kubeconfig, and finds the fleet's `helm` if it wants it.
async fn ask_parent(
    fleet: &Fleet,
    package: &str,
    test: &str,
    variable: &str,
    report: &mut runner::Report,
) -> anyhow::Result<()> {
    let step = fleet.progress().begin(format_args!("{test} of {package}"));
    let args = ["test", "--quiet", "-p", package, "--test", test, "--", "--include-ignored"];
    let mut command = cargo::cargo(&args);
    command.env(variable, fleet.parent()?.kubeconfig()).env("CLUSTERWAY_HELM", &fleet.tools().helm);
    let passed = command.status().await?.success();
    count(report, passed, step, fleet.progress(), test);
    Ok(())
}

async fn cargo(args: &[&str]) -> anyhow::Result<bool> {
    Ok(cargo::cargo(args).status().await.context("cannot run cargo")?.success())
}

async fn cargo_quiet(args: &[&str]) -> anyhow::Result<bool> {
    let status = cargo::cargo(args).stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    Ok(status.context("cannot run cargo")?.success())
}
