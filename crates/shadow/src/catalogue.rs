//! Which kinds can be stored, and by which name of a path.
//!
//! A path of the shadow API has a plural name and no group. Where several groups have the same plural, the group that the
//! parent prefers has the plain name, and each of the others is reached as `PLURAL.GROUP`
//! (`services.serving.knative.dev`). That longer name works for every kind with a group. Objects of two groups are never in
//! one list.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use apiserver::Resource;
use kubeio::ApiResource;

use crate::{
    definition::{Custom, Definition},
    scale::ScalePaths,
    table::Columns,
};

/// A kind of objects that can be stored.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(clippy::struct_field_names, reason = "discovery calls it so")]
pub(crate) struct Kind {
    /// The API group; empty for the core group.
    pub(crate) group: String,
    /// `deployments`
    pub(crate) plural: String,
    /// `Deployment`
    pub(crate) kind: String,
    /// `deployment`
    pub(crate) singular: String,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<String>,
    /// Every version the parent serves; the first is the one lists are called after. There is at least one.
    pub(crate) versions: Vec<String>,
    /// Whether a CustomResourceDefinition defines it.
    pub(crate) is_custom: bool,
    /// What its definition says, by version.
    pub(crate) custom: BTreeMap<String, Custom>,
    /// Whether it goes before other groups with the same plural: those take no plain names for their Manifests.
    pub(crate) plain: bool,
}

impl Kind {
    /// The version lists are called after.
    pub(crate) fn version(&self) -> &str {
        self.versions.first().map_or("v1", String::as_str)
    }

    /// `apps/v1`, or `v1` in the core group.
    pub(crate) fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// `deployments.apps`, or `pods` in the core group: what people call it in messages.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// What is printed of its objects.
    pub(crate) fn columns(&self) -> Columns {
        let custom = self.custom.get(self.version()).and_then(|custom| custom.columns.clone());
        if self.is_custom {
            return Columns::custom(custom);
        }
        Columns::built_in(&self.group, self.version(), &self.plural)
    }

    /// Where its objects say how many there are to be, if it can be scaled.
    pub(crate) fn scale(&self, version: &str) -> Option<ScalePaths> {
        if self.is_custom {
            return self.custom.get(version)?.scale.clone();
        }
        ScalePaths::of_built_in(&self.group, &self.plural)
    }
}

/// Every kind that can be stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Catalogue {
    /// By the name in paths.
    kinds: BTreeMap<String, Arc<Kind>>,
    /// Another number with every other content; 0 before anything is known.
    revision: u64,
}

/// Groups that the parent's objects of Clusternet and Clusterway are in: they are no templates.
fn is_ours(group: &str) -> bool {
    [".clusternet.io", ".clusterpedia.io", ".clusterway.io"].iter().any(|suffix| group.ends_with(suffix))
        || [
            api::shadow::GROUP,
            "clusterpedia.io",
            "metrics.k8s.io",
            "custom.metrics.k8s.io",
            "external.metrics.k8s.io",
        ]
        .contains(&group)
}

/// What objects are stored of can be created and read; a SubjectAccessReview cannot.
fn is_storable(api: &ApiResource) -> bool {
    let skipped = api.resource.group == "apiregistration.k8s.io" && api.resource.plural == "apiservices";
    !skipped && api.can("create") && api.can("get")
}

