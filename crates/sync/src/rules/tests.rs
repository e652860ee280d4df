use super::*;

fn api(group: &str, version: &str, plural: &str, priority: usize) -> ApiResource {
    let singular = plural.strip_suffix('s').unwrap_or(plural).to_owned();
    ApiResource {
        resource: kubeio::Resource::new(group, version, plural),
        priority,
        kind: singular.to_uppercase(),
        singular,
        namespaced: plural != "nodes",
        verbs: ["get", "list", "watch"].map(str::to_owned).into(),
        short_names: Vec::new(),
        categories: Vec::new(),
    }
}

fn cluster() -> Vec<ApiResource> {
    let mut reviews = api("", "v1", "reviews", 0);
    reviews.verbs = vec![String::from("create")];
    let mut all = vec![
        api("", "v1", "nodes", 0),
        api("", "v1", "pods", 0),
        reviews,
        api("", "v1", "secrets", 0),
        api("apps", "v1", "deployments", 0),
        api("apps", "v1beta1", "deployments", 1),
        api("apps", "v1", "leases", 0),
    ];
    for (at, version) in ["v1", "v1beta2", "v1beta1", "v1alpha1"].iter().enumerate() {
        all.push(api("demo.io", version, "widgets", at));
    }
    all.push(api("other.io", "v1", "leases", 0));
    all
}

fn rule(group: &str, resources: &[&str]) -> SyncRule {
    SyncRule {
        group: group.into(),
        resources: resources.iter().map(|&name| name.into()).collect(),
        ..SyncRule::default()
    }
}

fn names(rules: impl Into<Vec<SyncRule>>) -> Vec<String> {
    let rules = Rules { rules: rules.into(), all_custom: false };
    rules.select(&cluster()).keys().map(ToString::to_string).collect()
}

fn parts(rules: impl Into<Vec<SyncRule>>) -> Vec<Part> {
    let rules = Rules { rules: rules.into(), all_custom: false };
    rules.select(&cluster()).into_values().next().unwrap().parts
}

fn within(namespaces: &[&str], labels: Option<&str>) -> SyncRule {
    SyncRule {
        namespaces: namespaces.iter().map(|&name| name.into()).collect(),
        label_selector: labels.map(str::to_owned),
        ..rule("", &["pods"])
    }
}

#[test]
fn a_resource_is_named_in_plural_or_singular_and_in_any_case() {
    for name in ["pods", "pod", "Pods", "POD"] {
        assert_eq!(names([rule("", &[name])]), ["v1/pods"], "{name}");
    }
    assert!(names([rule("apps", &["pods"])]).is_empty());
}

#[test]
fn a_star_is_everything_of_the_group_that_can_be_listed_and_watched() {
    assert_eq!(names([rule("", &["*"])]), ["v1/nodes", "v1/pods", "v1/secrets"]);
}

fn about(rule: SyncRule, names: &[&str]) -> SyncRule {
    SyncRule { events_involved_resources: names.iter().map(|&name| name.into()).collect(), ..rule }
}

/// The parts of the core group's Events.
fn events(rules: impl Into<Vec<SyncRule>>) -> Vec<(Option<String>, Option<String>)> {
    let mut cluster = cluster();
    cluster.insert(0, api("", "v1", "events", 0));
    let rules = Rules { rules: rules.into(), all_custom: false };
    let target = rules.select(&cluster).remove(&Resource::new("", "v1", "events"));
    let parts = target.map_or_else(Vec::new, |target| {
        assert!(!target.overlaps(), "nothing could be gone on with");
        target.parts
    });
    parts.into_iter().map(|part| (part.namespace, part.fields)).collect()
}

#[test]
fn the_events_of_a_resource_come_along_if_the_rule_that_selects_it_asks_for_them() {
    let of = |kind: &str| (None, Some(format!("involvedObject.kind={kind}")));
    assert_eq!(events([about(rule("", &["pods", "nodes"]), &["Pod"])]), [of("POD")]);
    assert_eq!(
        events([about(rule("", &["pods"]), &["*"]), about(rule("apps", &["*"]), &["deployments"])]),
        [of("DEPLOYMENT"), of("POD")]
    );
    assert!(events([about(rule("", &["pods"]), &["secrets"])]).is_empty());
    // A star loses nothing; Events about Events there are none; and whoever has all of them has these.
    let all = [rule("", &["pods"]), about(rule("", &["*"]), &["*"])];
    assert_eq!(events(all), [(None, None)]);
    let others = SyncRule { exclude_resources: vec!["events".into()], ..about(rule("", &["*"]), &["*"]) };
    assert_eq!(events([others]), [of("NODE"), of("POD"), of("SECRET")]);
}

#[test]
fn events_are_taken_from_where_the_objects_are() {
    let within = |names: &[&str]| about(within(&["a", "b"], Some("app=web")), names);
    let of = |namespace: Option<&str>, kind: &str| {
        (namespace.map(str::to_owned), Some(format!("involvedObject.kind={kind}")))
    };
    assert_eq!(events([within(&["pods"])]), [of(Some("a"), "POD"), of(Some("b"), "POD")]);
    let nodes = SyncRule { resources: vec!["nodes".into()], ..within(&["nodes"]) };
    assert_eq!(events([nodes]), [of(None, "NODE")]);
}

