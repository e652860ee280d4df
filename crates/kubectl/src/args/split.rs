//! Which words are ours and which are kubectl's.
//!
//! Ours are the flags of a visit, wherever they stand, and the flags that say how the parent is reached: behind our
//! back kubectl would use the latter to leave the child and act in the parent. Everything else is kubectl's, word for
//! word. After `--` nothing is ours.

use std::ffi::{OsStr, OsString};

/// Our own commands, whatever flags come with them.
const OURS: &[&str] = &[
    "clusters",
    "search",
    "token",
    "kubeconfig",
    "policy",
    "plan",
    "adopt",
    "pause",
    "resume",
    "confirm",
    "__complete",
];

/// Ours, unless a cluster is visited: then they are kubectl's.
const SHARED: &[&str] = &["version", "completion", "help"];

/// Flags of a visit. All take a value.
const VISIT: &[&str] = &[
    "cluster-id",
    "child-kubeconfig",
    "child-context",
    "clusternet-as",
    "clusternet-as-uid",
    "clusternet-as-group",
];

/// Flags that say which server kubectl talks to and who it is there. All take a value.
const CONNECTION: &[&str] = &[
    "kubeconfig",
    "context",
    "cluster",
    "server",
    "token",
    "certificate-authority",
    "client-certificate",
    "client-key",
    "tls-server-name",
];

/// Ours before the verb; after it they are kubectl's and act in the child.
const PARENT_IMPERSONATION: &[&str] = &["as", "as-uid", "as-group", "as-user-extra"];

/// Verbs with a `--user` of their own.
const VERBS_WITH_USER: &[&str] = &["create", "set", "config"];

/// Global flags of kubectl that take a value, to find the verb behind them.
pub(crate) const KUBECTL_VALUES: &[&str] = &[
    "cache-dir",
    "kuberc",
    "log-flush-frequency",
    "namespace",
    "password",
    "profile",
    "profile-output",
    "request-timeout",
    "username",
    "v",
    "vmodule",
];

/// kubectl's verbs, to tell a forgotten `--cluster-id` from a mistyped command of ours.
pub(crate) const KUBECTL_VERBS: &[&str] = &[
    "annotate",
    "api-resources",
    "api-versions",
    "apply",
    "attach",
    "auth",
    "autoscale",
    "certificate",
    "cluster-info",
    "config",
    "cordon",
    "cp",
    "create",
    "debug",
    "delete",
    "describe",
    "diff",
    "drain",
    "edit",
    "events",
    "exec",
    "explain",
    "expose",
    "get",
    "kustomize",
    "label",
    "logs",
    "options",
    "patch",
    "plugin",
    "port-forward",
    "proxy",
    "replace",
    "rollout",
    "run",
    "scale",
    "set",
    "taint",
    "top",
    "uncordon",
    "wait",
];

/// Those that make sense of templates, which do not run.
const TEMPLATE_VERBS: &[&str] = &[
    "annotate",
    "api-resources",
    "apply",
    "create",
    "delete",
    "diff",
    "edit",
    "explain",
    "get",
    "label",
    "patch",
    "replace",
    "scale",
    "set",
];

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// One of our commands, or help, or a mistake: clap reads the whole line.
    Ours(Vec<OsString>),
    /// A visit: our flags for clap, the rest for kubectl.
    Visit { ours: Vec<OsString>, kubectl: Vec<OsString> },
    /// A verb of kubectl on the templates in the parent: our flags for clap, the rest for kubectl.
    Templates { ours: Vec<OsString>, kubectl: Vec<OsString> },
    /// kubectl's help for one of its verbs; needs no cluster.
    KubectlHelp(Vec<OsString>),
    /// A verb of kubectl, and no cluster to run it in.
    NoCluster { verb: String },
}

