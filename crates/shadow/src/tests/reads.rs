use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{parent::World, writes::web};

pub(super) fn widget() -> Value {
    json!({ "apiVersion": "demo.io/v1", "kind": "Widget", "metadata": { "name": "w" }, "spec": { "size": 3 } })
}

fn definition(group: &str, plural: &str, kind: &str) -> Value {
    json!({
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced", "names": { "plural": plural, "kind": kind },
            "versions": [{ "name": "v1", "served": true, "storage": true,
                "subresources": { "scale": { "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size" } },
                "additionalPrinterColumns": [{ "name": "Size", "type": "integer", "jsonPath": ".spec.size" }] }],
        },
        "status": { "conditions": [{ "type": "Established", "status": "True" }] },
    })
}

pub(super) async fn define_widgets(world: &mut World) {
    world.parent.define(definition("demo.io", "widgets", "Widget"));
    world.until(|catalogue| catalogue.get("widgets").is_some()).await;
}

#[tokio::test]
async fn h4_lists_hold_what_is_selected_in_the_namespace() {
    let world = World::new().await;
    world.post("namespaces/qux/deployments", web()).await;
    let mut other = web();
    other["metadata"] = json!({ "name": "api", "labels": { "app": "api" } });
    world.post("namespaces/other/deployments", other).await;
    let all = world.get("deployments").await;
    assert_eq!((all.names(), &all.body["kind"]), (vec!["api", "web"], &json!("DeploymentList")));
    assert_eq!(all.body["apiVersion"], "apps/v1");
    for (path, expected) in [
        ("namespaces/qux/deployments", vec!["web"]),
        ("deployments?labelSelector=app in (api)", vec!["api"]),
        ("deployments?fieldSelector=metadata.name=web", vec!["web"]),
        ("deployments?fieldSelector=metadata.namespace!=qux", vec!["api"]),
        ("namespaces/none/deployments", vec![]),
        ("namespaces/qux/configmaps", vec![]),
    ] {
        assert_eq!(world.get(path).await.names(), expected, "{path}");
    }
    assert_eq!(world.get("deployments?fieldSelector=status.replicas=1").await.code, 400);
    assert_eq!(world.get("deployments?labelSelector=((").await.code, 400);
    let part = world.get("deployments?limit=1&continue=x").await;
    assert_eq!(part.code, 200);
    assert!(world.parent.asked("limit=1&continue=x").len() == 1);
}

#[tokio::test]
async fn h5_a_watch_tells_objects_and_not_manifests() {
    let world = World::new().await;
    let begin =
        world.get("deployments").await.body["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    world.post("namespaces/qux/deployments", web()).await;
    world.patch("merge", "namespaces/qux/deployments/web", json!({ "spec": { "replicas": 3 } })).await;
    let path = format!("deployments?watch=true&resourceVersion={begin}");
    let mut body = world.open(Method::GET, &path, &[], json!(null)).await.into_body();
    let mut text = String::new();
    while text.lines().count() < 2 {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&frame).unwrap());
    }
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&events[0]["type"], &events[1]["type"]), (&json!("ADDED"), &json!("MODIFIED")));
    assert_eq!(
        (&events[1]["object"]["kind"], &events[1]["object"]["spec"]["replicas"]),
        (&json!("Deployment"), &json!(3))
    );
}

#[tokio::test]
async fn h6_tables_have_the_columns_of_the_kind() {
    let mut world = World::new().await;
    define_widgets(&mut world).await;
    world.post("namespaces/qux/deployments", web()).await;
    world.post("namespaces/qux/widgets", widget()).await;
    let columns = |table: &Value| -> Vec<String> {
        table["columnDefinitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| column["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let deployments = world.table("namespaces/qux/deployments").await.body;
    assert_eq!(columns(&deployments)[..3], ["Name", "Ready", "Up-to-date"]);
    assert_eq!(
        (&deployments["rows"][0]["cells"][0], &deployments["rows"][0]["cells"][1]),
        (&json!("web"), &json!("0/2"))
    );
    let widgets = world.table("namespaces/qux/widgets/w").await.body;
    assert_eq!(
        (columns(&widgets), &widgets["rows"][0]["cells"]),
        (vec!["Name".to_owned(), "Size".to_owned()], &json!(["w", 3]))
    );
    let none = world.table("clusterroles").await.body;
    assert_eq!(
        (columns(&none), &none["rows"]),
        (vec!["Name".to_owned(), "Created At".to_owned()], &json!([]))
    );
    let metadata = [("accept", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io")];
    let metadata = world.send(Method::GET, "namespaces/qux/widgets", &metadata, json!(null)).await.body;
    assert_eq!(
        (&metadata["items"][0]["metadata"]["name"], &metadata["items"][0]["spec"]),
        (&json!("w"), &Value::Null)
    );
}

#[tokio::test]
async fn h12_a_kind_comes_and_goes_with_its_definition() {
    let mut world = World::new().await;
    assert_eq!(world.get("namespaces/qux/widgets").await.code, 404);
    define_widgets(&mut world).await;
    let created = world.post("namespaces/qux/widgets", widget()).await;
    assert_eq!(created.code, 201, "{created:?}");
    assert_eq!(world.get("namespaces/qux/widgets/w/scale").await.body["spec"]["replicas"], 3);
    let listed = |world: &World| {
        world.catalogue.borrow().resources().iter().any(|resource| resource.name == "widgets/scale")
    };
    assert!(listed(&world));
    world.parent.undefine("widgets.demo.io");
    world.until(|catalogue| catalogue.get("widgets").is_none()).await;
    assert!(!listed(&world));
    assert_eq!(world.get("namespaces/qux/widgets").await.code, 404);
}

#[tokio::test]
async fn kinds_of_two_groups_never_mix() {
    let mut world = World::new().await;
    world.parent.define(definition("serving.knative.dev", "services", "Service"));
    world.until(|catalogue| catalogue.get("services.serving.knative.dev").is_some()).await;
    let service = |api_version: &str| json!({ "apiVersion": api_version, "kind": "Service", "metadata": { "name": "web" }, "spec": {} });
    assert_eq!(world.post("namespaces/qux/services", service("v1")).await.code, 201);
    assert_eq!(world.post("namespaces/qux/services", service("serving.knative.dev/v1")).await.code, 400);
    let knative = "namespaces/qux/services.serving.knative.dev";
    assert_eq!(world.post(knative, service("serving.knative.dev/v1")).await.code, 201);
    for (path, api_version) in [("namespaces/qux/services", "v1"), (knative, "serving.knative.dev/v1")] {
        let listed = world.get(path).await.body;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{path}");
        assert_eq!(
            (&listed["items"][0]["apiVersion"], &listed["apiVersion"]),
            (&json!(api_version), &json!(api_version))
        );
        assert_eq!(world.get(&format!("{path}/web")).await.body["apiVersion"], api_version);
    }
    assert_eq!(world.delete(&format!("{knative}/web")).await.code, 200);
    assert_eq!(world.get("namespaces/qux/services/web").await.code, 200);
}
