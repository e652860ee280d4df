//! The flags. What belongs to kubectl is told apart in [`split`]; clap reads the rest.

pub(crate) mod split;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

/// The two names of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    /// `kubectl clusterway`.
    Clusterway,
    /// `kubectl clusternet`.
    Clusternet,
}

impl Name {
    /// The name somebody called: `argv[0]`, a path or not.
    pub(crate) fn of(program: &str) -> Self {
        let file = program.rsplit('/').next().unwrap_or(program);
        if file.contains("clusternet") { Self::Clusternet } else { Self::Clusterway }
    }

    /// What comes after `kubectl`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Clusterway => "clusterway",
            Self::Clusternet => "clusternet",
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  # Which clusters are there?
  kubectl clusterway clusters

  # Look into one of them, with a credential for it from any kubeconfig (its address is not used)
  kubectl clusterway --cluster-id edge-7 --child-kubeconfig ./edge-7.kubeconfig get pods -A
  kubectl clusterway --cluster-id edge-7 --child-kubeconfig ./edge-7.kubeconfig exec -it web-0 -- sh

  # Find something in all of them
  kubectl clusterway search pods -A -l app=web --clusters 'prod-*' --sort -created_at

  # Keep a template of an object in the parent, which does not run it
  kubectl clusterway apply -f web.yaml
  kubectl clusterway get deployments -n qux

  # What would change in which cluster, and which override would do it?
  kubectl clusterway plan -f app/

  # Deploy from here what runs there already
  kubectl clusterway adopt edge-7 deployment/web service/web -n qux --child-kubeconfig ./edge-7.kubeconfig

  # Leave everything as it is until it is resumed
  kubectl clusterway pause subscription app -n default

  # What would this import policy make?
  kubectl clusterway policy render -f deploy/policies/managedclusters.yaml

  # Let another cluster register; prints what to run there
  kubectl clusterway token create

  # A kubeconfig for plain kubectl and any other client
  kubectl clusterway kubeconfig edge-7 --child-kubeconfig ./edge-7.kubeconfig > visit.kubeconfig

  # Search with plain kubectl: kubectl --cluster clusterpedia get deployments -A
  kubectl clusterway kubeconfig --search --merge";

const HELP_TAIL: &str = "\
With --cluster-id everything that is not a flag below goes to kubectl, whose answer, exit code and streams are passed on.
Without it the commands of kubectl that read and write objects (apply, create, get, edit, label, patch, scale, delete, …)
work with the templates that the parent keeps.
The flags of the parent connection are kubectl's own. Given before the verb, --as and its relatives act in the parent;
given after it they are kubectl's and act in the child, as --clusternet-as does.";

/// Visits the clusters of a parent with kubectl, and manages how they register.
#[derive(Debug, Parser)]
#[command(
    version,
    override_usage = "kubectl clusterway KUBECTL-COMMAND [ARGS]\n       kubectl clusterway --cluster-id CLUSTER [--child-kubeconfig FILE] KUBECTL-COMMAND [ARGS]\n       kubectl clusterway COMMAND [FLAGS]",
    after_help = HELP_TAIL,
    disable_help_subcommand = false,
    subcommand_required = false,
    subcommand_help_heading = "Commands"
)]
pub(crate) struct Cli {
    /// The cluster to visit: its id, or the name of its ManagedCluster.
    #[arg(long, value_name = "CLUSTER", help_heading = "Visit")]
    pub(crate) cluster_id: Option<String>,

    #[command(flatten)]
    pub(crate) child: ChildFlags,

    #[command(flatten)]
    pub(crate) connection: Connection,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Who the caller is in the child.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Visit")]
pub(crate) struct ChildFlags {
    /// A kubeconfig with a credential for the child. Its server address is ignored. Without it the child sees an
    /// anonymous caller.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) child_kubeconfig: Option<PathBuf>,

    /// The context of that kubeconfig; default: its current one.
    #[arg(long, global = true, value_name = "CONTEXT", requires = "child_kubeconfig")]
    pub(crate) child_context: Option<String>,

