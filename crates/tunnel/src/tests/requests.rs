//! Requests and answers through a tunnel.

use super::{Pair, endless, get, hello, post, soon, text, until};
use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use sha2::{Digest as _, Sha256};

#[tokio::test]
async fn a_request_arrives_as_it_was_sent_and_its_body_comes_back() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let answer = tunnel.request(get("/describe?watch=true&x=%2F")).await.unwrap();
    assert_eq!(text(soon(async { answer.into_body() }).await).await, "GET /describe?watch=true&x=%2F");
    let answer = tunnel.request(post("/echo", crate::full("hello"))).await.unwrap();
    assert_eq!(text(answer.into_body()).await, "hello");
    assert_eq!(tunnel.request(get("/nothing-here")).await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_body_of_64_mib_arrives_whole() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let chunk: Vec<u8> = (0..1_000_003_u32).map(|n| (n % 251) as u8).collect();
    let content: Bytes = chunk.iter().copied().cycle().take(64 * 1024 * 1024).collect();
    let answer = soon(tunnel.request(post("/hash", crate::full(content.clone())))).await.unwrap();
    let hash = soon(answer.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(hash.as_ref(), Sha256::digest(&content).as_slice());
}

#[tokio::test]
async fn fifty_unread_streams_block_nothing() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let mut unread = Vec::new();
    for _ in 0..50 {
        unread.push(soon(tunnel.request(get("/bulk"))).await.unwrap());
    }
    for _ in 0..20 {
        let answer = soon(tunnel.request(post("/echo", crate::full("small")))).await.unwrap();
        assert_eq!(soon(text(answer.into_body())).await, "small");
    }
    assert_eq!(tunnel.in_flight(), 50);
    drop(unread);
    until(|| (tunnel.in_flight() == 0).then_some(())).await;
}

#[tokio::test]
async fn fifty_uploads_that_nobody_reads_block_nothing() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let uploads: Vec<_> = (0..50)
        .map(|_| {
            let tunnel = tunnel.clone();
            pair.tasks.spawn("upload", async move {
                let _ = tunnel.request(post("/wait", endless(Bytes::from(vec![1; 64 * 1024])))).await;
            })
        })
        .collect();
    until(|| (tunnel.in_flight() == 50).then_some(())).await;
    for _ in 0..20 {
        let answer = soon(tunnel.request(post("/echo", crate::full("small")))).await.unwrap();
        assert_eq!(soon(text(answer.into_body())).await, "small");
    }
    drop(uploads);
}

#[tokio::test]
async fn giving_up_a_request_cancels_it_in_the_child() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    {
        let waiting = tunnel.request(get("/wait"));
        tokio::select! {
            _ = waiting => panic!("it cannot answer"),
            () = pair.events.started.notified() => {}
        }
    }
    soon(pair.events.cancelled.notified()).await;
    assert_eq!(tunnel.in_flight(), 0);
}

#[tokio::test]
async fn giving_up_an_answer_cancels_it_in_the_child() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let mut watch = soon(tunnel.request(get("/watch"))).await.unwrap().into_body();
    let first = soon(watch.frame()).await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "event");
    drop(watch);
    soon(pair.events.cancelled.notified()).await;
}

#[tokio::test]
async fn giving_up_an_answer_ends_the_upload_too() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let upload = endless(Bytes::from_static(b"more"));
    let answer = soon(tunnel.request(post("/watch", upload))).await.unwrap();
    drop(answer);
    soon(pair.events.cancelled.notified()).await;
    // The stream is gone from the connection: otherwise its task would still hold it.
    until(|| (tunnel.in_flight() == 0).then_some(())).await;
}

#[tokio::test]
async fn answers_given_up_unread_give_their_windows_back() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    // Three times what fits into the connection's window, 100 at a time.
    for _ in 0..8 {
        let received = tunnel.bytes().0;
        let mut unread = Vec::new();
        for _ in 0..100 {
            unread.push(soon(tunnel.request(get("/bulk"))).await.unwrap());
        }
        until(|| (tunnel.bytes().0 >= received + 100 * 256 * 1024).then_some(())).await;
    }
    let mut bulk = soon(tunnel.request(get("/bulk"))).await.unwrap().into_body();
    let mut got = 0;
    while got < 10_000_000 {
        got += soon(bulk.frame()).await.unwrap().unwrap().into_data().unwrap().len();
    }
}

#[tokio::test]
async fn a_request_with_too_many_headers_is_refused_and_ends_only_itself() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let mut request = get("/describe");
    request.headers_mut().insert("x-big", "x".repeat(100_000).parse().unwrap());
    assert_eq!(soon(tunnel.request(request)).await.unwrap().status(), 431);
    // Users of many groups need their place.
    let mut request = get("/describe");
    request.headers_mut().insert("x-big", "x".repeat(60_000).parse().unwrap());
    assert_eq!(soon(tunnel.request(request)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn headers_of_one_connection_do_not_pass() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let mut request = get("/headers");
    for (name, value) in [
        ("connection", "keep-alive, x-hop"),
        ("keep-alive", "timeout=5"),
        ("x-hop", "1"),
        ("te", "gzip"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("proxy-connection", "close"),
        ("x-end", "2"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = soon(tunnel.request(request)).await.unwrap();
    assert_eq!(soon(text(answer.into_body())).await, "x-end");
}

/// Whether a request and its answer both came through whole.
async fn whole(tunnel: &crate::hub::Tunnel, request: http::Request<crate::Body>) -> bool {
    let Ok(answer) = soon(tunnel.request(request)).await else { return false };
    soon(answer.into_body().collect()).await.is_ok()
}

#[tokio::test]
async fn an_answer_that_breaks_in_the_child_is_never_taken_for_a_whole_one() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    assert!(!whole(&tunnel, get("/broken")).await);
    assert!(whole(&tunnel, post("/echo", crate::full("alive"))).await);
}

#[tokio::test]
async fn an_upload_that_breaks_is_never_taken_for_a_whole_one() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let frames = [Ok(Frame::data(Bytes::from_static(b"half"))), Err(crate::BoxError::from("cut"))];
    let body = crate::Body::new(StreamBody::new(futures_util::stream::iter(frames)));
    assert!(!whole(&tunnel, post("/echo", body)).await);
    assert!(whole(&tunnel, post("/echo", crate::full("alive"))).await);
}

#[tokio::test]
async fn an_answer_to_head_has_a_length_and_no_body() {
    use http_body::Body as _;
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let mut request = get("/head");
    *request.method_mut() = http::Method::HEAD;
    let answer = soon(tunnel.request(request)).await.unwrap();
    assert_eq!(answer.headers()["content-length"], "12345");
    assert!(answer.body().is_end_stream());
}

#[tokio::test]
async fn an_answer_with_too_many_headers_ends_only_its_request() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let error = soon(tunnel.request(get("/big-header"))).await.unwrap_err();
    assert!(matches!(error, crate::Error::Reset(_)), "{error}");
    let answer = soon(tunnel.request(post("/echo", crate::full("alive")))).await.unwrap();
    assert_eq!(soon(text(answer.into_body())).await, "alive");
}
