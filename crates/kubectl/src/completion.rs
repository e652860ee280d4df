//! Completion, with the live names of clusters, and inside a cluster with whatever kubectl completes there.
//!
//! `__complete` speaks the protocol kubectl's own completion speaks: candidates line by line, each with a description
//! behind a tab, and at last `:` and a directive. So kubectl itself can ask (`kubectl_complete-clusterway`), and the
//! scripts for the shells are short.

use std::{
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use clap::{Arg, ValueEnum as _, ValueHint};
use kube::{ResourceExt as _, api::ListParams};

use crate::{
    args::{
        self, Cli, Name, Shell,
        split::{Words, words},
    },
    clusters,
    failure::Failure,
    output::data,
    parent::Parent,
    passthrough,
};

/// Nothing but the candidates.
const CANDIDATES_ONLY: &str = ":4\n";
/// The names of files.
const FILES: &str = ":0\n";

/// The script that teaches `shell` to complete this program.
pub(crate) fn script(shell: Shell, name: Name) -> String {
    let text = match shell {
        Shell::Bash => include_str!("completion/bash"),
        Shell::Zsh => include_str!("completion/zsh"),
        Shell::Fish => include_str!("completion/fish"),
        Shell::Powershell => include_str!("completion/powershell"),
    };
    text.replace("clusterway", name.word())
}

/// What can stand in a place of the command line.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// The name of a cluster; what stands before it in the same word.
    Cluster(&'static str),
    /// A file.
    File,
    /// One of these, with what they mean.
    OneOf(Vec<(String, String)>),
    /// Whatever kubectl says.
    Kubectl,
}

/// `__complete`: answers for the words so far, of which the last is being typed.
pub(crate) async fn answer(name: Name, line: &[OsString]) -> Result<ExitCode, Failure> {
    let (last, before) =
        line.split_last().map_or((OsString::new(), line), |(last, rest)| (last.clone(), rest));
    let typed = last.to_string_lossy().into_owned();
    let Words { mut ours, kubectl, verb } = words(before);
    if ours.last().is_some_and(|word| Some(word) == before.last() && !word.to_string_lossy().contains('=')) {
        // A flag that still waits for its value is no flag yet.
        ours.pop();
    }
    let cli = args::parse(name, &ours).ok();
    let place = place(
        name,
        before,
        &typed,
        verb.as_deref(),
        cli.as_ref().is_some_and(|cli| cli.cluster_id.is_some()),
    );
    match (place, cli) {
        (Place::File, _) => data(FILES)?,
        (Place::OneOf(candidates), _) => {
            data(&format!("{}{CANDIDATES_ONLY}", matching(&candidates, &typed)))?;
        }
        (Place::Cluster(lead), Some(cli)) => {
            // A parent that cannot be asked is no reason to disturb the line being typed.
            let names = names(&cli).await.unwrap_or_default();
            let names: Vec<_> = names.into_iter().map(|(name, id)| (format!("{lead}{name}"), id)).collect();
            data(&format!("{}{CANDIDATES_ONLY}", matching(&names, &typed)))?;
        }
        (Place::Kubectl, Some(cli)) => {
            let asked = [vec![OsString::from("__complete")], kubectl, vec![last]].concat();
            let cluster = cli.cluster_id.clone().unwrap_or_default();
            return passthrough::visit(&cli, &cluster, &asked).await;
        }
        (_, None) => data(CANDIDATES_ONLY)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn place(name: Name, before: &[OsString], typed: &str, verb: Option<&str>, visits: bool) -> Place {
    let command = args::command(name);
    let inner = verb.and_then(|verb| command.find_subcommand(verb));
    let deeper = inner.and_then(|inner| {
        let word = before.iter().skip_while(|word| Some(word.as_os_str()) != verb.map(OsStr::new)).nth(1)?;
        inner.find_subcommand(word)
    });
    let here = deeper.or(inner).unwrap_or(&command);
    let outer = inner.is_some().then_some(&command);
    let flags = || {
        let all = here.get_arguments().chain(outer.into_iter().flat_map(clap::Command::get_arguments));
        all.filter(|arg| !arg.is_hide_set())
    };
    if typed.starts_with("--cluster-id=") {
        return Place::Cluster("--cluster-id=");
    }
    let previous = before.last().and_then(|word| word.to_str()).unwrap_or_default();
    if let Some(flag) = flags().find(|flag| is(flag, previous) && flag.get_action().takes_values()) {
        return value(flag);
    }
    if visits && inner.is_none() {
        return Place::Kubectl;
    }
    if typed.starts_with('-') {
        return Place::OneOf(
            flags().filter_map(|flag| Some((format!("--{}", flag.get_long()?), help(flag)))).collect(),
        );
    }
    match (verb, inner) {
        (None, _) => Place::OneOf(subcommands(&command)),
        (Some("kubeconfig"), _) => Place::Cluster(""),
        (Some("adopt"), _) if Some(previous) == verb => Place::Cluster(""),
        (Some("pause" | "resume" | "confirm"), Some(inner)) => match previous {
            "cluster" => Place::Cluster(""),
            word if Some(word) == verb => {
                inner.get_positionals().next().map_or_else(|| Place::OneOf(Vec::new()), value)
            }
            _ => Place::OneOf(Vec::new()),
        },
        (_, Some(inner)) if inner.has_subcommands() && deeper.is_none() => Place::OneOf(subcommands(inner)),
        (Some("completion"), _) => {
            let shells = Shell::value_variants().iter().filter_map(clap::ValueEnum::to_possible_value);
            Place::OneOf(shells.map(|shell| (shell.get_name().to_owned(), String::new())).collect())
        }
        _ => Place::OneOf(Vec::new()),
    }
}

fn is(flag: &Arg, word: &str) -> bool {
    flag.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long))
        || flag.get_short().is_some_and(|short| word == format!("-{short}"))
}

fn value(flag: &Arg) -> Place {
    match flag.get_id().as_str() {
        "cluster_id" | "returning" => Place::Cluster(""),
        _ if flag.get_value_hint() == ValueHint::AnyPath
            || flag.get_value_names().is_some_and(|names| names.iter().any(|name| name == "FILE")) =>
        {
            Place::File
        }
        _ => Place::OneOf(
            flag.get_possible_values()
                .iter()
                .filter(|value| !value.is_hide_set())
                .map(|value| (value.get_name().to_owned(), String::new()))
                .collect(),
        ),
    }
}

fn subcommands(command: &clap::Command) -> Vec<(String, String)> {
    let shown = command.get_subcommands().filter(|command| !command.is_hide_set());
    let about = |command: &clap::Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    shown.map(|command| (command.get_name().to_owned(), about(command))).collect()
}

fn help(flag: &Arg) -> String {
    flag.get_help().map(ToString::to_string).unwrap_or_default()
}

async fn names(cli: &Cli) -> Result<Vec<(String, String)>, Failure> {
    let client = Parent::load(&cli.connection)?.client().await?;
    let found = clusters::list(&client, None, &ListParams::default()).await?;
    Ok(found.into_iter().map(|cluster| (cluster.name_any(), cluster.spec.cluster_id)).collect())
}

fn matching(candidates: &[(String, String)], typed: &str) -> String {
    let mut lines: Vec<String> =
        candidates
            .iter()
            .filter(|(candidate, _)| candidate.starts_with(typed))
            .map(|(candidate, meaning)| {
                if meaning.is_empty() {
                    format!("{candidate}\n")
                } else {
                    format!("{candidate}\t{meaning}\n")
                }
            })
            .collect();
    lines.sort();
    lines.dedup();
    lines.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place after these words; the last one is being typed.
    fn at(line: &str) -> Place {
        let all: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let (last, before) = all.split_last().unwrap();
        let found = words(before);
        let visits = found.ours.iter().any(|word| word.to_string_lossy().starts_with("--cluster-id"));
        place(Name::Clusterway, before, &last.to_string_lossy(), found.verb.as_deref(), visits)
    }

    fn candidates(line: &str) -> Vec<String> {
        let Place::OneOf(all) = at(line) else { panic!("{line}") };
        let typed = line.rsplit(' ').next().unwrap();
        all.into_iter()
            .map(|(candidate, _)| candidate)
            .filter(|candidate| candidate.starts_with(typed))
            .collect()
    }

    #[test]
    fn clusters_are_named_where_a_cluster_is_wanted() {
        for line in [
            "--cluster-id ",
            "--cluster-id ed",
            "kubeconfig ",
            "token create --for ",
            "pause cluster ",
            "adopt ",
            "get pods --cluster-id ",
        ] {
            assert_eq!(at(line), Place::Cluster(""), "{line}");
        }
        assert_eq!(at("--cluster-id=e"), Place::Cluster("--cluster-id="));
    }

    #[test]
    fn commands_flags_and_values_are_offered_where_they_fit() {
        assert_eq!(candidates("c"), ["clusters", "confirm", "completion"]);
        assert_eq!(candidates("resume "), ["subscription", "cluster"]);
        assert_eq!(candidates("token "), ["create", "list", "delete"]);
        assert_eq!(candidates("token create --tt"), ["--ttl"]);
        assert_eq!(candidates("--child-k"), ["--child-kubeconfig"]);
        assert_eq!(candidates("clusters -o "), ["wide", "json", "yaml", "name"]);
        assert_eq!(candidates("completion z"), ["zsh"]);
        assert_eq!(at("--child-kubeconfig "), Place::File);
    }

    #[test]
    fn inside_a_cluster_kubectl_is_asked() {
        for line in ["--cluster-id=edge-7 ", "--cluster-id edge-7 get po", "get --cluster-id=edge-7 pods "] {
            assert_eq!(at(line), Place::Kubectl, "{line}");
        }
    }

    #[test]
    fn only_what_begins_as_typed_is_offered_once_with_its_meaning() {
        let all =
            [("edge-7", "id1"), ("edge-7", "id1"), ("aws", "id2")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(matching(&all, "e"), "edge-7\tid1\n");
    }

    #[test]
    fn every_shell_has_a_script_under_either_name() {
        for shell in Shell::value_variants() {
            let script = script(*shell, Name::Clusternet);
            assert!(
                script.contains("kubectl-clusternet __complete") && !script.contains("clusterway"),
                "{shell:?}"
            );
        }
    }
}
