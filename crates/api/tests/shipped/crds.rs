//! The CRDs are as the contract has them (sections 1.1 to 1.3), and `deploy/crds` is up to date. Those of search and
//! synchronisation are in [`crate::pedia`], those of import policies in [`crate::policy`].

use serde_json::{Value, json};

use crate::manifests;

const UUID: &str = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";

const KINDS: [&str; 7] = [
    "ClusterRegistrationRequest",
    "ManagedCluster",
    "PediaCluster",
    "ClusterSyncResources",
    "ClusterImportPolicy",
    "PediaClusterLifecycle",
    "ResourceCollection",
];

/// The CRD of a kind, as JSON.
pub(crate) fn crd(kind: &str) -> Value {
    let crd = api::crds::parent().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    serde_json::to_value(crd).unwrap()
}

pub(crate) fn schema(kind: &str) -> Value {
    crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

/// A schema's keywords without its description.
pub(crate) fn keywords(schema: &Value) -> Value {
    let mut schema = schema.clone();
    schema.as_object_mut().unwrap().remove("description");
    schema
}

/// Every schema inside, with its path.
pub(crate) fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&format!("{path}{suffix}"), &schema[key], visit);
        }
    }
}

pub(crate) fn columns(kind: &str) -> Vec<(String, String, String, i64)> {
    let crd = crd(kind);
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
    let text = |column: &Value, key: &str| column[key].as_str().unwrap().to_owned();
    columns
        .iter()
        .map(|c| (text(c, "name"), text(c, "jsonPath"), text(c, "type"), c["priority"].as_i64().unwrap_or(0)))
        .collect()
}

pub(crate) fn expected(columns: &[(&str, &str, &str, i64)]) -> Vec<(String, String, String, i64)> {
    columns.iter().map(|(n, p, t, i)| ((*n).to_owned(), (*p).to_owned(), (*t).to_owned(), *i)).collect()
}

#[test]
fn the_checked_in_manifests_are_what_the_types_give() {
    let directory = manifests::root().join("deploy/crds");
    let files = api::crds::files().unwrap();
    for file in &files {
        let current = std::fs::read_to_string(directory.join(&file.name)).unwrap_or_default();
        assert!(current == file.contents, "deploy/crds/{} is stale, run `cargo xtask gen`", file.name);
    }
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), files.len(), "deploy/crds holds other files");
}

#[test]
fn the_manifests_read_back_as_the_same_objects() {
    for (file, crd) in api::crds::files().unwrap().iter().zip(api::crds::parent()) {
        let read: Value = serde_saphyr::from_str(&file.contents).unwrap();
        let read: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition =
            serde_json::from_value(read).unwrap();
        assert_eq!(read, crd, "{}", file.name);
    }
}

#[test]
fn names_scope_and_versions_are_those_of_the_contract() {
    for (kind, plural, short, scope) in [
        ("ClusterRegistrationRequest", "clusterregistrationrequests", "clsrr", "Cluster"),
        ("ManagedCluster", "managedclusters", "mcls", "Namespaced"),
    ] {
        let spec = &crd(kind)["spec"];
        assert_eq!(spec["group"], "clusters.clusternet.io");
        assert_eq!(spec["scope"], scope);
        assert_eq!(spec["names"]["plural"], plural);
        assert_eq!(spec["names"]["shortNames"], json!([short]));
        assert_eq!(spec["names"]["categories"], json!(["clusternet"]));
        assert!(spec["conversion"].is_null());
        let versions = spec["versions"].as_array().unwrap();
        assert_eq!(versions.len(), 1);
        assert_eq!(versions[0]["name"], "v1beta1");
        assert_eq!((&versions[0]["served"], &versions[0]["storage"]), (&json!(true), &json!(true)));
        assert_eq!(versions[0]["subresources"], json!({ "status": {} }));
    }
}

#[test]
fn printer_columns_are_those_of_the_contract() {
    assert_eq!(
        columns("ClusterRegistrationRequest"),
        expected(&[
            ("CLUSTER ID", ".spec.clusterId", "string", 0),
            ("STATUS", ".status.result", "string", 0),
            ("AGE", ".metadata.creationTimestamp", "date", 0),
        ])
    );
    assert_eq!(
        columns("ManagedCluster"),
        expected(&[
            ("CLUSTER ID", ".spec.clusterId", "string", 0),
            ("CLUSTER TYPE", ".spec.clusterType", "string", 100),
            ("SYNC MODE", ".spec.syncMode", "string", 0),
            ("KUBERNETES", ".status.k8sVersion", "string", 0),
            ("STATUS", ".status.conditions[?(@.type=='Ready')].status", "string", 0),
            ("AGE", ".metadata.creationTimestamp", "date", 0),
            ("AGENT VERSION", ".status.agentVersion", "string", 100),
        ])
    );
}

