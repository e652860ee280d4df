//! What a policy makes of one source object. Pure.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use api::{
    names::policy::conditions::{INVALID, NAME_UNPARSED, SELECTOR_UNPARSED},
    policy::{
        ClusterImportPolicySpec, LifecycleReference, LifecycleSource, PediaClusterLifecycleSpec,
        PolicyReference,
    },
};
use gotemplate::Template;
use kubeio::Resource;
use serde_json::Value;

use crate::{
    Problem,
    recipe::Recipe,
    template::{self, Objects},
};

/// The parsed templates of a policy.
#[derive(Debug)]
pub(crate) struct Imports {
    selector: Option<Template>,
    name: Template,
    /// What of a source object all the templates look at, as paths; nothing if it may be all of it.
    reads: Option<BTreeSet<Vec<String>>>,
}

/// What becomes of a source object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The policy does not select it.
    Left,
    /// It is imported under this name.
    Taken(String),
    /// Nobody can say; why.
    Failed(String),
}

/// The resources of a policy in the versions that are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Negotiated {
    pub(crate) source: Resource,
    /// As the policy's references.
    pub(crate) references: Vec<Resource>,
}

impl Imports {
    /// Parses the templates of a policy, those of its references included.
    pub(crate) fn parse(spec: &ClusterImportPolicySpec) -> Result<Self, Problem> {
        let parse = |reason, field, text| {
            template::parse(field, text).map_err(|why| Problem::new(reason, format!("not a template: {why}")))
        };
        let selector = Some(&spec.source.selector_template).filter(|text| !text.trim().is_empty());
        let selector = selector
            .map(|text| parse(SELECTOR_UNPARSED, "spec.source.selectorTemplate", text))
            .transpose()?;
        let name = parse(NAME_UNPARSED, "spec.nameTemplate", &spec.name_template)?;
        let references: Vec<_> =
            spec.references.iter().map(|reference| lifecycle_reference(reference, "")).collect();
        let recipe = Recipe::parse(&references, &spec.creation_condition, &spec.template)
            .map_err(|problem| Problem { reason: INVALID, ..problem })?;
        let templates = recipe.templates().chain(&selector).chain([&name]);
        let reads = reads(templates);
        Ok(Self { selector, name, reads })
    }

    /// Whether it leaves some objects.
    pub(crate) fn selects(&self) -> bool {
        self.selector.is_some()
    }

    /// Whether the templates look at nothing of the source but its metadata.
    pub(crate) fn metadata_is_enough(&self) -> bool {
        let within = |path: &Vec<String>| path.first().is_some_and(|first| first == "metadata");
        self.reads.as_ref().is_some_and(|reads| reads.iter().all(within))
    }

    /// What becomes of a source object.
    pub(crate) fn outcome(&self, source: Value) -> Outcome {
        let objects = Objects::of(source);
        let selected =
            self.selector.as_ref().map(|selector| template::is_true(selector, &objects)).transpose();
        match selected {
            Ok(None | Some(Ok(()))) => {
                template::name(&self.name, &objects).map_or_else(Outcome::Failed, Outcome::Taken)
            }
            Ok(Some(Err(_))) => Outcome::Left,
            Err(why) => Outcome::Failed(why),
        }
    }

    /// Changes with what the templates look at, and with nothing else that a heartbeat could change.
    pub(crate) fn digest(&self, source: &Value) -> u64 {
        let mut hasher = DefaultHasher::new();
        source["metadata"]["uid"].as_str().hash(&mut hasher);
        match &self.reads {
            Some(reads) => {
                for path in reads {
                    let value = path.iter().try_fold(source, |value, field| value.get(field));
                    value.map(Value::to_string).hash(&mut hasher);
                }
            }
            None => source["metadata"]["resourceVersion"].as_str().hash(&mut hasher),
        }
        hasher.finish()
    }
}

/// What templates look at of `.source`; nothing if it may be all.
fn reads<'t>(templates: impl Iterator<Item = &'t Template>) -> Option<BTreeSet<Vec<String>>> {
    let mut reads = BTreeSet::new();
    for path in templates.map(Template::paths).collect::<Option<Vec<_>>>()?.into_iter().flatten() {
        match path.split_first() {
            Some((first, rest)) if first == "source" => {
                if rest.is_empty() {
                    return None;
                }
                reads.insert(rest.to_vec());
            }
            _ => {}
        }
    }
    Some(reads)
}

/// The lifecycle of one source object.
pub(crate) fn lifecycle(
    policy: &ClusterImportPolicySpec,
    negotiated: &Negotiated,
    namespace: &str,
    name: &str,
) -> PediaClusterLifecycleSpec {
    let references = policy.references.iter().zip(&negotiated.references);
    PediaClusterLifecycleSpec {
        source: LifecycleSource {
            group: negotiated.source.group.clone(),
            version: negotiated.source.version.clone(),
            resource: negotiated.source.plural.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        },
        references: references
            .map(|(reference, found)| lifecycle_reference(reference, &found.version))
            .collect(),
        template: policy.template.clone(),
        creation_condition: policy.creation_condition.clone(),
    }
}