    /// The user to impersonate in the child. The child's own RBAC decides whether you may.
    #[arg(long, global = true, value_name = "USER")]
    pub(crate) clusternet_as: Option<String>,

    /// The uid to impersonate in the child.
    #[arg(long, global = true, value_name = "UID", requires = "clusternet_as")]
    pub(crate) clusternet_as_uid: Option<String>,

    /// A group to impersonate in the child. Repeatable.
    #[arg(long, global = true, action = ArgAction::Append, value_name = "GROUP", requires = "clusternet_as")]
    pub(crate) clusternet_as_group: Vec<String>,
}

/// How the parent is reached: kubectl's flags of the same names.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Parent connection")]
pub(crate) struct Connection {
    /// The kubeconfig of the parent; default: $KUBECONFIG, or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// The context of that kubeconfig.
    #[arg(long, global = true, value_name = "CONTEXT")]
    pub(crate) context: Option<String>,

    /// The cluster of that kubeconfig which is the parent (not the cluster to visit).
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) cluster: Option<String>,

    /// The user of that kubeconfig.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// The address of the parent's API server.
    #[arg(long, short = 's', global = true, value_name = "URL")]
    pub(crate) server: Option<String>,

    /// A bearer token for the parent.
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,

    /// The CA that the parent's certificate is verified with.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) certificate_authority: Option<PathBuf>,

    /// A client certificate for the parent.
    #[arg(long, global = true, value_name = "FILE", requires = "client_key")]
    pub(crate) client_certificate: Option<PathBuf>,

    /// The key of the client certificate.
    #[arg(long, global = true, value_name = "FILE", requires = "client_certificate")]
    pub(crate) client_key: Option<PathBuf>,

    /// The name expected in the parent's certificate.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,

    /// Do not verify the parent's certificate. Whoever stands between then learns your credentials.
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) insecure_skip_tls_verify: Option<bool>,

    /// The user to impersonate in the parent.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) impersonate: Option<String>,

    /// The uid to impersonate in the parent.
    #[arg(long, global = true, value_name = "UID")]
    pub(crate) as_uid: Option<String>,

    /// A group to impersonate in the parent. Repeatable.
    #[arg(long, global = true, action = ArgAction::Append, value_name = "GROUP")]
    pub(crate) as_group: Vec<String>,

    /// An extra to impersonate in the parent. Repeatable.
    #[arg(long, global = true, action = ArgAction::Append, value_name = "KEY=VALUE")]
    pub(crate) as_user_extra: Vec<String>,

    /// The namespace (of ManagedClusters in the parent; of anything else in the child).
    #[arg(long, short = 'n', global = true, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
}

impl Connection {
    /// Whether they make somebody else of the user in the kubeconfig.
    pub(crate) fn change_user(&self) -> bool {
        self.token.is_some()
            || self.client_certificate.is_some()
            || self.impersonate.is_some()
            || self.as_uid.is_some()
            || !self.as_group.is_empty()
            || !self.as_user_extra.is_empty()
    }
}

