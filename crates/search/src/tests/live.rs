//! What the clusters answer themselves.

use std::{convert::Infallible, sync::Arc, time::Duration};

use apiserver::{Body, User};
use futures_util::{FutureExt as _, future::BoxFuture};
use http::{Method, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kubeio::{Authorization, ClusterAccess, Secret};
use meta::Status;
use reach::{Directory, Limits, Reach};
use runtime::{Tasks, metrics::Metrics};
use serde_json::json;
use store::ClusterName;
use tokio::net::TcpListener;
use tunnel::hub::Registry;

use super::world::{Answer, World};
use crate::{Flags, Forwarding, Live, Way, Ways};

const LOG: &str = "/api/v1/namespaces/default/pods/web-1-a/log";
const MARKER: (&str, &str) = ("x-clusterpedia-forward", "True");
const TOKEN: (&str, &str) = ("x-clusterpedia-proxy-token", "mine");

/// `c1` is at this address, with credentials of its own; `c2` is registered, and its agent is away.
struct Known(String);

impl Ways for Known {
    fn of<'a>(&'a self, cluster: &'a ClusterName) -> BoxFuture<'a, Result<Way, Status>> {
        let mut access = ClusterAccess::new(&self.0).unwrap();
        access.authorization = Authorization::Bearer(Secret::from("the-cluster's"));
        let way =
            if cluster.as_str() == "c1" { Way::Address(Box::new(access)) } else { Way::Tunnel("id".into()) };
        async move { Ok(way) }.boxed()
    }
}

/// A cluster that answers with what it was asked.
async fn cluster(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = request.into_parts();
    let sent = body.collect().await.unwrap().to_bytes();
    let headers: Vec<String> =
        parts.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    let text = json!({"method": parts.method.as_str(), "path": parts.uri.to_string(), "headers": headers,
                      "body": String::from_utf8(sent.to_vec()).unwrap()});
    let mut response = Response::new(apiserver::full(text.to_string()));
    if parts.uri.path().ends_with("/redirect") {
        *response.status_mut() = http::StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, "https://elsewhere".parse().unwrap());
    }
    Ok(response)
}

async fn world(flags: Flags) -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let tasks = Tasks::new();
    let connections = tasks.clone();
    tasks.spawn("cluster", async move {
        while let Ok((tcp, _)) = listener.accept().await {
            connections.spawn("connection", async move {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(tcp), service_fn(cluster)).await;
            });
        }
    });
    let metrics = Metrics::default();
    let registry = Registry::new(tasks.child(), &metrics, "hub");
    let reach = Reach::new(registry, Directory::default(), Limits { in_flight_per_child: 10 }, &metrics);
    let forwarding = Forwarding::new(true, &flags, Duration::from_secs(5)).unwrap().unwrap();
    let mut world = World::new().await;
    world.inner().live = Some(Arc::new(Live::new(Known(url), reach, tasks, forwarding)));
    world
}

fn logs() -> Flags {
    Flags { subresources: vec!["pods/log".into(), "exec".into()], ..Flags::default() }
}

