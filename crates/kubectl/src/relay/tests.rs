//! The relay between a client that behaves like kubectl and a parent in this process, all over TLS.

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor, rt::TokioIo};
use kube::{
    client::ConfigExt as _,
    config::{AuthInfo, Cluster, KubeConfigOptions, Kubeconfig},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
};

use super::*;
use crate::{args::ChildFlags, parent::Parent};

const ID: &str = "dc91021d-2361-4f6d-a404-7c33b9e01118";
const DEADLINE: Duration = Duration::from_secs(20);

type Body = UnsyncBoxBody<Bytes, Infallible>;

fn body(text: impl Into<Bytes>) -> Body {
    http_body_util::Full::from(text.into()).boxed_unsync()
}

fn stream() -> (mpsc::Sender<&'static str>, Body) {
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|text| (Ok(Frame::data(Bytes::from(text))), receiver))
    });
    (sender, StreamBody::new(frames).boxed_unsync())
}

/// A parent that tells what it was asked.
fn answer(tasks: &Tasks, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().rsplit('/').next().unwrap().to_owned();
    match path.as_str() {
        "apis" => {
            let status = meta::Status::bad_request("The agent of cluster \"x\" is disconnected.");
            Response::builder().status(StatusCode::BAD_REQUEST).body(body(status.to_json())).unwrap()
        }
        "echo" => Response::new(request.into_body().map_err(|error| panic!("{error}")).boxed_unsync()),
        "upgrade" => {
            let upgraded = hyper::upgrade::on(request);
            tasks.spawn("upgraded", async move {
                let mut io = TokioIo::new(upgraded.await.unwrap());
                let mut buffer = [0; 1024];
                while let Ok(n) = io.read(&mut buffer).await
                    && n > 0
                {
                    io.write_all(&buffer[..n].to_ascii_uppercase()).await.unwrap();
                    io.flush().await.unwrap();
                }
            });
            Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header(header::CONNECTION, "Upgrade")
                .header(header::UPGRADE, "SPDY/3.1")
                .header("x-stream-protocol-version", "v4.channel.k8s.io")
                .body(body(""))
                .unwrap()
        }
        _ => {
            let headers: BTreeMap<&str, Vec<&str>> =
                request.headers().iter().fold(BTreeMap::new(), |mut all, (name, value)| {
                    all.entry(name.as_str()).or_default().push(value.to_str().unwrap());
                    all
                });
            let seen = serde_json::json!({ "uri": request.uri().to_string(), "headers": headers });
            Response::builder().status(StatusCode::NOT_FOUND).body(body(seen.to_string())).unwrap()
        }
    }
}

/// Serves `answer` over TLS and returns the parent's address and CA.
async fn parent(tasks: &Tasks) -> (String, String) {
    let (tls, ca) = listener::certificate().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = format!("https://{}/base", listener.local_addr().unwrap());
    let group = tasks.clone();
    tasks.spawn("parent", async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (tls, inner) = (tls.clone(), group.clone());
            group.spawn("connection", async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let service = service_fn(move |request| {
                    std::future::ready(Ok::<_, Infallible>(answer(&inner, request)))
                });
                let server = hyper::server::conn::http1::Builder::new();
                let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
            });
        }
    });
    (server, ca)
}

fn destination(child: &ChildFlags) -> Destination {
    let child = Child::load(child).unwrap();
    Destination { place: Place::Behind(api::proxies::direct_path(ID)), child, progress: None }
}

/// A relay in front of a parent, and the kubeconfig that kubectl gets.
struct Scene {
    tasks: Tasks,
    relay: Relay,
    kubeconfig: Kubeconfig,
}

