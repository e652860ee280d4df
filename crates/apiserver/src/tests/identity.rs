//! Who a caller is taken for.

use serde_json::json;

use super::{Ca, World, trust, until};

const THING: &str = "/apis/example.io/v1/things/a";

#[tokio::test]
async fn the_front_proxy_speaks_for_its_caller() {
    let world = World::new().await;
    let headers = [
        ("X-Remote-User", "jane"),
        ("X-Remote-Uid", "42"),
        ("X-Remote-Group", "dev"),
        ("X-Remote-Group", "ops"),
        ("X-Remote-Extra-Example.com%2Fproject", "one"),
        ("X-Remote-Extra-Clusternet-Token", "very-secret"),
    ];
    for seen in [
        world.front_proxy().send("GET", THING, &headers).await.json(),
        world.front_proxy().get2(THING, &headers).await.json(),
    ] {
        assert_eq!(
            (&seen["user"], &seen["uid"], &seen["frontProxy"]),
            (&json!("jane"), &json!("42"), &json!(true))
        );
        assert_eq!(seen["groups"], json!(["dev", "ops", "system:authenticated"]));
        assert_eq!(
            seen["extra"],
            json!({ "example.com/project": ["one"], "clusternet-token": ["very-secret"] })
        );
    }
    let asked = world.parent.reviews("SubjectAccessReview");
    assert_eq!(asked.len(), 1, "the second answer comes from the cache");
    assert_eq!(asked[0]["spec"]["extra"], json!({ "example.com/project": ["one"] }));
    assert!(!asked[0].to_string().contains("very-secret"));
    world.end().await;
}

#[tokio::test]
async fn an_anonymous_caller_of_the_parent_stays_anonymous_and_the_parent_decides() {
    let world = World::new().await;
    let headers = [("X-Remote-User", "system:anonymous"), ("X-Remote-Group", "system:unauthenticated")];
    let seen = world.front_proxy().send("GET", THING, &headers).await.json();
    assert_eq!(seen["groups"], json!(["system:unauthenticated"]));
    world.parent.allow(|_| false);
    world.front_proxy().send("GET", "/apis/example.io/v1/things/b", &headers).await.status(403);
    world.end().await;
}

#[tokio::test]
async fn a_client_certificate_names_its_user_and_group() {
    let world = World::new().await;
    let seen = world.user("jane", &["dev"]).get(THING).await.json();
    assert_eq!((&seen["user"], &seen["frontProxy"]), (&json!("jane"), &json!(false)));
    assert_eq!(seen["groups"], json!(["dev", "system:authenticated"]));
    world.end().await;
}

