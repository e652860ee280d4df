use http::Method;
use serde_json::{Value, json};

use super::parent::World;

const DEPLOYMENTS: &str = "namespaces/qux/deployments";
const WEB: &str = "namespaces/qux/deployments/web";

pub(super) fn web() -> Value {
    json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "labels": { "app": "web" } },
            "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } },
                      "template": { "spec": { "containers": [{ "name": "app", "image": "a:1" }] } } } })
}

#[tokio::test]
async fn h1_h2_an_object_becomes_a_manifest_and_comes_back_with_the_parents_defaults() {
    let world = World::new().await;
    let created = world.post(DEPLOYMENTS, web()).await;
    assert_eq!(created.code, 201, "{created:?}");
    assert_eq!(created.warnings(), "");
    let manifest = world.parent.manifest("deployments.qux.web").unwrap();
    assert_eq!(manifest["metadata"]["labels"]["apps.clusternet.io/config.namespace"], "qux");
    let read = world.get(WEB).await.body;
    assert_eq!((&read["kind"], &read["apiVersion"]), (&json!("Deployment"), &json!("apps/v1")));
    assert_eq!(
        (&read["metadata"]["namespace"], &read["metadata"]["uid"]),
        (&json!("qux"), &manifest["metadata"]["uid"])
    );
    assert_eq!(read["spec"]["strategy"]["type"], "RollingUpdate");
    assert_eq!((&read["status"], &read["metadata"]["managedFields"]), (&Value::Null, &Value::Null));
    // The caller's right to the real kind was asked for, in the object's own namespace.
    let reviews = world.parent.reviews();
    assert_eq!(
        (&reviews[0]["verb"], &reviews[0]["group"], &reviews[0]["namespace"]),
        (&json!("create"), &json!("apps"), &json!("qux"))
    );
}

#[tokio::test]
async fn h3_the_same_object_again_already_exists() {
    let world = World::new().await;
    world.post(DEPLOYMENTS, web()).await;
    let again = world.post(DEPLOYMENTS, web()).await;
    assert_eq!((again.code, &again.body["reason"]), (409, &json!("AlreadyExists")));
    assert_eq!(again.body["message"], "deployments.apps \"web\" already exists");
    assert_eq!(again.body["details"]["kind"], "deployments");
}

#[tokio::test]
async fn h7_the_parent_refuses_what_it_would_refuse_for_real_unless_it_is_not_asked() {
    let world = World::new().await;
    let mut wrong = web();
    wrong["spec"].as_object_mut().unwrap().remove("selector");
    assert_eq!(world.post(DEPLOYMENTS, wrong.clone()).await.code, 422);
    wrong["metadata"]["annotations"] = json!({ "apps.clusternet.io/skip-validating": "true" });
    assert_eq!(world.post(DEPLOYMENTS, wrong).await.code, 201);
    assert_eq!(world.parent.asked("dryRun").len(), 1);
}

#[tokio::test]
async fn who_may_not_create_the_real_kind_has_nothing_tried_out_and_is_told_so() {
    let world = World::new().await;
    world.parent.deny("create deployments.apps");
    let created = world.post(DEPLOYMENTS, web()).await;
    assert_eq!(created.code, 201);
    assert!(created.warnings().contains("you may not create deployments.apps"), "{}", created.warnings());
    assert_eq!(created.body["spec"]["strategy"], Value::Null);
    assert!(world.parent.asked("dryRun").is_empty());
    let mut wrong = web();
    wrong["metadata"]["name"] = json!("wrong");
    wrong["spec"]["replicas"] = json!("two");
    let refused = world.post(DEPLOYMENTS, wrong).await;
    assert_eq!(refused.code, 422);
    assert_eq!(refused.body["details"]["causes"][0]["field"], "spec.replicas");
}

