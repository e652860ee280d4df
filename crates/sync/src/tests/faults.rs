//! Clusters that fail in every way: afterwards the store has what they have, nothing was deleted for want of an answer,
//! the conditions have said what was wrong, and no cluster was asked more than it can bear.

use kubeio::{Authorization, ClusterAccess, Direct, Secret, Trust};
use serde_json::Value;
use testkit::{apiserver::Fault::*, compare};

use super::*;

const ALL_LISTS: &[Ask] = &[Ask::List, Ask::Page];
const JSON: &str = "application/json";

/// Pods in pages, Secrets and Nodes, with what is never stored.
fn cluster() -> Arc<ApiServer> {
    let cluster = ApiServer::new();
    cluster.page_size(3);
    for number in 0..10 {
        let namespace = if number % 2 == 0 { "even" } else { "odd" };
        let rest = json!({
            "metadata": {
                "managedFields": [{ "manager": "kubectl" }],
                "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "über" },
            },
            "spec": { "number": number },
        });
        cluster.put(PODS, namespace, &format!("p{number}"), &json!({ "app": "web" }), &rest);
    }
    for name in ["s1", "s2"] {
        cluster.put(SECRETS, "even", name, &json!({}), &json!({ "data": { "password": "aHVudGVyMg==" } }));
    }
    cluster.put(NODES, "", "n1", &json!({}), &json!({}));
    cluster
}

/// What happens in a cluster while nobody looks: new, changed, deleted, and deleted and made again.
fn changes(cluster: &ApiServer) {
    cluster.pod("even", "new");
    cluster.put(PODS, "even", "p0", &json!({ "app": "changed" }), &json!({}));
    cluster.delete(PODS, "odd", "p1");
    cluster.delete(PODS, "even", "p2");
    cluster.pod("even", "p2");
    cluster.put(NODES, "", "n2", &json!({}), &json!({}));
}

fn rules() -> Vec<SyncRule> {
    vec![rule("", &["pods", "secrets", "nodes"])]
}

/// Where what is stored is not what the cluster has.
async fn differences(hub: &Hub, id: &str, cluster: &ApiServer) -> Vec<String> {
    let mut found = Vec::new();
    for (path, plural) in [(PODS, "pods"), (SECRETS, "secrets"), (NODES, "nodes")] {
        let query = Query {
            clusters: Some([ClusterName::new(id)].into()),
            ..Query::of(Resource::new("", "v1", plural))
        };
        let mut rows = hub.store.select(query).await.unwrap();
        let mut stored: Vec<Value> = Vec::new();
        while let Some(row) = rows.next().await.unwrap() {
            stored.push(serde_json::from_slice(&row.json).unwrap());
        }
        found.extend(compare::differences(&cluster.objects(path), &stored));
    }
    found
}

async fn until_same(hub: &Hub, id: &str, cluster: &ApiServer) {
    for _ in 0..5_000 {
        if differences(hub, id, cluster).await.is_empty() {
            return;
        }
        moment().await;
    }
    panic!("{:#?}", differences(hub, id, cluster).await);
}

/// Waits until the pods' condition says `words`.
async fn until_told(synced: &Synced, words: &str) {
    for _ in 0..6_000 {
        if synced.resources().get("pods").is_some_and(|(_, _, message)| message.contains(words)) {
            return;
        }
        moment().await;
    }
    panic!("nobody says {words:?}: {:?}", synced.resources().get("pods"));
}

fn says(body: &'static str) -> Fault {
    Says(200, JSON, body)
}

