//! The kinds of search and synchronisation are as their contract has them (`clusterpedia.md`, sections 1.1 to 1.9).

use api::{
    pedia::{PediaCluster, SecretData, SyncState},
    search::{CollectionResource, CollectionResourceList, CollectionResourceType},
};
use serde_json::{Value, json};

use crate::crds::{columns, crd, expected, keywords, schema};

const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// The keywords of each property of an object's schema, by its name.
fn properties(schema: &Value) -> Vec<(String, Value)> {
    let properties = schema["properties"].as_object().unwrap();
    properties.iter().map(|(name, schema)| (name.clone(), keywords(schema))).collect()
}

/// The names of an object's properties.
fn names(schema: &Value) -> Vec<String> {
    schema["properties"].as_object().unwrap().keys().cloned().collect()
}

/// The messages of the CEL rules of a schema.
fn messages(schema: &Value) -> Vec<String> {
    let rules = schema["x-kubernetes-validations"].as_array().cloned().unwrap_or_default();
    rules.iter().map(|rule| rule["message"].as_str().unwrap().to_owned()).collect()
}

fn strings() -> Value {
    json!({ "type": "array", "items": { "type": "string" } })
}

#[test]
fn names_scope_and_versions_are_those_of_the_contract() {
    for (kind, group, version, plural, singular, status) in [
        ("PediaCluster", "cluster.clusterpedia.io", "v1alpha2", "pediaclusters", "pediacluster", true),
        (
            "ClusterSyncResources",
            "cluster.clusterpedia.io",
            "v1alpha2",
            "clustersyncresources",
            "clustersyncresources",
            false,
        ),
        (
            "ResourceCollection",
            "search.clusterway.io",
            "v1alpha1",
            "resourcecollections",
            "resourcecollection",
            false,
        ),
    ] {
        let crd = crd(kind);
        let spec = &crd["spec"];
        assert_eq!(crd["metadata"]["name"], format!("{plural}.{group}"));
        assert_eq!(spec["group"], group);
        assert_eq!(spec["scope"], "Cluster");
        assert_eq!(
            (&spec["names"]["plural"], &spec["names"]["singular"]),
            (&json!(plural), &json!(singular))
        );
        for absent in ["shortNames", "categories"] {
            assert!(spec["names"][absent].as_array().is_none_or(Vec::is_empty), "{kind}: {absent}");
        }
        assert!(spec["conversion"].is_null());
        let versions = spec["versions"].as_array().unwrap();
        assert_eq!(versions.len(), 1);
        assert_eq!(versions[0]["name"], version);
        assert_eq!((&versions[0]["served"], &versions[0]["storage"]), (&json!(true), &json!(true)));
        let subresources = if status { json!({ "status": {} }) } else { json!({}) };
        assert!(
            versions[0]["subresources"] == subresources || (!status && versions[0]["subresources"].is_null())
        );
    }
}

#[test]
fn printer_columns_are_those_of_the_contract() {
    assert_eq!(
        columns("PediaCluster"),
        expected(&[
            ("Ready", ".status.conditions[?(@.type == 'Ready')].status", "string", 0),
            ("Version", ".status.version", "string", 0),
            ("APIServer", ".status.apiserver", "string", 0),
            ("Validated", ".status.conditions[?(@.type == 'Validated')].reason", "string", 10),
            ("SynchroRunning", ".status.conditions[?(@.type == 'SynchroRunning')].reason", "string", 10),
            ("ClusterHealthy", ".status.conditions[?(@.type == 'ClusterHealthy')].reason", "string", 10),
            ("ShardingName", ".status.shardingName", "string", 10),
        ])
    );
    for kind in ["ClusterSyncResources", "ResourceCollection"] {
        let columns = &crd(kind)["spec"]["versions"][0]["additionalPrinterColumns"];
        assert!(columns.as_array().is_none_or(Vec::is_empty), "{kind} keeps NAME and AGE");
    }
}

