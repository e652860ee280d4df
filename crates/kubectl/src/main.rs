//! `kubectl-clusterway`, the kubectl plug-in; also answers to the name `kubectl-clusternet`.
//!
//! It visits a child, and keeps templates in the parent, with the caller's own kubectl, and saves typing for what plain kubectl
//! can do too: searching all clusters, listing them, making registration tokens, writing kubeconfigs, trying import policies.
//!
//! Deliberately absent: commands of kubectl's own. They are kubectl's, of whatever version the caller has.

mod adopt;
mod args;
mod brake;
mod child;
mod clusters;
mod completion;
mod failure;
mod generate;
mod kubeconfig;
mod output;
mod parent;
mod passthrough;
mod plan;
mod progress;
mod relay;
mod render;
mod search;
mod token;
mod version;

use std::{ffi::OsString, process::ExitCode};

use crate::{
    args::{
        Cli, Command, Name, PolicyCommand, TokenCommand,
        split::{Call, split},
    },
    failure::Failure,
};

/// How kubectl calls a plug-in to complete a command line of its.
const COMPLETER: &str = "kubectl_complete-";

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    runtime::tls::install_crypto_provider();
    let mut line = std::env::args_os();
    let program = line.next().unwrap_or_default().to_string_lossy().into_owned();
    let line: Vec<OsString> = line.collect();
    let name = Name::of(&program);
    let outcome = if program.rsplit('/').next().is_some_and(|file| file.starts_with(COMPLETER)) {
        completion::answer(name, &line).await
    } else {
        run(name, &line).await
    };
    outcome.unwrap_or_else(|failure| {
        output::say(&failure.to_string());
        ExitCode::FAILURE
    })
}

async fn run(name: Name, line: &[OsString]) -> Result<ExitCode, Failure> {
    match split(line) {
        Call::Visit { ours, kubectl } => {
            let cli = read(name, &ours);
            let cluster = cli.cluster_id.clone().unwrap_or_default();
            passthrough::visit(&cli, &cluster, &kubectl).await
        }
        Call::Templates { ours, kubectl } => passthrough::templates(&read(name, &ours), &kubectl).await,
        Call::KubectlHelp(kubectl) => passthrough::plain(&kubectl).await,
        Call::NoCluster { verb } => Err(Failure::new(format!("kubectl {verb} needs a cluster"))
            .because("--cluster-id is missing")
            .next(format!(
                "kubectl {0} clusters lists the clusters; then kubectl {0} --cluster-id CLUSTER {verb} …",
                name.word()
            ))),
        Call::Ours(line) => ours(name, read(name, &line)).await,
    }
}

/// Reads our flags, or prints help or what is wrong with them, and exits. Wrong is 1, as with kubectl: 2 has a meaning of its own
/// where something is compared.
fn read(name: Name, words: &[OsString]) -> Cli {
    args::parse(name, words).unwrap_or_else(|error| {
        // Nobody is left to tell that it cannot be printed.
        let _ = error.print();
        std::process::exit(i32::from(error.use_stderr()))
    })
}

async fn ours(name: Name, cli: Cli) -> Result<ExitCode, Failure> {
    let connection = &cli.connection;
    match cli.command {
        Some(Command::Clusters { output, selector, no_headers }) => {
            clusters::print(connection, output, selector.as_deref(), !no_headers).await?;
        }
        Some(Command::Token(TokenCommand::Create {
            ttl,
            description,
            returning,
            print_join_command,
            parent_url,
        })) => {
            let wanted = token::Wanted {
                ttl,
                description,
                cluster: returning,
                join_command: print_join_command,
                parent_url,
            };
            token::create(connection, &wanted).await?;
        }
        Some(Command::Token(TokenCommand::List { no_headers })) => {
            token::list(connection, !no_headers).await?;
        }
        Some(Command::Token(TokenCommand::Delete { tokens })) => token::delete(connection, &tokens).await?,
        Some(Command::Kubeconfig { wanted: Some(wanted), search: false, merge }) => {
            kubeconfig::visit::print(connection, &cli.child, &wanted, merge).await?;
        }
        Some(Command::Kubeconfig { wanted, merge, .. }) => {
            kubeconfig::search::print(connection, wanted.as_deref(), merge).await?;
        }
        Some(Command::Search(flags)) => return search::search(connection, &flags).await,
        Some(Command::Policy(PolicyCommand::Render(flags))) => {
            return render::render(connection, &flags).await;
        }
        Some(Command::Plan(flags)) => return plan::plan(connection, &flags).await,
        Some(Command::Adopt(flags)) => return adopt::adopt(connection, &cli.child, &flags).await,
        Some(Command::Pause(flags)) => brake::pause(connection, &flags, true).await?,
        Some(Command::Resume(flags)) => brake::pause(connection, &flags, false).await?,
        Some(Command::Confirm(flags)) => brake::confirm(connection, &flags).await?,
        Some(Command::Completion { shell }) => output::data(&completion::script(shell, name))?,
        Some(Command::Version) => output::data(&format!("{:#}\n", version::version()))?,
        Some(Command::Complete { words }) => return completion::answer(name, &words).await,
        None if cli.cluster_id.is_some() => {
            return Err(Failure::new("there is nothing to do in the cluster")
                .because("no command of kubectl's is given")
                .next(format!("for example: kubectl {} --cluster-id CLUSTER get pods -A", name.word())));
        }
        None => output::data(&args::command(name).render_help().to_string())?,
    }
    Ok(ExitCode::SUCCESS)
}