#[tokio::test]
async fn an_object_that_the_reserved_namespace_has_already_is_tried_out_under_another_name() {
    let world = World::new().await;
    let map = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "kube-root-ca.crt" } });
    let created = world.post("namespaces/qux/configmaps", map).await;
    assert_eq!((created.code, &created.body["metadata"]["name"]), (201, &json!("kube-root-ca.crt")));
    assert!(world.parent.manifest("configmaps.qux.kube-root-ca.crt").is_some());
}

#[tokio::test]
async fn h10_a_label_that_is_patched_in_is_on_both_and_selects() {
    let world = World::new().await;
    world.post(DEPLOYMENTS, web()).await;
    let patched = world
        .patch("merge", WEB, json!({ "metadata": { "labels": { "tier": "front", "app": null } } }))
        .await;
    assert_eq!(patched.code, 200, "{patched:?}");
    let manifest = world.parent.manifest("deployments.qux.web").unwrap();
    for labels in [&manifest["metadata"]["labels"], &manifest["template"]["metadata"]["labels"]] {
        assert_eq!((&labels["tier"], &labels["app"]), (&json!("front"), &Value::Null));
    }
    assert_eq!(world.get(&format!("{DEPLOYMENTS}?labelSelector=tier=front")).await.names(), ["web"]);
    assert!(world.get(&format!("{DEPLOYMENTS}?labelSelector=app=web")).await.names().is_empty());
}

#[tokio::test]
async fn h17_a_stale_version_is_a_conflict_and_none_is_a_wish_for_the_newest() {
    let world = World::new().await;
    let stale = world.post(DEPLOYMENTS, web()).await.body;
    world.patch("json", WEB, json!([{ "op": "replace", "path": "/spec/replicas", "value": 3 }])).await;
    let refused = world.put(WEB, stale.clone()).await;
    assert_eq!((refused.code, &refused.body["reason"]), (409, &json!("Conflict")));
    assert!(
        refused.body["message"]
            .as_str()
            .unwrap()
            .starts_with("Operation cannot be fulfilled on deployments.apps \"web\"")
    );
    let mut newest = stale;
    newest["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(world.put(WEB, newest).await.code, 200);
}

#[tokio::test]
async fn a_patch_is_made_anew_when_somebody_else_was_quicker() {
    let world = World::new().await;
    world.post(DEPLOYMENTS, web()).await;
    world.parent.meddle(json!({ "template": { "spec": { "paused": true } } }));
    let patched = world.patch("merge", WEB, json!({ "spec": { "replicas": 5 } })).await;
    assert_eq!(
        (patched.code, &patched.body["spec"]["replicas"], &patched.body["spec"]["paused"]),
        (200, &json!(5), &json!(true))
    );
}

#[tokio::test]
async fn a_strategic_merge_patch_merges_containers_by_name_and_is_for_kinds_of_kubernetes() {
    let mut world = World::new().await;
    world.post(DEPLOYMENTS, web()).await;
    let patch = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "app", "image": "a:2" }, { "name": "b" }] } } } });
    let patched = world.patch("strategic", WEB, patch).await;
    let containers = &patched.body["spec"]["template"]["spec"]["containers"];
    assert_eq!(*containers, json!([{ "name": "app", "image": "a:2" }, { "name": "b" }]));
    super::reads::define_widgets(&mut world).await;
    world.post("namespaces/qux/widgets", super::reads::widget()).await;
    assert_eq!(world.patch("strategic", "namespaces/qux/widgets/w", json!({ "spec": {} })).await.code, 415);
    assert_eq!(
        world.patch("merge", "namespaces/qux/widgets/w", json!({ "spec": { "size": 9 } })).await.body["spec"]
            ["size"],
        9
    );
}

