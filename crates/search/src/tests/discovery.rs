//! What a client finds out.

use apiserver::User;
use http::Method;
use serde_json::{Value, json};

use store::Resource;

use super::world::World;

fn names(list: &Value, key: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn number_27_and_28_resources_are_those_of_the_clusters_asked_for() {
    let world = World::new().await;
    let core = world.get("/resources/api/v1").await.json();
    assert_eq!(names(&core["resources"], "name"), ["namespaces", "pods"]);
    let pods = json!({"name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": ["get", "list"],
                      "shortNames": ["po"], "categories": ["all"]});
    assert_eq!(core["resources"][1], pods);
    let groups = async |path: &str| names(&world.get(path).await.json()["groups"], "name");
    assert_eq!(groups("/resources/apis").await, ["apps", "demo.io"]);
    assert_eq!(groups("/resources/clusters/c2/apis").await, ["apps"]);
    let widgets = world.get("/resources/c1/proxy/apis/demo.io/v1").await.json();
    assert_eq!(widgets["resources"][0]["kind"], "Widget");
    assert_eq!(world.get("/resources/clusters/c2/apis/demo.io/v1").await.code, 404);
}

#[tokio::test]
async fn number_30_and_31_the_documents_of_a_server_are_there() {
    let world = World::new().await;
    assert_eq!(world.get("/resources/api").await.json()["versions"], json!(["v1"]));
    let version = world.get("/resources/version").await.json();
    assert_eq!((&version["major"], &version["minor"]), (&json!("1"), &json!("37")));
    assert_eq!(world.get("/resources/apis/apps").await.json()["preferredVersion"]["version"], "v1");
    assert_eq!(world.get("/resources/openapi/v2").await.json()["swagger"], "2.0");
    assert_eq!(world.get("/resources/openapi/v3").await.json(), json!({"paths": {}}));
}

#[tokio::test]
async fn number_33_who_prefers_aggregated_discovery_gets_it() {
    let world = World::new().await;
    let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let admin = User::new("admin", &["system:masters"]);
    let ask = async |path| world.ask(&admin, Method::GET, path, &format!("{v2},application/json")).await;
    let groups = ask("/resources/apis").await;
    assert_eq!(groups.headers["content-type"], v2);
    let apps = &groups.json()["items"][0];
    assert_eq!(apps["metadata"]["name"], "apps");
    let deployments = &apps["versions"][0]["resources"][0];
    let kind = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
    assert_eq!((&deployments["responseKind"], &deployments["scope"]), (&kind, &json!("Namespaced")));
    let core = ask("/resources/api").await.json();
    assert_eq!(core["items"][0]["versions"][0]["resources"][1]["resource"], "pods");
}

#[tokio::test]
async fn number_29_and_38_a_kind_is_given_in_every_version_that_is_the_same() {
    let world = World::new().await;
    let apps = world.get("/resources/apis/apps").await.json();
    assert_eq!(names(&apps["versions"], "version"), ["v1", "v1beta2", "v1beta1"]);
    assert_eq!(apps["preferredVersion"]["version"], "v1");
    let older = "/resources/apis/apps/v1beta1/deployments";
    let list = world.get(older).await.json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("DeploymentList"), &json!("apps/v1beta1")));
    assert_eq!(list["items"][0]["apiVersion"], "apps/v1beta1");
    assert_eq!(world.table(older).await["columnDefinitions"][2]["name"], "Ready");
    let one = "/resources/clusters/c1/apis/apps/v1beta2/namespaces/default/deployments/web";
    assert_eq!(world.get(one).await.json()["apiVersion"], "apps/v1beta2");
    assert_eq!(world.get("/resources/apis/apps/v1alpha1/deployments").await.code, 404);
}

#[tokio::test]
async fn number_38_an_object_stored_in_an_old_version_is_given_in_the_new_one() {
    let world = World::new().await;
    let old = json!({"apiVersion": "apps/v1beta1", "kind": "Deployment",
                     "metadata": {"name": "old", "namespace": "default"}});
    world.put("c3", Resource::new("apps", "v1beta1", "deployments"), &[old]).await;
    let list = world.get("/resources/apis/apps/v1/deployments?namespaces=default").await;
    assert_eq!(list.items(), ["c1/default/web", "c2/default/web", "c3/default/old"]);
    assert!(!String::from_utf8(list.body).unwrap().contains("v1beta1"));
    let one = "/resources/clusters/c3/apis/apps/v1/namespaces/default/deployments/old";
    assert_eq!(world.get(one).await.json()["apiVersion"], "apps/v1");
}
