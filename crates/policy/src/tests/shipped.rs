//! The policies of `deploy/policies` make what the contract says (section 8.5).

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    imports::{Imports, Negotiated, Outcome, lifecycle},
    recipe::Recipe,
    template::Objects,
};
use api::policy::ClusterImportPolicy;
use kubeio::Resource;

fn policy(file: &str) -> ClusterImportPolicy {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/policies").join(file);
    let documents: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(path).unwrap()).unwrap();
    let policy = documents.into_iter().find(|object| object["kind"] == "ClusterImportPolicy").unwrap();
    serde_json::from_value(policy).unwrap()
}

/// What the policy makes of a source and its reference: name, and whether and what.
fn made(file: &str, source: &Value, reference: Option<&Value>) -> Option<(String, Result<Value, String>)> {
    let policy = policy(file);
    let Outcome::Taken(name) = Imports::parse(&policy.spec).unwrap().outcome(source.clone()) else {
        return None;
    };
    let negotiated = Negotiated {
        source: Resource::new("g", "v1", "r"),
        references: policy.spec.references.iter().map(|_| Resource::new("", "v1", "secrets")).collect(),
    };
    let recipe = Recipe::of(&lifecycle(&policy.spec, &negotiated, "", "")).unwrap();
    let mut objects = Objects::of(source.clone());
    for found in recipe.references() {
        let location = found.locate(&objects).unwrap();
        let there = reference.unwrap();
        assert_eq!(location.namespace, there["metadata"]["namespace"]);
        assert_eq!(location.name, there["metadata"]["name"]);
        objects.add(&found.key, there.clone());
    }
    let cluster = recipe.may_begin(&objects).and_then(|()| recipe.cluster(&objects));
    Some((name, cluster.map(|cluster| cluster.object("x", None)["spec"].clone()).map_err(|why| why.message)))
}

fn core(spec: &Value) -> Value {
    spec["syncResources"][0]["resources"].clone()
}

const FIVE: [&str; 5] = ["pods", "services", "configmaps", "secrets", "namespaces"];

#[test]
fn cluster_api() {
    let source = |ready: &str| {
        json!({ "metadata": { "namespace": "default", "name": "capi-quickstart" },
                "status": { "conditions": [{ "type": "Ready", "status": "False" },
                                           { "type": "ControlPlaneInitialized", "status": ready }] } })
    };
    let secret = json!({ "metadata": { "namespace": "default", "name": "capi-quickstart-kubeconfig" },
                         "data": { "value": "a3ViZWNvbmZpZw==" } });
    let (name, spec) = made("cluster-api.yaml", &source("True"), Some(&secret)).unwrap();
    let spec = spec.unwrap();
    assert_eq!(name, "capi-default-capi-quickstart");
    assert_eq!(spec["kubeconfig"], "a3ViZWNvbmZpZw==");
    assert_eq!(core(&spec), json!([&FIVE[..], &["nodes"]].concat()));
    assert!(made("cluster-api.yaml", &source("False"), Some(&secret)).unwrap().1.is_err());
}

#[test]
fn karmada() {
    let source = |mode: &str, endpoint: &str| {
        json!({ "metadata": { "name": "member1" },
                "spec": { "syncMode": mode, "apiEndpoint": endpoint,
                          "secretRef": { "namespace": "karmada-cluster", "name": "member1" } },
                "status": { "conditions": [{ "type": "Ready", "status": "True" }] } })
    };
    let secret = json!({ "metadata": { "namespace": "karmada-cluster", "name": "member1" },
                         "data": { "caBundle": "Y2E=", "token": "dA==" } });
    let made = |mode, endpoint| made("karmada.yaml", &source(mode, endpoint), Some(&secret)).unwrap();
    let (name, spec) = made("Push", "https://172.18.0.4:6443");
    let spec = spec.unwrap();
    assert_eq!((&*name, &spec["apiserver"]), ("karmada-member1", &json!("https://172.18.0.4:6443")));
    assert_eq!(
        (&spec["caData"], &spec["tokenData"], core(&spec)),
        (&json!("Y2E="), &json!("dA=="), json!(FIVE))
    );
    assert!(made("Pull", "https://172.18.0.4:6443").1.is_err() && made("Push", "").1.is_err());
}

