//! Which version of a resource is used (contract 8.2, step 3). Pure.

use api::{
    names::policy::conditions::{NO_REFERENCE_RESOURCE, NO_SOURCE_RESOURCE},
    policy::ClusterImportPolicySpec,
};
use kubeio::{Discovered, Resource};

use crate::{Problem, imports::Negotiated, recipe::kubectl_resource};

/// The resources of a policy, in versions the API server has.
pub(crate) fn negotiate(
    policy: &ClusterImportPolicySpec,
    discovered: &Discovered,
) -> Result<Negotiated, Problem> {
    let source = &policy.source;
    let found = choose(discovered, &source.group, &source.resource, &source.versions);
    let source = found.map_err(|why| Problem::new(NO_SOURCE_RESOURCE, format!("spec.source: {why}")))?;
    let references = policy.references.iter().map(|reference| {
        let found = choose(discovered, &reference.group, &reference.resource, &reference.versions);
        found.map_err(|why| {
            Problem::new(NO_REFERENCE_RESOURCE, format!("spec.references[{}]: {why}", reference.key))
        })
    });
    Ok(Negotiated { source, references: references.collect::<Result<_, _>>()? })
}

/// The version the API server prefers, of those that are allowed.
fn choose(
    discovered: &Discovered,
    group: &str,
    plural: &str,
    allowed: &[String],
) -> Result<Resource, String> {
    let there = || {
        discovered
            .resources
            .iter()
            .filter(|api| (&*api.resource.group, &*api.resource.plural) == (group, plural))
    };
    let fits = |version: &String| allowed.is_empty() || allowed.contains(version);
    let fitting = there().filter(|api| fits(&api.resource.version)).min_by_key(|api| api.priority);
    if let Some(api) = fitting {
        return if api.can("list") && api.can("watch") {
            Ok(api.resource.clone())
        } else {
            Err(format!("{} cannot be listed and watched", kubectl_resource(group, plural)))
        };
    }
    let name = kubectl_resource(group, plural);
    let versions: Vec<&str> = there().map(|api| &*api.resource.version).collect();
    if !versions.is_empty() {
        return Err(format!(
            "the API server has {name} in {} and not in {}",
            versions.join(", "),
            allowed.join(", ")
        ));
    }
    if let Some(down) = discovered.unavailable.iter().find(|down| down.group == group) {
        return Err(format!("the API server cannot tell whether it has {name}: {}", down.why));
    }
    Err(format!("the API server has no {name}; it is looked for again every few seconds"))
}

#[cfg(test)]
mod tests {
    use api::policy::{PolicyReference, PolicySource};
    use kubeio::{ApiResource, Unavailable};

    use super::*;

    fn api(group: &str, version: &str, plural: &str, priority: usize) -> ApiResource {
        ApiResource {
            resource: Resource::new(group, version, plural),
            priority,
            kind: String::new(),
            singular: String::new(),
            namespaced: true,
            verbs: ["get", "list", "watch"].map(str::to_owned).into(),
            short_names: Vec::new(),
            categories: Vec::new(),
        }
    }

    fn policy(versions: &[&str]) -> ClusterImportPolicySpec {
        let source = PolicySource {
            group: "x.io".into(),
            resource: "clusters".into(),
            versions: versions.iter().map(|version| (*version).to_owned()).collect(),
            ..PolicySource::default()
        };
        let reference =
            PolicyReference { key: "s".into(), resource: "secrets".into(), ..PolicyReference::default() };
        ClusterImportPolicySpec { source, references: vec![reference], ..ClusterImportPolicySpec::default() }
    }

    fn server() -> Discovered {
        Discovered {
            resources: vec![
                api("", "v1", "secrets", 0),
                api("x.io", "v1beta1", "clusters", 1),
                api("x.io", "v1", "clusters", 0),
            ],
            unavailable: Vec::new(),
        }
    }

    #[test]
    fn the_preferred_version_is_used_unless_the_policy_names_others() {
        let version = |versions: &[&str]| negotiate(&policy(versions), &server()).unwrap().source.version;
        assert_eq!(version(&[]), "v1");
        assert_eq!(version(&["v1beta1"]), "v1beta1");
        assert_eq!(version(&["v1alpha1", "v1beta1", "v1"]), "v1");
    }

    #[test]
    fn what_the_server_does_not_have_is_named() {
        let problem = negotiate(&policy(&["v7"]), &server()).unwrap_err();
        assert_eq!(problem.reason, NO_SOURCE_RESOURCE);
        assert_eq!(
            problem.message,
            "spec.source: the API server has clusters.x.io in v1beta1, v1 and not in v7"
        );
        let mut without = server();
        without.resources.remove(0);
        let problem = negotiate(&policy(&[]), &without).unwrap_err();
        assert_eq!(problem.reason, NO_REFERENCE_RESOURCE);
        assert!(problem.message.starts_with("spec.references[s]: the API server has no secrets;"));
        without.resources.clear();
        without.unavailable =
            vec![Unavailable { group: "x.io".into(), version: "v1".into(), why: "it is down".into() }];
        let problem = negotiate(&policy(&[]), &without).unwrap_err();
        assert!(problem.message.ends_with("cannot tell whether it has clusters.x.io: it is down"));
    }
}
