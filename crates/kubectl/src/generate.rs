//! `create deployment web --image …` among templates, in two steps: kubectl makes the object, then sends it as JSON.
//!
//! What kubectl makes by itself it sends as protobuf, which the API of templates does not read.

use std::ffi::OsString;

use crate::args::split::KUBECTL_VALUES;

/// The objects that `kubectl create` can make.
const MADE: &[&str] = &[
    "clusterrole",
    "clusterrolebinding",
    "cm",
    "configmap",
    "cj",
    "cronjob",
    "deploy",
    "deployment",
    "ing",
    "ingress",
    "job",
    "namespace",
    "ns",
    "pc",
    "pdb",
    "poddisruptionbudget",
    "priorityclass",
    "quota",
    "resourcequota",
    "role",
    "rolebinding",
    "sa",
    "secret",
    "service",
    "serviceaccount",
    "svc",
];

/// Two lines for kubectl.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// Makes the object and writes it to the standard output.
    pub(crate) make: Vec<OsString>,
    /// Reads it from the standard input and sends it.
    pub(crate) send: Vec<OsString>,
}

/// Which of the two steps a flag is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum For {
    Make,
    Send,
    Both,
}

/// The two steps, if this line has kubectl make an object and send it.
pub(crate) fn steps(line: &[OsString]) -> Option<Steps> {
    let end = line.iter().position(|word| word == "--").unwrap_or(line.len());
    let (line, arguments) = line.split_at(end);
    let mut make = Vec::new();
    let mut send = Vec::from(["create", "-f", "-"].map(OsString::from));
    let mut names = Vec::new();
    let mut words = line.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if !text.starts_with('-') {
            names.push(text.clone().into_owned());
            make.push(word.clone());
            continue;
        }
        let (step, value_follows) = match flag(&text) {
            // Given as files, or not sent at all.
            ("-f" | "--filename" | "-k" | "--kustomize" | "--raw", _) => return None,
            ("--dry-run", value) => match value {
                Some("server") => (For::Send, false),
                Some("none") => continue,
                _ => return None,
            },
            ("-o" | "--output" | "--template", value) => (For::Send, value.is_none()),
            ("-n" | "--namespace" | "--field-manager", value) => (For::Both, value.is_none()),
            ("--show-managed-fields", _) => (For::Send, false),
            ("--validate", _) => (For::Both, false),
            (name, value) => {
                let is_global = KUBECTL_VALUES.contains(&name.trim_start_matches('-'));
                (For::Make, names.is_empty() && value.is_none() && is_global)
            }
        };
        let value = words.by_ref().take(usize::from(value_follows)).cloned();
        let given: Vec<OsString> = std::iter::once(word.clone()).chain(value).collect();
        if step != For::Send {
            make.extend(given.iter().cloned());
        }
        if step != For::Make {
            send.extend(given);
        }
    }
    let [verb, what, ..] = names.as_slice() else { return None };
    if verb != "create" || !MADE.contains(&what.as_str()) {
        return None;
    }
    make.extend(["--dry-run=client", "--output=json"].map(OsString::from));
    make.extend_from_slice(arguments);
    Some(Steps { make, send })
}

/// A flag and the value in the same word.
fn flag(word: &str) -> (&str, Option<&str>) {
    if word.starts_with("--") {
        return word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
    }
    match word.char_indices().nth(2) {
        Some((at, _)) => (&word[..at], Some(word[at..].trim_start_matches('='))),
        None => (word, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split_whitespace().map(OsString::from).collect()
    }

    fn split(text: &str) -> Option<(Vec<OsString>, Vec<OsString>)> {
        steps(&words(text)).map(|steps| (steps.make, steps.send))
    }

    #[test]
    fn what_kubectl_makes_is_made_first_and_then_sent() {
        assert_eq!(
            split("create deployment web --image app:1 -n qux -o name --dry-run=server"),
            Some((
                words("create deployment web --image app:1 -n qux --dry-run=client --output=json"),
                words("create -f - -n qux -o name --dry-run=server"),
            ))
        );
    }

    #[test]
    fn what_stands_behind_two_dashes_is_for_the_object() {
        assert_eq!(
            split("-v 6 -n qux create job j --image=x -oyaml -- sh -f --dry-run=client"),
            Some((
                words(
                    "-v 6 -n qux create job j --image=x --dry-run=client --output=json -- sh -f --dry-run=client"
                ),
                words("create -f - -n qux -oyaml"),
            ))
        );
    }

    #[test]
    fn files_and_what_is_not_sent_stay_as_they_are() {
        for text in [
            "create -f web.yaml",
            "create -fweb.yaml",
            "create --filename=web.yaml",
            "create --raw /x -f y",
            "create deployment web --image=x --dry-run=client -o yaml",
            "create token robot",
            "get deployment web",
            "create",
        ] {
            assert_eq!(split(text), None, "{text}");
        }
    }
}