#[tokio::test]
async fn a_token_is_reviewed_once_and_never_reaches_the_handler() {
    let world = World::new().await;
    world.parent.token(
        "good",
        json!({ "username": "robot", "uid": "7", "groups": ["robots"], "extra": { "Scopes": ["x"] } }),
    );
    for _ in 0..3 {
        let seen = world.nobody().send("GET", THING, &[("Authorization", "Bearer good")]).await.json();
        assert_eq!((&seen["user"], &seen["uid"]), (&json!("robot"), &json!("7")));
        assert_eq!(seen["extra"], json!({ "scopes": ["x"] }));
        assert!(seen["headers"].get("authorization").is_none(), "{seen}");
    }
    assert_eq!(world.parent.reviews("TokenReview").len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_not_taken_for_an_anonymous_caller() {
    let world = World::new().await;
    for value in ["Bearer wrong", "Bearer", "Basic amFuZTpwYXNz", "wrong", "Bearer \t"] {
        let answer = world.nobody().send("GET", THING, &[("Authorization", value)]).await;
        let message = answer.status(401);
        assert!(!message.contains("wrong") && !message.contains("amFu"), "{message}");
    }
    let twice = [("Authorization", "Bearer good"), ("Authorization", "Bearer other")];
    world.nobody().send("GET", THING, &twice).await.status(401);
    world.end().await;
}

#[tokio::test]
async fn when_the_parent_cannot_be_asked_the_answer_is_no_and_is_not_remembered() {
    let world = World::new().await;
    world.parent.token("good", json!({ "username": "robot" }));
    world.parent.broken(true);
    let with_token =
        || async { world.nobody().send("GET", THING, &[("Authorization", "Bearer good")]).await };
    let refused = with_token().await;
    refused.status(503);
    assert_eq!(refused.header("retry-after"), "1");
    world.user("jane", &["dev"]).get(THING).await.status(503);
    world.parent.broken(false);
    assert_eq!(with_token().await.json()["user"], "robot");
    assert_eq!(world.user("jane", &["dev"]).get(THING).await.json()["user"], "jane");
    world.end().await;
}

#[tokio::test]
async fn rights_are_asked_with_what_the_api_makes_of_the_path_and_a_refusal_says_so() {
    let world = World::new().await;
    world.parent.allow(|spec| spec["resourceAttributes"]["subresource"] == "proxy");
    let jane = world.user("jane", &["dev"]);
    jane.get("/apis/example.io/v1/things/a/alias/x/y").await.json();
    let message = jane.get("/apis/example.io/v1/things/a/other").await.status(403);
    assert_eq!(
        message,
        "things.example.io \"a\" is forbidden: User \"jane\" cannot get resource \"things/other\" in API group \
         \"example.io\" at the cluster scope: no rule"
    );
    let asked = &world.parent.reviews("SubjectAccessReview")[0]["spec"];
    assert_eq!(
        asked["resourceAttributes"],
        json!({
            "verb": "get", "group": "example.io", "version": "v1", "namespace": "", "resource": "things",
            "subresource": "proxy", "name": "a",
        })
    );
    world.end().await;
}

#[tokio::test]
async fn masters_are_never_asked_about() {
    let world = World::new().await;
    world.parent.allow(|_| false);
    assert_eq!(world.user("root", &["system:masters"]).get(THING).await.json()["user"], "root");
    assert!(world.parent.reviews("SubjectAccessReview").is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_change_of_authorities_reaches_connections_that_are_open() {
    let world = World::new().await;
    let proxy = world.front_proxy();
    let (mut sender, _driver) = proxy.http2().await;
    let ask = |sender: &mut hyper::client::conn::http2::SendRequest<http_body_util::Empty<bytes::Bytes>>| {
        let path = format!("https://localhost{THING}");
        let headers = [("X-Remote-User", "jane")];
        let response =
            sender.send_request(super::client::request("GET", &path, &headers, http_body_util::Empty::new()));
        async { super::client::whole(response.await.unwrap()).await }
    };
    assert_eq!(ask(&mut sender).await.json()["user"], "jane");
    world.trust.set(trust(&world.client_ca, &world.proxy_ca, &["another-proxy"]));
    // Not a 401: the same caller may be known over a new connection.
    let refused = ask(&mut sender).await;
    refused.status(503);
    assert_eq!(refused.header("retry-after"), "1");
    until("the connection is told to end", || sender.is_closed()).await;
    proxy.send("GET", THING, &[("X-Remote-User", "jane")]).await.status(401);

    world.trust.set(trust(&world.client_ca, &world.proxy_ca, &["another-proxy", "front-proxy"]));
    let (mut sender, _driver) = proxy.http2().await;
    assert_eq!(ask(&mut sender).await.json()["user"], "jane");
    world.trust.set(trust(&world.client_ca, &world.proxy_ca, &[]));
    assert_eq!(ask(&mut sender).await.json()["user"], "jane", "what changed was something else");
    world.trust.set(trust(&world.client_ca, &Ca::new("new proxies"), &[]));
    ask(&mut sender).await.status(503);
    world.end().await;
}

#[tokio::test]
async fn the_parents_config_map_is_followed() {
    const PATH: &str = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication";
    let world = World::new().await;
    let config = |ca: &Ca, names: &str| {
        Some(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "extension-apiserver-authentication", "namespace": "kube-system" },
            "data": {
                "requestheader-client-ca-file": ca.pem(),
                "requestheader-allowed-names": names,
                "requestheader-username-headers": "[\"X-Remote-User\"]",
            },
        }))
    };
    let store = crate::TrustStore::default();
    assert!(!store.is_known());
    store.follow_config_map(world.parent.client(), &world.tasks);
    let names = || store.current().request_header().map(|config| config.allowed_names.clone());
    world.parent.set(PATH, config(&world.proxy_ca, "[\"one\"]"));
    until("the first config is applied", || names() == Some(vec![String::from("one")])).await;
    world.parent.set(PATH, config(&world.proxy_ca, "[\"two\"]"));
    until("the second config is applied", || names() == Some(vec![String::from("two")])).await;
    world.parent.set(PATH, config(&world.proxy_ca, "broken"));
    world.parent.set(PATH, None);
    world.parent.set(PATH, config(&world.proxy_ca, "[]"));
    until("what cannot be used is passed over", || names() == Some(Vec::new())).await;
    world.end().await;
}

#[tokio::test]
async fn before_it_knows_whom_to_trust_the_server_answers_health_only() {
    let world = World::ignorant().await;
    world.parent.token("good", json!({ "username": "robot" }));
    let before = world.front_proxy();
    let (mut sender, _driver) = before.http2::<http_body_util::Empty<bytes::Bytes>>().await;
    let mut early = async || {
        let path = format!("https://localhost{THING}");
        let request =
            super::client::request("GET", &path, &[("X-Remote-User", "jane")], http_body_util::Empty::new());
        super::client::whole(sender.send_request(request).await.unwrap()).await
    };
    early().await.status(503);
    world.nobody().send("GET", THING, &[("Authorization", "Bearer good")]).await.status(503);
    assert_eq!(world.nobody().get("/livez").await.status, 200);
    let ready = world.nobody().get("/readyz").await;
    assert_eq!(ready.status, 500);
    assert!(String::from_utf8_lossy(&ready.body).contains("[-]authentication-config failed"));

    world.trust.set(trust(&world.client_ca, &world.proxy_ca, &["front-proxy"]));
    // This connection's handshake asked for no certificate: only another one can say who it is.
    early().await.status(503);
    assert_eq!(before.send("GET", THING, &[("X-Remote-User", "jane")]).await.json()["user"], "jane");
    assert_eq!(world.nobody().get("/readyz").await.status, 200);
    world.end().await;
}