impl Scene {
    async fn set(child: ChildFlags, ca: Option<String>) -> Self {
        let tasks = Tasks::new();
        let (server, own_ca) = parent(&tasks).await;
        let parent = Parent {
            cluster: Cluster {
                server: Some(server),
                certificate_authority_data: Some(STANDARD.encode(ca.unwrap_or(own_ca))),
                ..Cluster::default()
            },
            user: AuthInfo {
                token: Some(String::from("parent-token").into()),
                impersonate: Some(String::from("boss")),
                ..AuthInfo::default()
            },
            ..Parent::default()
        };
        let config = parent.config().await.unwrap();
        let relay = Relay::open(&tasks, &config, destination(&child)).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kubeconfig");
        relay.write_kubeconfig(&path).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o777, 0o600);
        Self { tasks, relay, kubeconfig: Kubeconfig::read_from(&path).unwrap() }
    }

    async fn send(&self, request: Request<Body>) -> Response<Incoming> {
        let config = Config::from_custom_kubeconfig(self.kubeconfig.clone(), &KubeConfigOptions::default())
            .await
            .unwrap();
        let connector = config.rustls_https_connector().unwrap();
        let (mut parts, body) = request.into_parts();
        parts.uri =
            format!("{}{}", config.cluster_url.to_string().trim_end_matches('/'), parts.uri).parse().unwrap();
        if !parts.headers.contains_key(header::AUTHORIZATION) {
            let secret = serde_json::to_value(&config.auth_info).unwrap();
            let bearer = format!("Bearer {}", secret["token"].as_str().unwrap());
            parts.headers.insert(header::AUTHORIZATION, bearer.parse().unwrap());
        }
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let answer = client.request(Request::from_parts(parts, body));
        tokio::time::timeout(DEADLINE, answer).await.unwrap().unwrap()
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> (StatusCode, serde_json::Value) {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.send(request.body(body("")).unwrap()).await;
        let status = response.status();
        (status, serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

fn with_token(directory: &tempfile::TempDir) -> ChildFlags {
    let path = directory.path().join("child");
    std::fs::write(&path, "{users: [{name: u, user: {token: child-token}}]}").unwrap();
    ChildFlags { child_kubeconfig: Some(path), ..ChildFlags::default() }
}

#[tokio::test]
async fn a_request_reaches_the_child_in_the_parent_with_both_identities_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let scene = Scene::set(with_token(&directory), None).await;
    let forged = [
        ("clusterway-child-authorization", "Bearer forged"),
        ("clusterway-child-impersonate-group", "system:masters"),
        ("x-remote-user", "admin"),
        ("x-remote-group", "system:masters"),
        ("accept", "application/json"),
    ];
    let (status, seen) = scene.get("/api/v1/pods?limit=5&labelSelector=a%3Db", &forged).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "the parent's own answer comes back");
    assert_eq!(
        seen["uri"],
        format!(
            "/base/apis/proxies.clusternet.io/v1alpha1/sockets/{ID}/proxy/direct/api/v1/pods?limit=5&labelSelector=a%3Db"
        )
    );
    let mut headers: HashMap = serde_json::from_value(seen["headers"].clone()).unwrap();
    headers.remove("host");
    let wanted = [
        ("accept", "application/json"),
        ("authorization", "Bearer parent-token"),
        ("clusterway-child-authorization", "Bearer child-token"),
        ("impersonate-user", "boss"),
    ];
    let wanted = wanted.map(|(name, value)| (name.to_owned(), vec![value.to_owned()]));
    assert_eq!(headers, HashMap::from(wanted));
}

type HashMap = std::collections::HashMap<String, Vec<String>>;

#[tokio::test]
async fn impersonation_by_kubectl_never_acts_in_the_parent() {
    let scene = Scene::set(ChildFlags::default(), None).await;
    let (_, seen) =
        scene.get("/api", &[("impersonate-user", "jane"), ("impersonate-group", "system:masters")]).await;
    assert_eq!(seen["headers"]["impersonate-user"], serde_json::json!(["boss"]));
    assert_eq!(seen["headers"]["impersonate-group"], serde_json::Value::Null);
    assert_eq!(seen["headers"]["clusterway-child-impersonate-user"], serde_json::json!(["jane"]));
    assert_eq!(seen["headers"]["clusterway-child-authorization"], serde_json::Value::Null);
}

#[tokio::test]
async fn nobody_without_the_token_of_this_run_is_served() {
    let scene = Scene::set(ChildFlags::default(), None).await;
    for wrong in ["Bearer wrong", "Bearer ", "Basic eDp5", "Bearer parent-token"] {
        let (status, answer) = scene.get("/api", &[("authorization", wrong)]).await;
        assert_eq!((status, &answer["kind"]), (StatusCode::UNAUTHORIZED, &serde_json::json!("Status")));
    }
}

#[tokio::test]
async fn a_path_cannot_climb_out_of_the_child() {
    let scene = Scene::set(ChildFlags::default(), None).await;
    for path in ["/../../../../../../../api/v1/secrets", "/api/%2e%2E/x", "/api/./x"] {
        assert_eq!(scene.get(path, &[]).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn a_parent_that_cannot_be_verified_gets_nothing_and_is_named() {
    let (_, stranger) = listener::certificate().unwrap();
    let scene = Scene::set(ChildFlags::default(), Some(stranger)).await;
    let (status, answer) = scene.get("/api", &[]).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("127.0.0.1") && message.contains("certificate"), "{message}");
}

#[tokio::test]
async fn a_refusal_that_kubectl_keeps_to_itself_is_remembered() {
    let scene = Scene::set(ChildFlags::default(), None).await;
    assert!(scene.relay.refusal().is_none());
    let (status, answer) = scene.get("/apis", &[]).await;
    assert_eq!((status, &answer["kind"]), (StatusCode::BAD_REQUEST, &serde_json::json!("Status")));
    let refusal = scene.relay.refusal().unwrap();
    assert_eq!(refusal.message, "The agent of cluster \"x\" is disconnected.");
}

#[tokio::test]
async fn bodies_are_streamed_both_ways_as_they_come() {
    let scene = Scene::set(ChildFlags::default(), None).await;
    let (sender, upload) = stream();
    sender.send("one").await.unwrap();
    let response = scene.send(Request::post("/echo").body(upload).unwrap()).await;
    let mut answer = response.into_body().into_data_stream();
    // Each piece is back before the next one is sent: nothing on the way waits for more.
    for next in [Some("two"), Some("three"), None] {
        let piece = tokio::time::timeout(DEADLINE, answer.next()).await.unwrap().unwrap().unwrap();
        assert!(!piece.is_empty());
        if let Some(next) = next {
            sender.send(next).await.unwrap();
        }
    }
    drop(sender);
    assert!(tokio::time::timeout(DEADLINE, answer.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_upgraded_connection_is_copied_byte_for_byte() {
    let scene = Scene::set(ChildFlags::default(), None).await;
    let request = Request::post("/api/v1/namespaces/a/pods/b/upgrade")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "SPDY/3.1");
    let response = scene.send(request.body(body("")).unwrap()).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(response.headers()[header::UPGRADE], "SPDY/3.1");
    assert_eq!(response.headers()["x-stream-protocol-version"], "v4.channel.k8s.io");
    let mut io = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    for round in 0..3 {
        let sent = vec![b'a' + round; 100_000];
        let (mut read, mut write) = tokio::io::split(&mut io);
        let mut back = vec![0; sent.len()];
        let both = async { tokio::try_join!(write.write_all(&sent), read.read_exact(&mut back)) };
        tokio::time::timeout(DEADLINE, both).await.unwrap().unwrap();
        assert!(back.iter().all(|byte| *byte == b'A' + round));
    }
}

#[tokio::test]
async fn the_door_is_closed_when_its_tasks_end() {
    let tasks = Tasks::new();
    let (server, ca) = parent(&Tasks::new()).await;
    let parent = Parent {
        cluster: Cluster {
            server: Some(server),
            certificate_authority_data: Some(STANDARD.encode(ca)),
            ..Cluster::default()
        },
        ..Parent::default()
    };
    let config = parent.config().await.unwrap();
    let relay = Relay::open(&tasks, &config, destination(&ChildFlags::default())).await.unwrap();
    assert!(tokio::net::TcpStream::connect(relay.address).await.is_ok());
    tasks.shutdown(DEADLINE).await;
    assert!(tokio::net::TcpStream::connect(relay.address).await.is_err());
}
