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
