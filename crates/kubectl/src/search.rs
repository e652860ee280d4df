//! `search`: kubectl's `get` over all clusters at once, with the conditions of the search language as flags.
//!
//! kubectl knows no query parameters, so every condition travels in the label selector (contract `clusterpedia.md`,
//! section 2.1).

use std::{collections::BTreeSet, ffi::OsString, process::ExitCode};

use api::{
    names::search::{ALL_CLUSTERS, labels},
    pedia::PediaCluster,
    search::{GROUP, Resources, VERSION},
};
use kube::{Api, ResourceExt, api::ListParams};

use crate::{
    args::{Connection, SearchFlags},
    failure::{Failure, chain},
    parent::Parent,
    passthrough,
};

/// Runs kubectl's `get` on the search; its exit code is ours.
pub(crate) async fn search(connection: &Connection, flags: &SearchFlags) -> Result<ExitCode, Failure> {
    let mut parent = Parent::load(connection)?;
    let clusters = clusters(&parent, &flags.clusters).await?;
    parent.cluster.server = Some(address(parent.server()?, &clusters));
    let kubeconfig = parent.standalone("search", "search", connection.namespace.clone());
    passthrough::with(&kubeconfig, &arguments(flags, connection.namespace.as_deref(), &clusters)).await
}

/// The clusters meant, by name; none of them means all. Only a pattern needs the parent to tell which there are.
async fn clusters(parent: &Parent, wanted: &[String]) -> Result<BTreeSet<String>, Failure> {
    let (patterns, mut names): (Vec<&String>, BTreeSet<String>) = (
        wanted.iter().filter(|name| name.contains('*')).collect(),
        wanted.iter().filter(|name| !name.contains('*')).cloned().collect(),
    );
    if patterns.is_empty() {
        return Ok(names);
    }
    let all: Api<PediaCluster> = Api::all(parent.client().await?);
    let all = all.list_metadata(&ListParams::default()).await.map_err(|error| {
        Failure::new("cannot list the clusters that a pattern means")
            .because(chain(&error))
            .next("name the clusters, or ask for the right to list pediaclusters")
    })?;
    for cluster in all.items.iter().map(ResourceExt::name_any) {
        if patterns.iter().any(|pattern| fits(pattern, &cluster)) {
            names.insert(cluster);
        }
    }
    if names.is_empty() {
        return Err(Failure::new(format!("no cluster is called like {}", wanted.join(" or ")))
            .next("kubectl get pediaclusters lists the clusters that can be searched"));
    }
    Ok(names)
}

/// Whether `name` is like `pattern`, in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| fits(after, &rest[at..]))
}

/// The search as a server: of one cluster, whose right is enough then, or of all.
fn address(parent: &str, clusters: &BTreeSet<String>) -> String {
    let place = match clusters.iter().collect::<Vec<_>>()[..] {
        [one] => one.as_str(),
        _ => ALL_CLUSTERS,
    };
    format!("{parent}/apis/{GROUP}/{VERSION}/{}/{place}/proxy", Resources::PLURAL)
}

/// What kubectl is told.
fn arguments(flags: &SearchFlags, namespace: Option<&str>, clusters: &BTreeSet<String>) -> Vec<OsString> {
    let mut told = vec![String::from("get"), flags.resource.clone()];
    if flags.all_namespaces {
        told.push(String::from("--all-namespaces"));
    } else if let Some(namespace) = namespace {
        told.push(format!("--namespace={namespace}"));
    }
    let selector = selector(flags, clusters);
    if !selector.is_empty() {
        told.push(format!("--selector={selector}"));
    }
    let passed = [
        ("field-selector", flags.field_selector.clone()),
        ("output", flags.output.clone()),
        ("chunk-size", Some(String::from("500"))),
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
        // Without a limit kubectl reads page after page.
        Some(match flags.limit {
            Some(limit) => format!("{}={limit}", labels::LIMIT),
            None => format!("{}=true", labels::WITH_CONTINUE),
        }),
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
        let one = "https://p/apis/clusterpedia.io/v1beta1/resources/a/proxy";
        let all = "https://p/apis/clusterpedia.io/v1beta1/resources/all/proxy";
        assert_eq!(address("https://p", &named(&["a"])), one);
        assert_eq!(address("https://p", &named(&["a", "b"])), all);
        assert_eq!(address("https://p", &named(&[])), all);
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
    fn without_a_limit_everything_is_read_in_pages() {
        assert_eq!(selector(&flags(), &named(&[])), "search.clusterpedia.io/with-continue=true");
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