#[tokio::test]
async fn an_apply_is_carried_out_on_the_manifest_for_the_callers_manager() {
    let world = World::new().await;
    let path = format!("{WEB}?fieldManager=me");
    assert_eq!(world.patch("apply", WEB, web()).await.code, 400);
    let applied = world.patch("apply", &path, web()).await;
    assert_eq!(applied.code, 201, "{applied:?}");
    assert_eq!(
        applied.body["spec"]["strategy"],
        Value::Null,
        "the caller would own what the parent fills in"
    );
    assert!(world.parent.asked("PATCH").iter().all(|asked| asked.contains("fieldManager=me")));
    let mut other = web();
    other["spec"]["replicas"] = json!(7);
    let refused = world.patch("apply", &format!("{WEB}?fieldManager=you"), other.clone()).await;
    assert_eq!(
        (refused.code, refused.body["message"].as_str().unwrap().contains(".spec.replicas")),
        (409, true)
    );
    assert!(!refused.body["message"].as_str().unwrap().contains("template"));
    let forced = world.patch("apply", &format!("{WEB}?fieldManager=you&force=true"), other).await;
    assert_eq!((forced.code, &forced.body["spec"]["replicas"]), (200, &json!(7)));
}

#[tokio::test]
async fn who_may_patch_may_not_therefore_create_by_an_apply() {
    let world = World::new().await;
    world.parent.deny("create deployments.shadow");
    assert_eq!(world.patch("apply", &format!("{WEB}?fieldManager=me"), web()).await.code, 403);
    assert!(world.parent.manifests().is_empty());
}

#[tokio::test]
async fn h8_an_object_is_scaled() {
    let world = World::new().await;
    world.post(DEPLOYMENTS, web()).await;
    let path = format!("{WEB}/scale");
    let mut scale = world.get(&path).await.body;
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(2)));
    scale["spec"]["replicas"] = json!(4);
    assert_eq!(world.put(&path, scale.clone()).await.body["spec"]["replicas"], 4);
    assert_eq!(world.get(WEB).await.body["spec"]["replicas"], 4);
    assert_eq!(world.put(&path, scale).await.code, 409);
    assert_eq!(
        world.patch("merge", &path, json!({ "spec": { "replicas": 0 } })).await.body["spec"]["replicas"],
        0
    );
}

#[tokio::test]
async fn h9_a_status_is_never_written() {
    let world = World::new().await;
    world.post(DEPLOYMENTS, web()).await;
    assert_eq!(world.put(&format!("{WEB}/status"), web()).await.code, 405);
    assert_eq!(world.patch("merge", &format!("{WEB}/status"), json!({})).await.code, 405);
}

#[tokio::test]
async fn h11_a_service_is_stored_without_what_the_parent_allocated() {
    let world = World::new().await;
    let service = |name: &str, spec: Value| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name }, "spec": spec });
    let port = json!([{ "port": 80 }]);
    let made = world
        .post("namespaces/qux/services", service("a", json!({ "type": "NodePort", "ports": port })))
        .await;
    assert_eq!(made.body["spec"], json!({ "type": "NodePort", "ports": [{ "port": 80 }] }));
    let made = world
        .post("namespaces/qux/services", service("b", json!({ "clusterIP": "None", "ports": port })))
        .await;
    assert_eq!(made.body["spec"]["clusterIP"], "None");
}

#[tokio::test]
async fn h13_objects_without_a_namespace_and_with_any_legal_name_are_stored() {
    let world = World::new().await;
    let role = |name: &str| json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": { "name": name } });
    assert_eq!(world.post("clusterroles", role("viewer")).await.code, 201);
    assert!(world.parent.manifest("clusterroles.viewer").is_some());
    let odd = world.post("clusterroles", role("system:foo")).await;
    assert_eq!(odd.code, 201, "{odd:?}");
    assert!(odd.warnings().contains("no schema of clusterroles"), "{}", odd.warnings());
    assert_eq!(world.get("clusterroles/system:foo").await.body["metadata"]["name"], "system:foo");
    assert_eq!(
        world.get("clusterroles?fieldSelector=metadata.name=system:foo").await.names(),
        ["system:foo"]
    );
    assert_eq!(world.post("clusterroles", role("system:foo")).await.code, 409);
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "qux" } });
    assert_eq!(world.post("namespaces", namespace).await.code, 201);
    assert!(world.parent.manifest("namespaces.qux").is_some());
    assert_eq!(world.get("namespaces/qux").await.body["kind"], "Namespace");
}

