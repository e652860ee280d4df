//! The documents by which a client finds out what can be searched (contract 4.5), in the classic and the aggregated
//! form.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use apiserver::{Body, negotiate, with_type};
use http::{HeaderMap, HeaderValue, Response, header};
use meta::Status;
use serde_json::{Value, json};
use store::Resource;

use crate::{Kind, live::Subresource};

const JSON: &str = "application/json";
const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2_BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// What can be done with every resource.
const VERBS: [&str; 2] = ["get", "list"];

/// The resources that can be searched.
pub(crate) type Kinds = BTreeMap<Resource, Kind>;

/// What a client can find out about.
pub(crate) struct Served {
    pub(crate) kinds: Kinds,
    /// What of the core group the cluster itself answers.
    pub(crate) subresources: Vec<Subresource>,
}

impl Served {
    /// The subresources of a resource.
    fn below(&self, resource: &Resource) -> impl Iterator<Item = Subresource> {
        let is_core = resource.group.is_empty();
        self.subresources.iter().copied().filter(move |known| is_core && known.parent == resource.resource)
    }
}

/// `/api`: the core group in version 1, always, or its resources in the aggregated form.
pub(crate) fn legacy_versions(served: &Served, headers: &HeaderMap) -> Result<Response<Body>, Status> {
    let classic = json!({
        "kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"], "serverAddressByClientCIDRs": [],
    });
    let groups = versions(&served.kinds).into_iter().filter(|(group, _)| group.is_empty()).collect();
    document(headers, &classic, served, &groups)
}

/// `/apis`: every group but the core group.
pub(crate) fn groups(served: &Served, headers: &HeaderMap) -> Result<Response<Body>, Status> {
    let mut groups = versions(&served.kinds);
    groups.remove("");
    let list: Vec<Value> = groups.iter().map(|(name, versions)| group_document(name, versions)).collect();
    let classic = json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": list });
    document(headers, &classic, served, &groups)
}

/// `/apis/GROUP`
pub(crate) fn group(kinds: &Kinds, name: &str) -> Result<Value, Status> {
    let groups = versions(kinds);
    let versions = groups.get(name).filter(|_| !name.is_empty()).ok_or_else(|| unknown(name, ""))?;
    let mut document = group_document(name, versions);
    document["kind"] = json!("APIGroup");
    document["apiVersion"] = json!("v1");
    Ok(document)
}

/// `/api/v1` and `/apis/GROUP/VERSION`
pub(crate) fn group_version(served: &Served, group: &str, version: &str) -> Result<Value, Status> {
    let is_core = group.is_empty() && version == "v1";
    let resources: Vec<Value> = of(&served.kinds, group, version)
        .flat_map(|(resource, kind)| {
            let mut document = json!({
                "name": resource.resource,
                "singularName": kind.singular,
                "namespaced": kind.namespaced,
                "kind": kind.kind,
                "verbs": VERBS,
            });
            with_lists(&mut document, kind);
            let below = served.below(resource).map(|subresource| {
                json!({
                    "name": subresource.to_string(),
                    "singularName": "",
                    "namespaced": kind.namespaced,
                    "kind": subresource.kind(),
                    "verbs": subresource.verbs(),
                })
            });
            std::iter::once(document).chain(below).collect::<Vec<_>>()
        })
        .collect();
    if resources.is_empty() && !is_core {
        return Err(unknown(group, version));
    }
    Ok(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version_text(group, version),
        "resources": resources,
    }))
}

/// `apps/v1`, or `v1` for the core group.
pub(crate) fn group_version_text(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

fn unknown(group: &str, version: &str) -> Status {
    Status::not_found(format!(
        "Nothing of the API {:?} is synchronised from the clusters asked for.",
        group_version_text(group, version)
    ))
}

fn of<'a>(kinds: &'a Kinds, group: &str, version: &str) -> impl Iterator<Item = (&'a Resource, &'a Kind)> {
    kinds.iter().filter(move |(resource, _)| resource.group == group && resource.version == version)
}

fn with_lists(document: &mut Value, kind: &Kind) {
    for (key, list) in [("shortNames", &kind.short_names), ("categories", &kind.categories)] {
        if !list.is_empty() {
            document[key] = json!(list);
        }
    }
}

