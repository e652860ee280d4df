//! HTTP as it is: upgrades, both versions, streams.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::World;

#[tokio::test]
async fn an_upgrade_becomes_a_stream_of_bytes_in_both_directions() {
    let world = World::new().await;
    for protocol in ["SPDY/3.1", "websocket"] {
        let mut stream = world.front_proxy().connect("http/1.1").await.unwrap();
        let head = format!(
            "POST /apis/example.io/v1/things/upgrade/attach HTTP/1.1\r\nhost: x\r\nX-Remote-User: jane\r\nConnection: \
             keep-alive, Upgrade, X-Remote-User\r\nUpgrade: {protocol}\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        while !text.ends_with(b"hello") {
            let mut buffer = [0; 1024];
            let read = stream.read(&mut buffer).await.unwrap();
            assert_ne!(read, 0, "{}", String::from_utf8_lossy(&text));
            text.extend_from_slice(&buffer[..read]);
        }
        let text = String::from_utf8(text).unwrap();
        assert!(text.starts_with("HTTP/1.1 101"), "{text}");
        assert!(text.contains(&format!("upgrade: {protocol}\r\n")), "{text}");
        assert!(text.to_ascii_lowercase().contains("audit-id: "), "{text}");
        stream.write_all(b"over and back").await.unwrap();
        let mut back = [0; 13];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"over and back");
    }
    world.end().await;
}

#[tokio::test]
async fn head_says_what_get_would_without_its_body() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    let length = jane.get("/version").await.body.len().to_string();
    for answer in [jane.send("HEAD", "/version", &[]).await, jane.send2("HEAD", "/version", &[]).await] {
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
        assert_eq!(answer.header("content-length"), length);
    }
    let refused = jane.send2("HEAD", "/unknown", &[]).await;
    assert_eq!((refused.status.as_u16(), refused.body.len()), (404, 0));
    world.end().await;
}

#[tokio::test]
async fn http_1_connections_are_kept_for_the_next_request() {
    let world = World::new().await;
    let one = "GET /version HTTP/1.1\r\nhost: x\r\n\r\n";
    let text = world.user("jane", &["dev"]).raw(&one.repeat(3)).await;
    assert_eq!(text.matches("HTTP/1.1 200").count(), 3, "{text}");
    world.end().await;
}

#[tokio::test]
async fn a_thousand_requests_of_one_http_2_connection_are_served_at_once() {
    let world = World::new().await;
    let (sender, driver) = world.front_proxy().http2::<http_body_util::Empty<bytes::Bytes>>().await;
    let requests = (0..1_000).map(|n| {
        let (mut sender, user) = (sender.clone(), format!("user-{}", n % 10));
        async move {
            let target = "https://localhost/apis/example.io/v1/things/endless?watch=true";
            let headers = [("X-Remote-User", user.as_str())];
            let request = super::client::request("GET", target, &headers, http_body_util::Empty::new());
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            answer
        }
    });
    let open = futures_util::future::join_all(requests);
    let open = tokio::time::timeout(std::time::Duration::from_secs(30), open).await.unwrap();
    assert_eq!(open.len(), 1_000);
    drop((open, sender, driver));
    world.end().await;
}