/// What this program does itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the registered clusters.
    Clusters {
        /// How the list is printed.
        #[arg(long, short, value_enum, default_value_t = Output::Table, value_name = "FORMAT", hide_default_value = true)]
        output: Output,
        /// Only clusters with these labels, for example region=eu.
        #[arg(long, short = 'l', value_name = "SELECTOR")]
        selector: Option<String>,
        /// Print no header line.
        #[arg(long)]
        no_headers: bool,
    },
    /// Make, list and delete the tokens that clusters register with.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Print a kubeconfig with which plain kubectl visits a cluster, or searches.
    Kubeconfig {
        /// The cluster's id, or the name of its ManagedCluster. With --search: the name of its PediaCluster.
        // Not named `cluster`: clap would take it for the global flag of that name.
        #[arg(value_name = "CLUSTER", required_unless_present = "search")]
        wanted: Option<String>,
        /// For searching: a context and cluster `clusterpedia` for all clusters, and one for each PediaCluster, or for
        /// the one named.
        #[arg(long)]
        search: bool,
        /// Write it into your own kubeconfig, as contexts of their own, instead of printing it.
        #[arg(long)]
        merge: bool,
    },
    /// Search all clusters at once: kubectl's get, and more conditions.
    Search(SearchFlags),
    /// Try import policies before they are applied.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Show what would change in the clusters if files were applied, and which override would do it. Changes nothing.
    #[command(after_help = PLAN_TAIL)]
    Plan(PlanFlags),
    /// Make templates and a Subscription of objects that run in a cluster already, without a restart.
    #[command(after_help = ADOPT_TAIL)]
    Adopt(AdoptFlags),
    /// Leave everything that a Subscription, or everybody, deploys in the clusters as it is.
    Pause(BrakeFlags),
    /// Let what was paused go on.
    Resume(BrakeFlags),
    /// Let deletions go on that wait because they are many.
    Confirm(BrakeFlags),
    /// Print a script that teaches a shell to complete commands, flags and the names of clusters.
    Completion {
        /// The shell.
        shell: Shell,
    },
    /// Print the version as JSON.
    Version,
    /// Answers a shell that completes a command line.
    #[command(name = "__complete", hide = true)]
    Complete {
        /// The words so far; the last one is being typed.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<OsString>,
    },
}

/// `search …`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SearchFlags {
    /// What to search for, as kubectl get takes it: pods, deployments.apps.
    #[arg(value_name = "RESOURCE")]
    pub(crate) resource: String,
    /// Only objects with one of these names.
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// In all namespaces.
    #[arg(long, short = 'A')]
    pub(crate) all_namespaces: bool,
    /// Only these clusters, by the names of their PediaClusters; * stands for any text. Repeatable.
    #[arg(long, value_delimiter = ',', value_name = "CLUSTER,…")]
    pub(crate) clusters: Vec<String>,
    /// Only objects with these labels, for example app=web.
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
    /// Only objects with these fields; any field will do, for example 'spec.containers[].image in (nginx,redis)'.
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) field_selector: Option<String>,
    /// Only objects with this text in their name.
    #[arg(long, value_name = "TEXT")]
    pub(crate) name_contains: Option<String>,
    /// Only objects that belong to the one with this name. Needs exactly one cluster.
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Generations between owner and objects: 1 finds the Pods of a Deployment.
    #[arg(long, requires = "owner", value_name = "N")]
    pub(crate) generations: Option<u32>,
    /// Only objects made at this time or later: a date such as 2026-11-21, or seconds since 1970.
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Only objects made before this time.
    #[arg(long, value_name = "TIME")]
    pub(crate) before: Option<String>,
    /// Fields to sort by, each with - before it for descending: cluster, namespace, name, created_at, resource_version.
    #[arg(long, value_delimiter = ',', allow_hyphen_values = true, value_name = "FIELD,…")]
    pub(crate) sort: Vec<String>,
    /// At most so many objects.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u32>,
    /// How the objects are printed, as kubectl get takes it: wide, json, yaml, name, jsonpath=….
    #[arg(long, short, value_name = "FORMAT")]
    pub(crate) output: Option<String>,
    /// Print no header line.
    #[arg(long)]
    pub(crate) no_headers: bool,
}

/// `token …`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, with what to run in the new cluster.
    Create {
        /// How long it can be used; 0 means for ever.
        #[arg(long, default_value = "24h", value_parser = runtime::parse_duration, value_name = "DURATION")]
        ttl: Duration,
        /// What it is for, for those who list tokens later.
        #[arg(long, default_value = "", value_name = "TEXT")]
        description: String,
        /// A registered cluster whose agent was away so long that its credential has expired: prints how it comes back.
        #[arg(long = "for", value_name = "CLUSTER")]
        returning: Option<String>,
        /// Print the commands to run in the new cluster on stdout, instead of the bare token.
        #[arg(long)]
        print_join_command: bool,
        /// The address at which the new cluster reaches the parent; default: the one you use.
        #[arg(long, value_name = "URL")]
        parent_url: Option<String>,
    },
    /// List the tokens that clusters may register with.
    List {
        /// Print no header line.
        #[arg(long)]
        no_headers: bool,
    },
    /// Delete tokens.
    Delete {
        /// Tokens, or their ids (the part before the dot).
        #[arg(required = true, value_name = "TOKEN")]
        tokens: Vec<String>,
    },
}

