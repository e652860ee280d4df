//! Which version of a resource is used (contract 8.2, step 3). Pure.

use api::{
    names::policy::conditions::{NO_REFERENCE_RESOURCE, NO_SOURCE_RESOURCE},
    policy::{ClusterImportPolicySpec, PolicyReference},
};
use kubeio::{ApiResource, Discovered};

use crate::{Problem, imports::Negotiated, recipe::kubectl_resource};

/// The resources of a policy, in versions the API server has.
pub(crate) fn negotiate(
    policy: &ClusterImportPolicySpec,
    discovered: &Discovered,
) -> Result<Negotiated, Problem> {
    let source = &policy.source;
    let found = choose(discovered, &source.group, &source.resource, &source.versions).and_then(|api| {
        let within = source.namespace.as_deref().unwrap_or_default();
        if api.namespaced || within.is_empty() {
            return Ok(api.resource.clone());
        }
        let name = kubectl_resource(&source.group, &source.resource);
        Err(format!("{name} are in no namespace: remove spec.source.namespace"))
    });
    let source = found.map_err(|why| Problem::new(NO_SOURCE_RESOURCE, format!("spec.source: {why}")))?;
    let references = policy.references.iter().map(|reference| {
        let PolicyReference { key, group, resource, versions, namespace_template, .. } = reference;
        let found = choose(discovered, group, resource, versions).and_then(|api| {
            let name = kubectl_resource(group, resource);
            let field = format!("spec.references[{key}].namespaceTemplate");
            match (api.namespaced, namespace_template.trim().is_empty()) {
                (true, true) => Err(format!("{name} are namespaced: set {field}")),
                (false, false) => Err(format!("{name} are in no namespace: remove {field}")),
                _ => Ok(api.resource.clone()),
            }
        });
        found.map_err(|why| Problem::new(NO_REFERENCE_RESOURCE, format!("spec.references[{key}]: {why}")))
    });
    Ok(Negotiated { source, references: references.collect::<Result<_, _>>()? })
}

/// The version the API server prefers, of those that are allowed.
fn choose<'d>(
    discovered: &'d Discovered,
    group: &str,
    plural: &str,
    allowed: &[String],
) -> Result<&'d ApiResource, String> {
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
            Ok(api)
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
    use api::policy::PolicySource;
    use kubeio::{Resource, Unavailable};

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
        let reference = PolicyReference {
            key: "s".into(),
            resource: "secrets".into(),
            namespace_template: "default".into(),
            ..PolicyReference::default()
        };
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
    fn a_scope_that_does_not_fit_is_named_with_what_to_do() {
        let problem = |policy: &ClusterImportPolicySpec, server: &Discovered| {
            negotiate(policy, server).map_err(|problem| (problem.reason, problem.message)).unwrap_err()
        };
        let mut without = policy(&[]);
        without.references[0].namespace_template = String::from(" ");
        assert_eq!(
            problem(&without, &server()),
            (
                NO_REFERENCE_RESOURCE,
                String::from(
                    "spec.references[s]: secrets are namespaced: set spec.references[s].namespaceTemplate"
                )
            )
        );
        let mut flat = server();
        flat.resources.iter_mut().for_each(|api| api.namespaced = false);
        assert!(problem(&policy(&[]), &flat).1.ends_with("remove spec.references[s].namespaceTemplate"));
        let mut within = policy(&[]);
        within.source.namespace = Some(String::from("default"));
        assert!(negotiate(&within, &server()).is_ok());
        assert_eq!(
            problem(&within, &flat),
            (
                NO_SOURCE_RESOURCE,
                String::from("spec.source: clusters.x.io are in no namespace: remove spec.source.namespace")
            )
        );
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