/// What goes wrong with lists, and what the condition says of it.
fn list_faults() -> Vec<(&'static [Ask], Fault, &'static str)> {
    vec![
        (ALL_LISTS, Refuses(410, None), "too old"),
        (ALL_LISTS, Refuses(429, Some(2)), "overloaded"),
        (ALL_LISTS, Refuses(429, Some(100_000)), "overloaded"),
        (ALL_LISTS, Refuses(429, None), "overloaded"),
        (ALL_LISTS, Refuses(500, None), "told to refuse"),
        (ALL_LISTS, Refuses(503, Some(1)), "overloaded"),
        (ALL_LISTS, Refuses(401, None), "does not accept the credential"),
        (ALL_LISTS, Ends(0), "ends too early"),
        (ALL_LISTS, Ends(500), "ends too early"),
        (&[Ask::Page], Ends(200), "ends too early"),
        (ALL_LISTS, Breaks(500), "broke off"),
        (&[Ask::Page], Breaks(200), "broke off"),
        (ALL_LISTS, Stalls(0), "stopped coming"),
        (ALL_LISTS, Stalls(500), "stopped coming"),
        (&[Ask::Page], Stalls(100), "stopped coming"),
        (ALL_LISTS, Says(200, "text/html", "<html>Please sign in</html>"), "not JSON"),
        (ALL_LISTS, says("<html>Please sign in</html>"), "malformed JSON"),
        (ALL_LISTS, says(r#"{"kind":"Status","status":"Failure","code":500}"#), "a list with items"),
        (ALL_LISTS, says(r#"{"metadata":{},"items":[]}"#), "no resource version"),
        (ALL_LISTS, Says(302, "text/html", ""), "redirect"),
        (ALL_LISTS, Header("content-encoding", "gzip"), "gzip"),
        (ALL_LISTS, Header("content-type", "application/yaml"), "not JSON"),
        (ALL_LISTS, EndlessObject, "larger than the limit"),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_deletes_nothing_is_told_and_is_made_up_for() {
    for (asks, fault, words) in list_faults() {
        let what = format!("{asks:?} {fault:?}");
        println!("{what}");
        let cluster = cluster();
        let hub = Hub::new(&[("one", &cluster)]).await;
        let synced = hub.sync("one", rules());
        until_same(&hub, "one", &cluster).await;
        synced.until_resource("pods", SyncState::Syncing).await;
        synced.stop().await;

        // The history is gone, so that only a list helps.
        let before = cluster.names(PODS);
        changes(&cluster);
        cluster.forget();
        cluster.plant(Trouble::new(asks, PODS, fault));
        let asked = cluster.requests();
        let synced = hub.sync("one", rules());
        until_told(&synced, words).await;
        let nodes = Resource::new("", "v1", "nodes");
        hub.until_names("one", &nodes, &set(&["/n1", "/n2"])).await;
        assert!(hub.names("one", &pods()).await.is_superset(&before), "{what}: something was deleted");
        sleep(Duration::from_secs(300)).await;
        assert!(hub.names("one", &pods()).await.is_superset(&before), "{what}: something was deleted");
        // Of those, some 60 are probes.
        let asked = cluster.requests() - asked;
        assert!(asked < 400, "{what}: {asked} requests in five minutes");
        let (state, reason, _) = synced.resources().remove("pods").unwrap();
        assert_eq!((state, reason.as_str()), (SyncState::Error, "ResourceWatchFailed"), "{what}");

        cluster.heal();
        until_same(&hub, "one", &cluster).await;
        synced.until_resource("pods", SyncState::Syncing).await;
        synced.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_list_that_fails_is_told_and_is_made_up_for() {
    for (asks, fault, words) in list_faults() {
        println!("{asks:?} {fault:?}");
        let cluster = cluster();
        cluster.plant(Trouble::new(asks, PODS, fault));
        let hub = Hub::new(&[("one", &cluster)]).await;
        let synced = hub.sync("one", rules());
        let began = tokio::time::Instant::now();
        until_told(&synced, words).await;
        assert!(began.elapsed() < Duration::from_secs(200), "{words} was told after {:?}", began.elapsed());
        cluster.heal();
        until_same(&hub, "one", &cluster).await;
        synced.until_resource("pods", SyncState::Syncing).await;
        synced.stop().await;
    }
}

/// An event of a moment ago, again.
const OLD_EVENT: &str = r#"{"type":"ADDED","object":{"metadata":{"name":"p9","namespace":"odd","uid":"p9-20","resourceVersion":"20"}}}"#;

/// What goes wrong with watches, and what the condition says of it, if anybody can know.
fn watch_faults() -> Vec<(Fault, &'static str)> {
    vec![
        (Refuses(410, None), "too old"),
        (ErrorEvent(410), "too old"),
        (ErrorEvent(500), "told to fail"),
        (Refuses(429, Some(5)), "overloaded"),
        (Refuses(500, None), "told to refuse"),
        (Refuses(403, None), "forbids"),
        (Ends(0), "ended as soon as it began"),
        (Ends(60), "ends too early"),
        (Breaks(60), "broke off"),
        (Stalls(60), ""),
        (Says(200, "text/html", "<html>Please sign in</html>"), "not JSON"),
        (says("<html>Please sign in</html>"), "malformed JSON"),
        (says(r#"{"type":"STRANGE","object":{}}"#), "malformed JSON"),
        (says(r#"{"metadata":{"resourceVersion":"7"},"items":[]}"#), "malformed JSON"),
        (says(OLD_EVENT), ""),
        (EndlessObject, ""),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_fails_deletes_nothing_is_told_and_is_made_up_for() {
    for (fault, words) in watch_faults() {
        let what = format!("{fault:?}");
        println!("{what}");
        let cluster = cluster();
        let hub = Hub::new(&[("one", &cluster)]).await;
        let synced = hub.sync("one", rules());
        until_same(&hub, "one", &cluster).await;
        synced.until_resource("pods", SyncState::Syncing).await;

        let before = cluster.names(PODS);
        cluster.plant(Trouble::new(&[Ask::Watch], PODS, fault));
        let asked = cluster.requests();
        cluster.cut();
        changes(&cluster);
        until_told(&synced, words).await;
        sleep(Duration::from_secs(300)).await;
        let still: BTreeSet<String> = before.intersection(&cluster.names(PODS)).cloned().collect();
        let stored = hub.names("one", &pods()).await;
        assert!(stored.is_superset(&still), "{what}: something was deleted, {stored:?} are left");
        let asked = cluster.requests() - asked;
        assert!(asked < 400, "{what}: {asked} requests in five minutes");

        cluster.heal();
        cluster.cut();
        until_same(&hub, "one", &cluster).await;
        synced.until_resource("pods", SyncState::Syncing).await;
        synced.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn objects_that_are_told_twice_are_stored_once() {
    let cluster = cluster();
    cluster.plant(Trouble::new(&[Ask::List, Ask::Page, Ask::Watch], "", Twice));
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", rules());
    until_same(&hub, "one", &cluster).await;
    synced.until_resource("pods", SyncState::Syncing).await;
    changes(&cluster);
    until_same(&hub, "one", &cluster).await;
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_set_back_is_stored_as_it_is_now_whether_anybody_looked_or_not() {
    for hub_runs in [true, false] {
        let cluster = cluster();
        let hub = Hub::new(&[("one", &cluster)]).await;
        let mut synced = hub.sync("one", rules());
        until_same(&hub, "one", &cluster).await;
        let backup = cluster.snapshot();
        changes(&cluster);
        until_same(&hub, "one", &cluster).await;
        synced.until_resource("pods", SyncState::Syncing).await;
        let restore = || {
            cluster.restore(&backup);
            cluster.pod("even", "after-the-restore");
        };
        if hub_runs {
            restore();
        } else {
            synced.stop().await;
            restore();
            synced = hub.sync("one", rules());
        }
        until_same(&hub, "one", &cluster).await;
        changes(&cluster);
        until_same(&hub, "one", &cluster).await;
        synced.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_as_large_as_a_cluster_can_have_is_stored() {
    let cluster = cluster();
    let large = "x".repeat(3_000_000);
    cluster.put(PODS, "even", "listed", &json!({}), &json!({ "spec": { "large": large } }));
    let hub = Hub::new(&[("one", &cluster)]).await;
    let _synced = hub.sync("one", rules());
    until_same(&hub, "one", &cluster).await;
    // A server stores a megabyte and a half, and JSON may write each byte of a text as six.
    let escaped = "x".repeat(9_000_000);
    cluster.put(PODS, "even", "watched", &json!({}), &json!({ "spec": { "large": escaped } }));
    until_same(&hub, "one", &cluster).await;
}

#[tokio::test(start_paused = true)]
async fn a_custom_resource_that_goes_and_comes_again_is_stored_as_it_is_now() {
    for away in [5, 200] {
        let cluster = ApiServer::new();
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let hub = Hub::new(&[("one", &cluster)]).await;
        let synced = hub.sync("one", vec![rule("demo.io", &["*"]), rule("", &["nodes"])]);
        let define = |name: &str| {
            cluster.serve(WIDGETS, "Widget", true);
            cluster.put(definitions, "", "widgets.demo.io", &json!({}), &json!({}));
            cluster.put(WIDGETS, "a", name, &json!({}), &json!({}));
        };
        define("old");
        hub.until_names("one", &widgets(), &set(&["a/old"])).await;
        synced.until_resource("widgets", SyncState::Syncing).await;
        cluster.unserve(WIDGETS);
        cluster.delete(definitions, "", "widgets.demo.io");
        cluster.cut();
        sleep(Duration::from_secs(away)).await;
        define("new");
        hub.until_names("one", &widgets(), &set(&["a/new"])).await;
        synced.until_resource("widgets", SyncState::Syncing).await;
        synced.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_discovery_fails_keeps_what_it_had_and_says_so() {
    for fault in [
        Refuses(500, None),
        Says(200, "text/html", "<html>Please sign in</html>"),
        Says(200, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", r#"{"items":[]}"#),
        Says(200, JSON, "{}"),
    ] {
        let what = format!("{fault:?}");
        let cluster = cluster();
        let hub = Hub::new(&[("one", &cluster)]).await;
        let synced = hub.sync("one", rules());
        until_same(&hub, "one", &cluster).await;
        cluster.plant(Trouble::new(&[Ask::Discovery], "", fault));
        // A new definition makes it look again.
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        cluster.put(definitions, "", "new", &json!({}), &json!({}));
        let mut told = String::new();
        for _ in 0..3_000 {
            let statuses = synced.parent.statuses.lock().clone();
            let conditions = statuses.last().map(|status| status.conditions.clone()).unwrap_or_default();
            told = conditions.into_iter().find(|c| c.type_ == "SynchroRunning").unwrap().message;
            if !told.is_empty() {
                break;
            }
            moment().await;
        }
        assert!(told.contains("what the cluster has now could not be found out"), "{what}: {told:?}");
        sleep(Duration::from_secs(300)).await;
        changes(&cluster);
        until_same(&hub, "one", &cluster).await;
        cluster.heal();
        sleep(Duration::from_secs(120)).await;
        synced.until("Ready Ready").await;
        synced.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn another_server_in_the_place_of_a_cluster_is_not_a_healthy_cluster() {
    let cluster = cluster();
    let hub = Hub::new(&[("one", &cluster)]).await;
    let synced = hub.sync("one", rules());
    until_same(&hub, "one", &cluster).await;
    synced.until("Ready Ready").await;
    let page = Says(200, "text/html", "<html>Please sign in</html>");
    let everything = [Ask::Probe, Ask::Discovery, Ask::List, Ask::Page, Ask::Newest, Ask::Watch];
    cluster.plant(Trouble::new(&everything, "", page));
    cluster.cut();
    synced.until("ClusterHealthy Unhealthy").await;
    sleep(Duration::from_secs(300)).await;
    assert!(differences(&hub, "one", &cluster).await.is_empty());
    changes(&cluster);
    cluster.heal();
    synced.until("Ready Ready").await;
    until_same(&hub, "one", &cluster).await;
}

/// A transport over TLS and HTTP/2.
async fn direct(cluster: &Arc<ApiServer>, tasks: &Tasks) -> Arc<dyn Transport> {
    let listening = cluster.listen(tasks).await.unwrap();
    let mut access = ClusterAccess::new(&listening.url).unwrap();
    access.trust = Trust::Roots(listening.ca.into_bytes());
    access.authorization = Authorization::Bearer(Secret::from("t"));
    Arc::new(Direct::new(access, tasks).unwrap())
}

/// The network's part in it: resets of streams, ends of connections, and flow control are those of a real connection.
#[tokio::test]
async fn faults_of_lists_on_the_wire_are_made_up_for() {
    let faults = [Ends(500), Breaks(500), Refuses(410, None), Refuses(429, Some(1)), EndlessObject];
    let one = async |fault: Fault| {
        let tasks = Tasks::new();
        let cluster = cluster();
        let hub = Hub::over([("one".to_owned(), direct(&cluster, &tasks).await)].into()).await;
        cluster.plant(Trouble::new(ALL_LISTS, PODS, fault).times(1));
        let synced = hub.sync("one", rules());
        until_same(&hub, "one", &cluster).await;
        synced.stop().await;
        tasks.cancel();
    };
    futures_util::future::join_all(faults.map(one)).await;
}

#[tokio::test]
async fn faults_of_watches_on_the_wire_are_made_up_for() {
    let tasks = Tasks::new();
    let cluster = cluster();
    let hub = Hub::over([("one".to_owned(), direct(&cluster, &tasks).await)].into()).await;
    let synced = hub.sync("one", rules());
    until_same(&hub, "one", &cluster).await;
    for fault in [Ends(60), Breaks(60), Refuses(410, None), Refuses(429, Some(1)), EndlessObject] {
        cluster.plant(Trouble::new(&[Ask::Watch], PODS, fault).times(1));
        cluster.cut();
        changes(&cluster);
        until_same(&hub, "one", &cluster).await;
        // What a watch tells makes the next failure a first one.
        cluster.pod("even", "calm");
        until_same(&hub, "one", &cluster).await;
    }
    // The process is killed and comes back.
    cluster.set_down(true);
    changes(&cluster);
    moment().await;
    cluster.set_down(false);
    until_same(&hub, "one", &cluster).await;
    synced.stop().await;
    tasks.cancel();
}