/// Tells a command line apart (without the program's name).
pub(crate) fn split(line: &[OsString]) -> Call {
    let Words { ours, kubectl, verb } = words(line);
    let visits = ours.iter().any(|word| is_flag(word, "cluster-id"));
    let Some(verb) = verb else { return Call::Ours(line.to_vec()) };
    if OURS.contains(&verb.as_str()) || (SHARED.contains(&verb.as_str()) && !visits) {
        return Call::Ours(line.to_vec());
    }
    if visits {
        return Call::Visit { ours, kubectl };
    }
    if !KUBECTL_VERBS.contains(&verb.as_str()) {
        return Call::Ours(line.to_vec());
    }
    let help = kubectl.iter().take_while(|word| *word != "--").any(|word| word == "--help" || word == "-h");
    if help {
        return Call::KubectlHelp(kubectl);
    }
    // Who brings a credential for a child has forgotten which.
    let for_a_child = ours.iter().any(|word| VISIT.iter().any(|flag| is_flag(word, flag)));
    if TEMPLATE_VERBS.contains(&verb.as_str()) && !for_a_child {
        return Call::Templates { ours, kubectl };
    }
    Call::NoCluster { verb }
}

/// The words of a line, told apart.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) ours: Vec<OsString>,
    pub(crate) kubectl: Vec<OsString>,
    pub(crate) verb: Option<String>,
}

/// Tells the words of a line apart, without judging them.
pub(crate) fn words(line: &[OsString]) -> Words {
    let mut found = Words::default();
    let mut rest = line.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            if let (None, Some(verb)) = (&found.verb, rest.as_slice().first()) {
                found.verb = Some(verb.to_string_lossy().into_owned());
            }
            found.kubectl.push(word.clone());
            found.kubectl.extend(rest.cloned());
            break;
        }
        let text = word.to_string_lossy();
        if !text.starts_with('-') || text == "-" {
            found.verb.get_or_insert_with(|| text.clone().into_owned());
            found.kubectl.push(word.clone());
            continue;
        }
        let (owner, value_follows) = classify(&text, found.verb.as_deref());
        let list = if owner == Owner::Ours { &mut found.ours } else { &mut found.kubectl };
        list.push(word.clone());
        if value_follows && let Some(value) = rest.next() {
            list.push(value.clone());
        }
    }
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Ours,
    Kubectl,
}

/// Whose flag it is, and whether the next word is its value.
fn classify(flag: &str, verb: Option<&str>) -> (Owner, bool) {
    let Some(long) = flag.strip_prefix("--") else { return short(flag, verb) };
    let (name, inline) = long.split_once('=').map_or((long, false), |(name, _)| (name, true));
    let has = |list: &[&str]| list.contains(&name);
    let ours = has(VISIT)
        || (has(CONNECTION) && verb != Some("config"))
        || (has(PARENT_IMPERSONATION) && verb.is_none())
        || (name == "user" && verb.is_none_or(|verb| !VERBS_WITH_USER.contains(&verb)));
    if ours {
        return (Owner::Ours, !inline);
    }
    if name == "insecure-skip-tls-verify" {
        return (Owner::Ours, false);
    }
    // After the verb kubectl's own words stay in order whether or not they are values: nothing is to be found there.
    (Owner::Kubectl, verb.is_none() && !inline && has(KUBECTL_VALUES))
}

fn short(flag: &str, verb: Option<&str>) -> (Owner, bool) {
    match flag {
        "-s" => (Owner::Ours, true),
        _ if flag.starts_with("-s") => (Owner::Ours, false),
        "-n" | "-v" => (Owner::Kubectl, verb.is_none()),
        _ => (Owner::Kubectl, false),
    }
}

