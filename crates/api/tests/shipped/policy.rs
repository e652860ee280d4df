//! The CRDs of import policies are as the contract has them (`clusterpedia.md`, sections 1.1, 1.6 and 1.7).

use serde_json::json;

use crate::{
    crds::{columns, crd, expected, keywords, schema},
    manifests,
};

#[test]
fn names_scope_and_versions_are_those_of_the_contract() {
    for (kind, plural, singular) in [
        ("ClusterImportPolicy", "clusterimportpolicies", "clusterimportpolicy"),
        ("PediaClusterLifecycle", "pediaclusterlifecycles", "pediaclusterlifecycle"),
    ] {
        let spec = &crd(kind)["spec"];
        assert_eq!((&spec["group"], &spec["scope"]), (&json!("policy.clusterpedia.io"), &json!("Cluster")));
        assert_eq!(
            (&spec["names"]["plural"], &spec["names"]["singular"]),
            (&json!(plural), &json!(singular))
        );
        let versions = spec["versions"].as_array().unwrap();
        assert_eq!((versions.len(), &versions[0]["name"]), (1, &json!("v1alpha1")));
        assert_eq!(versions[0]["subresources"], json!({ "status": {} }));
    }
}

#[test]
fn printer_columns_are_those_of_the_contract_and_age() {
    let reason = |type_: &str| format!(".status.conditions[?(@.type == '{type_}')].reason");
    for (kind, first, second) in [
        ("ClusterImportPolicy", "Validated", "Reconciling"),
        ("PediaClusterLifecycle", "Created", "Updating"),
    ] {
        assert_eq!(
            columns(kind),
            expected(&[
                (first, &reason(first), "string", 0),
                (second, &reason(second), "string", 0),
                ("AGE", ".metadata.creationTimestamp", "date", 0),
            ])
        );
    }
}

#[test]
fn what_is_required_and_what_is_not_is_as_in_the_contract() {
    let policy = schema("ClusterImportPolicy")["properties"]["spec"].clone();
    assert_eq!(policy["required"], json!(["creationCondition", "nameTemplate", "source", "template"]));
    assert_eq!(policy["properties"]["source"]["required"], json!(["group", "resource"]));
    let lifecycle = schema("PediaClusterLifecycle")["properties"]["spec"].clone();
    assert_eq!(lifecycle["required"], json!(["creationCondition", "source", "template"]));
    assert_eq!(
        lifecycle["properties"]["source"]["required"],
        json!(["group", "name", "resource", "version"])
    );
    for (spec, required) in [
        (policy, json!(["group", "key", "nameTemplate", "resource"])),
        (lifecycle, json!(["group", "key", "nameTemplate", "resource", "version"])),
    ] {
        let references = &spec["properties"]["references"];
        assert_eq!(references["x-kubernetes-list-type"], "map");
        assert_eq!(references["x-kubernetes-list-map-keys"], json!(["key"]));
        assert_eq!(references["items"]["required"], required);
        assert_eq!(keywords(&spec["properties"]["template"]), json!({ "type": "string" }));
    }
}

#[test]
fn every_shipped_policy_fits_its_schema_and_brings_its_rights_along() {
    let all = manifests::all();
    let mut names: Vec<_> = all
        .iter()
        .filter(|manifest| manifest.kind() == "ClusterImportPolicy")
        .inspect(|manifest| {
            let policy = serde_json::from_value::<api::policy::ClusterImportPolicy>(manifest.object.clone());
            assert!(policy.is_ok(), "{}: {policy:?}", manifest.title());
            assert_eq!(manifest.file, format!("deploy/policies/{}.yaml", manifest.name()));
            let roles = |kind: &str| {
                all.iter().any(|other| other.file == manifest.file && other.kind().ends_with(kind))
            };
            assert!(roles("Role") || manifest.name() == "managedclusters", "{}", manifest.title());
        })
        .map(|manifest| manifest.name().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["cluster-api", "karmada", "kubevela", "managedclusters", "vcluster"]);
}
