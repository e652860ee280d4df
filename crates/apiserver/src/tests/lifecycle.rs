//! The end of a server.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{World, until};
use crate::Limits;

#[tokio::test]
async fn a_server_told_to_end_lets_requests_in_flight_end_and_takes_no_new_ones() {
    let world =
        World::with(Limits { request_deadline: Duration::from_millis(500), ..Limits::default() }).await;
    let jane = world.user("jane", &["dev"]);
    let slow = jane.get("/apis/example.io/v1/things/slow");
    let ending = async {
        until("it is being served", || {
            world.metrics.encode().contains("resource=\"things\",subresource=\"\"} 1")
        })
        .await;
        world.tasks.cancel();
        until("nobody new gets in", || std::net::TcpStream::connect(world.address).is_err()).await;
    };
    let (answer, ()) = tokio::join!(slow, ending);
    answer.status(504);
    world.end().await;
}

#[tokio::test]
async fn connections_that_do_not_end_are_cut_at_the_drain_deadline() {
    let world = World::with(Limits { drain_deadline: Duration::from_millis(300), ..Limits::default() }).await;
    let mut stream = world.user("jane", &["dev"]).connect("http/1.1").await.unwrap();
    stream
        .write_all(b"GET /apis/example.io/v1/things/endless?watch=1 HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = [0; 1024];
    assert_ne!(stream.read(&mut buffer).await.unwrap(), 0);
    world.end().await;
    let until_end = async { while let Ok(1..) = stream.read(&mut buffer).await {} };
    tokio::time::timeout(Duration::from_secs(5), until_end).await.unwrap();
}

/// Whether the server closes this connection within a few seconds.
async fn is_closed(mut stream: impl tokio::io::AsyncRead + Unpin) -> bool {
    let mut buffer = [0; 1024];
    let until_end = async { while let Ok(1..) = stream.read(&mut buffer).await {} };
    tokio::time::timeout(Duration::from_secs(5), until_end).await.is_ok()
}

#[tokio::test]
async fn whoever_keeps_silent_is_cut_at_every_stage() {
    let brief = Duration::from_millis(200);
    let limits = Limits { handshake_deadline: brief, header_timeout: brief, ..Limits::default() };
    let world = World::with(limits).await;
    assert!(is_closed(tokio::net::TcpStream::connect(world.address).await.unwrap()).await, "no handshake");
    let jane = world.user("jane", &["dev"]);
    assert!(is_closed(jane.connect("http/1.1").await.unwrap()).await, "no request");
    let mut stream = jane.connect("http/1.1").await.unwrap();
    stream.write_all(b"GET /version HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    assert!(is_closed(stream).await, "half a request");
    world.end().await;
}

#[tokio::test]
async fn a_connection_that_nobody_with_a_name_uses_is_cut() {
    let world =
        World::with(Limits { nameless_deadline: Duration::from_millis(300), ..Limits::default() }).await;
    assert!(is_closed(world.nobody().connect("h2").await.unwrap()).await);
    let jane = world.user("jane", &["dev"]);
    let (mut sender, _driver) = jane.http2::<http_body_util::Empty<bytes::Bytes>>().await;
    for _ in 0..3 {
        let request =
            super::client::request("GET", "https://localhost/version", &[], http_body_util::Empty::new());
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    world.end().await;
}