#[test]
fn the_spec_of_a_pedia_cluster_has_the_fields_of_the_contract_and_the_cluster_id() {
    let spec = schema("PediaCluster")["properties"]["spec"].clone();
    assert_eq!(spec["required"], json!(["syncResources"]));
    let mut seen = 0;
    for (fields, expected) in [
        (&["apiserver", "shardingName", "syncResourcesRefName"][..], json!({ "type": "string" })),
        (
            &["caData", "certData", "keyData", "kubeconfig", "tokenData"],
            json!({ "type": "string", "pattern": BASE64 }),
        ),
        (&["syncAllCustomResources"], json!({ "type": "boolean" })),
    ] {
        for field in fields {
            assert_eq!(keywords(&spec["properties"][*field]), expected, "{field}");
            seen += 1;
        }
    }
    let from = &spec["properties"]["authenticationFrom"];
    assert!(from["required"].is_null());
    assert_eq!(names(from), ["ca", "cert", "key", "kubeconfig", "token"]);
    for (name, reference) in from["properties"].as_object().unwrap() {
        assert_eq!(reference["required"], json!(["key", "name"]), "{name}");
        let known: &[&str] = if name == "ca" { &["key", "kind", "name"] } else { &["key", "name"] };
        assert_eq!(names(reference), known, "{name}");
    }
    assert_eq!(
        keywords(&from["properties"]["ca"]["properties"]["kind"])["enum"],
        json!(["Secret", "ConfigMap"])
    );
    assert_eq!(spec["properties"]["syncResources"]["type"], "array");
    assert!(spec["properties"]["syncResources"]["minItems"].is_null(), "no rule is a legal list of rules");
    assert!(spec["properties"]["clusterId"]["pattern"].is_string());
    assert_eq!(spec["properties"].as_object().unwrap().len(), seen + 3);
}

#[test]
fn a_rule_has_the_fields_of_the_contract_and_five_of_ours() {
    for kind in ["PediaCluster", "ClusterSyncResources"] {
        let rules = schema(kind)["properties"]["spec"]["properties"]["syncResources"].clone();
        let rule = &rules["items"];
        assert_eq!(rule["required"], json!(["group", "resources"]), "{kind}");
        let mut at_least_one = strings();
        at_least_one["minItems"] = json!(1);
        let fields = properties(rule);
        for (field, expected) in [
            ("group", json!({ "type": "string" })),
            ("versions", strings()),
            ("resources", at_least_one),
            ("eventsInvolvedResources", strings()),
            ("labelSelector", json!({ "type": "string", "maxLength": 4096 })),
            ("fieldSelector", json!({ "type": "string", "maxLength": 4096 })),
            ("secretData", json!({ "type": "string", "enum": ["Drop", "Keep"] })),
        ] {
            let (_, schema) = fields.iter().find(|(name, _)| name == field).unwrap();
            assert_eq!(*schema, expected, "{kind}: {field}");
        }
        for bounded in ["namespaces", "excludeResources"] {
            assert_eq!(rule["properties"][bounded]["maxItems"], 256, "{kind}: {bounded}");
            assert!(rule["properties"][bounded]["items"]["maxLength"].is_number(), "{kind}: {bounded}");
        }
        assert_eq!(fields.len(), 9, "{kind}");
    }
    let spec = schema("ClusterSyncResources")["properties"]["spec"].clone();
    assert_eq!(
        (&spec["required"], names(&spec)),
        (&json!(["syncResources"]), vec!["syncResources".to_owned()])
    );
}

#[test]
fn the_status_of_a_pedia_cluster_is_that_of_the_contract() {
    let status = schema("PediaCluster")["properties"]["status"].clone();
    assert!(status["required"].is_null());
    assert_eq!(names(&status), ["apiserver", "conditions", "shardingName", "syncResources", "version"]);
    let group = &status["properties"]["syncResources"]["items"];
    assert_eq!(group["required"], json!(["group", "resources"]));
    let resource = &group["properties"]["resources"]["items"];
    assert_eq!(resource["required"], json!(["kind", "name", "namespaced", "syncConditions"]));
    let condition = &resource["properties"]["syncConditions"]["items"];
    assert_eq!(condition["required"], json!(["lastTransitionTime", "status", "version"]));
    assert_eq!(
        names(condition),
        [
            "initialListPhase",
            "lastTransitionTime",
            "message",
            "reason",
            "status",
            "storageResource",
            "storageVersion",
            "syncResource",
            "syncVersion",
            "version",
        ]
    );
}

#[test]
fn every_rule_of_validation_says_which_field_and_what_to_do() {
    let spec = schema("PediaCluster")["properties"]["spec"].clone();
    let all = [
        (schema("PediaCluster"), 1),
        (spec.clone(), 3),
        (spec["properties"]["authenticationFrom"].clone(), 2),
        (schema("ResourceCollection"), 1),
    ];
    for (schema, count) in all {
        let messages = messages(&schema);
        assert_eq!(messages.len(), count, "{messages:?}");
        for message in messages {
            let (fields, remedy) = message.split_once(": ").unwrap();
            assert!(fields.split(", ").all(|field| !field.contains(' ')), "{message}");
            assert!(remedy.split("; ").nth(1).is_some_and(|remedy| remedy.len() > 8), "{message}");
        }
    }
}

