//! `search`: kubectl's `get` over all clusters at once, with the conditions of the search language as flags.
//!
//! kubectl knows no query parameters, so every condition travels in the label selector (contract `clusterpedia.md`,
//! section 2.1).

use std::{collections::BTreeSet, ffi::OsString, io::IsTerminal as _, process::ExitCode};

use api::{
    names::search::{ALL_CLUSTERS, labels},
    pedia::PediaCluster,
    search::{GROUP, Resources, VERSION},
};
use kube::{Api, ResourceExt, api::ListParams};
use meta::Status;

use crate::{
    args::{Connection, SearchFlags},
    child::Child,
    failure::Failure,
    output::say,
    parent::Parent,
    passthrough,
    progress::Progress,
    relay::{Destination, Place},
};

/// Runs kubectl's `get` on the search; its exit code is ours. Somebody at a terminal sees how far a long answer is.
pub(crate) async fn search(connection: &Connection, flags: &SearchFlags) -> Result<ExitCode, Failure> {
    let parent = Parent::load(connection)?;
    let clusters = wanted(&parent, &flags.clusters).await?;
    let namespace = connection.namespace.clone().or_else(|| parent.namespace.clone());
    let stderr = std::io::stderr();
    let destination = Destination {
        place: Place::Behind(path(single(&clusters))),
        child: Child::anonymous(namespace),
        progress: stderr.is_terminal().then(|| Progress::on(stderr)),
    };
    // What can be searched changes with every PediaCluster, so kubectl keeps nothing of it.
    let ran = passthrough::through(&parent, destination, None, &arguments(flags, &clusters)).await?;
    match ran.refusal {
        _ if ran.succeeded => {}
        Some(why) => say(&Failure::new("the clusters cannot be searched")
            .because(&why.message)
            .next(remedy(&why))
            .to_string()),
        // For kubectl there is just no such resource.
        None if self::clusters(&parent).await.is_ok_and(|clusters| clusters.is_empty()) => {
            say(&Failure::new("nothing can be searched yet")
                .because("there is no PediaCluster in the parent")
                .next("docs/guide.md, Search all clusters, tells how to make one")
                .to_string());
        }
        None => {}
    }
    Ok(ran.code)
}

/// The names of the PediaClusters.
pub(crate) async fn clusters(parent: &Parent) -> Result<BTreeSet<String>, Failure> {
    let all: Api<PediaCluster> = Api::all(parent.client().await?);
    let all = all
        .list_metadata(&ListParams::default())
        .await
        .map_err(|error| Failure::parent("list the clusters that can be searched", &error))?;
    Ok(all.items.iter().map(ResourceExt::name_any).collect())
}

/// Why the caller cannot search a cluster, or all, if that is so.
pub(crate) async fn refusal(parent: &Parent, cluster: Option<&str>) -> Result<Option<Status>, Failure> {
    let request = http::Request::get(format!("{}/version", path(cluster)))
        .body(Vec::new())
        .map_err(|error| Failure::new("the name of the cluster is not one").because(error))?;
    match parent.client().await?.request_text(request).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => {
            Ok(Some(Status::new(status.code, &*status.reason, &*status.message)))
        }
        Err(error) => Err(Failure::parent("reach the search", &error)),
    }
}

/// What to do about a refusal.
pub(crate) fn remedy(why: &Status) -> &'static str {
    match why.code {
        403 => {
            "the parent's administrator grants this: deploy/examples/search-one-cluster.yaml, or the role clusterway:searcher"
        }
        404 => {
            "is this the parent, and is the hub installed there? Choose the parent with --context or --kubeconfig"
        }
        503 => "the hub's log says what became of its store",
        _ => "kubectl get pediaclusters shows the clusters that can be searched",
    }
}

/// The clusters meant, by name; none of them means all. Only a pattern needs the parent to tell which there are.
async fn wanted(parent: &Parent, wanted: &[String]) -> Result<BTreeSet<String>, Failure> {
    let (patterns, mut names): (Vec<&String>, BTreeSet<String>) = (
        wanted.iter().filter(|name| name.contains('*')).collect(),
        wanted.iter().filter(|name| !name.contains('*')).cloned().collect(),
    );
    if let Some(wrong) = names.iter().find(|name| !is_name(name)) {
        return Err(Failure::new(format!("{wrong:?} is no name of a cluster")).next(
            "kubectl get pediaclusters lists the clusters that can be searched; * stands for any text",
        ));
    }
    if patterns.is_empty() {
        return Ok(names);
    }
    let all = clusters(parent).await.map_err(|failure| {
        failure.next("name the clusters without *, or ask for the right to list pediaclusters")
    })?;
    names.extend(all.into_iter().filter(|cluster| patterns.iter().any(|pattern| fits(pattern, cluster))));
    if names.is_empty() {
        return Err(Failure::new(format!("no cluster is called like {}", wanted.join(" or ")))
            .next("kubectl get pediaclusters lists the clusters that can be searched"));
    }
    Ok(names)
}

/// Whether a PediaCluster can be called this. It becomes part of a path.
fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

/// Whether `name` is like `pattern`, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| fits(after, &rest[at..]))
}

/// The one cluster, if it is one: whoever may search that need not be allowed more.
fn single(clusters: &BTreeSet<String>) -> Option<&str> {
    clusters.first().map(String::as_str).filter(|_| clusters.len() == 1)
}

