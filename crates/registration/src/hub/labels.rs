//! Which of an agent's labels reach its ManagedCluster. Labels place workloads and secrets, so an agent may not choose
//! them freely.

use std::collections::{BTreeMap, BTreeSet};

use api::names::labels;

/// How many labels are taken from one agent.
pub(crate) const MOST_LABELS: usize = 128;

type Labels = BTreeMap<String, String>;

/// What is taken from an agent, and what is not.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The labels for the ManagedCluster.
    pub(crate) labels: Labels,
    /// The keys among them that lie outside the prefixes an agent may set freely.
    pub(crate) beyond: BTreeSet<String>,
    /// The keys that were wanted in vain: reserved, no valid labels, or too many.
    pub(crate) refused: BTreeSet<String>,
}

/// What is taken at the first approval, and always with `--trust-agent-labels`.
pub(crate) fn all(wanted: &Labels) -> Taken {
    take(wanted, true)
}

/// What is taken later: only what an agent may set freely.
pub(crate) fn free(wanted: &Labels) -> Taken {
    take(wanted, false)
}

fn take(wanted: &Labels, beyond: bool) -> Taken {
    let mut taken = Taken::default();
    for (key, value) in wanted {
        if is_reserved(key) || !is_valid(key, value) || taken.labels.len() >= MOST_LABELS {
            taken.refused.insert(key.clone());
        } else if is_free(key) {
            taken.labels.insert(key.clone(), value.clone());
        } else if beyond {
            taken.labels.insert(key.clone(), value.clone());
            taken.beyond.insert(key.clone());
        }
    }
    taken
}

/// Whether an agent may set and remove a label with this key at any time.
pub(crate) fn is_free(key: &str) -> bool {
    key.starts_with(labels::NODE_PREFIX) || key.starts_with(labels::AGENT_PREFIX)
}

/// Keys in our own domains are the hub's, except those that are left to agents.
fn is_reserved(key: &str) -> bool {
    let Some((domain, _)) = key.split_once('/') else { return false };
    let ours = ["clusternet.io", "clusterway.io"];
    let inside =
        |parent: &str| domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    ours.into_iter().any(inside) && !is_free(key)
}

/// Whether the API server would accept the label.
fn is_valid(key: &str, value: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(domain, name)| (Some(domain), name));
    let domain_valid = domain.is_none_or(|domain| {
        domain.len() <= 253 && domain.split('.').all(|part| super::naming::is_dns_label(part, 63))
    });
    domain_valid && !name.is_empty() && is_word(name) && is_word(value)
}

/// At most 63 letters, digits, hyphens, underscores and dots; letters or digits at both ends; or nothing.
fn is_word(text: &str) -> bool {
    let end = |byte: Option<u8>| byte.is_none_or(|byte| byte.is_ascii_alphanumeric());
    text.len() <= 63
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && end(text.bytes().next())
        && end(text.bytes().next_back())
}

/// How the labels of a ManagedCluster must change: `None` removes a key. What users set stays, except under the
/// prefixes that belong to the agent.
pub(crate) fn changes(
    current: &Labels,
    taken: &Taken,
    beyond_before: &BTreeSet<String>,
    trust: bool,
) -> BTreeMap<String, Option<String>> {
    let gone = |key: &&String| {
        let agents = is_free(key) || (trust && beyond_before.contains(*key));
        agents && !taken.labels.contains_key(*key)
    };
    let removed = current.keys().filter(gone).map(|key| (key.clone(), None));
    let set = taken.labels.iter().filter(|(key, value)| current.get(*key) != Some(value));
    removed.chain(set.map(|(key, value)| (key.clone(), Some(value.clone())))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn keys(set: &BTreeSet<String>) -> Vec<&str> {
        set.iter().map(String::as_str).collect()
    }

    #[test]
    fn free_prefixes_are_always_taken_and_others_at_the_first_approval_only() {
        let wanted =
            map(&[("node.clusternet.io/zone", "a"), ("agent.clusterway.io/site", "b"), ("env", "prod")]);
        let first = all(&wanted);
        assert_eq!((first.labels, keys(&first.beyond)), (wanted.clone(), vec!["env"]));
        let later = free(&wanted);
        assert_eq!(
            later.labels.keys().collect::<Vec<_>>(),
            ["agent.clusterway.io/site", "node.clusternet.io/zone"]
        );
        assert!(later.beyond.is_empty() && later.refused.is_empty());
    }

    #[test]
    fn labels_of_the_hub_are_never_taken() {
        let wanted = map(&[
            ("clusters.clusternet.io/cluster-id", "x"),
            ("clusternet.io/created-by", "x"),
            ("apps.clusternet.io/config.kind", "x"),
            ("clusterway.io/x", "x"),
            ("notclusternet.io/x", "kept"),
        ]);
        let taken = all(&wanted);
        assert_eq!(taken.labels, map(&[("notclusternet.io/x", "kept")]));
        assert_eq!(taken.refused.len(), 4);
    }

    #[test]
    fn labels_the_api_server_would_refuse_are_left_out_instead_of_blocking_the_rest() {
        let long = "a".repeat(64);
        let wanted = map(&[
            ("", "x"),
            ("a/b/c", "x"),
            ("-a", "x"),
            ("Domain.io/a", "x"),
            ("/a", "x"),
            (&long, "x"),
            ("value", "two words"),
            ("good.io/Key_1", "Value-1.0"),
            ("empty", ""),
        ]);
        let taken = all(&wanted);
        assert_eq!(taken.labels, map(&[("good.io/Key_1", "Value-1.0"), ("empty", "")]));
        assert_eq!(taken.refused.len(), 7);
    }

    #[test]
    fn no_agent_sets_more_labels_than_the_limit() {
        let wanted: Labels = (0..1000).map(|n| (format!("agent.clusterway.io/{n}"), String::new())).collect();
        let taken = free(&wanted);
        assert_eq!((taken.labels.len(), taken.refused.len()), (MOST_LABELS, 1000 - MOST_LABELS));
    }

    #[test]
    fn labels_of_the_agent_follow_it_and_labels_of_users_stay() {
        let current =
            map(&[("node.clusternet.io/zone", "a"), ("node.clusternet.io/arch", "arm"), ("team", "x")]);
        let taken = free(&map(&[("node.clusternet.io/arch", "amd64"), ("team", "y")]));
        let changes = changes(&current, &taken, &BTreeSet::new(), false);
        let expected = [
            ("node.clusternet.io/arch".to_owned(), Some("amd64".to_owned())),
            ("node.clusternet.io/zone".to_owned(), None),
        ];
        assert_eq!(changes, BTreeMap::from(expected));
    }

    #[test]
    fn a_trusted_agent_also_removes_what_it_once_set() {
        let current = map(&[("env", "prod"), ("team", "x")]);
        let before = BTreeSet::from(["env".to_owned()]);
        let taken = all(&Labels::new());
        assert!(changes(&current, &taken, &before, false).is_empty());
        assert_eq!(changes(&current, &taken, &before, true), BTreeMap::from([("env".to_owned(), None)]));
    }
}