/// The versions of every group, the preferred one first.
fn versions(kinds: &Kinds) -> BTreeMap<String, Vec<String>> {
    let mut groups = BTreeMap::<String, BTreeSet<String>>::new();
    for resource in kinds.keys() {
        groups.entry(resource.group.clone()).or_default().insert(resource.version.clone());
    }
    groups
        .into_iter()
        .map(|(group, versions)| {
            let mut versions: Vec<String> = versions.into_iter().collect();
            versions.sort_by_key(|version| Reverse(priority(version)));
            (group, versions)
        })
        .collect()
}

/// Kubernetes' order of versions: final ones before beta before alpha, the newest first; then all others.
fn priority(version: &str) -> (bool, u8, u64, u64, Reverse<String>) {
    let name = Reverse(version.to_owned());
    let read = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (major, rest) = rest.split_at(digits);
        let major = major.parse().ok()?;
        let stages = [(2, "beta"), (1, "alpha")];
        let stage = stages.iter().find_map(|(stage, word)| Some((*stage, rest.strip_prefix(word)?)));
        match stage {
            None if rest.is_empty() => Some((3, major, 0)),
            None => None,
            Some((stage, minor)) => Some((stage, major, minor.parse().ok()?)),
        }
    };
    match read() {
        Some((stage, major, minor)) => (true, stage, major, minor, name),
        None => (false, 0, 0, 0, name),
    }
}

fn group_document(name: &str, versions: &[String]) -> Value {
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| json!({ "groupVersion": group_version_text(name, version), "version": version }))
        .collect();
    json!({ "name": name, "versions": versions, "preferredVersion": versions.first() })
}

/// The classic document, or the aggregated one of these groups for who prefers that.
fn document(
    headers: &HeaderMap,
    classic: &Value,
    served: &Served,
    groups: &BTreeMap<String, Vec<String>>,
) -> Result<Response<Body>, Status> {
    let media_type = negotiate(headers, &[JSON, V2, V2_BETA1])?;
    let document = match media_type {
        V2 => aggregated("v2", served, groups),
        V2_BETA1 => aggregated("v2beta1", served, groups),
        _ => classic.clone(),
    };
    let mut response = with_type(media_type, document.to_string());
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    Ok(response)
}

fn aggregated(api_version: &str, served: &Served, groups: &BTreeMap<String, Vec<String>>) -> Value {
    let version = |group: &str, version: &String| {
        let kind = |kind: &str| json!({ "group": group, "version": version, "kind": kind });
        let resources: Vec<Value> = of(&served.kinds, group, version)
            .map(|(resource, of_resource)| {
                let mut document = json!({
                    "resource": resource.resource,
                    "responseKind": kind(&of_resource.kind),
                    "scope": if of_resource.namespaced { "Namespaced" } else { "Cluster" },
                    "singularResource": of_resource.singular,
                    "verbs": VERBS,
                });
                with_lists(&mut document, of_resource);
                let below: Vec<Value> = served
                    .below(resource)
                    .map(|subresource| {
                        json!({
                            "subresource": subresource.name,
                            "responseKind": kind(subresource.kind()),
                            "verbs": subresource.verbs(),
                        })
                    })
                    .collect();
                if !below.is_empty() {
                    document["subresources"] = json!(below);
                }
                document
            })
            .collect();
        json!({ "version": version, "resources": resources, "freshness": "Current" })
    };
    let items: Vec<Value> = groups
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions.iter().map(|text| version(group, text)).collect();
            json!({ "metadata": { "name": group, "creationTimestamp": null }, "versions": versions })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{api_version}"),
        "metadata": {},
        "items": items,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_of_kubernetes() {
        let given = ["v1alpha1", "foo", "v2beta1", "v10", "v1", "v2", "v1beta2", "bar", "v1beta10"];
        let kinds: Kinds =
            given.iter().map(|version| (Resource::new("g", *version, "things"), Kind::default())).collect();
        let sorted = ["v10", "v2", "v1", "v2beta1", "v1beta10", "v1beta2", "v1alpha1", "bar", "foo"];
        assert_eq!(versions(&kinds)["g"], sorted);
    }

    #[test]
    fn number_30_the_core_group_is_there_even_without_resources() {
        let nothing = Served { kinds: Kinds::new(), subresources: Vec::new() };
        assert_eq!(group_version(&nothing, "", "v1").unwrap()["groupVersion"], "v1");
        assert_eq!(group_version(&nothing, "apps", "v1").unwrap_err().code, 404);
        assert_eq!(group(&Kinds::new(), "").unwrap_err().code, 404);
    }
}
