//! The kinds of `apps.clusternet.io` are as the contract has them (sections 1.1 and 1.4 to 1.10).

use api::apps::{
    DescriptionPhase, Feed, Globalization, HelmChart, Localization, Manifest, OverridePolicy, OverrideType,
    SchedulingStrategy, Subscription,
};
use serde_json::{Value, json};

use crate::crds::{keywords, walk};

fn crd(kind: &str) -> Value {
    let crd = api::crds::parent().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    serde_json::to_value(crd).unwrap()
}

fn schema(kind: &str) -> Value {
    crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn names(schema: &Value) -> Vec<String> {
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

const KINDS: [&str; 9] = [
    "Subscription",
    "Base",
    "Description",
    "Globalization",
    "Localization",
    "HelmChart",
    "HelmRelease",
    "Manifest",
    "FeedInventory",
];

#[test]
fn a_parent_gets_every_kind_of_the_group() {
    let served = api::crds::parent().into_iter().filter(|crd| crd.spec.group == api::apps::GROUP);
    assert_eq!(served.map(|crd| crd.spec.names.kind).collect::<Vec<_>>(), KINDS);
}

#[test]
fn names_scope_columns_and_status_are_those_of_the_contract() {
    let chart = &["CHART", "VERSION", "REPO", "STATUS", "AGE"][..];
    for (kind, plural, short, status, columns) in [
        ("Subscription", "subscriptions", &["sub", "subs"][..], true, &["AGE"][..]),
        ("Base", "bases", &[], false, &["AGE"]),
        ("Description", "descriptions", &["desc"], true, &["DEPLOYER", "STATUS", "AGE"]),
        ("Globalization", "globalizations", &["glob", "global"], false, &["AGE"]),
        ("Localization", "localizations", &["loc", "local"], false, &["AGE"]),
        ("HelmChart", "helmcharts", &["chart", "charts"], true, chart),
        ("HelmRelease", "helmreleases", &["hr"], true, chart),
        ("Manifest", "manifests", &[], false, &["AGE"]),
        ("FeedInventory", "feedinventories", &["finv"], false, &[]),
    ] {
        let crd = crd(kind);
        let spec = &crd["spec"];
        let list = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(crd["metadata"]["name"], format!("{plural}.apps.clusternet.io"));
        assert_eq!(
            (&spec["names"]["plural"], &spec["group"]),
            (&json!(plural), &json!("apps.clusternet.io"))
        );
        assert_eq!(spec["names"]["singular"], kind.to_lowercase());
        assert_eq!(spec["scope"], if kind == "Globalization" { "Cluster" } else { "Namespaced" }, "{kind}");
        assert_eq!(list(&spec["names"]["shortNames"]), short, "{kind}");
        assert_eq!(list(&spec["names"]["categories"]), ["clusternet"], "{kind}");
        let versions = spec["versions"].as_array().unwrap();
        assert_eq!((versions.len(), &versions[0]["name"]), (1, &json!("v1alpha1")));
        assert_eq!((&versions[0]["served"], &versions[0]["storage"]), (&json!(true), &json!(true)));
        assert_eq!(versions[0]["subresources"]["status"].is_object(), status, "{kind}");
        let shown: Vec<_> =
            versions[0]["additionalPrinterColumns"].as_array().into_iter().flatten().collect();
        assert_eq!(shown.iter().map(|c| c["name"].as_str().unwrap()).collect::<Vec<_>>(), columns, "{kind}");
    }
}

#[test]
fn every_field_is_explained_and_nothing_is_nullable() {
    for kind in KINDS {
        walk("", &schema(kind), &mut |path, schema| {
            assert!(schema["nullable"].is_null(), "{kind}{path}");
            let scalar = !matches!(schema["type"].as_str(), Some("object" | "array"));
            if path.ends_with("{}") || (path.ends_with("[]") && scalar) {
                return;
            }
            let text = schema["description"].as_str().unwrap_or_default();
            assert!(text.ends_with('.') && text.len() >= 9, "{kind}{path}: {text:?}");
            assert!(!text.contains("  ") && !text.contains('`'), "{kind}{path}: {text:?}");
        });
    }
}

#[test]
fn required_fields_are_those_of_the_contract() {
    let nothing = Value::Null;
    for (kind, path, required) in [
        ("Subscription", "", json!(["spec"])),
        ("Subscription", "/spec", json!(["feeds", "subscribers"])),
        ("Subscription", "/spec/subscribers/items", json!(["clusterAffinity"])),
        ("Subscription", "/spec/feeds/items", json!(["apiVersion", "kind", "name"])),
        ("Subscription", "/spec/dividingScheduling", json!(["type"])),
        ("Subscription", "/spec/dividingScheduling/dynamicDividing", json!(["strategy"])),
        ("Subscription", "/status", nothing.clone()),
        ("Base", "/spec", json!(["feeds"])),
        ("Description", "/spec", json!(["deployer"])),
        ("Description", "/spec/charts/items", json!(["name", "namespace"])),
        ("Globalization", "/spec", nothing.clone()),
        ("Globalization", "/spec/overrides/items", json!(["type", "value"])),
        ("Localization", "/spec/feed", json!(["apiVersion", "kind", "name"])),
        ("HelmChart", "/spec", json!(["chart", "repo", "targetNamespace"])),
        ("HelmChart", "/spec/chartPullSecret", nothing.clone()),
        ("HelmRelease", "/spec", json!(["chart", "repo", "targetNamespace"])),
        ("Manifest", "", json!(["template"])),
        ("FeedInventory", "/spec", json!(["feeds"])),
        ("FeedInventory", "/spec/feeds/items", json!(["apiVersion", "kind", "name"])),
        ("FeedInventory", "/spec/feeds/items/replicaRequirements", nothing),
    ] {
        let pointer: String = path.replace("/items", "*items").replace('/', "/properties/").replace('*', "/");
        let schema = schema(kind);
        let mut found =
            schema.pointer(&pointer).unwrap_or_else(|| panic!("{kind}{path}"))["required"].clone();
        if let Some(list) = found.as_array_mut() {
            list.sort_by_key(ToString::to_string);
        }
        assert_eq!(found, required, "{kind}{path}");
    }
}

#[test]
fn defaults_are_those_of_the_contract_and_no_others() {
    for (kind, expected) in [
        (
            "Subscription",
            &[
                (".spec.dividingScheduling.dynamicDividing.strategy", json!("Spread")),
                (".spec.dividingScheduling.type", json!("Static")),
                (".spec.preemptionPolicy", json!("PreemptLowerPriority")),
                (".spec.schedulerName", json!("default")),
                (".spec.schedulingStrategy", json!("Replication")),
            ][..],
        ),
        ("Base", &[]),
        ("Description", &[]),
        ("Globalization", &[(".spec.overridePolicy", json!("ApplyLater")), (".spec.priority", json!(500))]),
        ("Localization", &[(".spec.overridePolicy", json!("ApplyLater")), (".spec.priority", json!(500))]),
        ("HelmChart", &[(".spec.createNamespace", json!(true)), (".spec.timeoutSeconds", json!(300))]),
        ("HelmRelease", &[(".spec.createNamespace", json!(true)), (".spec.timeoutSeconds", json!(300))]),
        ("Manifest", &[]),
        ("FeedInventory", &[]),
    ] {
        let mut defaults = Vec::new();
        walk("", &schema(kind), &mut |path, schema| {
            if !schema["default"].is_null() {
                defaults.push((path.to_owned(), schema["default"].clone()));
            }
        });
        defaults.sort_by(|a, b| a.0.cmp(&b.0));
        let expected: Vec<_> = expected.iter().map(|(p, v)| ((*p).to_owned(), v.clone())).collect();
        assert_eq!(defaults, expected, "{kind}");
    }
}

#[test]
fn what_the_contract_refuses_the_schema_refuses() {
    let overrides = schema("Globalization")["properties"]["spec"]["properties"].clone();
    let item = &overrides["overrides"]["items"]["properties"];
    assert_eq!(overrides["overridePolicy"]["enum"], json!(["ApplyNow", "ApplyLater"]));
    assert_eq!(
        (&overrides["priority"]["minimum"], &overrides["priority"]["maximum"]),
        (&json!(0.0), &json!(1000.0))
    );
    assert_eq!(
        item["type"]["enum"],
        json!(["Helm", "JSONPatch", "MergePatch", "FieldJSONPatch", "FieldMergePatch"])
    );
    assert_eq!(item["fieldFormat"]["enum"], json!(["YAML", "JSON"]));
    assert_eq!(overrides["clusterAffinity"]["x-kubernetes-map-type"], "atomic");
    assert!(schema("Localization")["properties"]["spec"]["properties"]["clusterAffinity"].is_null());
    let subscription = schema("Subscription")["properties"]["spec"]["properties"].clone();
    assert_eq!(subscription["schedulingStrategy"]["enum"], json!(["Replication", "Dividing"]));
    assert_eq!(
        subscription["dividingScheduling"]["properties"]["type"]["enum"],
        json!(["Static", "Dynamic"])
    );
    let subscriber = &subscription["subscribers"]["items"]["properties"];
    assert_eq!(subscriber["weight"]["minimum"], json!(0.0));
    assert_eq!(subscriber["clusterAffinity"]["x-kubernetes-map-type"], "atomic");
    let description = schema("Description")["properties"].clone();
    assert_eq!(description["spec"]["properties"]["deployer"]["enum"], json!(["Helm", "Generic"]));
    assert_eq!(description["status"]["properties"]["phase"]["enum"].as_array().unwrap().len(), 8);
    assert_eq!(
        keywords(&description["spec"]["properties"]["raw"]),
        json!({ "type": "array", "items": { "type": "string", "format": "byte" } })
    );
    let chart = schema("HelmChart")["properties"].clone();
    assert_eq!(chart["status"]["properties"]["phase"]["enum"], json!(["Found", "NotFound"]));
    assert!(chart["spec"]["properties"]["repo"]["pattern"].is_string());
}

#[test]
fn fields_are_those_of_the_contract_and_the_ones_named_in_the_code() {
    let options = [
        "atomic",
        "chart",
        "chartPullSecret",
        "createNamespace",
        "disableHooks",
        "force",
        "plainHTTP",
        "replace",
        "replaceCRDs",
        "repo",
        "skipCRDs",
        "targetNamespace",
        "timeoutSeconds",
        "upgradeAtomic",
        "version",
        "wait",
        "waitForJob",
    ];
    assert_eq!(names(&schema("HelmChart")["properties"]["spec"]), options);
    let mut release = [&options[..], &["overrides", "releaseName"]].concat();
    release.sort_unstable();
    assert_eq!(names(&schema("HelmRelease")["properties"]["spec"]), release);
    assert_eq!(
        names(&schema("Localization")["properties"]["spec"]["properties"]["overrides"]["items"]),
        ["fieldFormat", "fieldPath", "name", "overrideChart", "template", "type", "value"]
    );
    let status = schema("Subscription")["properties"]["status"].clone();
    assert_eq!(
        names(&status),
        [
            "aggregatedStatuses",
            "bindingClusters",
            "completedReleases",
            "conditions",
            "desiredReleases",
            "replicas",
            "specHash",
        ]
    );
    let aggregated = &status["properties"]["aggregatedStatuses"]["items"];
    assert_eq!(
        names(aggregated),
        ["apiVersion", "feedStatusDetails", "feedStatusSummary", "kind", "name", "namespace"]
    );
    assert_eq!(
        names(&aggregated["properties"]["feedStatusDetails"]["items"]),
        ["available", "clusterId", "clusterName", "replicaStatus"]
    );
    assert_eq!(
        names(&schema("FeedInventory")["properties"]["spec"]["properties"]["feeds"]["items"]),
        [
            "apiVersion",
            "desiredReplicas",
            "kind",
            "name",
            "namespace",
            "replicaJsonPath",
            "replicaRequirements"
        ]
    );
    assert_eq!(
        names(&schema("Description")["properties"]["status"]["properties"]["manifestStatuses"]["items"]),
        ["apiVersion", "kind", "name", "namespace", "neverApplied", "observedStatus"]
    );
    for (kind, path) in [
        ("Manifest", "/properties/template"),
        ("Description", "/properties/status/properties/manifestStatuses/items/properties/observedStatus"),
    ] {
        assert_eq!(schema(kind).pointer(path).unwrap()["x-kubernetes-preserve-unknown-fields"], true);
    }
}

/// What the article of 2021 shows, with the indentation it meant.
#[test]
fn the_subscription_of_the_article_is_read() {
    let subscription: Subscription = serde_saphyr::from_str(
        "
apiVersion: apps.clusternet.io/v1alpha1
kind: Subscription
metadata: { name: app-demo, namespace: default }
spec:
  subscribers:
  - clusterAffinity:
      matchLabels:
        clusters.clusternet.io/cluster-id: dc91021d-2361-4f6d-a404-7c33b9e01118
  feeds:
  - { apiVersion: apps.clusternet.io/v1alpha1, kind: HelmChart, name: mysql, namespace: default }
  - { apiVersion: v1, kind: Namespace, name: foo }
  - { apiVersion: apps/v1, kind: Deployment, name: my-nginx, namespace: foo }
",
    )
    .unwrap();
    assert_eq!(subscription.spec.scheduling_strategy, SchedulingStrategy::Replication);
    assert_eq!(subscription.spec.scheduler_name, "default");
    assert!(subscription.spec.feeds[0].is_chart() && !subscription.spec.feeds[1].is_chart());
    let keys: Vec<String> = subscription.spec.feeds.iter().map(Feed::key).collect();
    assert_eq!(keys[1..], ["v1/Namespace/foo", "apps/v1/Deployment/foo/my-nginx"]);
}

#[test]
fn the_localization_of_the_article_is_read() {
    let localization: Localization = serde_json::from_value(json!({
        "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Localization",
        "metadata": { "name": "nginx-local-overrides-demo-lower-priority", "namespace": "clusternet-5l82l" },
        "spec": {
            "priority": 300,
            "feed": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "my-nginx", "namespace": "foo" },
            "overrides": [
                { "name": "add-update-labels", "type": "MergePatch",
                  "value": "{\"metadata\":{\"labels\":{\"deployed-in-cluster\":\"clusternet-5l82l\"}}}" },
                { "name": "scale-replicas", "type": "JSONPatch",
                  "value": "[{\"path\": \"/spec/replicas\", \"value\": 1, \"op\": \"replace\"}]" },
            ],
        },
    }))
    .unwrap();
    assert_eq!(localization.spec.changes.priority, 300);
    assert_eq!(localization.spec.changes.override_policy, OverridePolicy::ApplyLater);
    assert_eq!(localization.spec.changes.overrides[1].type_, OverrideType::JsonPatch);
    let bare: Globalization =
        serde_json::from_value(json!({ "metadata": { "name": "g" }, "spec": {} })).unwrap();
    assert_eq!(bare.spec.changes.priority, 500);
}

#[test]
fn objects_are_written_as_they_were_read() {
    let chart = json!({
        "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart",
        "metadata": { "name": "mysql", "namespace": "default" },
        "spec": { "repo": "https://charts.bitnami.com/bitnami", "chart": "mysql", "version": "9.2.0",
                  "targetNamespace": "abc", "createNamespace": true, "timeoutSeconds": 300, "skipCRDs": true,
                  "plainHTTP": false, "chartPullSecret": { "name": "", "namespace": "" } },
        "status": { "phase": "Found" },
    });
    let read: HelmChart = serde_json::from_value(chart.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), chart);
    let manifest = json!({
        "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "Manifest",
        "metadata": { "name": "namespaces.qux", "namespace": "clusternet-reserved" },
        "template": { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "qux" } },
    });
    let read: Manifest = serde_json::from_value(manifest.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), manifest);
    let made = Manifest::new("namespaces.qux", manifest["template"].clone());
    assert_eq!((made.api_version, made.kind), (read.api_version, read.kind));
    assert!(serde_json::from_value::<DescriptionPhase>(json!("Thinking")).is_err());
}
