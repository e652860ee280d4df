//! How tunnels begin, replace each other and end.

use std::time::Duration;

use super::{Pair, get, hello, link, post, soon, text, until};
use crate::{
    Error,
    agent::Ended,
    hub::{Refused, Upgrade},
};

#[tokio::test]
async fn a_tunnel_is_registered_while_it_lives() {
    let pair = Pair::new();
    assert!(pair.registry.get("c").is_none());
    let (agent, tunnel) = pair.join("c", &hello("a", 7)).await;
    assert_eq!((pair.registry.count(), tunnel.cluster()), (1, "c"));
    assert_eq!(pair.registry.clusters(), ["c"]);
    assert_eq!(tunnel.hello(), &hello("a", 7));
    agent.group.cancel();
    soon(tunnel.closed()).await;
    until(|| pair.registry.get("c").is_none().then_some(())).await;
    assert!(matches!(tunnel.request(get("/describe")).await, Err(Error::NotSent)));
}

#[tokio::test]
async fn who_waits_for_a_tunnel_is_told_of_the_next_one_of_that_cluster() {
    let pair = Pair::new();
    let (one, other) = (pair.registry.opened("c"), pair.registry.opened("d"));
    tokio::pin!(other);
    let (agent, _tunnel) = pair.join("c", &hello("a", 1)).await;
    soon(one).await;
    let next = pair.registry.opened("c");
    tokio::pin!(next);
    assert!(futures_util::poll!(&mut next).is_pending(), "the one that is live has been told");
    agent.group.cancel();
    until(|| pair.registry.get("c").is_none().then_some(())).await;
    let _again = pair.join("c", &hello("a", 1)).await;
    soon(next).await;
    assert!(futures_util::poll!(&mut other).is_pending());
}