const PLAN_TAIL: &str = "\
The exit code is 0 if nothing would change in any cluster, 2 if something would, 1 if something is wrong: files that the
parent would not store, an override that cannot be applied, a right that is missing. You need the rights to store the files,
and to read Manifests, Subscriptions, overrides, HelmCharts, Bases, Descriptions, Contents and ManagedClusters.

A HelmChart is shown as the release it makes; what its chart would make of that is not. Values of Secrets and for charts are
never shown.";

const ADOPT_TAIL: &str = "\
What would differ in the cluster is shown first; without --yes you are asked, or, where there is nobody to ask, nothing is
done. Pods are not restarted: what would restart them is refused. Nothing is deleted. Objects that belong to others, or are
deployed already, are left, or refused where they are named.

Example:
  kubectl clusterway adopt edge-7 deployment/web service/web configmap -l app=web -n qux --child-kubeconfig ./edge-7.kubeconfig";

/// `adopt …`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AdoptFlags {
    /// The cluster's id, or the name of its ManagedCluster.
    #[arg(value_name = "CLUSTER")]
    pub(crate) wanted: String,
    /// The objects: one by its name, or all of a kind in the namespace, or those the selector selects.
    #[arg(required = true, value_name = "KIND[/NAME]")]
    pub(crate) resources: Vec<String>,
    /// Of kinds without a name only objects with these labels, for example app=web.
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
    /// The Subscription that is made; default: called as the namespace of the objects.
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub(crate) subscription: Option<String>,
    /// Do it without asking.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// How it is printed: json is for machines.
    #[arg(long, short, value_enum, default_value_t = Format::Text, value_name = "FORMAT", hide_default_value = true)]
    pub(crate) output: Format,
}

/// `plan …`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlanFlags {
    /// Files or directories with objects, Subscriptions and overrides; - is the standard input. Repeatable.
    #[arg(long, short = 'f', required = true, value_name = "FILE")]
    pub(crate) filename: Vec<PathBuf>,
    /// Directories with everything below them.
    #[arg(long, short = 'R')]
    pub(crate) recursive: bool,
    /// The namespace of the Manifests, as the hub was told: what is sent to the shadow API is kept there.
    #[arg(long, default_value = api::names::apps::RESERVED_NAMESPACE, value_name = "NAMESPACE")]
    pub(crate) reserved_namespace: String,
    /// How the plan is printed: json is for CI.
    #[arg(long, short, value_enum, default_value_t = Format::Text, value_name = "FORMAT", hide_default_value = true)]
    pub(crate) output: Format,
}

/// How a plan or an adoption is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    #[value(hide = true)]
    Text,
    /// JSON.
    Json,
}

/// `pause …`, `resume …`, `confirm …`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BrakeFlags {
    /// Of what.
    #[arg(value_name = "subscription|cluster")]
    pub(crate) what: Braked,
    /// The Subscription (with -n), or the cluster: its id, or the name of its ManagedCluster.
    #[arg(value_name = "NAME")]
    pub(crate) target: String,
}

/// What can be paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Braked {
    /// What a Subscription deploys, in all its clusters.
    #[value(aliases = ["sub", "subs", "subscriptions"])]
    Subscription,
    /// What is deployed to a cluster.
    #[value(aliases = ["clusters", "managedcluster", "managedclusters", "mcls"])]
    Cluster,
}

/// `policy …`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Print the PediaClusters that ClusterImportPolicies would make of the parent's objects, or why they would not.
    Render(RenderFlags),
}

/// `policy render …`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RenderFlags {
    /// The file with the ClusterImportPolicies; - is the standard input.
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(crate) filename: PathBuf,
    /// Only this source object; without a namespace, in that of the policy.
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    pub(crate) source: Option<String>,
    /// Print credentials too, instead of their size.
    #[arg(long)]
    pub(crate) show_credentials: bool,
}

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns.
    #[value(hide = true)]
    Table,
    /// More columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// Names only.
    Name,
}