fn is_flag(word: &OsStr, name: &str) -> bool {
    word.to_str()
        .and_then(|word| word.strip_prefix("--"))
        .is_some_and(|long| long.split('=').next() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn flags_of_a_visit_are_ours_wherever_they_stand() {
        for text in [
            "--cluster-id X --child-kubeconfig K get nodes -o wide",
            "get --cluster-id=X nodes -o wide --child-kubeconfig=K",
            "get nodes -o wide --cluster-id X --child-kubeconfig K",
        ] {
            let Call::Visit { ours, kubectl } = split(&line(text)) else { panic!("{text}") };
            assert_eq!(kubectl, line("get nodes -o wide"), "{text}");
            assert_eq!(ours.len(), if text.contains('=') { 2 } else { 4 }, "{text}");
        }
    }

    #[test]
    fn kubectl_never_sees_a_flag_that_would_lead_it_out_of_the_child() {
        let text = "--cluster-id X delete ns a --kubeconfig P --context=c -s https://p --server https://p --token t --user u";
        let Call::Visit { ours, kubectl } = split(&line(text)) else { panic!() };
        assert_eq!(kubectl, line("delete ns a"));
        assert_eq!(
            ours,
            line(
                "--cluster-id X --kubeconfig P --context=c -s https://p --server https://p --token t --user u"
            )
        );
    }

    #[test]
    fn after_two_dashes_nothing_is_ours() {
        let text = "--cluster-id X exec p -- sh --kubeconfig --cluster-id Y -s";
        let Call::Visit { ours, kubectl } = split(&line(text)) else { panic!() };
        assert_eq!(ours, line("--cluster-id X"));
        assert_eq!(kubectl, line("exec p -- sh --kubeconfig --cluster-id Y -s"));
    }

    #[test]
    fn two_dashes_may_stand_before_the_verb() {
        let Call::Visit { kubectl, .. } = split(&line("--cluster-id X -- get pods --token")) else {
            panic!()
        };
        assert_eq!(kubectl, line("-- get pods --token"));
    }

    #[test]
    fn a_cluster_named_only_after_two_dashes_is_none() {
        assert_eq!(
            split(&line("exec p -- a --cluster-id X")),
            Call::NoCluster { verb: String::from("exec") }
        );
    }

    #[test]
    fn values_of_kubectls_global_flags_are_not_taken_for_the_verb() {
        let text = "-n kube-system -v 6 --request-timeout 5s --cluster-id X get pods";
        let Call::Visit { kubectl, .. } = split(&line(text)) else { panic!() };
        assert_eq!(kubectl, line("-n kube-system -v 6 --request-timeout 5s get pods"));
    }

    #[test]
    fn a_verbs_own_user_flag_stays_with_it() {
        let text = "--cluster-id X --user admin create rolebinding r --role=a --user jane";
        let Call::Visit { ours, kubectl } = split(&line(text)) else { panic!() };
        assert_eq!(ours, line("--cluster-id X --user admin"));
        assert_eq!(kubectl, line("create rolebinding r --role=a --user jane"));
    }

    #[test]
    fn impersonation_acts_in_the_parent_before_the_verb_and_in_the_child_after_it() {
        let Call::Visit { ours, kubectl } =
            split(&line("--as a --cluster-id X get pods --as b --as-group=g"))
        else {
            panic!()
        };
        assert_eq!(ours, line("--as a --cluster-id X"));
        assert_eq!(kubectl, line("get pods --as b --as-group=g"));
    }

    #[test]
    fn our_commands_are_ours_and_shared_ones_are_kubectls_inside_a_cluster() {
        for text in [
            "clusters -o json",
            "token create",
            "version",
            "completion bash",
            "--help",
            "",
            "cluster",
            "frob",
        ] {
            assert_eq!(split(&line(text)), Call::Ours(line(text)), "{text}");
        }
        let Call::Visit { kubectl, .. } = split(&line("--cluster-id X version")) else { panic!() };
        assert_eq!(kubectl, line("version"));
    }

    #[test]
    fn kubectls_help_needs_no_cluster_and_its_verbs_do() {
        assert_eq!(split(&line("get --help")), Call::KubectlHelp(line("get --help")));
        assert_eq!(split(&line("logs web-0")), Call::NoCluster { verb: String::from("logs") });
        let forgotten = line("--child-kubeconfig K get pods");
        assert_eq!(split(&forgotten), Call::NoCluster { verb: String::from("get") });
    }

    #[test]
    fn without_a_cluster_objects_are_templates() {
        let Call::Templates { ours, kubectl } = split(&line("--context p apply -f web.yaml -n qux")) else {
            panic!()
        };
        assert_eq!((ours, kubectl), (line("--context p"), line("apply -f web.yaml -n qux")));
    }

    #[cfg(unix)]
    #[test]
    fn words_that_are_not_unicode_reach_kubectl_unchanged() {
        use std::os::unix::ffi::OsStringExt as _;
        let odd = OsString::from_vec(vec![b'f', 0xff]);
        let all = [line("--cluster-id X apply -f"), vec![odd.clone()]].concat();
        let Call::Visit { kubectl, .. } = split(&all) else { panic!() };
        assert_eq!(kubectl.last(), Some(&odd));
    }
}