#[tokio::test]
async fn a_draining_agent_finishes_what_runs_and_gets_nothing_new() {
    let pair = Pair::new();
    let (agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let running = tunnel.request(get("/slow"));
    tokio::pin!(running);
    tokio::select! {
        _ = &mut running => panic!("it waits to be told"),
        () = pair.events.started.notified() => {}
    }
    agent.group.cancel();
    until(|| pair.registry.get("c").is_none().then_some(())).await;
    assert!(matches!(soon(tunnel.request(get("/describe"))).await, Err(Error::NotSent)));
    pair.events.go_on.notify_one();
    let answer = soon(running).await.unwrap();
    assert_eq!(soon(text(answer.into_body())).await, "done");
    assert_eq!(soon(agent.ended).await.unwrap().unwrap(), Ended::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_ends_does_not_keep_a_draining_agent() {
    let pair = Pair::new();
    let (agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let never = tunnel.request(get("/wait"));
    tokio::pin!(never);
    tokio::select! {
        _ = &mut never => panic!("it cannot answer"),
        () = pair.events.started.notified() => {}
    }
    let started = tokio::time::Instant::now();
    agent.group.cancel();
    let (ended, answer) = tokio::join!(agent.ended, never);
    assert_eq!(ended.unwrap().unwrap(), Ended::Drained);
    assert!(answer.is_err());
    assert!(started.elapsed() <= Duration::from_secs(12), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_draining_hub_finishes_what_runs_and_admits_nobody() {
    let pair = Pair::new();
    let (agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let running = tunnel.request(get("/slow"));
    tokio::pin!(running);
    tokio::select! {
        _ = &mut running => panic!("it waits to be told"),
        () = pair.events.started.notified() => {}
    }
    let drained = pair.registry.drain();
    tokio::pin!(drained);
    assert!(futures_util::poll!(&mut drained).is_pending());
    assert!(matches!(pair.registry.admit("d", &hello("x", 1)), Err(Refused::Draining)));
    pair.events.go_on.notify_one();
    let (answer, ()) =
        soon(async { tokio::join!(async { text(running.await.unwrap().into_body()).await }, drained) }).await;
    assert_eq!(answer, "done");
    assert_eq!(soon(agent.ended).await.unwrap().unwrap(), Ended::ByHub);
    assert_eq!(pair.registry.count(), 0);
}

#[tokio::test]
async fn the_end_of_the_process_drains_tunnels() {
    let pair = Pair::new();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let answer = soon(tunnel.request(post("/echo", crate::full("last")))).await.unwrap();
    let (text, failure) =
        tokio::join!(text(answer.into_body()), pair.tasks.clone().shutdown(Duration::from_secs(20)));
    assert_eq!(text, "last");
    assert!(failure.is_none());
    soon(tunnel.closed()).await;
}

#[tokio::test]
async fn a_higher_epoch_replaces_a_lower_one_and_the_lower_one_is_refused_from_then_on() {
    let pair = Pair::new();
    let (old_agent, old) = pair.join("c", &hello("a", 1)).await;
    let running = old.request(get("/slow"));
    tokio::pin!(running);
    tokio::select! {
        _ = &mut running => panic!("it waits to be told"),
        () = pair.events.started.notified() => {}
    }
    let (_new_agent, new) = pair.join("c", &hello("b", 2)).await;
    assert_eq!(new.hello().instance, "b");
    assert_eq!(pair.registry.count(), 1);
    // What runs in the old tunnel may finish there.
    pair.events.go_on.notify_one();
    assert_eq!(soon(text(soon(running).await.unwrap().into_body())).await, "done");
    assert_eq!(soon(old_agent.ended).await.unwrap().unwrap(), Ended::ByHub);
    assert_eq!(
        pair.registry.admit("c", &hello("a", 1)).unwrap_err(),
        Refused::Superseded { held: 2, offered: 1 }
    );
    assert!(pair.registry.get("c").is_some_and(|tunnel| tunnel.hello().epoch == 2));
}

#[tokio::test]
async fn an_instance_that_comes_again_gets_the_newest_tunnel() {
    let pair = Pair::new();
    let (_old_agent, old) = pair.join("c", &hello("a", 1)).await;
    let ticket = pair.registry.admit("c", &hello("a", 1)).unwrap();
    let (hub, agent) = link();
    let _agent = pair.agent(agent);
    pair.registry.serve(ticket, hub);
    soon(old.closed()).await;
    let new = pair.registry.get("c").unwrap();
    let answer = soon(new.request(post("/echo", crate::full("again")))).await.unwrap();
    assert_eq!(soon(text(answer.into_body())).await, "again");
}

#[tokio::test]
async fn another_instance_of_the_same_epoch_is_refused_also_when_both_came_at_once() {
    let pair = Pair::new();
    let late = pair.registry.admit("c", &hello("b", 1)).unwrap();
    let (_agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let refused = pair.registry.admit("c", &hello("b", 1)).unwrap_err();
    assert_eq!(refused.reason(), "AgentDuplicate");
    assert_eq!(refused.status().code, 409);
    let (hub, agent) = link();
    let agent = pair.agent(agent);
    pair.registry.serve(late, hub);
    // The loser of the race is closed, the winner stays.
    assert_eq!(soon(agent.ended).await.unwrap().unwrap(), Ended::ByHub);
    assert_eq!(pair.registry.get("c").unwrap().hello().instance, "a");
    assert!(tunnel.is_open());
}

#[tokio::test]
async fn a_cluster_opens_only_a_few_tunnels_at_a_time() {
    let pair = Pair::new();
    let mut tickets = Vec::new();
    let refused = loop {
        match pair.registry.admit("greedy", &hello("a", 1)) {
            Ok(ticket) => tickets.push(ticket),
            Err(refused) => break refused,
        }
    };
    assert_eq!((tickets.len(), refused.reason(), refused.status().code), (8, "TunnelsOpening", 429));
    let _ = pair.join("modest", &hello("b", 1)).await;
    tickets.pop();
    let (_agent, _tunnel) = pair.join("greedy", &hello("a", 1)).await;
    assert!(pair.registry.admit("greedy", &hello("a", 1)).is_ok(), "an open tunnel is not one being opened");
}

#[tokio::test]
async fn clusters_do_not_disturb_each_other() {
    let pair = Pair::new();
    let (one_agent, one) = pair.join("one", &hello("a", 1)).await;
    let (_two_agent, two) = pair.join("two", &hello("b", 1)).await;
    one_agent.group.cancel();
    soon(one.closed()).await;
    let answer = soon(two.request(post("/echo", crate::full("here")))).await.unwrap();
    assert_eq!(soon(text(answer.into_body())).await, "here");
    assert_eq!(pair.registry.clusters(), ["two"]);
}

#[tokio::test]
async fn the_end_of_a_tunnel_ends_its_upgrades() {
    use tokio::io::AsyncReadExt as _;
    let pair = Pair::new();
    let (agent, tunnel) = pair.join("c", &hello("a", 1)).await;
    let exec = get("/exec").map(|_| ());
    let (mut head, ()) = exec.into_parts();
    head.headers.insert("connection", http::HeaderValue::from_static("Upgrade"));
    head.headers.insert("upgrade", http::HeaderValue::from_static("websocket"));
    let upgrade = soon(tunnel.upgrade(http::Request::from_parts(head, ()))).await.unwrap();
    let Upgrade::Switched { mut io, .. } = upgrade else { panic!("the upgrade was refused") };
    drop(agent);
    pair.tasks.cancel();
    let mut rest = Vec::new();
    // Either an end or an error; never a wait.
    let _ = soon(io.read_to_end(&mut rest)).await;
    soon(tunnel.closed()).await;
}
