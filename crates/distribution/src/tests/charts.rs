//! HelmCharts as feeds: a Description of their own beside that of the objects (contract 1.6, 5.6, 10.9).

use serde_json::{Value, json};

use super::scene::{Scene, chart, feed, feeds, qux, subscription, web};

const RELEASES: &str = "/apis/apps.clusternet.io/v1alpha1/namespaces/n1/helmreleases/web";

fn of(name: &str) -> Value {
    json!({ "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart", "namespace": "default", "name": name })
}

/// The Description of the charts of a namespace.
fn description(scene: &Scene, namespace: &str) -> Option<Value> {
    let inside = format!("/namespaces/{namespace}/");
    let paths = scene.parent.paths("descriptions");
    let path = paths.iter().find(|path| path.contains(&inside) && path.ends_with("-helm"))?;
    scene.parent.get(path)
}

fn decoded(text: &Value) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The values and the spec of the only chart of a namespace.
fn gets(scene: &Scene, namespace: &str) -> (String, Value) {
    let spec = description(scene, namespace).unwrap()["spec"].clone();
    let lengths = ["charts", "raw", "chartRaw"].map(|list| spec[list].as_array().map_or(0, Vec::len));
    assert_eq!(lengths, [1, 1, 1], "the three lists go in step");
    let chart: Value = serde_json::from_str(&decoded(&spec["chartRaw"][0])).unwrap();
    (decoded(&spec["raw"][0]), chart["spec"].clone())
}

fn rule(config: &Value) -> Value {
    json!({ "overridePolicy": "ApplyNow", "priority": 500, "feed": of("mysql"), "overrides": [config] })
}

/// A chart on two clusters, deployed.
async fn charted() -> Scene {
    let scene = Scene::new(2);
    scene.chart("mysql", "1.0.0");
    scene.subscribe(&json!([of("mysql")]), json!({}));
    scene.settle().await;
    scene
}

#[tokio::test(start_paused = true)]
async fn m2_charts_have_a_description_of_their_own_beside_that_of_the_objects() {
    let scene = Scene::new(1);
    scene.manifest(&qux());
    scene.manifest(&web(1));
    scene.chart("mysql", "1.0.0");
    let mut all = feeds();
    all.as_array_mut().unwrap().push(of("mysql"));
    scene.subscribe(&all, json!({}));
    scene.settle().await;
    let base = scene.only("bases", "n1");
    let base = base.rsplit('/').next().unwrap();
    let names: Vec<String> = scene.parent.paths("descriptions");
    let names: Vec<&str> = names.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, [format!("{base}-generic"), format!("{base}-helm")]);
    assert_eq!(scene.gets("n1"), [qux(), web(1)]);
    let there = description(&scene, "n1").unwrap();
    assert_eq!(there["spec"]["deployer"], "Helm");
    assert_eq!(there["spec"]["charts"], json!([{ "namespace": "default", "name": "mysql" }]));
    assert_eq!(there["metadata"]["finalizers"], json!(["apps.clusternet.io/finalizer"]));
    let (values, spec) = gets(&scene, "n1");
    assert_eq!((values.as_str(), &spec["version"]), (" ", &json!("1.0.0")));
    assert!(scene.condition("Ready").starts_with("True Ready: 1 of 1 cluster"));
    let status = &scene.status()["aggregatedStatuses"][2];
    assert_eq!(
        (&status["kind"], &status["feedStatusSummary"]["available"]),
        (&json!("HelmChart"), &json!(true))
    );
}