/// Where a cluster, or all of them, are searched: a path in the parent that serves a Kubernetes API.
pub(crate) fn path(cluster: Option<&str>) -> String {
    format!("/apis/{GROUP}/{VERSION}/{}/{}/proxy", Resources::PLURAL, cluster.unwrap_or(ALL_CLUSTERS))
}

/// What kubectl is told.
fn arguments(flags: &SearchFlags, clusters: &BTreeSet<String>) -> Vec<OsString> {
    let mut told = vec![String::from("get"), flags.resource.clone()];
    if flags.all_namespaces {
        told.push(String::from("--all-namespaces"));
    }
    let selector = selector(flags, clusters);
    let passed = [
        ("selector", Some(selector).filter(|selector| !selector.is_empty())),
        ("field-selector", flags.field_selector.clone()),
        ("output", flags.output.clone()),
        // Everything in one answer, which may last: kubectl prints nothing before it has all of it anyway.
        ("chunk-size", Some(String::from("0"))),
    ];
    told.extend(passed.into_iter().filter_map(|(flag, value)| Some(format!("--{flag}={}", value?))));
    if flags.no_headers {
        told.push(String::from("--no-headers"));
    }
    told.into_iter().map(OsString::from).collect()
}

/// Labels of objects and conditions of the search in one.
fn selector(flags: &SearchFlags, clusters: &BTreeSet<String>) -> String {
    let any_of = |key: &str, values: Vec<&str>| match values[..] {
        [] => None,
        [one] => Some(format!("{key}={one}")),
        _ => Some(format!("{key} in ({})", values.join(","))),
    };
    let is = |key: &str, value: &Option<String>| value.as_ref().map(|value| format!("{key}={value}"));
    let by: Vec<String> = flags
        .sort
        .iter()
        .map(|field| field.strip_prefix('-').map_or_else(|| field.clone(), |field| format!("{field}_desc")))
        .collect();
    let several = if clusters.len() > 1 { clusters.iter().map(String::as_str).collect() } else { vec![] };
    [
        flags.selector.clone().filter(|selector| !selector.is_empty()),
        any_of(labels::CLUSTERS, several),
        any_of(labels::NAMES, flags.names.iter().map(String::as_str).collect()),
        is(labels::FUZZY_NAME, &flags.name_contains),
        is(labels::SINCE, &flags.since),
        is(labels::BEFORE, &flags.before),
        is(labels::OWNER_NAME, &flags.owner),
        flags.generations.map(|generations| format!("{}={generations}", labels::OWNER_SENIORITY)),
        any_of(labels::ORDER_BY, by.iter().map(String::as_str).collect()),
        flags.limit.map(|limit| format!("{}={limit}", labels::LIMIT)),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> SearchFlags {
        SearchFlags { resource: String::from("pods"), ..SearchFlags::default() }
    }

    fn named(clusters: &[&str]) -> BTreeSet<String> {
        clusters.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_cluster_is_asked_under_its_own_name_and_several_under_all() {
        let one = "/apis/clusterpedia.io/v1beta1/resources/a/proxy";
        let all = "/apis/clusterpedia.io/v1beta1/resources/all/proxy";
        assert_eq!(path(single(&named(&["a"]))), one);
        assert_eq!(path(single(&named(&["a", "b"]))), all);
        assert_eq!(path(single(&named(&[]))), all);
    }

    #[test]
    fn what_cannot_be_a_name_never_becomes_a_path() {
        for (text, is) in
            [("prod-1.eu", true), ("..", false), ("a/b", false), ("", false), ("A", false), ("a b", false)]
        {
            assert_eq!(is_name(text), is, "{text:?}");
        }
    }

    #[test]
    fn kubectl_is_asked_for_everything_at_once() {
        let flags = SearchFlags { all_namespaces: true, output: Some("name".into()), ..flags() };
        assert_eq!(
            arguments(&flags, &named(&[])),
            ["get", "pods", "--all-namespaces", "--output=name", "--chunk-size=0"]
        );
    }

    #[test]
    fn every_condition_becomes_a_requirement_of_the_label_selector() {
        let flags = SearchFlags {
            names: vec![String::from("web"), String::from("db")],
            selector: Some(String::from("app in (a,b)")),
            sort: vec![String::from("cluster"), String::from("-created_at")],
            owner: Some(String::from("web")),
            generations: Some(1),
            limit: Some(20),
            ..flags()
        };
        assert_eq!(
            selector(&flags, &named(&["x", "y"])),
            "app in (a,b),search.clusterpedia.io/clusters in (x,y),search.clusterpedia.io/names in (web,db),\
             search.clusterpedia.io/owner-name=web,search.clusterpedia.io/owner-seniority=1,\
             search.clusterpedia.io/orderby in (cluster,created_at_desc),search.clusterpedia.io/limit=20"
        );
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, fits_it) in [
            ("prod-*", "prod-1", true),
            ("prod-*", "prod-", true),
            ("prod-*", "test-prod-1", false),
            ("*-eu-*", "prod-eu-1", true),
            ("*", "", true),
            ("a*b*b", "ab", false),
            ("a*b*b", "aébxb", true),
        ] {
            assert_eq!(fits(pattern, name), fits_it, "{pattern} {name}");
        }
    }
}