fn lifecycle_reference(reference: &PolicyReference, version: &str) -> LifecycleReference {
    LifecycleReference {
        key: reference.key.clone(),
        group: reference.group.clone(),
        version: version.to_owned(),
        resource: reference.resource.clone(),
        namespace_template: reference.namespace_template.clone(),
        name_template: reference.name_template.clone(),
    }
}

#[cfg(test)]
mod tests {
    use api::policy::PolicySource;
    use serde_json::json;

    use super::*;

    fn policy() -> ClusterImportPolicySpec {
        ClusterImportPolicySpec {
            source: PolicySource {
                selector_template: String::from("{{ eq .source.metadata.labels.import \"yes\" }}"),
                ..PolicySource::default()
            },
            name_template: String::from("x-{{ .source.metadata.name }}"),
            template: String::from("spec: { apiserver: \"{{ .source.spec.url }}\", syncResources: [] }"),
            creation_condition: String::from("true"),
            ..ClusterImportPolicySpec::default()
        }
    }

    fn object(label: &str) -> Value {
        json!({ "metadata": { "name": "a", "uid": "1", "resourceVersion": "1", "labels": { "import": label } },
                "spec": { "url": "u" }, "status": { "heartbeat": 1 } })
    }

    #[test]
    fn the_selector_chooses_and_the_name_follows_from_the_object() {
        let imports = Imports::parse(&policy()).unwrap();
        assert_eq!(imports.outcome(object("yes")), Outcome::Taken(String::from("x-a")));
        assert_eq!(imports.outcome(object("no")), Outcome::Left);
        assert!(matches!(imports.outcome(json!({ "metadata": { "labels": { "import": 1 } } })),
                     Outcome::Failed(why) if why.starts_with("spec.source.selectorTemplate, line 1, column 4: ")));
        let all = ClusterImportPolicySpec { source: PolicySource::default(), ..policy() };
        assert_eq!(Imports::parse(&all).unwrap().outcome(object("no")), Outcome::Taken(String::from("x-a")));
    }

    #[test]
    fn a_heartbeat_changes_no_digest_and_what_templates_look_at_does() {
        let imports = Imports::parse(&policy()).unwrap();
        let digest = imports.digest(&object("yes"));
        let mut other = object("yes");
        other["metadata"]["resourceVersion"] = json!("2");
        other["status"]["heartbeat"] = json!(2);
        assert_eq!(imports.digest(&other), digest);
        other["spec"]["url"] = json!("v");
        assert_ne!(imports.digest(&other), digest);
        let whole =
            ClusterImportPolicySpec { name_template: String::from("{{ toJson .source }}"), ..policy() };
        let whole = Imports::parse(&whole).unwrap();
        let mut newer = object("yes");
        newer["metadata"]["resourceVersion"] = json!("2");
        assert_ne!(whole.digest(&newer), whole.digest(&object("yes")));
    }

    #[test]
    fn metadata_is_enough_when_no_template_looks_further() {
        assert!(!Imports::parse(&policy()).unwrap().metadata_is_enough());
        let fixed = ClusterImportPolicySpec { template: String::from("spec: {}"), ..policy() };
        assert!(Imports::parse(&fixed).unwrap().metadata_is_enough());
        let all = ClusterImportPolicySpec { template: String::from("{{ .source }}"), ..policy() };
        assert!(!Imports::parse(&all).unwrap().metadata_is_enough());
    }

    #[test]
    fn each_template_that_is_none_has_its_reason_and_its_place() {
        let broken = "\n {{ nope }}";
        let mut cases = vec![];
        let mut selector = policy();
        selector.source.selector_template = broken.to_owned();
        cases.push((selector, SELECTOR_UNPARSED, "spec.source.selectorTemplate"));
        cases.push((
            ClusterImportPolicySpec { name_template: broken.to_owned(), ..policy() },
            NAME_UNPARSED,
            "spec.nameTemplate",
        ));
        cases.push((
            ClusterImportPolicySpec { template: broken.to_owned(), ..policy() },
            INVALID,
            "spec.template",
        ));
        let condition = ClusterImportPolicySpec { creation_condition: broken.to_owned(), ..policy() };
        cases.push((condition, INVALID, "spec.creationCondition"));
        let reference = PolicyReference {
            key: String::from("k"),
            name_template: broken.to_owned(),
            ..PolicyReference::default()
        };
        let reference = ClusterImportPolicySpec { references: vec![reference], ..policy() };
        cases.push((reference, INVALID, "spec.references[k].nameTemplate"));
        for (policy, reason, field) in cases {
            let problem = Imports::parse(&policy).unwrap_err();
            assert_eq!(problem.reason, reason);
            let expected =
                format!("not a template: {field}, line 2, column 5: function \"nope\" is not defined");
            assert_eq!(problem.message, expected);
        }
    }
}
