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
        let token = [("Authorization", "Bearer wrong")];
        assert_eq!(world.nobody().send("GET", path, &token).await.status, 200, "{path}");
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
    assert!(world.parent.reviews("TokenReview").is_empty());
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

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Header fields as HPACK literals.
fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    fields.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

#[tokio::test]
async fn malformed_header_blocks_of_http_2_are_never_handled() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = World::new().await;
    let good = [(":method", "GET"), (":scheme", "https"), (":path", THING), (":authority", "localhost")];
    let with = |more: &[(&'static str, &'static str)]| [good.as_slice(), more].concat();
    let cases = [
        ("a second path", with(&[(":path", "/apis/example.io/v1/things/b")])),
        ("a second method", with(&[(":method", "DELETE")])),
        (
            "a pseudo-header after the others",
            [&good[..3], &[("x-remote-user", "jane"), (":authority", "x")]].concat(),
        ),
        ("an unknown pseudo-header", with(&[(":x-remote-user", "admin")])),
        ("upper case", with(&[("X-Remote-User", "admin")])),
        ("a header of the connection", with(&[("connection", "x-remote-user")])),
        ("a transfer encoding", with(&[("transfer-encoding", "chunked")])),
        ("an upgrade", with(&[("upgrade", "websocket")])),
        ("a line break in a value", with(&[("x-note", "a\r\nx-remote-user: admin")])),
        ("no path", good.iter().filter(|(name, _)| *name != ":path").copied().collect()),
        (
            "an extended CONNECT nobody offered",
            [&[(":method", "CONNECT"), (":protocol", "websocket")], &good[1..]].concat(),
        ),
    ];
    for (what, fields) in cases {
        let mut stream = world.front_proxy().connect("h2").await.unwrap();
        let fields = [fields, vec![("x-remote-user", "jane")]].concat();
        let end_of_headers_and_stream = 0x5;
        let bytes = [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, 0, &[]),
            frame(1, end_of_headers_and_stream, 1, &literals(&fields)),
        ];
        stream.write_all(&bytes.concat()).await.unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        let quiet = std::time::Duration::from_millis(200);
        while let Ok(Ok(read @ 1..)) = tokio::time::timeout(quiet, stream.read(&mut buffer)).await {
            answer.extend_from_slice(&buffer[..read]);
        }
        assert!(!String::from_utf8_lossy(&answer).contains("\"frontProxy\""), "{what}");
        assert_eq!(world.echo.handled.load(Ordering::SeqCst), 0, "{what}");
    }
    // The same frames with nothing wrong are handled: the test reaches what it means to reach.
    let mut stream = world.front_proxy().connect("h2").await.unwrap();
    let head = literals(&with(&[("x-remote-user", "jane")]));
    let bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[]), frame(1, 5, 1, &head)];
    stream.write_all(&bytes.concat()).await.unwrap();
    super::until("the good one is handled", || world.echo.handled.load(Ordering::SeqCst) == 1).await;
    world.end().await;
}