/// A shell that can complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}

/// Reads what is not kubectl's. `name` is how help and errors call this program.
pub(crate) fn parse(name: Name, words: &[OsString]) -> Result<Cli, clap::Error> {
    let program = format!("kubectl {}", name.word());
    let line = std::iter::once(OsString::from(&program)).chain(words.iter().cloned());
    command(name).try_get_matches_from(line).and_then(|matches| Cli::from_arg_matches(&matches))
}

/// The command line as clap knows it, under the name it was called by.
pub(crate) fn command(name: Name) -> clap::Command {
    let program = format!("kubectl {}", name.word());
    let renamed = |text: &str| text.replace("kubectl clusterway", &program);
    Cli::command()
        .name("kubectl-clusterway")
        .bin_name(program.clone())
        .before_help(renamed(EXAMPLES))
        .override_usage(renamed(
            "kubectl clusterway --cluster-id CLUSTER [--child-kubeconfig FILE] KUBECTL-COMMAND [ARGS]\n       kubectl clusterway COMMAND [FLAGS]",
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_flags_are_consistent() {
        command(Name::Clusternet).debug_assert();
    }

    #[test]
    fn help_starts_with_examples_and_uses_the_name_it_was_called_by() {
        let help = parse(Name::Clusternet, &words("--help")).unwrap_err().to_string();
        assert!(help.starts_with("Examples:"), "{help}");
        assert!(
            help.contains("kubectl clusternet clusters") && !help.contains("kubectl clusterway"),
            "{help}"
        );
    }

    #[test]
    fn connection_flags_stand_before_or_after_our_own_commands() {
        for line in
            ["--context p clusters -o wide", "clusters -o wide --context p", "clusters --context=p -owide"]
        {
            let cli = parse(Name::Clusterway, &words(line)).unwrap();
            assert_eq!(cli.connection.context.as_deref(), Some("p"), "{line}");
            assert!(matches!(cli.command, Some(Command::Clusters { output: Output::Wide, .. })), "{line}");
        }
    }

    #[test]
    fn the_cluster_to_visit_is_not_mistaken_for_the_cluster_entry_of_the_parent() {
        let cli = parse(Name::Clusterway, &words("kubeconfig edge-7")).unwrap();
        assert_eq!(cli.connection.cluster, None);
        assert!(
            matches!(cli.command, Some(Command::Kubeconfig { wanted: Some(wanted), .. }) if wanted == "edge-7")
        );
        assert!(parse(Name::Clusterway, &words("kubeconfig")).is_err(), "no cluster, no search");
        assert!(parse(Name::Clusterway, &words("kubeconfig --search")).is_ok());
        let cli = parse(Name::Clusterway, &words("token create --for edge-7 --cluster p")).unwrap();
        assert_eq!(cli.connection.cluster.as_deref(), Some("p"));
    }

    #[test]
    fn no_two_arguments_share_an_id() {
        let command = command(Name::Clusterway);
        let outer: Vec<_> = command.get_arguments().map(|arg| arg.get_id().clone()).collect();
        let inner =
            command.get_subcommands().flat_map(|inner| std::iter::once(inner).chain(inner.get_subcommands()));
        for arg in inner.flat_map(clap::Command::get_arguments) {
            assert!(!outer.contains(arg.get_id()), "{}", arg.get_id());
        }
    }

    #[test]
    fn a_mistyped_command_is_answered_with_the_right_one() {
        let error = parse(Name::Clusterway, &words("cluster")).unwrap_err().to_string();
        assert!(error.contains("clusters"), "{error}");
    }

    #[test]
    fn the_name_is_found_in_paths_and_links() {
        assert_eq!(Name::of("/usr/bin/kubectl-clusternet"), Name::Clusternet);
        assert_eq!(Name::of("kubectl-clusterway"), Name::Clusterway);
        assert_eq!(Name::of("/home/clusternet/bin/kubectl-clusterway"), Name::Clusterway);
    }
}
