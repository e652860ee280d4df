//! Lists, single objects and Tables.

use std::sync::Arc;

use apiserver::User;
use http::Method;
use meta::CrdColumns;
use serde_json::json;
use store::{Change, ClusterName, Resource, sample};

use super::world::{TABLE, World, title};
use crate::{Catalogue, Cluster, Kind};

const PODS: &str = "/resources/api/v1/pods";
const DEPLOYMENTS: &str = "/resources/apis/apps/v1/deployments";

#[tokio::test]
async fn every_base_path_lists_its_clusters() {
    let world = World::new().await;
    let of_c1 = ["c1/default/web-1-a", "c1/kube-system/web-1-a"];
    for path in ["/resources/clusters/c1/api/v1/pods", "/resources/c1/proxy/api/v1/pods"] {
        assert_eq!(world.get(path).await.items(), of_c1, "{path}");
    }
    for path in [PODS, "/resources/all/proxy/api/v1/pods"] {
        assert_eq!(world.get(path).await.items().len(), 4, "{path}");
        let in_namespace = path.replace("pods", "namespaces/default/pods");
        assert_eq!(world.get(&in_namespace).await.items(), ["c1/default/web-1-a", "c2/default/web-1-a"]);
    }
}

#[tokio::test]
async fn number_15_objects_are_as_they_were_stored_and_say_whose_they_are() {
    let world = World::new().await;
    let list = world.get("/resources/clusters/c1/apis/apps/v1/deployments").await.json();
    assert_eq!((&list["kind"], &list["apiVersion"]), (&json!("DeploymentList"), &json!("apps/v1")));
    let item = &list["items"][0];
    assert_eq!(item["spec"]["replicas"], 1);
    let metadata = &item["metadata"];
    assert_eq!(metadata["annotations"]["shadow.clusterpedia.io/cluster-name"], "c1");
    assert_eq!(metadata["annotations"]["search.clusterway.io/resource-version"], "7");
    assert!(metadata["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn number_34_kubectl_prints_the_cluster_first() {
    let world = World::new().await;
    let table = world.table("/resources/apis/apps/v1/namespaces/kube-system/deployments").await;
    let names: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|column| column["priority"] == 0)
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Cluster", "Name", "Ready", "Up-to-date", "Available", "Age"]);
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["cells"].as_array().unwrap()[..3], [json!("c1"), json!("web"), json!("1/1")]);
    assert_eq!(rows[1]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(title(&rows[1]["object"]["metadata"]), "c2/kube-system/web");
}

#[tokio::test]
async fn a_row_holds_as_much_of_its_object_as_is_asked_for() {
    let world = World::new().await;
    let row = |table: serde_json::Value| table["rows"][0].clone();
    let none = row(world.table(&format!("{PODS}?includeObject=None")).await);
    assert_eq!(none.get("object"), None);
    let whole = row(world.table(&format!("{PODS}?includeObject=Object")).await);
    assert_eq!(whole["object"]["status"]["phase"], "Running");
    let admin = User::new("admin", &["system:masters"]);
    let wrong = world.ask(&admin, Method::GET, &format!("{PODS}?includeObject=x"), TABLE).await;
    assert_eq!(wrong.code, 400);
}

#[tokio::test]
async fn number_37_custom_resources_print_the_columns_of_their_definition() {
    let world = World::new().await;
    let path = "/resources/clusters/c1/apis/demo.io/v1/widgets";
    let plain = world.table(path).await;
    assert_eq!(plain["columnDefinitions"][2]["name"], "Age");
    let definition = json!({"metadata": {"name": "widgets.demo.io"}, "spec": {"versions": [{"name": "v1",
        "additionalPrinterColumns": [{"name": "Stored", "type": "integer", "jsonPath": ".spec.size"}]}]}});
    let definitions = Resource::new("apiextensions.k8s.io", "v1", "customresourcedefinitions");
    world.put("c1", definitions, &[definition]).await;
    assert_eq!(world.table(path).await["columnDefinitions"][2]["name"], "Stored");
    let columns = json!([{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]);
    let columns = Some(Arc::new(CrdColumns::from_json(&columns).unwrap()));
    let widget = Kind { kind: "Widget".into(), namespaced: true, columns, ..Kind::default() };
    let resources = [(Resource::new("demo.io", "v1", "widgets"), widget)].into();
    let cluster = Cluster { resources, ..Cluster::default() };
    world.know(Catalogue { clusters: [(ClusterName::new("c1"), cluster)].into(), ..Catalogue::default() });
    let table = world.table(path).await;
    assert_eq!(table["rows"][0]["cells"], json!(["c1", "w", 3]));
}

#[tokio::test]
async fn number_36_one_object_is_asked_of_one_cluster() {
    let world = World::new().await;
    let one = "/resources/clusters/c1/apis/apps/v1/namespaces/default/deployments";
    let found = world.get(&format!("{one}/web")).await.json();
    assert_eq!((&found["kind"], title(&found["metadata"])), (&json!("Deployment"), "c1/default/web".into()));
    let of_all = world.get("/resources/apis/apps/v1/namespaces/default/deployments/web").await;
    assert_eq!((of_all.code, &of_all.json()["reason"]), (400, &json!("BadRequest")));
    let none = world.get(&format!("{one}/none")).await;
    assert_eq!((none.code, &none.json()["reason"]), (404, &json!("NotFound")));
    assert_eq!(none.json()["message"], "deployments.apps \"none\" not found");
    let table = world.table(&format!("{one}/web")).await;
    assert_eq!(table["rows"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn number_40_clients_may_want_metadata_only() {
    let world = World::new().await;
    let admin = User::new("admin", &["system:masters"]);
    let accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    let partial = world.ask(&admin, Method::GET, PODS, accept).await.json();
    assert_eq!(partial["kind"], "PartialObjectMetadataList");
    assert_eq!(partial["items"][0]["kind"], "PartialObjectMetadata");
    let only = world.get(&format!("{DEPLOYMENTS}?onlyMetadata=true")).await.json();
    assert_eq!((&only["kind"], &only["items"][0]["kind"]), (&json!("DeploymentList"), &json!("Deployment")));
    assert_eq!(only["items"][0].get("spec"), None);
}

#[tokio::test]
async fn number_41_namespaces_are_objects_at_cluster_scope() {
    let world = World::new().await;
    assert_eq!(world.get("/resources/api/v1/namespaces").await.items().len(), 4);
    let one = world.get("/resources/clusters/c1/api/v1/namespaces/default").await;
    assert_eq!((one.code, &one.json()["kind"]), (200, &json!("Namespace")));
}

#[tokio::test]
async fn number_42_and_43_watching_and_writing_are_refused() {
    let world = World::new().await;
    let watch = world.get(&format!("{PODS}?watch=true")).await;
    assert_eq!((watch.code, &watch.json()["reason"]), (405, &json!("MethodNotAllowed")));
    let admin = User::new("admin", &["system:masters"]);
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        assert_eq!(world.ask(&admin, method, PODS, "*/*").await.code, 405);
    }
}

#[tokio::test]
async fn number_32_and_44_what_is_not_there_is_a_status() {
    let world = World::new().await;
    for (path, code) in [
        ("/resources", 404),
        ("/resources/clusters/c1", 404),
        ("/resources/clusters/nope/api/v1/pods", 400),
        ("/resources/nope/proxy/api/v1/pods", 400),
        ("/resources/api/v1/services", 404),
        ("/resources/clusters/c2/apis/demo.io/v1/widgets", 404),
        ("/resources/api/v1/namespaces/default/namespaces", 404),
        ("/resources/clusters/c1/api/v1/pods/web", 404),
        ("/resources/clusters/c1/api/v1/namespaces/default/pods/web-1-a/log", 404),
        ("/resources/nothing", 404),
        ("/things", 404),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.code, code, "{path}: {answer:?}");
        assert_eq!(answer.json()["kind"], "Status");
    }
}

#[tokio::test]
async fn number_39_protobuf_alone_is_not_acceptable() {
    let world = World::new().await;
    let admin = User::new("admin", &["system:masters"]);
    let protobuf = "application/vnd.kubernetes.protobuf";
    assert_eq!(world.ask(&admin, Method::GET, PODS, protobuf).await.code, 406);
    let yaml = world.ask(&admin, Method::GET, PODS, "application/yaml").await;
    assert_eq!((yaml.code, yaml.headers["content-type"].as_bytes()), (200, &b"application/yaml"[..]));
}

#[tokio::test]
async fn numbers_45_to_53_conditions_hold() {
    let world = World::new().await;
    for (query, expected) in [
        ("clusters=c1", &["c1/default/web", "c1/kube-system/web"][..]),
        ("labelSelector=search.clusterpedia.io/clusters in (c1)", &["c1/default/web", "c1/kube-system/web"]),
        ("namespaces=default", &["c1/default/web", "c2/default/web"]),
        ("names=nothing", &[]),
        (
            "labelSelector=internalstorage.clusterpedia.io/fuzzy-name=we,search.clusterpedia.io/clusters=c2",
            &["c2/default/web", "c2/kube-system/web"],
        ),
        ("labelSelector=app!=web", &[]),
        ("fieldSelector=metadata.namespace=default,spec.replicas=1", &["c1/default/web", "c2/default/web"]),
        ("clusters=unknown", &[]),
    ] {
        assert_eq!(world.get(&format!("{DEPLOYMENTS}?{query}")).await.items(), expected, "{query}");
    }
    for query in ["labelSelector=a=b=c", "limit=abc", "orderby=name;drop", "whereSQL=1", "since=20220304"] {
        let answer = world.get(&format!("{DEPLOYMENTS}?{query}")).await;
        assert_eq!((answer.code, &answer.json()["reason"]), (400, &json!("BadRequest")), "{query}");
    }
}

#[tokio::test]
async fn number_61_pods_are_found_by_their_deployment() {
    let world = World::new().await;
    let pods = "/resources/clusters/c1/api/v1/namespaces/default/pods";
    let label =
        "labelSelector=search.clusterpedia.io/owner-name=web,search.clusterpedia.io/owner-seniority=1";
    assert_eq!(world.get(&format!("{pods}?{label}")).await.items(), ["c1/default/web-1-a"]);
    assert_eq!(world.get(&format!("{PODS}?ownerName=web")).await.code, 400);
}

#[tokio::test]
async fn numbers_65_to_70_pages_follow_each_other_in_order() {
    let world = World::new().await;
    let order = "orderby=namespace,cluster desc";
    let first = world.get(&format!("{DEPLOYMENTS}?{order}&limit=1")).await;
    assert_eq!(first.json()["metadata"].get("continue"), None);
    let mut seen = Vec::new();
    let mut next = String::new();
    loop {
        let path = format!("{DEPLOYMENTS}?{order}&limit=1&withContinue=true&withRemainingCount=true{next}");
        let answer = world.get(&path).await;
        seen.extend(answer.items());
        let metadata = answer.json()["metadata"].clone();
        assert_eq!(metadata["remainingItemCount"], 4 - seen.len());
        let Some(token) = metadata["continue"].as_str() else { break };
        next = format!("&continue={token}");
    }
    assert_eq!(seen, ["c2/default/web", "c1/default/web", "c2/kube-system/web", "c1/kube-system/web"]);
    assert!(world.get(&format!("{DEPLOYMENTS}?{order}&continue=99999")).await.items().is_empty());
    let table =
        world.table(&format!("{DEPLOYMENTS}?limit=3&withContinue=true&withRemainingCount=true")).await;
    assert_eq!(table["metadata"]["remainingItemCount"], 1);
    assert!(table["metadata"]["continue"].is_string());
}

#[tokio::test]
async fn number_17_an_unhealthy_cluster_warns_on_its_own_path_only() {
    let world = World::new().await;
    let cluster = Cluster { unhealthy: Some("NotReachable: no \"route\"".into()), ..Cluster::default() };
    world.know(Catalogue { clusters: [(ClusterName::new("c1"), cluster)].into(), ..Catalogue::default() });
    let warned = world.get("/resources/clusters/c1/api/v1/pods").await;
    let warning = warned.headers["warning"].to_str().unwrap();
    assert!(
        warning.starts_with("299 - \"") && warning.contains("c1") && warning.contains("NotReachable"),
        "{warning}"
    );
    assert!(!world.get(PODS).await.headers.contains_key("warning"));
}

#[tokio::test]
async fn a_client_that_wants_the_cluster_itself_does_not_get_the_store() {
    let world = World::new().await;
    let answer = world.get(&format!("{PODS}?labelSelector=search.clusterpedia.io/forward=true")).await;
    assert_eq!(answer.code, 400);
}

#[tokio::test]
async fn a_long_list_arrives_in_pieces_and_whole() {
    let world = World::empty().await;
    let pods: Vec<_> = sample::pods_of(1, 600).collect();
    for part in pods.chunks(300) {
        world.change("c1", sample::pods(), part.iter().cloned().map(Change::Upsert).collect()).await;
    }
    let list = world.get(PODS).await;
    assert!(list.body.len() > 1 << 20);
    let expected: Vec<String> =
        pods.iter().map(|pod| format!("c1/{}/{}", pod.key.namespace, pod.key.name)).collect();
    assert_eq!(list.items(), expected);
    assert_eq!(world.table(PODS).await["rows"].as_array().unwrap().len(), 600);
}

#[tokio::test]
async fn a_list_says_which_changes_it_holds() {
    let world = World::new().await;
    let version = async |path: &str| -> u64 {
        world.get(path).await.json()["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    };
    let before = version(PODS).await;
    let list = world.get(PODS).await.json();
    for item in list["items"].as_array().unwrap() {
        assert!(item["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() <= before);
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}});
    world.put("c1", Resource::new("", "v1", "namespaces"), &[namespace]).await;
    assert_eq!(version(PODS).await, before + 1);
}

#[tokio::test]
async fn objects_come_with_their_events_where_it_is_asked_for() {
    let world = World::new().await;
    let event = |name: &str, uid: &str| {
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "default"},
               "involvedObject": {"uid": uid}, "reason": name})
    };
    let about = "c1-default-Deployment-web";
    let events = Resource::new("", "v1", "events");
    world.put("c1", events.clone(), &[event("one", about), event("two", about), event("other", "x")]).await;
    world.put("c2", events, &[event("elsewhere", about)]).await;
    for query in ["injectEvents=true", "labelSelector=search.clusterpedia.io/inject-events=true"] {
        let list = world.get(&format!("{DEPLOYMENTS}?namespaces=default&{query}")).await.json();
        let annotation =
            |at: usize| &list["items"][at]["metadata"]["annotations"]["shadow.clusterpedia.io/events"];
        let events: serde_json::Value = serde_json::from_str(annotation(0).as_str().unwrap()).unwrap();
        let mut reasons: Vec<_> = events.as_array().unwrap().iter().map(|event| &event["reason"]).collect();
        reasons.sort_by_key(|reason| reason.to_string());
        assert_eq!(reasons, ["one", "two"]);
        assert!(annotation(1).is_null(), "events of another cluster are about other objects");
    }
}

#[tokio::test]
async fn number_37_columns_that_the_synchronisation_has_told_are_printed() {
    let world = World::new().await;
    let widgets = Resource::new("demo.io", "v1", "widgets");
    let told =
        json!({"additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]});
    world.describe("c1", &widgets, &told.to_string()).await;
    let table = world.table("/resources/apis/demo.io/v1/widgets").await;
    assert_eq!(table["rows"][0]["cells"], json!(["c1", "w", 3]));
}

#[tokio::test]
async fn an_answer_that_does_not_begin_in_time_is_refused_and_one_that_has_begun_breaks_off() {
    use crate::serve::in_time;
    use http_body_util::BodyExt as _;
    use std::time::Duration;
    let slow = || meta::Status::too_large("too slow");
    let never = std::future::pending();
    assert_eq!(in_time(Duration::from_millis(5), never, slow).await.unwrap_err().code, 413);
    let endless =
        futures_util::stream::pending::<Result<http_body::Frame<bytes::Bytes>, apiserver::BoxError>>();
    let answer = http::Response::new(http_body_util::StreamBody::new(endless).boxed_unsync());
    let begun = in_time(Duration::from_millis(5), async { Ok(answer) }, slow).await.unwrap();
    assert!(begun.into_body().collect().await.is_err());
}