impl Catalogue {
    /// From what the parent has: its discovery, the names of its groups with the most preferred first, and its
    /// CustomResourceDefinitions. Of `custom_groups`, definitions alone are believed: discovery lags behind them.
    pub(crate) fn new(
        discovered: &[ApiResource],
        groups: &[String],
        definitions: &BTreeMap<String, Definition>,
        custom_groups: &BTreeSet<String>,
    ) -> Self {
        let mut kinds = BTreeMap::<(String, String), Kind>::new();
        for api in discovered.iter().filter(|api| is_storable(api)) {
            let (group, plural) = (&api.resource.group, &api.resource.plural);
            if is_ours(group) || custom_groups.contains(group) {
                continue;
            }
            // They come in the server's order of versions.
            let kind = kinds.entry((group.clone(), plural.clone())).or_insert_with(|| built_in(api));
            kind.versions.push(api.resource.version.clone());
        }
        for definition in definitions.values().filter(|definition| !is_ours(&definition.group)) {
            let key = (definition.group.clone(), definition.plural.clone());
            kinds.insert(key, custom(definition));
        }
        let rank = |group: &str| groups.iter().position(|known| known == group).unwrap_or(groups.len());
        let mut by_plural = BTreeMap::<String, Vec<Kind>>::new();
        for kind in kinds.into_values() {
            by_plural.entry(kind.plural.clone()).or_default().push(kind);
        }
        let mut named = BTreeMap::new();
        for (plural, mut same) in by_plural {
            same.sort_by_key(|kind| (!kind.group.is_empty(), rank(&kind.group), kind.group.clone()));
            for (place, mut kind) in same.into_iter().enumerate() {
                kind.plain = place == 0;
                let name = if kind.plain { plural.clone() } else { kind.qualified() };
                named.insert(name, Arc::new(kind));
            }
        }
        Self { kinds: named, revision: 0 }
    }

    /// The same content under another number, unless it is the same as before.
    pub(crate) fn after(self, before: &Self) -> Option<Self> {
        if self.kinds == before.kinds && before.is_known() {
            return None;
        }
        Some(Self { revision: before.revision + 1, ..self })
    }

    /// Whether the parent has been looked at.
    pub(crate) fn is_known(&self) -> bool {
        self.revision > 0
    }

    /// Another number with every other content.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The kind that a path names by its plural, or by plural and group.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Kind>> {
        self.kinds.get(name).or_else(|| {
            let (plural, group) = name.split_once('.')?;
            self.kinds.get(plural).filter(|kind| kind.group == group)
        })
    }

    /// Discovery's entries.
    pub(crate) fn resources(&self) -> Vec<Resource> {
        let own = |verbs: &[&str]| verbs.iter().map(|&verb| verb.to_owned()).collect::<Vec<_>>();
        let mut resources = Vec::new();
        for (name, kind) in &self.kinds {
            resources.push(Resource {
                name: name.clone(),
                singular: kind.singular.clone(),
                kind: kind.kind.clone(),
                namespaced: kind.namespaced,
                short_names: if kind.plain { kind.short_names.clone() } else { Vec::new() },
                categories: vec![CATEGORY.to_owned()],
                verbs: own(&VERBS),
                kind_from: None,
            });
            if kind.scale(kind.version()).is_some() {
                resources.push(Resource {
                    name: format!("{name}/scale"),
                    kind: "Scale".to_owned(),
                    kind_from: Some(("autoscaling".to_owned(), "v1".to_owned())),
                    namespaced: kind.namespaced,
                    verbs: own(&["get", "patch", "update"]),
                    ..Resource::default()
                });
            }
        }
        resources
    }
}

/// The category of every kind here.
const CATEGORY: &str = "clusternet.shadow";
/// Without `delete` and `deletecollection`: the parent's namespace controller and garbage collector work through whatever
/// offers these, and would empty, or wait for, the templates of a namespace that is deleted.
const VERBS: [&str; 6] = ["create", "get", "list", "patch", "update", "watch"];

fn built_in(api: &ApiResource) -> Kind {
    Kind {
        group: api.resource.group.clone(),
        plural: api.resource.plural.clone(),
        kind: api.kind.clone(),
        singular: api.singular.clone(),
        namespaced: api.namespaced,
        short_names: api.short_names.clone(),
        ..Kind::default()
    }
}

