//! What overrides change, and what they do not.

use serde_json::{Value, json};

use super::{
    placing::deployed,
    scene::{Scene, feed, manifest, qux, web},
};

fn rule(value: &str, more: Value) -> Value {
    let mut spec = json!({
        "overridePolicy": "ApplyNow", "priority": 500, "feed": feed(&web(1)),
        "overrides": [{ "name": "change", "type": "MergePatch", "value": value }],
    });
    let Value::Object(more) = more else { panic!("more fields of a spec") };
    spec.as_object_mut().unwrap().extend(more);
    spec
}

fn replicas(scene: &Scene, namespace: &str) -> i64 {
    scene.gets(namespace)[1]["spec"]["replicas"].as_i64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn o1_to_o6_overrides_come_and_go_where_they_are_for() {
    let scene = deployed().await;
    scene.rule(None, "g", &rule("spec: {replicas: 2}", json!({})));
    scene.settle().await;
    assert_eq!((replicas(&scene, "n1"), replicas(&scene, "n2")), (2, 2));
    scene.rule(Some("n1"), "l", &rule("spec: {replicas: 5}", json!({ "priority": 0 })));
    scene.settle().await;
    assert_eq!(
        (replicas(&scene, "n1"), replicas(&scene, "n2")),
        (5, 2),
        "a Localization is after a Globalization"
    );
    scene.parent.delete("/apis/apps.clusternet.io/v1alpha1/namespaces/n1/localizations/l");
    scene.settle().await;
    assert_eq!(replicas(&scene, "n1"), 2);
    assert!(scene.parent.paths("localizations").is_empty(), "and it is gone");
    scene.cluster(2, &json!({ "env": "t", "zone": "b" }), &json!([]));
    let affinity = json!({ "clusterAffinity": { "matchLabels": { "zone": "b" } } });
    scene.rule(None, "g", &rule("spec: {replicas: 3}", affinity));
    scene.settle().await;
    assert_eq!((replicas(&scene, "n1"), replicas(&scene, "n2")), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn o4_an_override_that_waits_is_applied_with_the_next_change_and_not_by_a_restart() {
    let mut scene = deployed().await;
    scene.rule(None, "g", &rule("metadata: {labels: {a: b}}", json!({ "overridePolicy": "ApplyLater" })));
    scene.settle().await;
    assert_eq!(scene.gets("n1")[1], web(1));
    scene.parent.take_writes();
    scene.restart();
    scene.settle().await;
    assert_eq!(scene.parent.take_writes(), [""; 0]);
    scene.manifest(&web(4));
    scene.settle().await;
    let web = &scene.gets("n1")[1];
    assert_eq!((&web["spec"]["replicas"], &web["metadata"]["labels"]["a"]), (&json!(4), &json!("b")));
}

#[tokio::test(start_paused = true)]
async fn o9_a_path_that_is_missing_skips_the_value_and_is_told() {
    let scene = deployed().await;
    let patch =
        r#"[{"op": "replace", "path": "/spec/replicas", "value": 9}, {"op": "remove", "path": "/spec/no"}]"#;
    let overrides = json!({ "overrides": [{ "name": "two", "type": "JSONPatch", "value": patch }] });
    scene.rule(None, "g", &rule("", overrides));
    scene.settle().await;
    assert_eq!(replicas(&scene, "n1"), 1);
    let told = scene.condition("OverridesApplied");
    assert!(told.starts_with("False PathMissing"), "{told}");
    for part in ["Globalization g spec.overrides[0] (two)", "cluster n1/c1", "/spec/no"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(scene.condition("Ready").starts_with("True"), "everything is deployed");
}

#[tokio::test(start_paused = true)]
async fn o11_an_override_that_cannot_be_applied_leaves_the_cluster_as_it_is() {
    let scene = deployed().await;
    let value = "{hunter2";
    scene.rule(Some("n1"), "bad", &rule(value, json!({})));
    scene.manifest(&web(6));
    scene.settle().await;
    assert_eq!((replicas(&scene, "n1"), replicas(&scene, "n2")), (1, 6));
    let told = scene.condition("OverridesApplied");
    assert!(told.contains("Localization n1/bad") && told.contains("cluster n1/c1"), "{told}");
    assert!(!scene.status().to_string().contains("hunter2"));
    let notes = scene.parent.take_notes();
    assert!(notes.iter().any(|(what, _)| what == "s FailedApplyingOverrides"), "{notes:?}");
    assert!(scene.condition("Degraded").starts_with("True ClustersFailed: n1/c1"));
    scene.rule(Some("n1"), "bad", &rule("spec: {replicas: 8}", json!({})));
    scene.settle().await;
    assert_eq!(replicas(&scene, "n1"), 8);
    assert!(scene.condition("OverridesApplied").starts_with("True"));
}

#[tokio::test(start_paused = true)]
async fn an_override_that_explodes_is_refused_with_a_condition() {
    let scene = deployed().await;
    let large = format!("metadata: {{annotations: {{a: {:?}}}}}", "x".repeat(300 << 10));
    scene.rule(None, "g", &rule(&large, json!({})));
    scene.settle().await;
    assert_eq!(scene.gets("n1")[1], web(1));
    assert!(scene.condition("OverridesApplied").starts_with("False OverrideTooLarge"));
}

#[tokio::test(start_paused = true)]
async fn feeds_that_are_too_large_together_are_refused_with_a_condition() {
    let scene = Scene::new(1);
    let mut feeds = Vec::new();
    for number in 0..3 {
        let large = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "a": "x".repeat(500 << 10) },
                            "metadata": { "namespace": "qux", "name": format!("c{number}") } });
        scene.manifest(&large);
        feeds.push(feed(&large));
    }
    scene.subscribe(&json!(feeds), json!({}));
    scene.settle().await;
    assert!(
        scene.condition("OverridesApplied").starts_with("False TooLarge"),
        "{}",
        scene.condition("OverridesApplied")
    );
    assert!(scene.condition("Degraded").contains("TooLarge"));
}

#[tokio::test(start_paused = true)]
async fn o12_an_override_is_marked_with_the_feed_it_names() {
    let scene = deployed().await;
    scene.rule(None, "g", &rule("spec: {replicas: 2}", json!({})));
    scene.settle().await;
    let path = "/apis/apps.clusternet.io/v1alpha1/globalizations/g";
    let uid = scene.parent.get(&manifest(&web(1))).unwrap()["metadata"]["uid"].clone();
    let marked = scene.parent.get(path).unwrap();
    assert_eq!(marked["metadata"]["labels"], json!({ uid.as_str().unwrap(): "Deployment" }));
    assert_eq!(marked["metadata"]["finalizers"], json!(["apps.clusternet.io/finalizer"]));
    scene.rule(None, "g", &rule("a: b", json!({ "feed": feed(&qux()) })));
    scene.parent.change(path, &json!({ "metadata": marked["metadata"] }));
    scene.settle().await;
    let labels = scene.parent.get(path).unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels.as_object().unwrap().values().collect::<Vec<_>>(), ["Namespace"]);
}

