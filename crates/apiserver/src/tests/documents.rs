//! What the server says about itself.

use serde_json::json;

use super::World;

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

#[tokio::test]
async fn classic_discovery_lists_groups_versions_and_resources() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    let group = json!({
        "name": "example.io",
        "versions": [{ "groupVersion": "example.io/v1", "version": "v1" }],
        "preferredVersion": { "groupVersion": "example.io/v1", "version": "v1" },
    });
    let answer = jane.get("/apis").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json(), json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": [group] }));
    assert_eq!(jane.get("/apis/example.io").await.json()["preferredVersion"], group["preferredVersion"]);
    assert_eq!(jane.get("/api").await.json()["kind"], "APIVersions");
    assert_eq!(
        jane.get("/apis/example.io/v1").await.json(),
        json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": "example.io/v1",
            "resources": [
                {
                    "name": "things", "singularName": "thing", "namespaced": false, "kind": "Thing",
                    "verbs": ["get", "list"], "shortNames": ["th"], "categories": ["all"],
                },
                { "name": "things/attach", "singularName": "", "namespaced": false, "kind": "Thing", "verbs": [] },
                { "name": "things/proxy", "singularName": "", "namespaced": false, "kind": "Thing", "verbs": [] },
            ],
        })
    );
    world.end().await;
}

#[tokio::test]
async fn aggregated_discovery_is_given_to_who_asks_for_it() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    // What the aggregator of the parent asks.
    let accept = format!("{V2},{},application/json", V2.replace("v=v2", "v=v2beta1"));
    let answer = jane.send("GET", "/apis", &[("Accept", &accept)]).await;
    assert_eq!(answer.header("content-type"), V2);
    let document = answer.json();
    assert_eq!(
        (&document["kind"], &document["apiVersion"]),
        (&json!("APIGroupDiscoveryList"), &json!("apidiscovery.k8s.io/v2"))
    );
    let kind = json!({ "group": "example.io", "version": "v1", "kind": "Thing" });
    assert_eq!(
        document["items"],
        json!([{
            "metadata": { "name": "example.io", "creationTimestamp": null },
            "versions": [{
                "version": "v1",
                "freshness": "Current",
                "resources": [{
                    "resource": "things", "responseKind": kind, "scope": "Cluster", "singularResource": "thing",
                    "verbs": ["get", "list"], "shortNames": ["th"], "categories": ["all"],
                    "subresources": [
                        { "subresource": "attach", "responseKind": kind, "verbs": [] },
                        { "subresource": "proxy", "responseKind": kind, "verbs": [] },
                    ],
                }],
            }],
        }])
    );
    let beta = jane.send("GET", "/apis", &[("Accept", &V2.replace("v=v2", "v=v2beta1"))]).await;
    assert_eq!(beta.json()["apiVersion"], "apidiscovery.k8s.io/v2beta1");
    let etag = answer.header("etag").to_owned();
    let again = jane.send("GET", "/apis", &[("Accept", &accept), ("If-None-Match", &etag)]).await;
    assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
    assert_eq!(jane.send("GET", "/api", &[("Accept", V2)]).await.json()["items"], json!([]));
    world.end().await;
}

#[tokio::test]
async fn a_caller_who_takes_protobuf_only_gets_a_406() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    for path in ["/apis", "/apis/example.io/v1", "/openapi/v2", "/openapi/v3"] {
        jane.send("GET", path, &[("Accept", "application/vnd.kubernetes.protobuf")]).await.status(406);
    }
    world.end().await;
}

#[tokio::test]
async fn openapi_comes_in_both_versions() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    let index = jane.get("/openapi/v3").await.json();
    let place = index["paths"]["apis/example.io/v1"]["serverRelativeURL"].as_str().unwrap().to_owned();
    assert!(place.starts_with("/openapi/v3/apis/example.io/v1?hash="), "{place}");
    let newer = jane.get(&place).await.json();
    assert_eq!((&newer["openapi"], &newer["info"]["version"]), (&json!("3.0.0"), &json!("1.2.3")));
    let older = jane.get("/openapi/v2").await.json();
    assert_eq!((&older["swagger"], &older["definitions"]), (&json!("2.0"), &newer["components"]["schemas"]));
    world.end().await;
}

#[tokio::test]
async fn version_and_metrics_are_told_to_who_may_know() {
    let world = World::new().await;
    world
        .parent
        .allow(|spec| spec["nonResourceAttributes"]["path"] != "/metrics" || spec["user"] == "prometheus");
    let jane = world.user("jane", &["dev"]);
    assert_eq!(jane.get("/version").await.json()["gitVersion"], "v1.2.3");
    let message = jane.get("/metrics").await.status(403);
    assert_eq!(message, "forbidden: User \"jane\" cannot get path \"/metrics\": no rule");
    jane.get("/apis/example.io/v1/things/a").await;
    jane.get("/apis/example.io/v1/unheard-of/a/b/c").await;
    jane.get("/apis/unheard.of/v1/x").await;
    let page = world.user("prometheus", &["dev"]).get("/metrics").await;
    assert!(page.header("content-type").starts_with("application/openmetrics-text"));
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    let line = "clusterway_apiserver_requests_total{verb=\"get\",group=\"example.io\",resource=\"things\",subresource=\"\",code=\"200\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(!text.contains("unheard"), "{text}");
    world.end().await;
}

#[tokio::test]
async fn every_refusal_is_a_status() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    jane.get("/unknown").await.status(404);
    jane.get("/apis/unknown.io/v1/things").await.status(404);
    jane.get("/apis/example.io/v2").await.status(404);
    jane.get("/apis/example.io/v1/watch/things").await.status(404);
    jane.send("POST", "/apis", &[]).await.status(405);
    jane.send("DELETE", "/version", &[]).await.status(405);
    assert_eq!(jane.get("/apis/example.io/v1/things/refused").await.status(409), "The thing is taken.");
    let head = jane.send("HEAD", "/version", &[]).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    world.end().await;
}

#[tokio::test]
async fn a_panic_is_a_500_and_the_connection_lives_on() {
    let world = World::new().await;
    let message = world.user("jane", &["dev"]).get("/apis/example.io/v1/things/panic").await.status(500);
    assert!(!message.contains("broke"), "{message}");
    assert!(world.metrics.encode().contains("clusterway_apiserver_panics_total 1"));
    let text = world
        .user("jane", &["dev"])
        .raw(
            "GET /apis/example.io/v1/things/panic HTTP/1.1\r\nhost: x\r\n\r\nGET /version HTTP/1.1\r\nhost: x\r\n\r\n",
        )
        .await;
    assert!(text.contains("HTTP/1.1 500") && text.contains("HTTP/1.1 200"), "{text}");
    world.end().await;
}