fn custom(definition: &Definition) -> Kind {
    let Definition { group, plural, kind, singular, short_names, namespaced, versions, custom } =
        definition.clone();
    Kind {
        group,
        plural,
        kind,
        singular,
        namespaced,
        short_names,
        versions,
        is_custom: true,
        custom,
        plain: false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn api(group: &str, version: &str, plural: &str, kind: &str) -> ApiResource {
        ApiResource {
            resource: kubeio::Resource::new(group, version, plural),
            priority: 0,
            kind: kind.to_owned(),
            singular: kind.to_lowercase(),
            namespaced: true,
            verbs: ["create", "get", "list"].map(str::to_owned).into(),
            short_names: Vec::new(),
            categories: Vec::new(),
        }
    }

    fn catalogue(discovered: &[ApiResource], groups: &[&str]) -> Catalogue {
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        Catalogue::new(discovered, &groups, &BTreeMap::new(), &BTreeSet::new())
    }

    #[test]
    fn of_two_groups_with_one_plural_the_preferred_has_the_plain_name() {
        let discovered = [
            api("events.k8s.io", "v1", "events", "Event"),
            api("", "v1", "events", "Event"),
            api("b.io", "v1", "gateways", "Gateway"),
            api("a.io", "v1", "gateways", "Gateway"),
        ];
        let catalogue = catalogue(&discovered, &["b.io", "a.io", "events.k8s.io"]);
        let group = |name: &str| catalogue.get(name).map(|kind| kind.group.as_str());
        assert_eq!((group("events"), group("events.events.k8s.io")), (Some(""), Some("events.k8s.io")));
        assert_eq!((group("gateways"), group("gateways.a.io")), (Some("b.io"), Some("a.io")));
        assert_eq!((group("gateways.b.io"), group("gateways.c.io")), (Some("b.io"), None));
    }

    #[test]
    fn versions_of_a_group_are_one_kind_in_the_order_of_the_server() {
        let discovered = [
            api("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
            api("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        ];
        let catalogue = catalogue(&discovered, &[]);
        assert_eq!(catalogue.get("horizontalpodautoscalers").unwrap().versions, ["v2", "v1"]);
    }

    #[test]
    fn what_is_no_template_is_not_listed() {
        let review = ApiResource {
            verbs: vec!["create".to_owned()],
            ..api("authentication.k8s.io", "v1", "tokenreviews", "TokenReview")
        };
        let discovered = [
            review,
            api("apps.clusternet.io", "v1alpha1", "subscriptions", "Subscription"),
            api("shadow", "v1alpha1", "deployments", "Deployment"),
            api("apiregistration.k8s.io", "v1", "apiservices", "APIService"),
            api("metrics.k8s.io", "v1beta1", "pods", "PodMetrics"),
        ];
        assert_eq!(catalogue(&discovered, &[]).resources().len(), 0);
    }

    #[test]
    fn nobody_is_invited_to_delete_by_discovery() {
        let catalogue = catalogue(&[api("apps", "v1", "deployments", "Deployment")], &[]);
        let resources = catalogue.resources();
        let names: Vec<_> = resources.iter().map(|resource| resource.name.as_str()).collect();
        assert_eq!(names, ["deployments", "deployments/scale"]);
        assert!(resources.iter().all(|resource| !resource.verbs.iter().any(|verb| verb.contains("delete"))));
        assert_eq!(resources[0].categories, ["clusternet.shadow"]);
    }

    #[test]
    fn of_a_group_with_definitions_the_definitions_alone_are_believed() {
        let discovered = [api("demo.io", "v1", "widgets", "Widget")];
        let groups = BTreeSet::from(["demo.io".to_owned()]);
        let catalogue = Catalogue::new(&discovered, &[], &BTreeMap::new(), &groups);
        assert!(catalogue.get("widgets").is_none());
    }

    #[test]
    fn the_number_changes_with_the_content_only() {
        let first = catalogue(&[], &[]).after(&Catalogue::default()).unwrap();
        assert!(first.is_known());
        assert_eq!(catalogue(&[], &[]).after(&first), None);
        let second = catalogue(&[api("", "v1", "pods", "Pod")], &[]).after(&first).unwrap();
        assert_ne!(second.revision(), first.revision());
    }
}