#[test]
fn a_collection_of_ones_own_names_groups_and_resources() {
    let spec = schema("ResourceCollection")["properties"]["spec"].clone();
    assert_eq!(spec["required"], json!(["resourceTypes"]));
    let types = &spec["properties"]["resourceTypes"];
    assert_eq!((&types["minItems"], &types["maxItems"]), (&json!(1), &json!(256)));
    assert_eq!(types["items"]["required"], json!(["group"]));
    assert_eq!(names(&types["items"]), ["group", "resource", "version"]);
}

#[test]
fn an_example_of_the_contract_is_read_and_written_as_it_stands() {
    let example = json!({
        "apiVersion": "cluster.clusterpedia.io/v1alpha2",
        "kind": "PediaCluster",
        "metadata": { "name": "c1" },
        "spec": {
            "apiserver": "https://10.30.43.43:6443",
            "caData": "Y2E=",
            "tokenData": "dG9rZW4=",
            "syncResources": [
                { "group": "apps", "resources": ["*"], "excludeResources": ["replicasets"] },
                { "group": "", "resources": ["pods", "Secret"], "secretData": "Keep" },
                { "group": "cert-manager.io", "versions": ["v1"], "resources": ["certificates"] },
            ],
        },
        "status": {
            "version": "v1.24.2",
            "syncResources": [{ "group": "apps", "resources": [{
                "name": "deployments", "kind": "Deployment", "namespaced": true,
                "syncConditions": [{
                    "version": "v1", "storageVersion": "v1", "status": "Syncing",
                    "lastTransitionTime": "2022-06-14T07:10:01Z",
                }],
            }] }],
            "shardingName": "",
        },
    });
    let cluster: PediaCluster = serde_json::from_value(example.clone()).unwrap();
    assert_eq!(cluster.spec.token_data.as_ref().unwrap().0, b"token");
    assert_eq!(cluster.spec.sync_resources[0].secret_data.unwrap_or_default(), SecretData::Drop);
    assert_eq!(serde_json::to_value(cluster).unwrap(), example);
}

#[test]
fn credentials_the_schema_lets_pass_can_be_decoded() {
    // An empty text is no credential; a manifest may have it where there is nothing to say.
    let spec = json!({ "apiserver": "", "caData": "", "tokenData": "dG8=", "certData": "", "keyData": "", "syncResources": [] });
    let spec: api::pedia::PediaClusterSpec = serde_json::from_value(spec).unwrap();
    assert_eq!((spec.ca_data.unwrap().0.len(), spec.token_data.unwrap().0.len()), (0, 2));
    // The pattern stops these.
    for undecodable in ["dG9=", "dB==", "d", "dG8", "dG8=\n"] {
        let spec = json!({ "tokenData": undecodable, "syncResources": [] });
        assert!(serde_json::from_value::<api::pedia::PediaClusterSpec>(spec).is_err(), "{undecodable}");
    }
}

#[test]
fn a_state_somebody_else_wrote_does_not_stop_the_reader() {
    assert_eq!(serde_json::from_value::<SyncState>(json!("Thinking")).unwrap(), SyncState::Unknown);
    let schema = schema("PediaCluster");
    let condition = &schema["properties"]["status"]["properties"]["syncResources"]["items"]["properties"]["resources"]
        ["items"]["properties"]["syncConditions"]["items"];
    assert_eq!(keywords(&condition["properties"]["status"]), json!({ "type": "string" }));
}

#[test]
fn a_collection_always_has_types_and_keeps_its_paging_at_the_top() {
    let mut collection = CollectionResource::definition("workloads", Vec::new());
    assert_eq!(
        serde_json::to_value(&collection).unwrap(),
        json!({ "apiVersion": "clusterpedia.io/v1beta1", "kind": "CollectionResource",
                "metadata": { "name": "workloads" }, "resourceTypes": [] })
    );
    let apps = CollectionResourceType {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        kind: "Deployment".to_owned(),
        resource: "deployments".to_owned(),
    };
    collection.resource_types = vec![apps];
    collection.items =
        vec![serde_json::value::RawValue::from_string(r#"{"kind" : "Deployment"}"#.to_owned()).unwrap()];
    collection.continue_ = Some("10".to_owned());
    collection.remaining_item_count = Some(-3);
    let text = serde_json::to_string(&collection).unwrap();
    assert!(
        text.contains(r#""items":[{"kind" : "Deployment"}],"continue":"10","remainingItemCount":-3"#),
        "{text}"
    );
    let again: CollectionResource = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), text);
    let list = serde_json::to_value(CollectionResourceList::new(vec![again])).unwrap();
    assert_eq!(list["kind"], "CollectionResourceList");
    assert_eq!(list["items"][0]["resourceTypes"][0]["group"], "apps");
}