#[tokio::test(start_paused = true)]
async fn m3_and_m4_overrides_make_the_values_and_change_the_chart_of_one_cluster() {
    let scene = charted().await;
    scene.rule(Some("n1"), "values", &rule(&json!({ "type": "Helm", "value": "replicas: 3" })));
    let other = "spec: {version: 1.1.0, chart: other}";
    scene.rule(Some("n1"), "chart", &rule(&json!({ "type": "Helm", "overrideChart": true, "value": other })));
    scene.settle().await;
    let (values, spec) = gets(&scene, "n1");
    assert_eq!(values, r#"{"replicas":3}"#);
    assert_eq!((&spec["version"], &spec["chart"]), (&json!("1.1.0"), &json!("mysql")));
    let (values, spec) = gets(&scene, "n2");
    assert_eq!((values.as_str(), &spec["version"]), (" ", &json!("1.0.0")));
    assert!(scene.condition("OverridesApplied").contains("/spec/chart"), "what it cannot change is told");
}

#[tokio::test(start_paused = true)]
async fn m5_a_changed_chart_is_rendered_again_and_its_status_is_nothing_new() {
    let mut scene = charted().await;
    scene.parent.take_writes();
    scene.parent.change(&chart("mysql"), &json!({ "status": { "phase": "Found" } }));
    scene.settle().await;
    scene.restart();
    scene.settle().await;
    assert_eq!(scene.parent.take_writes(), [""; 0]);
    scene.chart("mysql", "1.2.0");
    scene.settle().await;
    assert_eq!(gets(&scene, "n2").1["version"], "1.2.0");
}

#[tokio::test(start_paused = true)]
async fn m6_a_deleted_subscription_takes_both_descriptions_along_and_lets_its_charts_go() {
    let mut scene = Scene::new(1);
    scene.manifest(&qux());
    scene.chart("mysql", "1.0.0");
    scene.subscribe(&json!([feed(&qux()), of("mysql")]), json!({}));
    scene.settle().await;
    let marked = scene.parent.get(&chart("mysql")).unwrap();
    assert_eq!(marked["metadata"]["finalizers"], json!(["apps.clusternet.io/feed-protection"]));
    scene.deploys = false;
    scene.parent.delete(&subscription("s"));
    scene.settle().await;
    assert_eq!(scene.parent.paths("bases").len(), 1, "the Base waits for both");
    scene.deploys = true;
    scene.settle().await;
    for plural in ["subscriptions", "bases", "descriptions"] {
        assert!(scene.parent.paths(plural).is_empty(), "{plural}");
    }
    let unmarked = scene.parent.get(&chart("mysql")).unwrap();
    assert_eq!(unmarked["metadata"]["labels"], json!({ "tier": "front" }));
    assert_eq!(unmarked["metadata"]["finalizers"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_chart_that_appears_later_is_deployed_then_and_one_that_goes_stays_deployed() {
    let scene = Scene::new(1);
    scene.manifest(&qux());
    scene.subscribe(&json!([feed(&qux()), of("mysql")]), json!({}));
    scene.settle().await;
    assert_eq!(scene.gets("n1"), [qux()], "it keeps nothing from the others");
    assert_eq!(
        scene.condition("FeedsFound"),
        "False NonexistentHelmChart: There is no HelmChart default/mysql of apps.clusternet.io/v1alpha1; create it in \
         the parent: kubectl apply -f FILE."
    );
    scene.chart("mysql", "1.0.0");
    scene.settle().await;
    assert_eq!(gets(&scene, "n1").1["version"], "1.0.0");
    assert!(scene.condition("FeedsFound").starts_with("True"));
    // Somebody takes the protection away.
    scene.parent.delete(&chart("mysql"));
    scene.parent.change(&chart("mysql"), &json!({ "metadata": { "finalizers": [] } }));
    scene.settle().await;
    assert_eq!(gets(&scene, "n1").1["version"], "1.0.0");
    assert!(scene.condition("FeedsFound").contains("What runs of it stays as it is"));
}

#[tokio::test(start_paused = true)]
async fn a_chart_that_is_taken_from_a_subscription_goes_and_the_objects_stay() {
    let scene = Scene::new(1);
    scene.manifest(&qux());
    scene.chart("mysql", "1.0.0");
    scene.subscribe(&json!([feed(&qux()), of("mysql")]), json!({}));
    scene.settle().await;
    scene.subscribe(&json!([feed(&qux())]), json!({}));
    scene.settle().await;
    assert!(description(&scene, "n1").is_none());
    assert_eq!(scene.gets("n1"), [qux()]);
    assert!(scene.condition("Ready").starts_with("True"));
}

#[tokio::test(start_paused = true)]
async fn charts_that_are_on_their_way_are_waited_for_and_those_that_failed_are_told_of() {
    let mut scene = charted().await;
    scene.deploys = false;
    let path = scene.only("descriptions", "n1");
    for (status, reason, message, expected) in [
        ("Unknown", "Progressing", "Charts are on their way.", "Progressing"),
        ("False", "ReleaseFailed", "mysql: It failed.", "Degraded"),
    ] {
        let conditions: Vec<Value> = ["Applied", "Ready"]
            .into_iter()
            .map(|type_| {
                json!({ "type": type_, "status": status, "reason": reason, "message": message, "observedGeneration": 1,
                        "lastTransitionTime": "2026-11-21T00:00:00Z" })
            })
            .collect();
        scene.parent.change(&path, &json!({ "status": { "conditions": conditions } }));
        scene.settle().await;
        let told = scene.condition(expected);
        assert!(told.starts_with("True") && told.contains(message.trim_end_matches('.')), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn y10_the_releases_of_a_lost_cluster_go_without_it_and_those_of_others_stay() {
    let scene = charted().await;
    let there = description(&scene, "n1").unwrap();
    let uid = there["metadata"]["uid"].as_str().unwrap();
    let release = |owner: &str| {
        json!({ "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmRelease",
                "metadata": { "namespace": "n1", "name": "web", "labels": { "apps.clusternet.io/config.uid": uid },
                              "ownerReferences": [{ "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Description",
                                                    "name": "d", "uid": owner }],
                              "finalizers": ["apps.clusternet.io/finalizer"] } })
    };
    let (mine, theirs) = (format!("{RELEASES}-mine"), format!("{RELEASES}-theirs"));
    for (path, owner) in [(&mine, uid), (&theirs, "somebody-else")] {
        let mut release = release(owner);
        release["metadata"]["name"] = json!(path.rsplit('/').next());
        scene.parent.put(path, &release);
    }
    scene.set_ready(1, "Unknown");
    scene.parent.delete(&subscription("s"));
    scene.settle().await;
    assert!(scene.parent.paths("descriptions").is_empty() && scene.parent.paths("subscriptions").is_empty());
    assert_eq!(scene.parent.paths("helmreleases"), [theirs]);
}
