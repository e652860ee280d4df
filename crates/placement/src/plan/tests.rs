use api::names::{
    apps::{generic_description, helm_description, labels::SUBSCRIPTION_UID},
    deployer::annotations::PAUSED,
};
use kube::ResourceExt as _;
use serde_json::json;

use super::*;

const UID: &str = "6f2c1f5e-0000-4000-8000-000000000001";

fn cluster(number: usize, labels: &Value) -> ManagedCluster {
    let cluster = json!({
        "apiVersion": "clusters.clusternet.io/v1beta1", "kind": "ManagedCluster",
        "metadata": { "namespace": format!("n{number}"), "name": format!("c{number}"), "labels": labels },
        "spec": { "clusterId": format!("id{number}"), "syncMode": "Pull" },
    });
    serde_json::from_value(cluster).unwrap()
}

fn web(image: &str) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "namespace": "qux", "name": "web" },
            "spec": { "replicas": 1, "image": image } })
}

fn login(password: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "namespace": "qux", "name": "login" },
            "data": { "password": password } })
}

#[expect(clippy::needless_pass_by_value, reason = "fixtures are written as literals")]
fn ours(kind: &str, metadata: Value, spec: Value) -> Value {
    json!({ "apiVersion": "apps.clusternet.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec })
}

fn subscription(feeds: &[&Value]) -> Value {
    let feeds: Vec<Feed> = feeds.iter().map(|object| Feed::of(*object).unwrap()).collect();
    let metadata = json!({ "namespace": "default", "name": "s", "uid": UID });
    let mut made = ours(
        "Subscription",
        metadata,
        json!({
            "subscribers": [{ "clusterAffinity": { "matchLabels": { "env": "t" } } }], "feeds": feeds,
        }),
    );
    made["status"] = json!({ "bindingClusters": ["n1/c1", "n2/c2"] });
    made
}

/// A Globalization for everything.
fn globalization(policy: &str, type_: &str, value: &str) -> Value {
    let overrides = json!([{ "name": "o", "type": type_, "value": value }]);
    ours("Globalization", json!({ "name": "g" }), json!({ "overridePolicy": policy, "overrides": overrides }))
}

/// Two clusters to which the Subscription deploys these objects.
fn deployed(objects: &[&Value]) -> Parent {
    let mut parent = Parent {
        clusters: (1..=3)
            .map(|n| cluster(n, &json!(if n < 3 { json!({ "env": "t" }) } else { json!({}) })))
            .collect(),
        ..Parent::default()
    };
    for object in objects {
        parent.sources.insert((*object).clone()).unwrap();
    }
    parent.sources.insert(subscription(objects)).unwrap();
    let feeds: Vec<Feed> = objects.iter().map(|object| Feed::of(*object).unwrap()).collect();
    for namespace in ["n1", "n2"] {
        describe(&mut parent, namespace, "s-1", UID, &feeds, objects);
    }
    parent
}

fn describe(parent: &mut Parent, namespace: &str, name: &str, uid: &str, feeds: &[Feed], objects: &[&Value]) {
    use k8s_openapi::ByteString;
    let labels = json!({ SUBSCRIPTION_UID: uid });
    let base = ours(
        "Base",
        json!({ "namespace": namespace, "name": name, "labels": labels }),
        json!({ "feeds": feeds }),
    );
    parent.bases.push(serde_json::from_value(base).unwrap());
    let raw: Vec<ByteString> =
        objects.iter().map(|object| ByteString(object.to_string().into_bytes())).collect();
    let metadata = json!({ "namespace": namespace, "name": generic_description(name) });
    let description = ours("Description", metadata, json!({ "deployer": "Generic", "raw": raw }));
    parent.descriptions.push(serde_json::from_value(description).unwrap());
}

fn planned(parent: &Parent, files: &[Value]) -> Plan {
    plan(parent, files.to_vec(), "default", &Limits::default()).unwrap()
}

/// `cluster action name path` of each field, or of an object without fields.
fn told(changes: &[Change]) -> Vec<String> {
    let line = |change: &Change, path: &str| {
        format!("{} {:?} {} {path}", change.cluster, change.action, change.object.name).trim_end().to_owned()
    };
    let of = |change: &Change| -> Vec<String> {
        if change.fields.is_empty() {
            return vec![line(change, "")];
        }
        change.fields.iter().map(|field| line(change, &field.path)).collect()
    };
    changes.iter().flat_map(of).collect()
}

#[test]
fn what_is_there_already_changes_nothing_whoever_applied_it() {
    let parent = deployed(&[&web("a"), &login("p")]);
    let mut again = web("a");
    again["metadata"]["annotations"] = json!({ "kubectl.kubernetes.io/last-applied-configuration": "{}" });
    let plan = planned(&parent, &[again, login("p"), subscription(&[&web("a"), &login("p")])]);
    assert!(plan.is_empty() && plan.waiting.is_empty() && plan.notes.is_empty(), "{plan:?}");
}

#[test]
fn a_changed_field_is_shown_in_every_cluster_and_a_secret_is_not() {
    let parent = deployed(&[&web("a"), &login("hunter2")]);
    let plan = planned(&parent, &[web("b"), login("hunter3")]);
    assert_eq!(
        told(&plan.changes),
        [
            "n1/c1 Change web /spec/image",
            "n1/c1 Change login /data/password",
            "n2/c2 Change web /spec/image",
            "n2/c2 Change login /data/password",
        ]
    );
    assert_eq!(plan.changes[0].fields[0].before.as_deref(), Some("\"a\""));
    assert!(plan.changes[0].fields[0].overrides.is_empty());
    assert!(!format!("{plan:?}").contains("hunter"));
}

#[test]
fn the_override_that_sets_a_field_is_named_and_so_is_one_that_no_longer_does() {
    let mut parent = deployed(&[&web("a")]);
    let file = globalization("ApplyNow", "MergePatch", r#"{"spec":{"replicas":3}}"#);
    let plan = planned(&parent, std::slice::from_ref(&file));
    assert_eq!(told(&plan.changes), ["n1/c1 Change web /spec/replicas", "n2/c2 Change web /spec/replicas"]);
    assert_eq!(plan.changes[0].fields[0].overrides, ["Globalization g spec.overrides[0] (o)"]);

    parent.sources.insert(file).unwrap();
    let mut overridden = web("a");
    overridden["spec"]["replicas"] = json!(3);
    parent.descriptions.clear();
    parent.bases.clear();
    let feeds = [Feed::of(&overridden).unwrap()];
    describe(&mut parent, "n1", "s-1", UID, &feeds, &[&overridden]);
    describe(&mut parent, "n2", "s-1", UID, &feeds, &[&overridden]);
    let plan = planned(&parent, &[globalization("ApplyNow", "MergePatch", "{}")]);
    assert_eq!(plan.changes[0].fields[0].after.as_deref(), Some("1"));
    assert_eq!(plan.changes[0].fields[0].overrides, ["Globalization g spec.overrides[0] (o)"]);
}

#[test]
fn an_override_that_waits_changes_nothing_yet_and_is_told() {
    let parent = deployed(&[&web("a")]);
    let plan = planned(&parent, &[globalization("ApplyLater", "MergePatch", r#"{"spec":{"replicas":3}}"#)]);
    assert!(plan.is_empty());
    assert_eq!(told(&plan.waiting).len(), 2);
    let both = [globalization("ApplyLater", "MergePatch", r#"{"spec":{"replicas":3}}"#), web("b")];
    let plan = planned(&parent, &both);
    assert_eq!((told(&plan.changes).len(), plan.waiting.len()), (4, 0));
}

#[test]
fn an_override_that_cannot_be_applied_is_an_error_with_override_cluster_and_path() {
    let parent = deployed(&[&web("a")]);
    let patch = r#"[{"op":"replace","path":"/spec/missing","value":1}]"#;
    let plan = planned(&parent, &[globalization("ApplyNow", "JSONPatch", patch)]);
    assert_eq!(plan.errors.len(), 2);
    for part in ["Globalization g spec.overrides[0] (o)", "n1/c1", "/spec/missing"] {
        assert!(plan.errors[0].contains(part), "{}", plan.errors[0]);
    }
    let plan = planned(&parent, &[globalization("ApplyNow", "MergePatch", r#"{"kind":"Other"}"#), web("b")]);
    assert!(plan.changes.is_empty() && plan.errors.len() == 2, "the clusters keep what they have: {plan:?}");
}

#[test]
fn an_override_with_a_wrong_selector_is_an_error_and_holds_what_it_may_be_for() {
    let mut parent = deployed(&[&web("a")]);
    let mut wrong = globalization("ApplyNow", "MergePatch", r#"{"spec":{"replicas":3}}"#);
    wrong["spec"]["clusterAffinity"] = json!({ "matchExpressions": [{ "key": "a", "operator": "Like" }] });
    let plan = planned(&parent, std::slice::from_ref(&wrong));
    assert!(plan.changes.is_empty());
    assert!(
        plan.errors[0].starts_with("Globalization g: spec.clusterAffinity.matchExpressions[0].operator: "),
        "{plan:?}"
    );
    assert!(plan.errors[1].contains("Globalization g, cluster n1/c1"), "{plan:?}");
    parent.sources.insert(wrong).unwrap();
    let plan = planned(&parent, &[web("b")]);
    assert!(plan.changes.is_empty() && plan.errors.len() == 2, "{plan:?}");
    assert!(plan.notes.iter().any(|note| note.starts_with("n1/c1 keeps what it has")), "{plan:?}");
    let mended = globalization("ApplyNow", "MergePatch", r#"{"spec":{"replicas":3}}"#);
    assert_eq!(told(&planned(&parent, &[mended]).changes).len(), 2);
}

#[test]
fn a_feed_or_a_cluster_that_is_taken_away_is_deleted_there() {
    let parent = deployed(&[&web("a"), &login("p")]);
    let plan = planned(&parent, &[subscription(&[&web("a")])]);
    assert_eq!(told(&plan.changes), ["n1/c1 Delete login", "n2/c2 Delete login"]);

    let mut elsewhere = parent.clone();
    elsewhere.clusters[2].labels_mut().insert(String::from("zone"), String::from("z"));
    let mut moved = subscription(&[&web("a"), &login("p")]);
    moved["spec"]["subscribers"] = json!([{ "clusterAffinity": { "matchLabels": { "zone": "z" } } }]);
    let plan = planned(&elsewhere, &[moved]);
    assert_eq!(
        told(&plan.changes),
        [
            "n1/c1 Delete web",
            "n1/c1 Delete login",
            "n2/c2 Delete web",
            "n2/c2 Delete login",
            "n3/c3 Create web",
            "n3/c3 Create login",
        ]
    );
}

#[test]
fn what_another_description_has_too_is_not_deleted() {
    let mut parent = deployed(&[&web("a"), &login("p")]);
    let feeds = [Feed::of(login("p")).unwrap()];
    describe(&mut parent, "n1", "t-1", "other", &feeds, &[&login("p")]);
    let plan = planned(&parent, &[subscription(&[&web("a")])]);
    assert_eq!(told(&plan.changes), ["n2/c2 Delete login"]);
    assert!(plan.notes[0].contains("n1/t-1-generic has it, too"), "{:?}", plan.notes);
}

#[test]
fn a_new_subscription_creates_and_shows_what_overrides_make_of_a_template() {
    let mut parent = deployed(&[]);
    parent.bases.clear();
    parent.descriptions.clear();
    let local = json!({ "namespace": "n2", "name": "l" });
    let overrides = json!([{ "type": "MergePatch", "value": "spec: {replicas: 5}" }]);
    let local = ours("Localization", local, json!({ "overridePolicy": "ApplyNow", "overrides": overrides }));
    let plan = planned(&parent, &[web("a"), subscription(&[&web("a"), &login("p")]), local]);
    assert_eq!(told(&plan.changes), ["n1/c1 Create web", "n2/c2 Create web /spec/replicas"]);
    assert_eq!(plan.changes[1].fields[0].overrides, ["Localization n2/l spec.overrides[0]"]);
    assert!(plan.notes[0].contains("v1/Secret/qux/login"), "{:?}", plan.notes);
}

#[test]
fn what_nothing_deploys_and_what_fits_nowhere_is_told() {
    let parent = Parent { clusters: vec![cluster(1, &json!({}))], ..Parent::default() };
    let mut new = subscription(&[&web("a")]);
    new["status"] = json!({});
    let plan = planned(&parent, &[web("a"), login("p"), new]);
    assert!(plan.is_empty());
    let notes = plan.notes.join("\n");
    assert!(
        notes.contains("v1/Secret/qux/login: no Subscription has it") && notes.contains("0/1 clusters"),
        "{notes}"
    );
}

fn chart(version: &str) -> Value {
    let spec = json!({ "repo": "https://charts.example.com", "chart": "mysql", "version": version, "targetNamespace": "data" });
    ours("HelmChart", json!({ "namespace": "default", "name": "db" }), spec)
}

/// An override for everything that is of charts.
fn for_charts(policy: &str, config: &Value) -> Value {
    let mut made = globalization(policy, "Helm", "");
    made["spec"]["overrides"] = json!([config]);
    made
}

/// Two clusters to which the Subscription deploys an object and a chart, the chart with these values.
fn charted(values: &str) -> Parent {
    use k8s_openapi::ByteString;
    let mut parent = deployed(&[&web("a")]);
    parent.sources.insert(chart("1.0.0")).unwrap();
    parent.sources.insert(subscription(&[&web("a"), &chart("1.0.0")])).unwrap();
    for namespace in ["n1", "n2"] {
        let metadata = json!({ "namespace": namespace, "name": helm_description("s-1") });
        let raw = ByteString(values.as_bytes().to_vec());
        let chart = ByteString(chart("1.0.0").to_string().into_bytes());
        let spec = json!({ "deployer": "Helm", "charts": [{ "namespace": "default", "name": "db" }], "raw": [raw], "chartRaw": [chart] });
        parent.descriptions.push(serde_json::from_value(ours("Description", metadata, spec)).unwrap());
    }
    parent
}

#[test]
fn a_chart_is_shown_as_the_release_it_makes_in_each_cluster() {
    let mut new = deployed(&[]);
    new.bases.clear();
    new.descriptions.clear();
    let plan = planned(&new, &[chart("1.0.0"), subscription(&[&chart("1.0.0")])]);
    assert_eq!(told(&plan.changes), ["n1/c1 Create db", "n2/c2 Create db"]);
    assert_eq!(
        serde_json::to_value(&plan.changes[0].release).unwrap(),
        json!({ "name": "db", "namespace": "data", "chart": "mysql", "version": "1.0.0" })
    );
    let parent = charted(" ");
    let mut again = chart("1.0.0");
    again["metadata"]["resourceVersion"] = json!("8");
    again["spec"]["timeoutSeconds"] = json!(300);
    assert!(planned(&parent, &[again]).is_empty(), "what the server fills in is no change");
    let plan = planned(&parent, &[chart("2.0.0")]);
    assert_eq!(told(&plan.changes), ["n1/c1 Change db /spec/version", "n2/c2 Change db /spec/version"]);
    assert_eq!(plan.changes[0].fields[0].after.as_deref(), Some("\"2.0.0\""));
    assert_eq!(plan.changes[0].release.as_ref().unwrap().version.as_deref(), Some("2.0.0"));
    let plan = planned(&parent, &[subscription(&[&web("a")])]);
    assert_eq!(told(&plan.changes), ["n1/c1 Delete db", "n2/c2 Delete db"]);
    assert_eq!(plan.changes[0].release.as_ref().unwrap().name, "db");
}

#[test]
fn of_the_values_of_a_chart_paths_and_overrides_are_shown_and_no_value() {
    let parent = charted(r#"{"auth":{"password":"hunter1"},"replicas":1}"#);
    let values = "auth: {password: hunter2}\nreplicas: 1\nnew: {deep: hunter3}";
    let plan =
        planned(&parent, &[for_charts("ApplyNow", &json!({ "name": "v", "type": "Helm", "value": values }))]);
    assert_eq!(
        told(&plan.changes[..1]),
        ["n1/c1 Change db /values/auth/password", "n1/c1 Change db /values/new"]
    );
    let field = &plan.changes[0].fields[0];
    assert_eq!(field.overrides, ["Globalization g spec.overrides[0] (v)"]);
    assert_eq!((field.before.as_deref(), field.after.as_deref()), (Some("(hidden)"), Some("(hidden)")));
    assert_eq!(plan.changes[0].fields[1].before, None);
    assert!(!serde_json::to_string(&plan).unwrap().contains("hunter"));
    // In a cluster that is new, every value is.
    let mut new = charted(" ");
    new.bases.clear();
    new.descriptions.clear();
    let plan = planned(&new, &[for_charts("ApplyNow", &json!({ "type": "Helm", "value": values }))]);
    let of_chart: Vec<_> = plan.changes.iter().filter(|it| it.object.is_chart()).cloned().collect();
    assert_eq!(
        told(&of_chart[..1]),
        ["n1/c1 Create db /values/auth", "n1/c1 Create db /values/new", "n1/c1 Create db /values/replicas"]
    );
    assert!(!serde_json::to_string(&plan).unwrap().contains("hunter"));
}

#[test]
fn an_override_of_a_chart_is_named_and_what_it_cannot_change_is_an_error() {
    let parent = charted(" ");
    let version =
        json!({ "name": "newer", "type": "Helm", "overrideChart": true, "value": "spec: {version: 1.1.0}" });
    let plan = planned(&parent, &[for_charts("ApplyNow", &version)]);
    assert_eq!(told(&plan.changes), ["n1/c1 Change db /spec/version", "n2/c2 Change db /spec/version"]);
    assert_eq!(plan.changes[0].fields[0].overrides, ["Globalization g spec.overrides[0] (newer)"]);
    let broken = json!({ "type": "Helm", "overrideChart": true, "value": "spec: {version: [hunter2]}" });
    let plan = planned(&parent, &[for_charts("ApplyNow", &broken)]);
    assert!(plan.changes.is_empty());
    assert!(plan.errors[0].contains("cluster n1/c1: after its overrides it is no HelmChart"), "{plan:?}");
    assert!(plan.notes.iter().any(|note| note.starts_with("n1/c1 keeps the charts it has")), "{plan:?}");
    assert!(!format!("{plan:?}").contains("hunter"));
}

#[test]
fn charts_and_objects_are_rendered_for_reasons_of_their_own() {
    let mut parent = charted(" ");
    let waits = for_charts("ApplyLater", &json!({ "type": "Helm", "value": "replicas: 2" }));
    assert_eq!(told(&planned(&parent, std::slice::from_ref(&waits)).waiting).len(), 2);
    parent.sources.insert(waits).unwrap();
    let plan = planned(&parent, &[web("b")]);
    assert_eq!(told(&plan.changes), ["n1/c1 Change web /spec/image", "n2/c2 Change web /spec/image"]);
    let plan = planned(&parent, &[chart("2.0.0")]);
    assert_eq!(
        told(&plan.changes[..1]),
        ["n1/c1 Change db /spec/version", "n1/c1 Change db /values/replicas"]
    );
}

#[test]
fn what_the_hub_makes_is_refused_and_a_manifest_stands_for_its_object() {
    let parent = deployed(&[&web("a")]);
    let base = ours("Base", json!({ "namespace": "n1", "name": "b" }), json!({ "feeds": [] }));
    let error = plan(&parent, vec![base], "default", &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("Base b is made by the hub"), "{error}");
    let mut manifest = ours("Manifest", json!({ "name": "deployments.qux.web" }), json!(null));
    manifest["template"] = web("b");
    assert_eq!(told(&planned(&parent, &[manifest]).changes).len(), 2);
}

#[test]
fn what_is_paused_waits_and_is_told() {
    let mut parent = deployed(&[&web("a")]);
    let mut paused = subscription(&[&web("a")]);
    paused["metadata"]["annotations"] = json!({ PAUSED: "true" });
    parent.sources.insert(paused).unwrap();
    let plan = planned(&parent, &[web("b")]);
    assert!(plan.notes[0].contains("Subscription default/s is paused"), "{:?}", plan.notes);
}