#[test]
fn vcluster() {
    let config = base64("ca: Q0E= cert: Q0VSVA== key: S0VZ");
    let source = |name: &str, key: &str| {
        json!({ "metadata": { "namespace": "default", "name": name },
                "data": { "certificate-authority": "Q0E=", "client-certificate": "Q0VSVA==",
                          "client-key": key, "config": config } })
    };
    let (name, spec) = made("vcluster.yaml", &source("vc-vcluster-1", "S0VZ"), None).unwrap();
    let spec = spec.unwrap();
    assert_eq!(name, "vc-default-vcluster-1");
    assert_eq!(
        (&spec["apiserver"], &spec["kubeconfig"]),
        (&json!("https://vcluster-1.default.svc"), &json!(config))
    );
    assert_eq!(core(&spec), json!(FIVE));
    assert_eq!(
        made("vcluster.yaml", &source("vc-other", "T1RIRVI="), None),
        None,
        "not the key in the kubeconfig"
    );
    assert_eq!(made("vcluster.yaml", &source("vault", "S0VZ"), None), None);
    assert_eq!(made("vcluster.yaml", &json!({ "metadata": { "name": "vc-empty" } }), None), None);
}

#[test]
fn kubevela() {
    let source = |namespace: &str, labels: Value| {
        let mut secret = json!({ "metadata": { "namespace": namespace, "name": "edge" },
                "data": { "endpoint": base64("https://10.0.0.1:6443"), "ca.crt": "Y2E=", "tls.crt": "Y3J0", "tls.key": "a2V5" } });
        if !labels.is_null() {
            secret["metadata"]["labels"] = labels;
        }
        secret
    };
    let joined = json!({ "cluster.core.oam.dev/cluster-credential-type": "X509Certificate" });
    let (name, spec) = made("kubevela.yaml", &source("vela-system", joined.clone()), None).unwrap();
    let spec = spec.unwrap();
    assert_eq!((&*name, &spec["apiserver"]), ("vela-edge", &json!("https://10.0.0.1:6443")));
    let credentials = [&spec["caData"], &spec["certData"], &spec["keyData"]];
    assert_eq!(credentials, [&json!("Y2E="), &json!("Y3J0"), &json!("a2V5")]);
    assert_eq!(core(&spec), json!([&FIVE[..], &["nodes"]].concat()));
    for other in [
        source("default", joined),
        source("vela-system", Value::Null),
        source(
            "vela-system",
            json!({ "cluster.core.oam.dev/cluster-credential-type": "ServiceAccountToken" }),
        ),
        source("vela-system", json!({ "other": "label" })),
    ] {
        assert_eq!(made("kubevela.yaml", &other, None), None, "{other}");
    }
}

#[test]
fn our_own_is_read_through_the_tunnel_and_needs_no_secrets() {
    let source = |socket: Value| {
        json!({ "metadata": { "namespace": "clusternet-x", "name": "edge-7" },
                "spec": { "clusterId": "dc91021d-2361-4f6d-a404-7c33b9e01118" }, "status": { "useSocket": socket } })
    };
    let (name, spec) = made("managedclusters.yaml", &source(json!(true)), None).unwrap();
    let spec = spec.unwrap();
    assert_eq!((&*name, &spec["clusterId"]), ("edge-7", &json!("dc91021d-2361-4f6d-a404-7c33b9e01118")));
    assert_eq!(spec.as_object().unwrap().len(), 2);
    let rules = spec["syncResources"].to_string();
    assert!(!rules.contains("secrets") && !rules.contains('*'), "{rules}");
    assert!(made("managedclusters.yaml", &source(json!(false)), None).unwrap().1.is_err());
    assert!(made("managedclusters.yaml", &source(Value::Null), None).unwrap().1.is_err());
}

fn base64(text: &str) -> String {
    serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec()))
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}