#[tokio::test]
async fn h14_a_collection_is_not_deleted_and_the_answer_says_so() {
    let world = World::new().await;
    world.post(DEPLOYMENTS, web()).await;
    let answer = world.delete(DEPLOYMENTS).await;
    assert_eq!((answer.code, &answer.body["status"]), (200, &json!("Success")));
    assert!(answer.warnings().contains("nothing was deleted"));
    assert_eq!(world.get(WEB).await.code, 200);
}

#[tokio::test]
async fn h15_an_object_is_deleted() {
    let world = World::new().await;
    let uid = world.post(DEPLOYMENTS, web()).await.body["metadata"]["uid"].clone();
    let dry = world.delete(&format!("{WEB}?dryRun=All")).await;
    assert_eq!((dry.code, world.get(WEB).await.code), (200, 200));
    let deleted = world.delete(WEB).await;
    assert_eq!((&deleted.body["status"], &deleted.body["details"]["uid"]), (&json!("Success"), &uid));
    let gone = world.get(WEB).await;
    assert_eq!((gone.code, &gone.body["message"]), (404, &json!("deployments.apps \"web\" not found")));
    assert_eq!(world.delete(WEB).await.code, 404);
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let world = World::new().await;
    assert_eq!(world.post(&format!("{DEPLOYMENTS}?dryRun=All"), web()).await.code, 201);
    assert_eq!(world.patch("apply", &format!("{WEB}?fieldManager=me&dryRun=All"), web()).await.code, 201);
    assert!(world.parent.manifests().is_empty());
}

#[tokio::test]
async fn a_manifest_that_somebody_named_like_another_is_neither_shown_nor_overwritten() {
    let world = World::new().await;
    let other =
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "web", "namespace": "qux" } });
    world.parent.store("deployments.qux.web", json!({ "metadata": {}, "template": other }));
    assert_eq!(world.get(WEB).await.code, 404);
    assert_eq!(world.post(DEPLOYMENTS, web()).await.code, 201);
    assert_eq!(world.parent.manifests().len(), 2);
    assert_eq!(world.delete(WEB).await.code, 200);
    assert_eq!(world.parent.manifest("deployments.qux.web").unwrap()["template"], other);
}

#[tokio::test]
async fn a_manifest_of_an_earlier_release_still_counts() {
    let world = World::new().await;
    let mut old = web();
    old["metadata"]["namespace"] = json!("qux");
    world.parent.store("deployments-qux-web", json!({ "metadata": {}, "template": old }));
    assert_eq!(world.post(DEPLOYMENTS, web()).await.code, 409);
    assert_eq!(world.patch("merge", WEB, json!({ "spec": { "replicas": 1 } })).await.code, 200);
    assert_eq!(world.parent.manifests(), ["deployments-qux-web"]);
}

#[tokio::test]
async fn what_is_not_understood_is_refused() {
    let world = World::new().await;
    for (headers, path, code) in [
        (vec![("content-type", "application/vnd.kubernetes.protobuf")], DEPLOYMENTS.to_owned(), 415),
        (vec![], format!("{DEPLOYMENTS}?dryRun=Some"), 400),
        (vec![], format!("{DEPLOYMENTS}?fieldValidation=Maybe"), 400),
        (vec![("accept", "application/vnd.kubernetes.protobuf")], DEPLOYMENTS.to_owned(), 406),
        (vec![], "namespaces/qux/nothings".to_owned(), 404),
        (vec![], "namespaces/qux/configmaps".to_owned(), 400),
    ] {
        assert_eq!(world.send(Method::POST, &path, &headers, web()).await.code, code, "{path} {headers:?}");
    }
    assert!(world.parent.manifests().is_empty());
}
