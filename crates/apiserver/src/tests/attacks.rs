//! Attempts to be somebody else, or to get somewhere else.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::World;

const THING: &str = "/apis/example.io/v1/things/a";

/// What somebody would send who wants to be an administrator.
const FORGED: [(&str, &str); 3] = [
    ("X-Remote-User", "admin"),
    ("X-Remote-Group", "system:masters"),
    ("X-Remote-Extra-Clusternet-Token", "forged"),
];

#[tokio::test]
async fn nobody_but_the_front_proxy_speaks_for_others() {
    let world = World::new().await;
    world.nobody().send("GET", THING, &FORGED).await.status(401);
    // Signed by the right authority, but not for this name.
    world.signed_by_proxy_ca("somebody").send("GET", THING, &FORGED).await.status(401);
    let seen = world.user("jane", &["dev"]).send("GET", THING, &FORGED).await.json();
    assert_eq!((&seen["user"], &seen["extra"]), (&json!("jane"), &json!({})));
    assert_eq!(seen["groups"], json!(["dev", "system:authenticated"]));
    // A name the front proxy may have, but signed by the authority for users.
    let seen = world.user("front-proxy", &["dev"]).send("GET", THING, &FORGED).await.json();
    assert_eq!((&seen["user"], &seen["frontProxy"]), (&json!("front-proxy"), &json!(false)));
    world.end().await;
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_does_not_pass_the_handshake() {
    let world = World::new().await;
    // In TLS 1.3 the client learns of it with its first read.
    let outcome = async {
        let stream = world.stranger().connect("http/1.1").await?;
        let (mut read, mut write) = tokio::io::split(stream);
        tokio::io::AsyncWriteExt::write_all(&mut write, b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        let mut buffer = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut read, &mut buffer).await
    };
    assert!(outcome.await.is_err());
    world.end().await;
}

#[tokio::test]
async fn no_identity_header_in_any_spelling_reaches_the_handler() {
    let world = World::new().await;
    let mut headers = vec![
        ("X-Remote-User", "jane"),
        ("x_remote_user", "admin"),
        ("X-Remote_Group", "system:masters"),
        ("x-REMOTE-Extra-Clusternet-Token", "t"),
        ("Impersonate-User", "admin"),
        ("impersonate_group", "system:masters"),
        ("Authorization", "Bearer forged"),
        ("Audit-Id", "from-the-parent"),
        ("Clusterway-Child-Authorization", "Bearer child"),
        ("X-Forwarded-For", "10.0.0.1"),
    ];
    headers.push(("X-Remote-Uid", "42"));
    let seen = world.front_proxy().send("GET", THING, &headers).await.json();
    assert_eq!((&seen["user"], &seen["groups"]), (&json!("jane"), &json!(["system:authenticated"])));
    let names: Vec<&String> = seen["headers"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["clusterway-child-authorization", "host", "x-forwarded-for"]);
    world.end().await;
}

#[tokio::test]
async fn connection_neither_removes_nor_forges_an_identity() {
    let world = World::new().await;
    for named in
        ["X-Remote-User", "x-remote-user, X-Remote-Group, authorization", "close, Upgrade, X-Remote-User"]
    {
        let headers =
            [("X-Remote-User", "jane"), ("X-Remote-Group", "dev"), ("Connection", named), ("X-Hop", "1")];
        let seen = world.front_proxy().send("GET", THING, &headers).await.json();
        assert_eq!(seen["user"], "jane", "{named}");
        assert_eq!(seen["groups"], json!(["dev", "system:authenticated"]), "{named}");
    }
    let headers = [("Connection", "X-Remote-User, x-hop"), ("X-Remote-User", "admin"), ("X-Hop", "1")];
    let seen = world.user("jane", &["dev"]).send("GET", THING, &headers).await.json();
    assert_eq!((&seen["user"], seen["headers"].get("x-hop")), (&json!("jane"), None));
    world.end().await;
}

#[tokio::test]
async fn a_user_named_twice_is_refused() {
    let world = World::new().await;
    let headers = [("X-Remote-User", "jane"), ("X-Remote-User", "admin")];
    world.front_proxy().send("GET", THING, &headers).await.status(401);
    world.front_proxy().get2(THING, &headers).await.status(401);
    world.end().await;
}

#[tokio::test]
async fn impersonation_at_our_own_address_is_refused_and_not_ignored() {
    let world = World::new().await;
    for name in ["Impersonate-User", "impersonate-group", "Impersonate_User", "Impersonate-Extra-Scopes"] {
        let message = world.user("jane", &["dev"]).send("GET", THING, &[(name, "admin")]).await.status(400);
        assert!(message.contains("parent's API server"), "{message}");
    }
    world.end().await;
}

#[tokio::test]
async fn folded_and_malformed_headers_are_refused_before_anything_is_handled() {
    let world = World::new().await;
    for head in [
        "GET /apis/example.io/v1/things/a HTTP/1.1\r\nhost: x\r\nX-Remote-User: jane\r\n admin\r\n\r\n",
        "GET /apis/example.io/v1/things/a HTTP/1.1\r\nhost: x\r\nX-Remote-User : admin\r\n\r\n",
        "GET /apis/example.io/v1/things/a HTTP/1.1\r\nhost: x\r\nX-Remote-User\0: admin\r\n\r\n",
        "GET /apis/example.io/v1/things/a HTTP/1.1\r\nhost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "GET /apis/example.io/v1/things/a HTTP/1.1\r\nhost: x\r\nContent-Length: +3\r\n\r\n",
        "GET /apis/example.io/v1/things/a HTTP/1.0\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /apis/example.io/v1/things HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
    ] {
        let text = world.user("jane", &["dev"]).raw(head).await;
        assert!(
            text.is_empty() || text.starts_with("HTTP/1.1 400") || text.starts_with("HTTP/1.0 400"),
            "{head}\n{text}"
        );
    }
    assert_eq!(world.echo.handled.load(Ordering::SeqCst), 0);
    world.end().await;
}

#[tokio::test]
async fn a_smuggled_request_is_never_handled() {
    let world = World::new().await;
    let hidden = "GET /apis/example.io/v1/things/hidden HTTP/1.1\r\nhost: x\r\n\r\n";
    // Both lengths: the shorter one would leave the rest to be read as a request.
    let text = world
        .user("jane", &["dev"])
        .raw(&format!(
            "POST /apis/example.io/v1/things/body HTTP/1.1\r\nhost: x\r\nContent-Length: 3\r\nTransfer-Encoding: \
             chunked\r\n\r\n0\r\n\r\n{hidden}"
        ))
        .await;
    assert!(!text.contains("\"name\":\"hidden\""), "{text}");
    world.end().await;
}

#[tokio::test]
async fn after_a_failed_upgrade_the_connection_is_closed() {
    let world = World::new().await;
    let second = "GET /apis/example.io/v1/things/second HTTP/1.1\r\nhost: x\r\nX-Remote-User: admin\r\n\r\n";
    for (name, code) in [("plain", 200), ("refused", 409), ("..", 400)] {
        let first = format!(
            "GET /apis/example.io/v1/things/{name} HTTP/1.1\r\nhost: x\r\nX-Remote-User: jane\r\nConnection: \
             Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
        );
        let text = world.front_proxy().raw(&format!("{first}{second}")).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {code}")), "{text}");
        assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
        assert!(text.to_ascii_lowercase().contains("connection: close"), "{text}");
        assert!(!text.contains("second") && !text.contains("admin"), "{text}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_path_never_leaves_the_place_that_was_authorised() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    for path in [
        "/apis/example.io/v1/things/a/proxy/../../b",
        "/apis/example.io/v1/things/a/proxy/%2e%2e/attach",
        "/apis/example.io/v1/things/a/proxy/x%2f%2e%2e%2fy",
        "/apis/example.io/v1/things/a/proxy/..%5c",
        "/apis/example.io/v1/things/a%2fproxy",
        "/apis/example.io/v1/things//proxy",
        "/apis/example.io/v1/things/a%00",
        "/healthz/../apis/example.io/v1/things/a",
    ] {
        jane.get(path).await.status(400);
    }
    assert_eq!(world.echo.handled.load(Ordering::SeqCst), 0);
    assert!(world.parent.reviews("SubjectAccessReview").is_empty());
    let seen = jane.get("/apis/example.io/v1/things/a/proxy/http/h:80/b%2Fc//%20?x=/../y").await.json();
    assert_eq!(seen["tail"], "/http/h:80/b%2Fc//%20");
    world.end().await;
}

#[tokio::test]
async fn a_request_target_that_is_no_path_is_refused() {
    let world = World::new().await;
    for (line, code) in [
        ("GET http://10.0.0.1/apis/example.io/v1/things/a", 400),
        ("GET https://localhost/apis/example.io/v1/things/a", 400),
        ("OPTIONS *", 400),
        ("CONNECT 10.0.0.1:443", 405),
        ("TRACE /apis", 405),
    ] {
        let text = world.user("jane", &["dev"]).raw(&format!("{line} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        assert!(text.starts_with(&format!("HTTP/1.1 {code}")), "{line}\n{text}");
        assert!(text.contains("\"kind\":\"Status\""), "{line}\n{text}");
    }
    assert_eq!(world.echo.handled.load(Ordering::SeqCst), 0);
    world.end().await;
}

#[tokio::test]
async fn without_a_credential_only_health_answers() {
    let world = World::new().await;
    for path in ["/healthz", "/livez", "/readyz", "/readyz/ping", "/readyz?verbose"] {
        assert_eq!(world.nobody().get(path).await.status, 200, "{path}");
    }
    for path in [
        "/",
        "/api",
        "/apis",
        "/apis/example.io",
        "/apis/example.io/v1",
        "/version",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/unknown",
        "/healthzz",
        THING,
        "/apis/example.io/v1/things/a/attach",
    ] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            world.nobody().send(method, path, &[]).await.status(401);
        }
    }
    world.nobody().send("POST", "/healthz", &[]).await.status(405);
    assert_eq!(world.echo.handled.load(Ordering::SeqCst), 0);
    assert!(world.parent.reviews("SubjectAccessReview").is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_client_may_not_choose_its_audit_id() {
    let world = World::new().await;
    let chosen = [("Audit-ID", "chosen"), ("X-Remote-User", "jane")];
    let seen = world.front_proxy().send("GET", THING, &chosen).await;
    assert_eq!((seen.header("audit-id"), &seen.json()["auditId"]), ("chosen", &json!("chosen")));
    let seen = world.user("jane", &["dev"]).send("GET", THING, &chosen).await;
    assert_ne!(seen.header("audit-id"), "chosen");
    assert_eq!(seen.json()["auditId"], seen.header("audit-id"));
    let long = "x".repeat(65);
    let seen =
        world.front_proxy().send("GET", THING, &[("Audit-ID", &long), ("X-Remote-User", "jane")]).await;
    assert_ne!(seen.header("audit-id"), long);
    world.end().await;
}