#[test]
fn the_spec_of_a_request_is_validated_as_the_contract_says() {
    let spec = schema("ClusterRegistrationRequest")["properties"]["spec"].clone();
    assert_eq!(spec["required"], json!(["clusterId"]));
    let string = json!({ "type": "string" });
    for (field, expected) in [
        ("clusterId", json!({ "type": "string", "pattern": UUID })),
        ("clusterType", string.clone()),
        (
            "clusterName",
            json!({ "type": "string", "maxLength": 30,
                    "pattern": "[a-z0-9]([-a-z0-9]*[a-z0-9])?([a-z0-9]([-a-z0-9]*[a-z0-9]))*" }),
        ),
        (
            "clusterNamespace",
            json!({ "type": "string", "maxLength": 63, "pattern": "[a-z0-9]([-a-z0-9]*[a-z0-9])?" }),
        ),
        ("clusterLabels", json!({ "type": "object", "additionalProperties": string })),
        ("syncMode", json!({ "type": "string", "default": "Pull", "enum": ["Push", "Pull", "Dual"] })),
    ] {
        assert_eq!(keywords(&spec["properties"][field]), expected, "{field}");
    }
    assert_eq!(spec["properties"].as_object().unwrap().len(), 6);
}

#[test]
fn the_status_of_a_request_has_the_fields_of_the_contract_and_four_of_ours() {
    let status = schema("ClusterRegistrationRequest")["properties"]["status"].clone();
    assert!(status["required"].is_null());
    for field in ["dedicatedNamespace", "result", "errorMessage", "managedClusterName"] {
        assert_eq!(keywords(&status["properties"][field]), json!({ "type": "string" }), "{field}");
    }
    for field in ["token", "caCertificate", "sealedToken"] {
        assert_eq!(
            keywords(&status["properties"][field]),
            json!({ "type": "string", "format": "byte" }),
            "{field}"
        );
    }
    assert_eq!(status["properties"]["tokenExpirationTimestamp"]["format"], "date-time");
    assert_eq!(status["properties"]["conditions"]["type"], "array");
    assert_eq!(status["properties"].as_object().unwrap().len(), 9);
}

#[test]
fn the_spec_of_a_managed_cluster_is_validated_as_the_contract_says() {
    let spec = schema("ManagedCluster")["properties"]["spec"].clone();
    assert_eq!(spec["required"], json!(["clusterId", "syncMode"]));
    assert_eq!(
        spec["x-kubernetes-validations"],
        json!([{ "rule": "!has(oldSelf.clusterInitBaseName) || has(self.clusterInitBaseName)",
                 "message": "clusterInitBaseName cannot be unset once set" }])
    );
    for (field, expected) in [
        ("clusterId", json!({ "type": "string", "pattern": UUID })),
        ("clusterType", json!({ "type": "string" })),
        ("syncMode", json!({ "type": "string", "enum": ["Push", "Pull", "Dual"] })),
        (
            "clusterInitBaseName",
            json!({ "type": "string", "maxLength": 512, "x-kubernetes-validations":
                    [{ "rule": "self == oldSelf", "message": "clusterInitBaseName is immutable" }] }),
        ),
    ] {
        assert_eq!(keywords(&spec["properties"][field]), expected, "{field}");
    }
    let taint = &spec["properties"]["taints"]["items"];
    assert_eq!(taint["required"], json!(["effect", "key"]));
    let fields: Vec<_> = taint["properties"].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["effect", "key", "timeAdded", "value"]);
}

#[test]
fn the_status_of_a_managed_cluster_has_the_types_of_the_contract() {
    let status = schema("ManagedCluster")["properties"]["status"].clone();
    assert!(status["required"].is_null());
    let mut seen = 0;
    for (fields, kind, format) in [
        (
            &[
                "k8sVersion",
                "agentVersion",
                "platform",
                "apiserverURL",
                "clusterCIDR",
                "serviceCIDR",
                "predictorAddress",
            ][..],
            "string",
            Value::Null,
        ),
        (
            &[
                "healthz",
                "livez",
                "readyz",
                "appPusher",
                "useSocket",
                "predictorEnabled",
                "predictorDirectAccess",
            ],
            "boolean",
            Value::Null,
        ),
        (&["lastObservedTime"], "string", json!("date-time")),
        (&["kubeQPS"], "number", json!("double")),
        (&["kubeBurst"], "integer", json!("int32")),
        (&["heartbeatFrequencySeconds"], "integer", json!("int64")),
        (
            &["allocatable", "capacity", "nodeStatistics", "podStatistics", "resourceUsage"],
            "object",
            Value::Null,
        ),
        (&["conditions"], "array", Value::Null),
        // Beyond the contract.
        (&["agentFeatures"], "array", Value::Null),
    ] {
        for field in fields {
            assert_eq!(status["properties"][*field]["type"], kind, "{field}");
            assert_eq!(status["properties"][*field]["format"], format, "{field}");
            seen += 1;
        }
    }
    assert_eq!(status["properties"].as_object().unwrap().len(), seen);
    for (object, fields) in [
        ("nodeStatistics", &["lostNodes", "notReadyNodes", "readyNodes", "unknownNodes"][..]),
        ("podStatistics", &["runningPods", "totalPods"]),
    ] {
        let properties = status["properties"][object]["properties"].as_object().unwrap();
        assert_eq!(properties.keys().collect::<Vec<_>>(), fields);
        assert!(properties.values().all(|p| keywords(p) == json!({ "type": "integer", "format": "int32" })));
    }
}

