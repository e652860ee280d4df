//! Limits hold, and say what they are.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};

use super::{World, client::request, until};
use crate::{BoxError, Limits};

const THINGS: &str = "/apis/example.io/v1/things";

#[tokio::test]
async fn a_greedy_caller_gets_429_while_others_are_served() {
    let world = World::with(Limits { in_flight_per_caller: 2, ..Limits::default() }).await;
    let greedy = world.user("greedy", &["dev"]);
    let slow = format!("{THINGS}/slow");
    let (one, two) = (greedy.get(&slow), greedy.get(&slow));
    let check = async {
        until("both are being served", || world.metrics.encode().contains("requests_in_flight{verb=\"get\",group=\"example.io\",resource=\"things\",subresource=\"\"} 2")).await;
        let refused = greedy.get(&format!("{THINGS}/a")).await;
        let message = refused.status(429);
        assert!(message.contains("greedy") && message.contains('2'), "{message}");
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(world.user("modest", &["dev"]).get(&format!("{THINGS}/a")).await.status, 200);
    };
    tokio::select! {
        _ = one => panic!("slow requests do not end"),
        _ = two => panic!("slow requests do not end"),
        () = check => {}
    }
    // Both callers are gone now: their places are free again.
    until("the places are free", || world.metrics.encode().contains("subresource=\"\"} 0")).await;
    assert_eq!(greedy.get(&format!("{THINGS}/a")).await.status, 200);
    world.end().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_a_504() {
    let world =
        World::with(Limits { request_deadline: Duration::from_millis(200), ..Limits::default() }).await;
    let message = world.user("jane", &["dev"]).get(&format!("{THINGS}/slow")).await.status(504);
    assert!(message.contains("limit"), "{message}");
    world.end().await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_cut_but_a_watch_and_a_follow_are_not() {
    let world =
        World::with(Limits { request_deadline: Duration::from_millis(200), ..Limits::default() }).await;
    let jane = world.user("jane", &["dev"]);
    let (mut sender, _driver) = jane.http2().await;
    for (path, lasts) in [("", false), ("?watch=true", false), ("/proxy/follow", true)] {
        let target = format!("https://localhost{THINGS}/endless{path}");
        let answer =
            sender.send_request(request("GET", &target, &[], Full::<Bytes>::default())).await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        let until_cut = async { while let Some(Ok(_)) = body.frame().await {} };
        let cut = tokio::time::timeout(Duration::from_millis(800), until_cut).await.is_ok();
        // A watch parameter on a single object is no watch of Kubernetes', but it is an open-ended request all the same.
        assert_eq!(!cut, lasts || path.contains("watch"), "{path}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_a_413() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    let path = format!("{THINGS}/body");
    assert_eq!(
        jane.request(request("POST", &path, &[], Full::new(Bytes::from("0123456789abcdef")))).await.status,
        200
    );
    jane.request(request("POST", &path, &[], Full::new(Bytes::from("0123456789abcdefg")))).await.status(413);
    world.end().await;
}

#[tokio::test]
async fn headers_above_the_limit_are_a_431() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    let big = "x".repeat(70 * 1024);
    let message = jane.send("GET", "/version", &[("X-Big", &big)]).await.status(431);
    assert!(message.contains("65536"), "{message}");
    jane.get2("/version", &[("X-Big", &big)]).await.status(431);
    let groups: Vec<(String, String)> =
        (0..600).map(|n| ("X-Remote-Group".into(), format!("group-{n}"))).collect();
    let mut headers = vec![("X-Remote-User", "jane")];
    headers.extend(groups.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let many = world.front_proxy().send("GET", &format!("{THINGS}/a"), &headers).await.json();
    assert_eq!(many["groups"].as_array().unwrap().len(), 601, "users in many groups are served");
    world.end().await;
}

#[tokio::test]
async fn a_url_above_the_limit_is_a_414() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    let path = |bytes: usize| format!("/version?{}", "x".repeat(bytes - "/version?".len()));
    assert_eq!(jane.get2(&path(60_000), &[]).await.status, 200);
    let headers = "y".repeat(3_000);
    for answer in [
        jane.get2(&path(64_000), &[("x-more", &headers)]).await,
        jane.send("GET", &path(64_000), &[("x-more", &headers)]).await,
    ] {
        let message = answer.status(414);
        assert!(message.contains("64000 bytes") && message.contains("65536"), "{message}");
    }
    // The HTTP library has no place for longer ones. It answers by itself, and over HTTP/2 with a stream that is reset.
    let answer = jane.raw(&format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", path(65_535))).await;
    assert!(answer.starts_with("HTTP/1.1 414"), "{answer}");
    world.end().await;
}

#[tokio::test]
async fn unread_uploads_do_not_stop_other_requests_of_the_same_connection() {
    let world = World::new().await;
    let jane = world.user("jane", &["dev"]);
    let (mut sender, driver) = jane.http2().await;
    let mut stalled = Vec::new();
    for _ in 0..50 {
        let chunks =
            stream::repeat_with(|| Ok::<_, BoxError>(Frame::data(Bytes::from(vec![0; 64 * 1024])))).take(8);
        let target = format!("https://localhost{THINGS}/unread");
        sender.ready().await.unwrap();
        stalled.push(sender.send_request(request(
            "POST",
            &target,
            &[],
            StreamBody::new(chunks).boxed_unsync(),
        )));
    }
    let mut stalled: futures_util::stream::FuturesUnordered<_> = stalled.into_iter().collect();
    let check = async {
        until("all fifty are being served", || {
            world.metrics.encode().contains("resource=\"things\",subresource=\"\"} 50")
        })
        .await;
        let empty = StreamBody::new(stream::empty()).boxed_unsync();
        let target = "https://localhost/version";
        let answer = sender.clone().send_request(request("GET", target, &[], empty)).await.unwrap();
        assert_eq!(answer.status(), 200);
    };
    tokio::select! {
        ended = stalled.next() => panic!("nobody reads these: {ended:?}"),
        done = tokio::time::timeout(Duration::from_secs(10), check) => done.unwrap(),
    }
    drop((stalled, sender, driver));
    world.end().await;
}
