//! Requests that one replica relays to another.

use serde_json::json;

use super::{REPLICAS, World};

const THING: &str = "/apis/example.io/v1/things/a";
const AS_JANE: [(&str, &str); 3] = [
    ("Clusterway-Relayed-User", "jane"),
    ("Clusterway-Relayed-Group", "dev"),
    ("Clusterway-Relayed-Extra-Scopes", "view"),
];

fn with<'a>(headers: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [headers, more].concat()
}

#[tokio::test]
async fn a_replica_speaks_for_its_caller_who_is_authorised_again() {
    let world = World::new().await;
    world.parent.token("replica", json!({ "username": REPLICAS }));
    let headers = with(&AS_JANE, &[("Authorization", "Bearer replica"), ("Audit-Id", "first")]);
    let seen = world.nobody().send2("GET", THING, &headers).await.json();
    assert_eq!(
        (&seen["user"], &seen["groups"], &seen["extra"], &seen["auditId"], &seen["relayed"]),
        (
            &json!("jane"),
            &json!(["dev", "system:authenticated"]),
            &json!({ "scopes": ["view"] }),
            &json!("first"),
            &json!(true)
        )
    );
    assert_eq!(seen["headers"], json!({}), "no identity reaches the handler");
    assert_eq!(world.parent.reviews("SubjectAccessReview")[0]["spec"]["user"], "jane");
    world.parent.allow(|_| false);
    world.nobody().send("GET", "/apis/example.io/v1/things/b", &headers).await.status(403);
    world.end().await;
}

#[tokio::test]
async fn nobody_else_may_say_for_whom_he_asks() {
    let world = World::new().await;
    world.parent.token("replica", json!({ "username": REPLICAS }));
    world.parent.token("other", json!({ "username": "system:serviceaccount:hubs:other" }));
    for authorization in ["Bearer other", "Bearer unknown"] {
        let headers = with(&AS_JANE, &[("Authorization", authorization)]);
        world.nobody().send("GET", THING, &headers).await.status(401);
    }
    world.nobody().send("GET", THING, &AS_JANE).await.status(401);
    // A certificate is not how replicas are known, whatever name stands in it.
    world.user(REPLICAS, &["system:masters"]).send("GET", THING, &AS_JANE).await.status(401);
    let folded = [("Clusterway_Relayed_User", "jane"), ("Authorization", "Bearer replica")];
    world.nobody().send("GET", THING, &folded).await.status(401);
    let twice = with(&AS_JANE, &[("Clusterway-Relayed-User", "admin"), ("Authorization", "Bearer replica")]);
    world.nobody().send("GET", THING, &twice).await.status(401);
    world.end().await;
}

#[tokio::test]
async fn through_the_parent_such_headers_mean_nothing() {
    let world = World::new().await;
    world.parent.token("replica", json!({ "username": REPLICAS }));
    for user in ["john", REPLICAS] {
        let headers = with(&AS_JANE, &[("X-Remote-User", user), ("Authorization", "Bearer replica")]);
        let seen = world.front_proxy().send("GET", THING, &headers).await.json();
        assert_eq!((&seen["user"], &seen["relayed"]), (&json!(user), &json!(false)));
        assert!(!seen["headers"].to_string().contains("relayed"), "{seen}");
    }
    world.end().await;
}

#[tokio::test]
async fn only_what_is_meant_to_be_relayed_is() {
    let world = World::new().await;
    world.parent.token("replica", json!({ "username": REPLICAS }));
    let headers = with(&AS_JANE, &[("Authorization", "Bearer replica")]);
    for path in ["/metrics", "/version", "/apis", "/apis/other.io/v1/things/a"] {
        world.nobody().send("GET", path, &headers).await.status(403);
    }
    world.end().await;
}