#[tokio::test(start_paused = true)]
async fn an_override_without_a_feed_is_for_everything_and_may_use_facts_of_the_cluster() {
    let scene = deployed().await;
    let overrides = json!([{ "type": "MergePatch", "template": true,
                             "value": "metadata: {labels: {running-in: '{{ .cluster.name }}-{{ .cluster.labels.env }}'}}" }]);
    scene.rule(None, "g", &json!({ "overridePolicy": "ApplyNow", "priority": 1, "overrides": overrides }));
    scene.settle().await;
    for object in scene.gets("n2") {
        assert_eq!(object["metadata"]["labels"]["running-in"], "c2-t");
    }
    scene.cluster(2, &json!({ "env": "t", "more": "x" }), &json!([]));
    scene.parent.take_writes();
    scene.settle().await;
    assert!(scene.parent.take_writes().iter().all(|write| !write.starts_with("merge bases")));
}

#[tokio::test(start_paused = true)]
async fn a_change_that_concerns_one_cluster_is_written_there_only() {
    let scene = deployed().await;
    scene.parent.take_writes();
    scene.rule(Some("n1"), "l", &rule("spec: {replicas: 5}", json!({})));
    scene.settle().await;
    let writes = scene.parent.take_writes();
    let descriptions = writes.iter().filter(|write| write.contains("descriptions/")).count();
    assert_eq!(descriptions, 1, "{writes:?}");
    assert_eq!(scene.gets("n2"), [qux(), web(1)]);
}