async fn get(world: &World, path: &str, headers: &[(&'static str, &str)]) -> Answer {
    world.send(&User::new("admin", &["system:masters"]), Method::GET, path, headers).await
}

#[tokio::test]
async fn number_81_a_log_comes_from_the_cluster_with_the_callers_credential_or_the_clusters_own() {
    let path = format!("/resources/clusters/c1{LOG}?tailLines=5");
    let off = World::new().await;
    assert_eq!(get(&off, &path, &[TOKEN]).await.code, 404);
    let mut world = world(logs()).await;
    let own =
        get(&world, &path, &[TOKEN, ("authorization", "Bearer of-the-parent"), ("x-remote-user", "x")]).await;
    let said = own.json();
    assert_eq!((own.code, &said["path"]), (200, &json!(format!("{LOG}?tailLines=5"))));
    let headers = said["headers"].to_string();
    assert!(headers.contains("authorization: Bearer mine"), "{headers}");
    assert!(
        !headers.contains("x-remote") && !headers.contains("clusterpedia") && !headers.contains("parent")
    );
    let nobody = get(&world, &path, &[]).await;
    assert_eq!(nobody.code, 403);
    assert!(
        String::from_utf8(nobody.body).unwrap().contains("--allow-pediacluster-config-for-proxy-request")
    );
    world = self::world(Flags { pediacluster_config: true, ..logs() }).await;
    let lent = get(&world, &path, &[]).await.json();
    assert!(lent["headers"].to_string().contains("Bearer the-cluster's"));
}

#[tokio::test]
async fn what_is_not_allowed_is_not_there_and_methods_are_those_of_the_subresource() {
    let world = world(logs()).await;
    let pod = "/resources/clusters/c1/api/v1/namespaces/default/pods/web-1-a";
    for (path, code) in [
        (format!("{pod}/attach"), 404),
        (format!("{pod}/exec"), 400),
        (format!("/resources{LOG}"), 400),
        (format!("/resources/clusters/nope{LOG}"), 400),
        (format!("/resources/clusters/c2{LOG}"), 503),
        ("/resources/clusters/c1/proxy/api".to_owned(), 404),
    ] {
        let answer = get(&world, &path, &[TOKEN]).await;
        assert_eq!(answer.code, code, "{path}: {answer:?}");
    }
    let admin = User::new("admin", &["system:masters"]);
    let post = world.send(&admin, Method::POST, &format!("/resources/clusters/c1{LOG}"), &[TOKEN]).await;
    assert_eq!(post.code, 405);
}

#[tokio::test]
async fn number_83_a_marked_request_is_answered_by_the_cluster() {
    let world = world(Flags::default()).await;
    let pods = "/resources/c1/proxy/api/v1/pods";
    let by_header = get(&world, &format!("{pods}?fieldSelector=a%3Db"), &[MARKER, TOKEN]).await.json();
    assert_eq!(by_header["path"], "/api/v1/pods?fieldSelector=a%3Db");
    let label = "labelSelector=app%3Dweb,search.clusterpedia.io/forward";
    let by_label = get(&world, &format!("{pods}?{label}"), &[TOKEN]).await.json();
    assert_eq!(by_label["path"], "/api/v1/pods?labelSelector=app%3Dweb");
    assert_eq!(get(&world, "/resources/clusters/c1/apis", &[MARKER, TOKEN]).await.json()["path"], "/apis");
    assert_eq!(get(&world, "/resources/api/v1/pods", &[MARKER, TOKEN]).await.code, 400);
    assert_eq!(get(&world, "/resources/c1/proxy/api/v1/services", &[MARKER, TOKEN]).await.code, 404);
    assert_eq!(get(&world, &format!("{pods}/redirect"), &[MARKER, TOKEN]).await.code, 502);
    let admin = User::new("admin", &["system:masters"]);
    assert_eq!(world.send(&admin, Method::DELETE, pods, &[MARKER, TOKEN]).await.code, 405);
    let all = self::world(Flags { unsynchronised: true, ..Flags::default() }).await;
    assert_eq!(get(&all, "/resources/c1/proxy/api/v1/services", &[MARKER, TOKEN]).await.code, 200);
}

#[tokio::test]
async fn behind_the_proxy_path_everything_goes_to_the_cluster_and_redirects_end_here() {
    let world = world(Flags { proxy_path: true, ..Flags::default() }).await;
    let admin = User::new("admin", &["system:masters"]);
    for base in ["/resources/clusters/c1/proxy", "/resources/c1/proxy/proxy"] {
        let put = world.send(&admin, Method::PUT, &format!("{base}/x/y?z=%20"), &[TOKEN]).await.json();
        assert_eq!(
            (&put["method"], &put["path"], &put["body"]),
            (&json!("PUT"), &json!("/x/y?z=%20"), &json!("sent"))
        );
        assert_eq!(get(&world, &format!("{base}/redirect"), &[TOKEN]).await.code, 502);
    }
}

#[tokio::test]
async fn the_right_is_that_of_the_method_and_one_more_for_the_clusters_own_credential() {
    let world = world(Flags { proxy_path: true, pediacluster_config: true, ..Flags::default() }).await;
    let jane = User::new("jane", &[]);
    let path = "/resources/c1/proxy/proxy/api/v1/pods";
    let ask = async |method: Method, headers: &[(&'static str, &str)]| {
        world.send(&jane, method, path, headers).await.code
    };
    world.granted.lock().push("resources/proxy c1".to_owned());
    assert_eq!(ask(Method::GET, &[TOKEN]).await, 200);
    assert_eq!(ask(Method::GET, &[]).await, 403);
    assert_eq!(ask(Method::POST, &[TOKEN]).await, 403);
    let upgrade = [TOKEN, ("connection", "Upgrade"), ("upgrade", "SPDY/3.1")];
    assert_eq!(ask(Method::GET, &upgrade).await, 403);
    let asked = world.asked.lock().clone();
    assert_eq!(
        asked,
        ["resources/proxy c1", "resources/credentials c1", "create resources/proxy c1"],
        "an upgrade needs what POST needs"
    );
}

#[tokio::test]
async fn discovery_lists_what_the_cluster_answers_on_its_own_path() {
    let world =
        world(Flags { subresources: vec!["pods/log".into(), "proxy".into()], ..Flags::default() }).await;
    let core = get(&world, "/resources/clusters/c1/api/v1", &[]).await.json();
    let named = |name: &str| {
        core["resources"].as_array().unwrap().iter().find(|known| known["name"] == name).cloned()
    };
    let log =
        json!({"name": "pods/log", "singularName": "", "namespaced": true, "kind": "Pod", "verbs": ["get"]});
    assert_eq!(named("pods/log"), Some(log));
    assert_eq!(named("pods/proxy").unwrap()["verbs"], json!(["create", "delete", "get", "patch", "update"]));
    assert_eq!(named("services/proxy"), None, "services are not synchronised");
    let of_all = get(&world, "/resources/api/v1", &[]).await.json();
    assert!(!of_all.to_string().contains("pods/log"));
}
