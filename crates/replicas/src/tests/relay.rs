//! What becomes of a request at a replica that does not have the store. The replicas are `a` (0) and `b` (1).

use std::{collections::BTreeMap, time::Duration};

use ::api::names::annotations::HUB_ADDRESS;
use http_body_util::BodyExt as _;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde_json::json;

use super::{
    until,
    world::{Unusual, World},
};
use crate::Holder;

#[tokio::test]
async fn it_is_answered_by_the_holder_in_the_callers_name_who_is_asked_for_rights_again() {
    let world = World::new().await;
    world.b_holds().await;
    let seen = world.get(0, "one?limit=5").await.json;
    assert_eq!(
        (&seen["replica"], &seen["user"], &seen["relayed"]),
        (&json!("b"), &json!("jane"), &json!(true))
    );
    assert_eq!(
        (&seen["groups"], &seen["query"]),
        (&json!(["dev", "system:authenticated"]), &json!("limit=5"))
    );
    assert_eq!(seen["extra"], json!({ "scopes": ["view"] }), "a credential for a child stays behind");
    assert_eq!(*world.reviewed.lock(), ["jane", "jane"]);
    let here = world.get(1, "one").await.json;
    assert_eq!((&here["replica"], &here["relayed"]), (&json!("b"), &json!(false)));
    assert!(world.shows(0, "clusterway_relay_requests_total{outcome=\"answered\"} 1"));
    world.end().await;
}

#[tokio::test]
async fn headers_and_refusals_pass_as_they_are_and_audit_ids_are_kept() {
    let world = World::new().await;
    world.b_holds().await;
    let response = world.send(0, "one", &[("accept", "application/json;as=Table")]).await;
    let id = response.headers()["audit-id"].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let seen: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&seen["accept"], &seen["auditId"]), (&json!("application/json;as=Table"), &json!(id)));
    assert_eq!(world.get(0, "missing").await.code, 404);
    assert_eq!(world.get(0, "forbidden").await.code, 403);
    world.end().await;
}

#[tokio::test]
async fn without_a_holder_that_can_be_reached_it_is_a_503_with_a_time_to_come_back() {
    let world = World::new().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (holder, words) in [
        (None, "No hub has the store"),
        (Some(("a", Some(world.addresses[0]))), "about to open"),
        (Some(("c", None)), "--advertise-address"),
        (Some(("c", Some(nobody))), "does not answer"),
        // The Lease is behind the truth: b is not asked to find out who else it could be.
        (Some(("b", Some(world.addresses[1]))), "does not have the store any more"),
    ] {
        world.holder.send_replace(None);
        if let Some((identity, address)) = holder {
            world.lease_says(identity, address);
        }
        let answer = world.get(0, "one").await;
        assert_eq!(answer.code, 503, "{words}");
        assert!(answer.json["message"].as_str().unwrap().contains(words), "{}", answer.json);
        assert!(answer.retry_after.is_some_and(|seconds| seconds > 0), "{words}");
    }
    world.end().await;
}

#[tokio::test]
async fn two_replicas_that_take_each_other_for_the_holder_do_not_go_round_in_circles() {
    let world = World::new().await;
    // Each believes it of the other: b, asked by a, would ask a.
    world.lease_says("c", Some(world.addresses[1]));
    assert_eq!(world.get(0, "one").await.code, 503);
    assert!(!world.shows(1, "clusterway_relay_requests_total{"));
    world.end().await;
}

#[tokio::test]
async fn a_holder_with_a_certificate_of_another_authority_learns_nothing() {
    let world = World::with(Unusual { token: "hub", distrust: true }).await;
    world.b_holds().await;
    assert_eq!(world.get(0, "one").await.code, 503);
    assert_eq!(*world.reviewed.lock(), ["jane"], "b was never asked");
    world.end().await;
}

#[tokio::test]
async fn a_replica_with_another_account_is_not_believed() {
    for token in ["jane", "unknown"] {
        let world = World::with(Unusual { token, distrust: false }).await;
        world.b_holds().await;
        let answer = world.get(0, "one").await;
        assert_eq!(answer.code, 503);
        assert!(answer.json["message"].as_str().unwrap().contains("ServiceAccount"), "{}", answer.json);
        world.end().await;
    }
}

#[tokio::test]
async fn an_answer_that_streams_goes_on_until_the_store_is_taken_back_and_then_breaks_off() {
    let world = World::new().await;
    world.b_holds().await;
    for index in [0, 1] {
        let mut body = world.send(index, "endless", &[]).await.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "x");
        let store = world.stores[1].send_replace(None);
        let rest = async { while let Some(Ok(_)) = body.frame().await {} };
        tokio::time::timeout(Duration::from_secs(10), rest).await.unwrap();
        world.stores[1].send_replace(store);
    }
    world.end().await;
}

#[tokio::test]
async fn nobody_waits_for_a_holder_that_is_no_longer_one() {
    let world = World::new().await;
    world.b_holds().await;
    let asking = world.get(0, "slow");
    let dying = async {
        until("b is asked", async || world.shows(1, "resource=\"things\",subresource=\"\"} 1")).await;
        world.lease_says("c", None);
    };
    let (answer, ()) = tokio::join!(asking, dying);
    assert_eq!((answer.code, answer.retry_after), (503, Some(1)));
    world.end().await;
}

#[test]
fn a_holder_is_who_stands_in_the_lease_with_the_address_beside_it() {
    let lease = |identity: &str, address: &str| Lease {
        metadata: ObjectMeta {
            annotations: Some(BTreeMap::from([(HUB_ADDRESS.to_owned(), address.to_owned())])),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec { holder_identity: Some(identity.to_owned()), ..LeaseSpec::default() }),
    };
    let address = "10.0.0.1:8443".parse().ok();
    let holder = |address| Some(Holder { identity: String::from("a"), address });
    assert_eq!(Holder::of(&lease("a", "10.0.0.1:8443")), holder(address));
    assert_eq!(Holder::of(&lease("a", "")), holder(None));
    assert_eq!(Holder::of(&lease("a", "hub.example.com:1")), holder(None));
    assert_eq!(Holder::of(&lease("", "10.0.0.1:8443")), None);
    assert_eq!(Holder::of(&Lease::default()), None);
}