#[tokio::test(start_paused = true)]
async fn an_override_whose_selector_becomes_wrong_is_told_of_once_and_holds_meanwhile() {
    let scene = deployed().await;
    let of = |operator: &str| json!({ "clusterAffinity": { "matchExpressions": [{ "key": "env", "operator": operator, "values": ["t"] }] } });
    scene.rule(None, "g", &rule("spec: {replicas: 2}", of("In")));
    scene.settle().await;
    scene.parent.take_notes();
    let told = || {
        let notes = scene.parent.take_notes();
        notes
            .into_iter()
            .filter(|(what, _)| what == "g FailedApplyingOverrides")
            .map(|(_, text)| text)
            .collect()
    };
    for _ in 0..2 {
        scene.rule(None, "g", &rule("spec: {replicas: 2}", of("Inn")));
        scene.settle().await;
        let notes: Vec<String> = told();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("clusterAffinity.matchExpressions"), "{notes:?}");
        assert_eq!((replicas(&scene, "n1"), replicas(&scene, "n2")), (2, 2), "what it gave is not withdrawn");
        let held = scene.condition("OverridesApplied");
        for part in [
            "False OverrideInvalid: Deployment qux/web: Globalization g, cluster n1/c1: spec.clusterAffinity",
            "stays as it is",
        ] {
            assert!(held.contains(part), "{held}");
        }
        scene.manifest(&labelled(6, "new"));
        scene.settle().await;
        assert_eq!(told(), [""; 0], "it is no news any more");
        assert_eq!(scene.gets("n1")[1]["metadata"]["labels"], json!(null), "and nothing new is rolled out");
        scene.rule(None, "g", &rule("spec: {replicas: 2}", of("In")));
        scene.settle().await;
        assert_eq!(told(), [""; 0]);
        assert_eq!(replicas(&scene, "n1"), 2);
        assert_eq!(scene.gets("n1")[1]["metadata"]["labels"]["app"], "new");
        assert!(scene.condition("OverridesApplied").starts_with("True"));
        scene.manifest(&web(1));
        scene.settle().await;
    }
}

fn labelled(replicas: i64, app: &str) -> Value {
    let mut object = web(replicas);
    object["metadata"]["labels"] = json!({ "app": app });
    object
}

fn wrong() -> Value {
    json!({ "matchExpressions": [{ "key": "env", "operator": "Inn", "values": ["t"] }] })
}

#[tokio::test(start_paused = true)]
async fn an_override_that_was_wrong_from_the_start_holds_what_it_may_be_for_and_nothing_else() {
    let scene = Scene::new(2);
    scene.cluster(2, &json!({ "env": "t", "zone": "b" }), &json!([]));
    scene.manifest(&qux());
    scene.manifest(&web(1));
    let selecting = |more: Value| {
        let mut spec = rule("spec: {replicas: 5}", more);
        spec.as_object_mut().unwrap().remove("feed");
        spec
    };
    let affinity = json!({ "matchLabels": { "zone": "b" } });
    scene.rule(None, "g", &selecting(json!({ "feedSelector": wrong(), "clusterAffinity": affinity })));
    scene.subscribe(&super::scene::feeds(), json!({}));
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [qux(), web(1)], "that cluster is not selected");
    assert!(scene.gets("n2").is_empty());
    let held = scene.condition("OverridesApplied");
    assert!(held.contains("Globalization g, cluster n2/c2: spec.feedSelector.matchExpressions"), "{held}");
    assert!(scene.condition("Degraded").starts_with("True ClustersFailed: n2/c2"));
    scene.parent.delete("/apis/apps.clusternet.io/v1alpha1/globalizations/g");
    scene.settle().await;
    assert_eq!(scene.gets("n2"), [qux(), web(1)], "its deletion is an answer");
    // Of one that is in the namespace of a cluster, and one that names another feed.
    scene.rule(Some("n1"), "l", &selecting(json!({ "feedSelector": wrong() })));
    scene.rule(
        None,
        "other",
        &rule(
            "a: b",
            json!({ "clusterAffinity": wrong(), "feed": feed(&json!({ "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": "other" } })) }),
        ),
    );
    scene.manifest(&web(6));
    scene.settle().await;
    assert_eq!((replicas(&scene, "n1"), replicas(&scene, "n2")), (1, 6));
}

#[tokio::test(start_paused = true)]
async fn an_override_that_waits_and_becomes_wrong_holds_too_and_mended_it_waits_again() {
    let mut scene = deployed().await;
    let waiting = |value: &str, more: Value| {
        let mut spec = rule(value, more);
        spec["overridePolicy"] = json!("ApplyLater");
        spec
    };
    scene.rule(None, "g", &waiting("spec: {replicas: 2}", json!({})));
    scene.manifest(&web(3));
    scene.settle().await;
    assert_eq!(replicas(&scene, "n1"), 2);
    scene.rule(None, "g", &waiting("spec: {replicas: 9}", json!({ "clusterAffinity": wrong() })));
    scene.settle().await;
    assert!(scene.condition("OverridesApplied").starts_with("False OverrideInvalid"));
    scene.parent.take_writes();
    scene.restart();
    scene.settle().await;
    assert_eq!(replicas(&scene, "n1"), 2);
    assert_eq!(scene.parent.take_writes(), [""; 0]);
    assert!(scene.condition("OverridesApplied").starts_with("False OverrideInvalid"));
    scene.rule(None, "g", &waiting("spec: {replicas: 9}", json!({})));
    scene.settle().await;
    assert_eq!(replicas(&scene, "n1"), 2, "it waits for the next change of the feed");
    assert!(scene.condition("OverridesApplied").starts_with("True"));
    scene.manifest(&web(4));
    scene.settle().await;
    assert_eq!(replicas(&scene, "n1"), 9);
}
