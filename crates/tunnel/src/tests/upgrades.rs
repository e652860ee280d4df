//! exec, attach and port-forward through a tunnel.

use super::{Pair, get, hello, post, soon, text, until};
use crate::hub::Upgrade;
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn exec(path: &str) -> Request<()> {
    let request = Request::builder().method("POST").uri(path);
    request.header("Connection", "Upgrade").header("Upgrade", "SPDY/3.1").body(()).unwrap()
}

#[tokio::test]
async fn an_upgrade_carries_bytes_both_ways_until_one_side_ends_it() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let Upgrade::Switched { response, mut io } =
        soon(tunnel.upgrade(exec("/exec?command=sh"))).await.unwrap()
    else {
        panic!("the upgrade was refused");
    };
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["upgrade"], "SPDY/3.1");
    assert_eq!(response.headers()["connection"], "Upgrade");
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(&mut io);
    let mut got = vec![0; sent.len()];
    let (written, read) =
        soon(async { tokio::join!(writer.write_all(&sent), reader.read_exact(&mut got)) }).await;
    written.unwrap();
    read.unwrap();
    assert!(got == sent);
    soon(io.shutdown()).await.unwrap();
    let mut rest = Vec::new();
    soon(io.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.is_empty());
    assert_eq!(tunnel.in_flight(), 1);
    drop(io);
    assert_eq!(tunnel.in_flight(), 0);
}

#[tokio::test]
async fn what_a_child_said_before_it_hung_up_arrives_however_late_it_is_read() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let Upgrade::Switched { mut io, .. } = soon(tunnel.upgrade(exec("/exec/burst"))).await.unwrap() else {
        panic!("the upgrade was refused");
    };
    let mut got = Vec::new();
    let mut piece = vec![0; 10_000];
    loop {
        // Other requests in between: the reader is slow.
        let answer = soon(tunnel.request(get("/describe"))).await.unwrap();
        soon(text(answer.into_body())).await;
        match soon(io.read(&mut piece)).await.unwrap() {
            0 => break,
            n => got.extend_from_slice(&piece[..n]),
        }
    }
    assert_eq!(got.len(), 1_000_000);
}

#[tokio::test]
async fn dropping_an_upgrade_ends_it_in_the_child() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let upgrade = soon(tunnel.upgrade(exec("/exec"))).await.unwrap();
    drop(upgrade);
    soon(pair.events.cancelled.notified()).await;
}

#[tokio::test]
async fn a_refused_upgrade_passes_with_status_and_body() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    for (path, status, body) in
        [("/exec/forbidden", 403, "pods \"p\" is forbidden"), ("/exec/ignored", 200, "no upgrade here")]
    {
        let Upgrade::Answered(answer) = soon(tunnel.upgrade(exec(path))).await.unwrap() else {
            panic!("the upgrade was granted");
        };
        assert_eq!(answer.status(), status);
        assert_eq!(soon(text(answer.into_body())).await, body);
    }
    until(|| (tunnel.in_flight() == 0).then_some(())).await;
}

#[tokio::test]
async fn an_unread_upgrade_blocks_nothing() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let Upgrade::Switched { mut io, .. } = soon(tunnel.upgrade(exec("/exec"))).await.unwrap() else {
        panic!("the upgrade was refused");
    };
    // The echo cannot be written back, so at some point nothing more is read from us.
    let stuck = async {
        loop {
            io.write_all(&[0; 16 * 1024]).await.unwrap();
        }
    };
    let requests = async {
        for _ in 0..50 {
            let answer = tunnel.request(post("/echo", crate::full("small"))).await.unwrap();
            assert_eq!(text(answer.into_body()).await, "small");
        }
    };
    tokio::select! {
        () = stuck => {}
        () = soon(requests) => {}
    }
}

#[tokio::test]
async fn a_request_without_a_protocol_to_upgrade_to_is_not_sent() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let error = tunnel.upgrade(get("/exec").map(|_| ())).await.err().unwrap();
    assert!(matches!(error, crate::Error::Unsuitable(_)), "{error}");
}
