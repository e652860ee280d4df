//! Collections (contract section 6).

use serde_json::json;
use store::{Resource, ResourcePattern};

use super::world::World;
use crate::Catalogue;

#[tokio::test]
async fn number_74_kubectl_lists_the_collections() {
    let world = World::new().await;
    let own: Vec<ResourcePattern> = vec![Resource::new("demo.io", "v1", "widgets").into()];
    world.know(Catalogue { collections: [("mine".to_owned(), own)].into(), ..Catalogue::default() });
    let table = world.table("/collectionresources").await;
    let cells: Vec<_> = table["rows"].as_array().unwrap().iter().map(|row| row["cells"].clone()).collect();
    assert_eq!(cells[0], json!(["any", "*"]));
    assert_eq!(cells[1], json!(["workloads", "deployments.apps,daemonsets.apps,statefulsets.apps"]));
    assert!(cells[2][1].as_str().unwrap().contains("*.batch"), "{cells:?}");
    assert_eq!(cells[3], json!(["mine", "widgets.demo.io"]));
    let list = world.get("/collectionresources").await.json();
    assert_eq!(list["kind"], "CollectionResourceList");
    assert_eq!(list["items"][0]["resourceTypes"], json!([]));
}

#[tokio::test]
async fn number_75_and_76_workloads_are_those_three_kinds_and_can_be_filtered() {
    let world = World::new().await;
    let table = world.table("/collectionresources/workloads").await;
    let names: Vec<_> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].clone()).collect();
    assert_eq!(json!(names), json!(["Cluster", "Group", "Version", "Kind", "Namespace", "Name", "Age"]));
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(
        rows[0]["cells"].as_array().unwrap()[..6],
        ["c1", "apps", "v1", "Deployment", "default", "web"]
    );
    let query = "clusters=c1&namespaces=default&labelSelector=app=web";
    let found = world.get(&format!("/collectionresources/workloads?{query}")).await;
    assert_eq!(found.items(), ["c1/default/web"]);
    let kind = json!([{"group": "apps", "version": "v1", "kind": "Deployment", "resource": "deployments"}]);
    assert_eq!(found.json()["resourceTypes"], kind);
    assert_eq!(found.json()["items"][0]["spec"]["replicas"], 1);
}

#[tokio::test]
async fn number_77_any_takes_its_types_from_the_request() {
    let world = World::new().await;
    for (query, count) in [
        ("groups=apps", 8),
        ("groups=apps/v1", 8),
        ("groups=*", 17),
        ("resources=apps/deployments", 4),
        ("resources=/pods", 4),
        ("resources=/v1/pods", 4),
        ("groups=demo.io&resources=/v1/pods", 5),
    ] {
        let found = world.get(&format!("/collectionresources/any?{query}")).await;
        assert_eq!(found.items().len(), count, "{query}");
    }
    assert_eq!(world.get("/collectionresources/any").await.code, 400);
    assert_eq!(world.get("/collectionresources/any?resources=apps/").await.code, 400);
}

#[tokio::test]
async fn number_78_to_80_metadata_pages_and_unknown_collections() {
    let world = World::new().await;
    let path =
        "/collectionresources/workloads?onlyMetadata=true&limit=1&withContinue=true&withRemainingCount=true";
    let page = world.get(path).await.json();
    let item = page["items"][0].as_object().unwrap();
    assert_eq!(item.keys().collect::<Vec<_>>(), ["apiVersion", "kind", "metadata"]);
    assert!(page["continue"].is_string());
    assert_eq!(
        (&page["remainingItemCount"], page.get("metadata")),
        (&json!(3), Some(&json!({"name": "workloads"})))
    );
    let unknown = world.get("/collectionresources/nope").await;
    assert_eq!((unknown.code, &unknown.json()["reason"]), (404, &json!("NotFound")));
}