#[test]
fn a_bound_leaves_what_is_known_and_then_the_first_in_order() {
    let rules = Rules { rules: vec![rule("", &["*"])], all_custom: false };
    let bounded = |most: usize, known: &[&str]| {
        let mut targets = rules.select(&cluster());
        let known = known.iter().map(|plural| Resource::new("", "v1", *plural)).collect();
        let selected = bound(&mut targets, most, &known);
        (selected, targets.into_keys().map(|resource| resource.resource).collect::<Vec<_>>())
    };
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(bounded(3, &[]), (None, names(&["nodes", "pods", "secrets"])));
    assert_eq!(bounded(2, &[]), (Some(3), names(&["nodes", "pods"])));
    assert_eq!(bounded(2, &["secrets"]), (Some(3), names(&["nodes", "secrets"])));
    assert_eq!(bounded(1, &["secrets", "pods"]), (Some(3), names(&["pods"])));
}

#[test]
fn resources_of_kubernetes_come_in_the_servers_first_version_whatever_the_rule_says() {
    let bogus = SyncRule { versions: vec!["v7".into()], ..rule("apps", &["deployments"]) };
    assert_eq!(names([bogus]), ["apps/v1/deployments"]);
}

#[test]
fn custom_resources_come_in_three_versions_or_all_or_those_that_are_named_and_served() {
    let of = |versions: &[&str]| {
        let versions = versions.iter().map(|&version| version.into()).collect();
        names([SyncRule { versions, ..rule("demo.io", &["widgets"]) }])
    };
    assert_eq!(of(&[]), ["demo.io/v1/widgets", "demo.io/v1beta1/widgets", "demo.io/v1beta2/widgets"]);
    assert_eq!(of(&["*"]).len(), 4);
    assert_eq!(of(&["v2beta1", "v1alpha1"]), ["demo.io/v1alpha1/widgets"]);
    assert!(of(&["v9"]).is_empty());
}

#[test]
fn what_is_excluded_is_not_selected_by_this_rule_but_may_be_by_another() {
    let most = SyncRule { exclude_resources: vec!["Secret".into(), "nodes".into()], ..rule("", &["*"]) };
    assert_eq!(names([most.clone()]), ["v1/pods"]);
    assert_eq!(names([most, rule("", &["secrets"])]), ["v1/pods", "v1/secrets"]);
}

#[test]
fn a_rule_for_every_group_takes_every_version_and_excludes_by_name_and_group() {
    let every = SyncRule { exclude_resources: vec!["leases.other.io".into()], ..rule("*", &["*"]) };
    let names = names([every]);
    assert!(names.contains(&String::from("apps/v1/leases")));
    assert!(!names.contains(&String::from("other.io/v1/leases")));
    assert_eq!(names.iter().filter(|name| name.contains("widgets")).count(), 4);
}

#[test]
fn every_group_and_every_custom_resource_need_their_gates() {
    let every = Rules { rules: vec![rule("*", &["*"])], all_custom: false };
    assert_eq!(every.validate(Gates::default()), Err(RuleError::AllResources));
    let custom = Rules { rules: Vec::new(), all_custom: true };
    assert_eq!(custom.validate(Gates::default()), Err(RuleError::AllCustomResources));
    let open = Gates { all_resources: true, all_custom_resources: true };
    assert_eq!((every.validate(open), custom.validate(open)), (Ok(()), Ok(())));
    assert_eq!(custom.select(&cluster()).len(), 5);
}

#[test]
fn a_label_selector_that_is_none_is_refused() {
    let rules = Rules { rules: vec![within(&[], Some("a=b=c"))], all_custom: false };
    assert!(matches!(rules.validate(Gates::default()), Err(RuleError::LabelSelector { .. })));
}

#[test]
fn namespaces_are_parts_and_mean_nothing_to_what_has_none() {
    let of = |name: &str| Part { namespace: Some(name.into()), ..Part::default() };
    assert_eq!(parts([within(&["b", "a", "a"], None)]), [of("a"), of("b")]);
    let nodes = SyncRule { namespaces: vec!["a".into()], ..rule("", &["nodes"]) };
    assert_eq!(parts([nodes]), [Part::default()]);
}

#[test]
fn what_is_within_another_rule_is_not_asked_for_twice() {
    assert_eq!(parts([within(&["a"], None), within(&[], None)]), [Part::default()]);
    assert_eq!(parts([within(&["a"], Some("x=y")), within(&["a"], None)]).len(), 1);
    assert_eq!(parts([within(&["a"], Some("x=y")), within(&["b"], None)]).len(), 2);
}

#[test]
fn parts_overlap_only_where_one_object_can_be_in_two() {
    let overlaps = |rules: Vec<SyncRule>| {
        let targets = Rules { rules, all_custom: false }.select(&cluster());
        targets.into_values().next().unwrap().overlaps()
    };
    assert!(!overlaps(vec![within(&["a", "b"], Some("x=y"))]));
    assert!(overlaps(vec![within(&["a"], None), within(&[], Some("x=y"))]));
    assert!(!overlaps(vec![within(&["a"], None), within(&["b"], Some("x=y"))]));
}

#[test]
fn values_of_secrets_are_kept_only_if_every_rule_that_selects_them_says_so() {
    let keep = SyncRule { secret_data: Some(SecretData::Keep), ..rule("", &["secrets"]) };
    let kept = |rules: Vec<SyncRule>| {
        let targets = Rules { rules, all_custom: false }.select(&cluster());
        targets[&Resource::new("", "v1", "secrets")].keep_secret_data
    };
    assert!(kept(vec![keep.clone()]));
    assert!(!kept(vec![rule("", &["secrets"])]));
    assert!(!kept(vec![keep, rule("", &["*"])]));
}
