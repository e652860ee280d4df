//! Dead peers, hostile peers.

use std::time::Duration;

use http_body_util::BodyExt as _;
use testkit::link::{Fault, Link, Switch};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    time::Instant,
};

use super::{Pair, get, hello, link, post, soon, text, until};
use crate::{Error, ws};

/// A tunnel over links with a switch.
async fn faulty(pair: &Pair, switch: &Switch) -> (super::Agent, crate::hub::Tunnel) {
    let (hub, agent) = link();
    let ticket = pair.registry.admit("c", &hello("a", 1)).unwrap();
    let agent = pair.agent(Link::new(agent, switch));
    pair.registry.serve(ticket, Link::new(hub, switch));
    let tunnel = until(|| pair.registry.get("c")).await;
    (agent, tunnel)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_the_network_lost_is_found_dead_within_30_s_on_both_sides() {
    let pair = Pair::new();
    let switch = Switch::default();
    let (agent, tunnel) = faulty(&pair, &switch).await;
    // An hour of peace: an idle tunnel that is healthy stays.
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert!(tunnel.is_open());
    let mut watch = tunnel.request(get("/watch")).await.unwrap().into_body();
    watch.frame().await.unwrap().unwrap();
    switch.set(Fault::Swallow);
    let lost = Instant::now();
    let waiting = tunnel.request(get("/describe"));
    let (ended, waiting, watching, ()) = tokio::join!(agent.ended, waiting, watch.frame(), tunnel.closed());
    assert!(lost.elapsed() <= Duration::from_secs(30), "{:?}", lost.elapsed());
    assert!(matches!(ended.unwrap(), Err(Error::Lost(ws::Error::Silent))));
    assert!(matches!(waiting, Err(Error::Lost(ws::Error::Silent))), "{waiting:?}");
    assert!(watching.unwrap().is_err());
    assert_eq!(pair.registry.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_but_takes_nothing_is_given_up() {
    let pair = Pair::new();
    let (hub, agent) = link();
    let ticket = pair.registry.admit("c", &hello("a", 1)).unwrap();
    let switch = Switch::default();
    let _agent = pair.agent(agent);
    pair.registry.serve(ticket, Link::new(hub, &switch));
    let tunnel = until(|| pair.registry.get("c")).await;
    switch.set(Fault::Stall);
    let stalled = Instant::now();
    let answer = tunnel.request(get("/describe")).await;
    assert!(matches!(answer, Err(Error::Lost(_))), "{answer:?}");
    assert!(stalled.elapsed() <= Duration::from_mins(1), "{:?}", stalled.elapsed());
}

#[tokio::test]
async fn a_cut_connection_is_noticed_at_once() {
    let pair = Pair::new();
    let switch = Switch::default();
    let (agent, tunnel) = faulty(&pair, &switch).await;
    let waiting = tunnel.request(get("/wait"));
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("it cannot answer"),
        () = pair.events.started.notified() => {}
    }
    switch.set(Fault::Cut);
    let answer = soon(waiting).await;
    assert!(matches!(answer, Err(Error::Lost(_))), "{answer:?}");
    assert!(matches!(soon(agent.ended).await.unwrap(), Err(Error::Lost(_))));
    soon(pair.events.cancelled.notified()).await;
    until(|| (pair.registry.count() == 0).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_answers_is_never_registered() {
    let pair = Pair::new();
    let (hub, mut silent) = link();
    let ticket = pair.registry.admit("c", &hello("a", 1)).unwrap();
    let started = Instant::now();
    pair.registry.serve(ticket, hub);
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).await.unwrap();
    assert!(started.elapsed() <= Duration::from_secs(11), "{:?}", started.elapsed());
    assert_eq!(pair.registry.count(), 0);
}

/// What a hostile agent writes before or after its tunnel is live, and that only its tunnel ends by it.
async fn attack(name: &str, bytes: &[u8]) {
    let pair = Pair::new();
    let (_honest_agent, honest) = pair.join("honest", &hello("h", 1)).await;
    for live in [false, true] {
        let (hub, agent) = link();
        let cluster = format!("hostile {live}");
        let ticket = pair.registry.admit(&cluster, &hello("x", 1)).unwrap();
        let mut hostile = if live { behind_an_agent(&pair, agent) } else { agent };
        pair.registry.serve(ticket, hub);
        if live {
            until(|| pair.registry.get(&cluster)).await;
        }
        let _ = hostile.write_all(bytes).await;
        let mut rest = Vec::new();
        soon(hostile.read_to_end(&mut rest)).await.unwrap_or_default();
        until(|| pair.registry.get(&cluster).is_none().then_some(())).await;
        let answer = soon(honest.request(post("/echo", crate::full(name.to_owned())))).await.unwrap();
        assert_eq!(soon(text(answer.into_body())).await, name);
    }
}

/// An honest agent whose link to the hub also carries what is written to the returned end.
fn behind_an_agent(pair: &Pair, to_hub: DuplexStream) -> DuplexStream {
    let (agent_end, agent_io) = link();
    let (ours, inject) = link();
    drop(pair.agent(agent_io));
    let (mut from_hub, mut into_hub) = tokio::io::split(to_hub);
    let (mut from_agent, mut to_agent) = tokio::io::split(agent_end);
    let (mut from_us, mut to_us) = tokio::io::split(inject);
    pair.tasks.spawn("hub to agent", async move {
        let _ = tokio::io::copy(&mut from_hub, &mut to_agent).await;
        let _ = to_us.shutdown().await;
    });
    pair.tasks.spawn("agent and us to hub", async move {
        let (mut a, mut b) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            let wrote = tokio::select! {
                Ok(n @ 1..) = from_agent.read(&mut a) => into_hub.write_all(&a[..n]).await,
                Ok(n @ 1..) = from_us.read(&mut b) => into_hub.write_all(&b[..n]).await,
                else => break,
            };
            if wrote.is_err() {
                break;
            }
        }
    });
    ours
}

/// A client's frame.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode, 0xfe];
    bytes.extend((payload.len() as u16).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

#[tokio::test]
async fn a_text_message_ends_the_tunnel_and_nothing_else() {
    attack("text", &frame(0x1, b"hello")).await;
}

#[tokio::test]
async fn garbage_instead_of_frames_ends_the_tunnel_and_nothing_else() {
    attack("garbage", &[0xff; 1000]).await;
}

#[tokio::test]
async fn garbage_instead_of_http2_ends_the_tunnel_and_nothing_else() {
    attack("garbage in frames", &frame(0x2, &[0xff; 4000])).await;
}

#[tokio::test]
async fn an_unmasked_frame_ends_the_tunnel_and_nothing_else() {
    attack("unmasked", &[0x82, 0x01, 0x00]).await;
}

#[tokio::test]
async fn an_oversized_frame_ends_the_tunnel_and_nothing_else() {
    let mut bytes = vec![0x82, 0xff];
    bytes.extend(u64::from(u32::MAX).to_be_bytes());
    bytes.extend([0; 4]);
    attack("oversized", &bytes).await;
}

#[tokio::test]
async fn an_oversized_header_list_ends_the_tunnel_and_nothing_else() {
    // CONTINUATION without end, on the session's stream.
    let mut bytes = frame(0x2, &h2_frame(0x1, 0, 1, &[0x88]));
    for _ in 0..64 {
        bytes.extend(frame(0x2, &h2_frame(0x9, 0, 1, &[0x00; 16_000])));
    }
    attack("headers", &bytes).await;
}

#[tokio::test]
async fn a_flood_of_pings_without_reading_costs_no_memory_and_blocks_nobody() {
    let pair = Pair::new();
    let (_honest_agent, honest) = pair.join("honest", &hello("h", 1)).await;
    let (hub, agent) = link();
    let ticket = pair.registry.admit("hostile", &hello("x", 1)).unwrap();
    pair.registry.serve(ticket, hub);
    let (mut reader, mut writer) = tokio::io::split(agent);
    let ping = [0x89, 0x84, 0, 0, 0, 0, b'p', b'i', b'n', b'g'].repeat(1000);
    let flood = async {
        loop {
            if writer.write_all(&ping).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let requests = async {
        for _ in 0..20 {
            let answer = honest.request(post("/echo", crate::full("small"))).await.unwrap();
            assert_eq!(text(answer.into_body()).await, "small");
        }
    };
    tokio::select! {
        () = flood => {}
        () = soon(requests) => {}
    }
    // What it is owed for a hundred thousand pings: at most a buffer full.
    let mut owed = vec![0; 1024 * 1024];
    let n = tokio::time::timeout(Duration::from_millis(100), reader.read(&mut owed)).await;
    assert!(n.is_err() || n.unwrap().unwrap() <= 64 * 1024);
}

fn h2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[tokio::test]
async fn a_hostile_hub_ends_the_agents_tunnel_and_not_the_agent() {
    for bytes in [vec![0x81, 0x01, b'x'], vec![0xff; 100], vec![0x82, 0x80, 0, 0, 0, 0], {
        let mut bytes = vec![0x82, 126];
        bytes.extend(4000_u16.to_be_bytes());
        bytes.extend([0xee; 4000]);
        bytes
    }] {
        let pair = Pair::new();
        let (mut hub, agent) = link();
        let agent = pair.agent(agent);
        hub.write_all(&bytes).await.unwrap();
        // Like every TCP connection that one end is done with.
        let mut rest = Vec::new();
        let _ = soon(hub.read_to_end(&mut rest)).await;
        assert!(soon(agent.ended).await.unwrap().is_err());
    }
}
