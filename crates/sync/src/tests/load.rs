//! What many changes and sick clusters cost the others: counted, not timed.

use testkit::apiserver::Fault::{EndlessPages, Ends, Refuses, Stalls};

use super::*;

/// Bytes of a body that no other has.
fn body(number: usize, bytes: usize) -> serde_json::Value {
    json!({ "spec": { "text": format!("{number:08}").repeat(bytes / 8) } })
}

/// Waits until nothing has been read from the cluster for a while.
async fn until_quiet(cluster: &ApiServer) -> u64 {
    let mut before = cluster.sent();
    loop {
        for _ in 0..20 {
            moment().await;
        }
        let now = cluster.sent();
        // Probes go on, and are a few hundred bytes.
        if now - before < 4_000 {
            return now;
        }
        before = now;
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_store_is_away_no_more_is_read_than_the_budget_allows() {
    const CONFIGMAPS: &str = "/api/v1/configmaps";
    let cluster = ApiServer::new();
    cluster.serve(CONFIGMAPS, "ConfigMap", true);
    let configmaps = Resource::new("", "v1", "configmaps");
    let mut hub = Hub::new(&[("one", &cluster)]).await;
    hub.budget = 1 << 20;
    let store = FlakyStore::new(hub.store.clone());
    let synced = hub.sync_into(store.clone(), "one", vec![rule("", &["pods", "configmaps"])]);
    for name in ["pods", "configmaps"] {
        synced.until_resource(name, SyncState::Syncing).await;
    }
    store.fail(true);
    let before = cluster.sent();
    for number in 0..1_000 {
        cluster.put(PODS, "a", &format!("p{number}"), &json!({}), &body(number, 10_000));
        cluster.put(CONFIGMAPS, "a", &format!("c{number}"), &json!({}), &body(number, 10_000));
    }
    let read = until_quiet(&cluster).await - before;
    // The budget, and what each watch has handed over and nobody has looked at: a megabyte at once, as it is told.
    assert!(read < 4 << 20, "{read} bytes of 20 million were read");
    let (reason, _) = synced.until_resource("pods", SyncState::Stop).await;
    assert_eq!(reason, "StorageExpection");
    store.fail(false);
    hub.until_names("one", &pods(), &cluster.names(PODS)).await;
    hub.until_names("one", &configmaps, &cluster.names(CONFIGMAPS)).await;
    assert_eq!(cluster.asked(Ask::List, PODS), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_changes_all_the_time_is_written_some_times_a_second() {
    let cluster = ApiServer::new();
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", vec![rule("", &["pods"])]);
    synced.until_resource("pods", SyncState::Syncing).await;
    let began = tokio::time::Instant::now();
    for number in 0..100 {
        for change in 0..200 {
            cluster.put(PODS, "a", "busy", &json!({}), &body(number * 200 + change, 1_000));
        }
        moment().await;
    }
    let seconds = began.elapsed().as_secs_f64();
    hub.until_names("one", &pods(), &set(&["a/busy"])).await;
    let newest = cluster.objects(PODS)[0]["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let name = ObjectName::new("a", "busy");
    for _ in 0..1_000 {
        let row = hub.store.get(&ClusterName::new("one"), &pods(), &name).await.unwrap().unwrap();
        if row.position.version.to_string() == newest {
            // Every write of an object takes a number.
            assert!(
                row.position.sequence as f64 <= 15.0 * seconds,
                "{} in {seconds} s",
                row.position.sequence
            );
            return;
        }
        moment().await;
    }
    panic!("the last state was not written");
}

#[tokio::test(start_paused = true)]
async fn a_list_without_end_is_stored_as_it_comes_holds_up_nobody_and_ends_with_its_cause() {
    let (sick, healthy) = (ApiServer::new(), ApiServer::new());
    sick.pod("a", "real");
    sick.put(NODES, "", "n", &json!({}), &json!({}));
    healthy.pod("a", "p");
    sick.plant(Trouble::new(&[Ask::List, Ask::Page], PODS, EndlessPages(500)));
    let mut hub = Hub::new(&[("sick", &sick), ("healthy", &healthy)]).await;
    hub.lists = 2;
    let first = hub.sync("sick", vec![rule("", &["pods", "nodes"])]);
    first.until("SynchroRunning Running").await;
    let _second = hub.sync("healthy", vec![rule("", &["pods"])]);
    hub.until_names("healthy", &pods(), &healthy.names(PODS)).await;
    hub.until_names("sick", &Resource::new("", "v1", "nodes"), &set(&["/n"])).await;
    while sick.asked(Ask::Page, PODS) < 20 {
        moment().await;
    }
    // What was shown is stored, up to two batches and the page that is being read.
    let stored = hub.store.count(Query::of(pods())).await.unwrap() as usize;
    let shown = sick.asked(Ask::Page, PODS) * 500;
    assert!(stored + 2 * 200 + 2 * 500 + 2 >= shown, "{stored} of {shown} are stored");
    sick.heal();
    hub.until_names("sick", &pods(), &set(&["a/real"])).await;
    first.until_resource("pods", SyncState::Syncing).await;
}

#[tokio::test(start_paused = true)]
async fn twenty_sick_clusters_do_not_hold_up_a_healthy_one() {
    let faults = [Stalls(0), Stalls(60), Refuses(429, Some(20)), Refuses(500, None), Ends(30)];
    let sick: Vec<(String, Arc<ApiServer>)> = (0..20)
        .map(|number| {
            let cluster = ApiServer::new();
            cluster.pod("a", "p");
            let fault = faults[number % faults.len()];
            cluster.plant(Trouble::new(&[Ask::List, Ask::Page], "", fault));
            (format!("sick-{number}"), cluster)
        })
        .collect();
    let healthy = ApiServer::new();
    (0..300).for_each(|number| healthy.pod("a", &format!("p{number}")));
    let mut all: Vec<(&str, &Arc<ApiServer>)> =
        sick.iter().map(|(id, cluster)| (id.as_str(), cluster)).collect();
    all.push(("healthy", &healthy));
    let mut hub = Hub::new(&all).await;
    hub.lists = 8;
    let rules = || vec![rule("", &["pods", "nodes", "secrets"])];
    let sick_ones: Vec<Synced> = sick.iter().map(|(id, _)| hub.sync(id, rules())).collect();
    for synced in &sick_ones {
        synced.until("SynchroRunning Running").await;
    }
    let began = tokio::time::Instant::now();
    let synced = hub.sync("healthy", rules());
    hub.until_names("healthy", &pods(), &healthy.names(PODS)).await;
    synced.until("Ready Ready").await;
    assert!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
    // And changes are stored at once.
    for number in 0..20 {
        let began = tokio::time::Instant::now();
        healthy.pod("a", &format!("new-{number}"));
        hub.until_names("healthy", &pods(), &healthy.names(PODS)).await;
        assert!(began.elapsed() < Duration::from_secs(5), "a change took {:?}", began.elapsed());
    }
}
