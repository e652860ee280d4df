//! Any text as the value of an override of any type, as a template too: a result within the limits or an error that names
//! the override, never a panic. What comes out can be compared and judged.

#![no_main]

use api::apps::Globalization;
use libfuzzer_sys::fuzz_target;
use placement::{
    Cluster, ClusterKey, diff, health,
    overrides::{Limits, Rule, chart, object},
};
use serde_json::{Value, from_value, json};

fuzz_target!(|value: &str| {
    let limits = Limits {
        value_bytes: 20_000,
        result_bytes: 50_000,
        depth: 20,
        operations: 200,
        work_bytes: 5_000_000,
        changes: 20,
        ..Limits::default()
    };
    let cluster = Cluster {
        key: ClusterKey::new("n1", "c1"),
        name: String::from("c1"),
        id: String::from("7f9d1e2a-0000-4000-8000-000000000001"),
        labels: [(String::from("env"), String::from("t"))].into(),
        annotations: [].into(),
        taints: Vec::new(),
        deleting: false,
    };
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "m", "namespace": "qux" },
        "data": { "app": "a: [1, { b: x }]" }, "list": [1, { "x": 1 }],
    });
    let mysql = json!({
        "apiVersion": "apps.clusternet.io/v1alpha1", "kind": "HelmChart", "metadata": { "name": "mysql" },
        "spec": { "repo": "https://charts.example.com", "chart": "mysql", "targetNamespace": "db" },
    });
    for type_ in ["Helm", "JSONPatch", "MergePatch", "FieldJSONPatch", "FieldMergePatch"] {
        for flag in [false, true] {
            let rule = |config: Value| {
                let spec = json!({ "metadata": { "name": "g" }, "spec": { "overrides": [config] } });
                Rule::from(&from_value::<Globalization>(spec).unwrap())
            };
            let config = json!({ "type": type_, "value": value, "fieldPath": "data/app", "template": flag });
            match object(&map, &cluster, &[&rule(config)], &limits) {
                Ok(rendered) => {
                    assert!(rendered.provenance.changed.len() <= limits.changes);
                    assert_eq!(rendered.object["metadata"]["name"], "m");
                    let found = diff::diff(&map, &rendered.object, 10);
                    assert_eq!(found.is_empty(), map == rendered.object);
                    assert!(diff::drift(&rendered.object, &rendered.object, &[], 10).is_empty());
                    let _ = health::health(&rendered.object);
                }
                Err(error) => assert!(error.by.is_some() && error.to_string().len() < 2_000),
            }
            let values = json!({ "type": "Helm", "value": "{ a: [1] }" });
            let config = json!({ "type": type_, "value": value, "overrideChart": flag });
            if let Ok(rendered) = chart(&mysql, &cluster, &[&rule(values), &rule(config)], &limits) {
                for fixed in ["chart", "targetNamespace"] {
                    assert_eq!(rendered.chart["spec"][fixed], mysql["spec"][fixed]);
                }
                assert!(rendered.values.is_some_and(|values| values.is_object()));
            }
        }
    }
});