#[test]
fn quantities_are_numbers_or_strings_of_the_known_form() {
    let status = schema("ManagedCluster")["properties"]["status"]["properties"].clone();
    let usage = &status["resourceUsage"]["properties"];
    for quantity in [
        &status["allocatable"]["additionalProperties"],
        &status["capacity"]["additionalProperties"],
        &usage["cpuUsage"],
        &usage["memoryUsage"],
    ] {
        assert_eq!(quantity["x-kubernetes-int-or-string"], true);
        assert_eq!(quantity["anyOf"], json!([{ "type": "integer" }, { "type": "string" }]));
        assert!(quantity["pattern"].as_str().unwrap().starts_with(r"^(\+|-)?"));
        assert!(quantity["type"].is_null());
    }
}

#[test]
fn conditions_are_those_of_kubernetes_and_a_plain_list() {
    for kind in
        KINDS.into_iter().filter(|kind| !["ClusterSyncResources", "ResourceCollection"].contains(kind))
    {
        let conditions = schema(kind)["properties"]["status"]["properties"]["conditions"].clone();
        assert!(conditions["x-kubernetes-list-type"].is_null());
        let condition = &conditions["items"];
        assert_eq!(
            condition["required"],
            json!(["lastTransitionTime", "message", "reason", "status", "type"])
        );
        let properties = &condition["properties"];
        assert_eq!(properties["message"]["maxLength"], 32768);
        assert_eq!(
            (&properties["reason"]["minLength"], &properties["reason"]["maxLength"]),
            (&json!(1), &json!(1024))
        );
        assert!(properties["reason"]["pattern"].is_string() && properties["type"]["pattern"].is_string());
        assert_eq!(properties["status"]["enum"], json!(["True", "False", "Unknown"]));
        assert_eq!(properties["type"]["maxLength"], 316);
        assert_eq!(properties["observedGeneration"]["format"], "int64");
    }
}

#[test]
fn nothing_is_nullable_nothing_unknown_is_kept_and_only_the_sync_mode_has_a_default() {
    for kind in KINDS {
        let mut defaults = Vec::new();
        walk("", &schema(kind), &mut |path, schema| {
            assert!(schema["nullable"].is_null(), "{kind}{path}");
            assert!(schema["x-kubernetes-preserve-unknown-fields"].is_null(), "{kind}{path}");
            if !schema["default"].is_null() {
                defaults.push(path.to_owned());
            }
        });
        let expected: &[&str] = if kind == "ClusterRegistrationRequest" { &[".spec.syncMode"] } else { &[] };
        assert_eq!(defaults, expected, "{kind}");
    }
}

#[test]
fn every_field_is_explained_in_full_sentences() {
    for kind in KINDS {
        walk("", &schema(kind), &mut |path, schema| {
            let scalar = !matches!(schema["type"].as_str(), Some("object" | "array"));
            if path.ends_with("{}") || (path.ends_with("[]") && scalar) {
                return; // the field that holds the values explains them
            }
            let text = schema["description"].as_str().unwrap_or_default();
            assert!(text.ends_with('.') && text.len() >= 16, "{kind}{path}: {text:?}");
            assert!(
                !text.contains("  ") && !text.contains('\n') && !text.contains('`'),
                "{kind}{path}: {text:?}"
            );
        });
    }
}

#[test]
fn a_moment_the_schema_lets_pass_is_one_that_can_be_read() {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    for moment in [
        "2026-01-01T00:00:00Z",
        "2026-01-01t00:00:00z",
        "2026-01-01T00:00:00.123456789Z",
        "2026-01-01T00:00:00+23:59",
        "0000-01-01T00:00:00-23:59",
        "8999-12-31T23:59:59-23:59",
    ] {
        assert!(serde_json::from_value::<Time>(json!(moment)).is_ok(), "{moment}");
    }
    // These pass the API server's `date-time`; the pattern stops them.
    for moment in ["2026-01-01T00:00:00+99:99", "2026-01-01T00:00:00.1234567890Z"] {
        assert!(serde_json::from_value::<Time>(json!(moment)).is_err(), "{moment}");
    }
}
