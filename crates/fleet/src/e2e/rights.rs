//! What an identity may do in a cluster, asked of the cluster itself: every verb on every resource.

use std::collections::BTreeSet;

use anyhow::Context as _;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};

/// Verbs asked for on every resource, beside those discovery lists for it.
const VERBS: [&str; 12] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "impersonate",
    "bind",
    "escalate",
    "approve",
];

/// Reviews asked at once; the parent answers a few thousand a second.
const AT_ONCE: usize = 32;

/// Who is asked about.
pub struct Subject<'a> {
    /// The user name.
    pub user: &'a str,
    /// The groups.
    pub groups: Vec<String>,
}

/// Every right `subject` has, one line each: `VERB RESOURCE.GROUP in NAMESPACE`, sorted. `namespaces` gives each
/// namespace that is tried and the word it is printed as, so that generated names do not change the list; the whole
/// cluster is printed as `cluster`.
pub async fn matrix(
    admin: &Client,
    subject: &Subject<'_>,
    namespaces: &[(&str, &str)],
) -> anyhow::Result<Vec<String>> {
    let reviews: Api<SubjectAccessReview> = Api::all(admin.clone());
    let mut questions = Vec::new();
    for (group, resource, subresource) in resources(admin).await? {
        for verb in VERBS {
            for (namespace, word) in namespaces.iter().copied().chain([("", "cluster")]) {
                questions.push((group.clone(), resource.clone(), subresource.clone(), verb, namespace, word));
            }
        }
    }
    let answers: Vec<Option<String>> = stream::iter(questions)
        .map(|(group, resource, subresource, verb, namespace, word)| {
            let reviews = reviews.clone();
            async move {
                let full =
                    subresource.as_ref().map_or_else(|| resource.clone(), |sub| format!("{resource}/{sub}"));
                let name = if group.is_empty() { full } else { format!("{full}.{group}") };
                let review = SubjectAccessReview {
                    spec: SubjectAccessReviewSpec {
                        user: Some(subject.user.to_owned()),
                        groups: Some(subject.groups.clone()),
                        resource_attributes: Some(ResourceAttributes {
                            group: Some(group),
                            resource: Some(resource),
                            subresource,
                            verb: Some(verb.to_owned()),
                            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
                            ..ResourceAttributes::default()
                        }),
                        ..SubjectAccessReviewSpec::default()
                    },
                    ..SubjectAccessReview::default()
                };
                let answer = reviews.create(&PostParams::default(), &review).await.context("review")?;
                let allowed = answer.status.is_some_and(|status| status.allowed);
                anyhow::Ok(allowed.then(|| format!("{verb} {name} in {word}")))
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut lines: Vec<String> = answers.into_iter().flatten().collect();
    lines.sort();
    Ok(lines)
}

/// Every resource and subresource the cluster serves, and those that exist for RBAC only.
async fn resources(client: &Client) -> anyhow::Result<BTreeSet<(String, String, Option<String>)>> {
    let mut found = BTreeSet::new();
    let mut add = |group: &str, names: Vec<String>| {
        for name in names {
            let (resource, sub) =
                name.split_once('/').map_or((name.as_str(), None), |(r, s)| (r, Some(s.to_owned())));
            found.insert((group.to_owned(), resource.to_owned(), sub));
        }
    };
    let names = |list: k8s_openapi::apimachinery::pkg::apis::meta::v1::APIResourceList| {
        list.resources.into_iter().map(|resource| resource.name).collect::<Vec<_>>()
    };
    add("", names(client.list_core_api_resources("v1").await?));
    for group in client.list_api_groups().await?.groups {
        for version in &group.versions {
            // A group whose server is down is no reason to skip the others.
            if let Ok(list) = client.list_api_group_resources(&version.group_version).await {
                add(&group.name, names(list));
            }
        }
    }
    for (group, resource) in
        [("", "users"), ("", "groups"), ("", "serviceaccounts"), ("authentication.k8s.io", "userextras")]
    {
        found.insert((group.to_owned(), resource.to_owned(), None));
    }
    for sub in ["direct", "http", "https"] {
        found.insert((
            api::proxies::GROUP.to_owned(),
            api::proxies::RESOURCE.to_owned(),
            Some(sub.to_owned()),
        ));
    }
    Ok(found)
}
