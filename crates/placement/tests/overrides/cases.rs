use api::apps::OverridePolicy;
use placement::{
    fingerprint::fingerprint,
    overrides::{Problem, Rendered, Rule},
};
use serde_json::{Value, json};

use crate::given::{
    cluster, deployment, feed, globalization, helm_chart, localization, one, render, render_chart,
};

fn merged(replicas: i32) -> Value {
    json!({ "overrides": [{ "type": "MergePatch", "value": format!("spec:\n  replicas: {replicas}") }] })
}

fn with(mut spec: Value, more: &Value) -> Value {
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn replicas(rendered: &Rendered) -> i64 {
    rendered.object["spec"]["replicas"].as_i64().unwrap()
}

#[test]
fn a_localization_is_applied_after_a_globalization_whatever_their_priorities() {
    // O1, O2, O5
    let global = globalization("g", &with(merged(2), &json!({ "priority": 1000 })));
    let local = localization("l", &with(merged(5), &json!({ "priority": 0 })));
    assert_eq!(replicas(&render(&deployment(), &[local.clone(), global.clone()]).unwrap()), 5);
    assert_eq!(replicas(&render(&deployment(), &[global]).unwrap()), 2);
    let mut elsewhere = local;
    elsewhere.namespace = Some(String::from("n2"));
    assert_eq!(replicas(&render(&deployment(), &[elsewhere]).unwrap()), 1);
}

#[test]
fn the_higher_priority_wins_and_of_equal_ones_the_newer() {
    // O3, and the two Localizations of the article
    let low = localization("low", &with(merged(100), &json!({ "priority": 100 })));
    let high = localization("high", &with(merged(200), &json!({ "priority": 200 })));
    for rules in [[low.clone(), high.clone()], [high, low]] {
        assert_eq!(replicas(&render(&deployment(), &rules).unwrap()), 200);
    }
    let made = |name: &str, second: u8, replicas: i32| {
        let object = json!({ "spec": merged(replicas), "metadata": {
            "name": name, "namespace": "n1", "creationTimestamp": format!("2026-01-01T00:01:{second:02}Z") } });
        Rule::from(&serde_json::from_value::<api::apps::Localization>(object).unwrap())
    };
    for rules in [[made("a", 30, 7), made("b", 2, 8)], [made("b", 2, 8), made("a", 30, 7)]] {
        assert_eq!(replicas(&render(&deployment(), &rules).unwrap()), 7);
    }
}

#[test]
fn a_globalization_is_for_the_clusters_it_selects() {
    // O6
    let of = |labels: Value| {
        globalization("g", &with(merged(2), &json!({ "clusterAffinity": { "matchLabels": labels } })))
    };
    assert_eq!(replicas(&render(&deployment(), &[of(json!({ "env": "t" }))]).unwrap()), 2);
    assert_eq!(replicas(&render(&deployment(), &[of(json!({ "env": "p" }))]).unwrap()), 1);
}

#[test]
fn an_override_is_for_its_feed_its_selected_feeds_or_all_feeds() {
    let named = |name: &str| json!({ "feed": { "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "qux", "name": name } });
    let selected = |app: &str| json!({ "feedSelector": { "matchLabels": { "app": app } } });
    for (applies, choice) in [
        (true, json!({})),
        (true, named("web")),
        (false, named("api")),
        (false, json!({ "feed": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" } })),
        (true, selected("web")),
        (false, selected("api")),
    ] {
        let rules = [globalization("g", &with(merged(9), &choice))];
        assert_eq!(replicas(&render(&deployment(), &rules).unwrap()) == 9, applies, "{choice}");
    }
}

#[test]
fn null_in_a_merge_patch_removes_a_key() {
    // O7
    let rendered =
        render(&deployment(), &[one("MergePatch", "metadata:\n  labels:\n    app: null\n")]).unwrap();
    assert_eq!(rendered.object["metadata"]["labels"], json!({}));
}

#[test]
fn a_patch_means_the_same_as_yaml_and_as_json() {
    // O8
    let json = r#"[{"path": "/spec/replicas", "value": 4, "op": "replace"}]"#;
    let yaml = "- op: replace\n  path: /spec/replicas\n  value: 4\n";
    for value in [json, yaml, "\t[\t{\"op\":\"add\",\"path\":\"/spec/replicas\",\"value\":4}]"] {
        assert_eq!(replicas(&render(&deployment(), &[one("JSONPatch", value)]).unwrap()), 4, "{value}");
    }
}

#[test]
fn a_json_patch_with_a_missing_path_is_skipped_as_a_whole_and_told_of() {
    // O9
    for missing in ["/spec/nope/deeper", "/spec/template/spec/containers/7/image"] {
        let value = json!([
            { "op": "replace", "path": "/spec/replicas", "value": 4 },
            { "op": "replace", "path": missing, "value": "planted" },
        ]);
        let spec = json!({ "overrides": [
            { "name": "image", "type": "JSONPatch", "value": value.to_string() },
            { "type": "MergePatch", "value": "metadata: { labels: { later: 'yes' } }" },
        ] });
        let rendered = render(&deployment(), &[localization("l", &spec)]).unwrap();
        assert_eq!(replicas(&rendered), 1);
        assert_eq!(rendered.object["metadata"]["labels"]["later"], "yes");
        assert_eq!(
            rendered.skipped.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [format!(
                "Localization n1/l spec.overrides[0] (image), cluster n1/c1, path {missing}: the path does not exist; \
                 correct the path, or add what is missing with an operation before. The override was skipped."
            )]
        );
    }
}

#[test]
fn documents_in_fields_are_patched_and_nothing_else() {
    // O10
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "m", "namespace": "qux",
            "annotations": { "example.com/config": "{\"a\": 1}" } },
        "data": { "app.yaml": "a: 1\nlist: [x, y]\nanswer: \"yes\"\n", "app": "{\"a\": {\"b\": 1}}", "other": "a: 1", "empty": "" },
    });
    let render = |config: Value| render(&map, &[globalization("g", &json!({ "overrides": [config] }))]);
    let rendered = render(json!({ "type": "FieldJSONPatch", "fieldPath": "data/app.yaml",
        "value": "- { op: replace, path: /list/1, value: z }" }))
    .unwrap();
    let text = rendered.object["data"]["app.yaml"].as_str().unwrap();
    let document: Value = serde_saphyr::from_str(text).unwrap();
    assert_eq!(document, json!({ "a": 1, "list": ["x", "z"], "answer": "yes" }), "{text}");
    assert_eq!(rendered.object["data"]["other"], "a: 1");
    assert_eq!(rendered.provenance.changed[0].path, "/data/app.yaml");

    let rendered =
        render(json!({ "type": "FieldMergePatch", "fieldPath": "/data/app", "fieldFormat": "JSON",
        "value": "a: { b: null, c: 2 }" }))
        .unwrap();
    assert_eq!(rendered.object["data"]["app"], "{\n    \"a\": {\n        \"c\": 2\n    }\n}");

    let rendered =
        render(json!({ "type": "FieldMergePatch", "fieldPath": "metadata/annotations/example.com~1config",
        "fieldFormat": "JSON", "value": "a: 2" }))
        .unwrap();
    assert_eq!(rendered.object["metadata"]["annotations"]["example.com/config"], "{\n    \"a\": 2\n}");

    let rendered =
        render(json!({ "type": "FieldMergePatch", "fieldPath": "data/empty", "value": "a: 2" })).unwrap();
    assert_eq!(rendered.object["data"]["empty"], "");

    for (problem, path, config) in [
        (Problem::FieldPathUnset, "", json!({ "type": "FieldMergePatch", "value": "a: 2" })),
        (
            Problem::FieldMissing,
            "/data/nope",
            json!({ "type": "FieldMergePatch", "fieldPath": "data/nope", "value": "a: 2" }),
        ),
        (
            Problem::FieldNoText,
            "/data",
            json!({ "type": "FieldMergePatch", "fieldPath": "data", "value": "a: 2" }),
        ),
    ] {
        let error = render(config).unwrap_err();
        assert_eq!((error.problem, error.path.as_str()), (problem, path));
    }
    let error = render(
        json!({ "type": "FieldMergePatch", "fieldPath": "data/app.yaml", "fieldFormat": "JSON", "value": "a: 2" }),
    );
    assert!(matches!(error.unwrap_err().problem, Problem::FieldInvalid { format: "JSON", line: 1, .. }));
    let skipped = render(json!({ "type": "FieldJSONPatch", "fieldPath": "data/app.yaml",
        "value": "- { op: remove, path: /nope }" }))
    .unwrap()
    .skipped;
    assert_eq!(skipped[0].0.path, "/data/app.yaml/nope");
}

#[test]
fn a_malformed_value_is_an_error_that_does_not_repeat_it() {
    // O11
    for (type_, value, reason) in [
        ("MergePatch", "a: planted\n b: [", "OverrideInvalid"),
        ("MergePatch", "planted", "OverrideInvalid"),
        ("MergePatch", "[planted]", "OverrideInvalid"),
        ("MergePatch", "a: planted\na: planted", "OverrideInvalid"),
        ("MergePatch", "a: planted\n---\nb: planted", "OverrideInvalid"),
        ("JSONPatch", "a: planted", "OverrideInvalid"),
        ("JSONPatch", "[planted]", "OverrideInvalid"),
        ("JSONPatch", "- { op: add, path: 'planted', value: 1 }", "OverrideInvalid"),
        ("JSONPatch", "- { op: planted, path: /a, value: 1 }", "OverrideInvalid"),
        ("JSONPatch", "- { op: add, path: /a }", "OverrideInvalid"),
        ("JSONPatch", "- { op: move, path: /spec/template/x, from: /spec/template }", "OverrideInvalid"),
        ("JSONPatch", "- { op: test, path: /spec/replicas, value: planted }", "TestFailed"),
        ("JSONPatch", "- { op: replace, path: '', value: planted }", "OverrideInvalid"),
    ] {
        let error = render(&deployment(), &[one(type_, value)]).unwrap_err();
        assert_eq!(error.problem.reason(), reason, "{value}: {error}");
        assert!(error.to_string().starts_with("Globalization g spec.overrides[0], cluster n1/c1"), "{error}");
        assert!(error.to_string().ends_with('.') && !error.to_string().contains("planted"), "{error}");
    }
}

#[test]
fn a_blank_value_changes_nothing() {
    for value in ["", " \n\t"] {
        let rendered = render(&deployment(), &[one("MergePatch", value), one("JSONPatch", value)]).unwrap();
        assert_eq!((rendered.object, rendered.skipped.len()), (deployment(), 0));
    }
}

#[test]
fn no_override_makes_another_object() {
    for value in [
        "{ metadata: { name: other } }",
        "{ metadata: { namespace: kube-system } }",
        "{ metadata: null }",
        "{ kind: DaemonSet }",
        "{ apiVersion: apps/v2 }",
    ] {
        let error = render(&deployment(), &[one("MergePatch", value)]).unwrap_err();
        assert_eq!(error.problem, Problem::IdentityChanged, "{value}");
    }
}

#[test]
fn what_the_server_writes_is_not_deployed() {
    let mut object = deployment();
    object["status"] = json!({ "replicas": 1 });
    object["metadata"]["uid"] = json!("x");
    object["metadata"]["managedFields"] = json!([]);
    assert_eq!(render(&object, &[]).unwrap().object, deployment());
}

#[test]
fn values_of_a_chart_begin_with_the_first_override_and_are_merged() {
    let helm = |value: &str| one("Helm", value);
    let none = render_chart(&helm_chart(), &[]).unwrap();
    assert_eq!((none.values.clone(), none.values_raw()), (None, b" ".to_vec()));
    let first =
        render_chart(&helm_chart(), &[helm("auth: { database: a, username: null }\nstatus: kept")]).unwrap();
    assert_eq!(
        first.values.unwrap(),
        json!({ "auth": { "database": "a", "username": null }, "status": "kept" })
    );
    let named =
        |overrides: Value| localization("l", &json!({ "overrides": overrides, "feed": feed(&helm_chart()) }));
    let all = render_chart(
        &helm_chart(),
        &[
            helm("auth: { database: a, username: b }"),
            named(json!([
                { "type": "Helm", "value": "auth: { database: null, password: c }" },
                { "type": "MergePatch", "value": "replicas: 2" },
                { "type": "JSONPatch", "value": "- { op: replace, path: /replicas, value: 3 }" },
            ])),
        ],
    )
    .unwrap();
    assert_eq!(
        all.values.as_ref().unwrap(),
        &json!({ "auth": { "username": "b", "password": "c" }, "replicas": 3 })
    );
    assert_eq!(
        all.values_provenance.of("/replicas").last().unwrap().to_string(),
        "Localization n1/l spec.overrides[2]"
    );
    assert_eq!((all.chart, all.skipped.len()), (helm_chart(), 0));
    let empty = render_chart(
        &helm_chart(),
        &[named(json!([
            { "type": "JSONPatch", "value": "- { op: add, path: /replicas, value: 3 }" },
            { "type": "FieldMergePatch", "value": "a: 1", "fieldPath": "a" },
        ]))],
    )
    .unwrap();
    assert_eq!((empty.values, empty.skipped.len()), (None, 2));
    assert_eq!(empty.skipped[0].0.problem, Problem::NoValues);
    let error = render_chart(&helm_chart(), &[helm("[a]")]).unwrap_err();
    assert_eq!(error.problem, Problem::NoMapping);
}

#[test]
fn a_chart_override_changes_the_chart_but_never_which_chart_it_is() {
    // M4
    let value = "spec: { version: 9.3.0, chart: other, targetNamespace: kube-system }\nmetadata: { name: other }\nkind: HelmChart";
    let spec = json!({ "overrides": [{ "type": "Helm", "overrideChart": true, "value": value }] });
    let rendered = render_chart(&helm_chart(), &[globalization("g", &spec)]).unwrap();
    let mut expected = helm_chart();
    expected["spec"]["version"] = json!("9.3.0");
    assert_eq!((&rendered.chart, &rendered.values), (&expected, &None));
    let paths: Vec<&str> = rendered.skipped.iter().map(|skipped| skipped.0.path.as_str()).collect();
    assert_eq!(paths, ["/metadata/name", "/spec/chart", "/spec/targetNamespace"]);
    assert_eq!(rendered.provenance.changed[0].path, "/spec/version");
    for spoiled in ["spec: null", "metadata: []"] {
        let spec = json!({ "overrides": [{ "type": "Helm", "overrideChart": true, "value": spoiled }] });
        let error = render_chart(&helm_chart(), &[globalization("g", &spec)]).unwrap_err();
        assert_eq!(error.problem, Problem::NoMapping);
    }
}

#[test]
fn an_override_for_everything_keeps_to_the_feeds_its_type_is_for() {
    // The first complaint of the article: one label on everything that is deployed.
    let label = one("MergePatch", "metadata: { labels: { deployed-by: my-platform } }");
    let values = one("Helm", "global: { platform: mine }");
    let object = render(&deployment(), &[label.clone(), values.clone()]).unwrap();
    assert_eq!(object.object["metadata"]["labels"], json!({ "app": "web", "deployed-by": "my-platform" }));
    let chart = render_chart(&helm_chart(), &[label, values]).unwrap();
    assert_eq!(chart.values.unwrap(), json!({ "global": { "platform": "mine" } }));
    assert_eq!((object.skipped.len(), chart.skipped.len()), (0, 0));
    let named = json!({ "feed": feed(&deployment()), "overrides": [{ "type": "Helm", "value": "a: 1" }] });
    let rendered = render(&deployment(), &[globalization("g", &named)]).unwrap();
    assert_eq!(rendered.object, deployment());
    assert!(rendered.skipped[0].to_string().contains("an override of type Helm does nothing to an object"));
}

#[test]
fn a_template_uses_the_facts_of_the_cluster() {
    // The second complaint of the article: the name of the cluster on everything.
    let render_value = |value: &str, template: bool| {
        let config = json!({ "type": "MergePatch", "value": value, "template": template });
        render(&deployment(), &[globalization("g", &json!({ "overrides": [config] }))])
    };
    let label = |value: &str, template: bool| {
        let rendered = render_value(&format!("metadata: {{ labels: {{ in: {value} }} }}"), template).unwrap();
        rendered.object["metadata"]["labels"]["in"].clone()
    };
    assert_eq!(label("'{{ .cluster.name }}'", false), "{{ .cluster.name }}", "it is opt-in");
    for (value, expected) in [
        ("{{ .cluster.name }}", json!("c1")),
        ("{{ .cluster.namespace }}/{{ .cluster.name | upper }}", json!("n1/C1")),
        ("{{ .cluster.labels.env | quote }}", json!("t")),
        ("{{ .cluster.labels.region | default \"none\" }}", json!("none")),
        ("{{ index .cluster.annotations \"example.com/zone\" | toJson }}", json!("eu: west")),
        ("{{ if eq .cluster.labels.env \"t\" }}test{{ else }}live{{ end }}", json!("test")),
    ] {
        assert_eq!(label(value, true), expected, "{value}");
    }
    let rendered = render_value("spec: { replicas: {{ .cluster.labels.replicas }} }", true).unwrap();
    assert_eq!(replicas(&rendered), 3);
    for (value, reason) in [
        ("a: {{ .cluster.labels.region }}", "a label or annotation that the cluster does not have"),
        ("a: {{ .cluster.nope.deeper }}", "a label or annotation that the cluster does not have"),
        ("a: {{ if }}", "cannot be rendered"),
        ("a: {{ env \"HOME\" }}", "cannot be rendered"),
        ("a: {{ now }}", "cannot be rendered"),
    ] {
        let error = render_value(value, true).unwrap_err();
        assert!(error.to_string().contains(reason), "{value}: {error}");
        assert_eq!(error.problem.reason(), "TemplateInvalid");
    }
}

#[test]
fn it_is_known_which_override_changed_what() {
    let rules = [
        one("MergePatch", "spec: { replicas: 1 }\nmetadata: { labels: { a: b } }"),
        localization(
            "l",
            &json!({ "overrides": [
            { "name": "image", "type": "JSONPatch",
              "value": "- { op: replace, path: /spec/template/spec/containers/0/image, value: web:2 }" },
            { "name": "sidecar", "type": "JSONPatch",
              "value": "- { op: add, path: /spec/template/spec/containers/0, value: { name: sidecar } }" },
        ] }),
        ),
    ];
    let provenance = render(&deployment(), &rules).unwrap().provenance;
    let of = |path: &str| -> Vec<String> { provenance.of(path).iter().map(ToString::to_string).collect() };
    let (first, image, sidecar) = (
        "Globalization g spec.overrides[0]",
        "Localization n1/l spec.overrides[0] (image)",
        "Localization n1/l spec.overrides[1] (sidecar)",
    );
    assert_eq!(of("/metadata/labels/a"), [first]);
    assert_eq!(of("/metadata"), [first]);
    assert_eq!(of("/spec/replicas"), Vec::<String>::new(), "it was 1 before");
    assert_eq!(of("/spec/template/spec/containers/0/image"), [image, sidecar]);
    assert_eq!(of("/spec/template"), [image, sidecar]);
    assert_eq!(provenance.changed.len(), 3, "{provenance:?}");
}

#[test]
fn only_what_applies_now_renders_again_at_once() {
    // O4
    let now = globalization("now", &with(merged(2), &json!({ "overridePolicy": "ApplyNow" })));
    let later = globalization("later", &merged(3));
    assert_eq!((now.policy, later.policy), (OverridePolicy::ApplyNow, OverridePolicy::ApplyLater));
    let of = |rules: &[&Rule]| fingerprint(&Rule::at_once(rules));
    assert_eq!(of(&[&now, &later]), of(&[&now]));
    assert_ne!(of(&[&now, &later]), of(&[&later]));
    let mut changed = now.clone();
    changed.overrides[0].value = String::from("spec: {}");
    assert_ne!(of(&[&now]), of(&[&changed]));
    assert!(now.applies(
        placement::overrides::FeedFacts {
            feed: &feed(&deployment()),
            labels: &std::collections::BTreeMap::new(),
        },
        &cluster()
    ));
}

fn wrong_selector() -> Value {
    json!({ "matchExpressions": [{ "key": "a", "operator": "Like" }] })
}

#[test]
fn a_wrong_selector_holds_what_it_may_be_for_and_names_its_field() {
    let wrong = globalization("g", &with(merged(9), &json!({ "feedSelector": wrong_selector() })));
    let error = render(&deployment(), &[wrong]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Globalization g, cluster n1/c1: spec.feedSelector.matchExpressions[0].operator: expected one of In, NotIn, Exists, \
         DoesNotExist; correct it, or delete the override. Until then nothing new is deployed to what it may be for, and what \
         runs stays as it is."
    );
    assert_eq!(error.problem.reason(), "OverrideInvalid");
}

#[test]
fn what_can_be_read_of_a_rule_still_tells_what_it_is_not_for() {
    let named = |name: &str| json!({ "apiVersion": "apps/v1", "kind": "Deployment", "namespace": "qux", "name": name });
    let env = |value: &str| json!({ "matchLabels": { "env": value } });
    let wrong = wrong_selector;
    for (holds, choice) in [
        (true, json!({ "feedSelector": wrong() })),
        (true, json!({ "feedSelector": wrong(), "clusterAffinity": env("t") })),
        (false, json!({ "feedSelector": wrong(), "clusterAffinity": env("p") })),
        (true, json!({ "clusterAffinity": wrong() })),
        (true, json!({ "clusterAffinity": wrong(), "feed": named("web") })),
        (false, json!({ "clusterAffinity": wrong(), "feed": named("api") })),
        (true, json!({ "clusterAffinity": wrong(), "feedSelector": { "matchLabels": { "app": "web" } } })),
        (false, json!({ "clusterAffinity": wrong(), "feedSelector": { "matchLabels": { "app": "api" } } })),
        // The selector does not count beside the name.
        (false, json!({ "feed": named("api"), "feedSelector": wrong() })),
        (false, json!({ "feedSelector": wrong(), "overrides": [] })),
        (false, json!({ "feedSelector": wrong(), "overrides": [{ "type": "Helm", "value": "a: 1" }] })),
    ] {
        let rules = [globalization("g", &with(merged(9), &choice))];
        assert_eq!(render(&deployment(), &rules).is_err(), holds, "{choice}");
    }
    let mut local = localization("l", &with(merged(9), &json!({ "feedSelector": wrong() })));
    assert!(render(&deployment(), std::slice::from_ref(&local)).is_err());
    local.namespace = Some(String::from("n2"));
    assert!(render(&deployment(), &[local]).is_ok(), "it is for another cluster");
    let charts = json!({ "feedSelector": wrong(), "overrides": [{ "type": "Helm", "value": "a: 1" }] });
    assert!(render_chart(&helm_chart(), &[globalization("g", &charts)]).is_err());
}

#[test]
fn that_a_selector_is_wrong_is_a_reason_to_render_whatever_the_policy() {
    let of = |rule: &Rule| fingerprint(&Rule::at_once(&[rule]));
    for policy in ["ApplyNow", "ApplyLater"] {
        let fine = with(merged(2), &json!({ "overridePolicy": policy }));
        let wrong = with(fine.clone(), &json!({ "feedSelector": wrong_selector() }));
        assert_ne!(of(&globalization("g", &fine)), of(&globalization("g", &wrong)), "{policy}");
    }
}
