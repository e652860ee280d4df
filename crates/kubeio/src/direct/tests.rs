//! `Direct` against servers on the loopback.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all, stream};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use parking_lot::Mutex;
use rcgen::{CertifiedKey, KeyPair};
use rustls::server::WebPkiClientVerifier;
use testkit::link::{Fault, Link, Switch};
use tokio::{net::TcpListener, time::Instant};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{Authorization, ClientCertificate, Secret, Trust, request::read};

/// A server of the fleet's kind, with a path for each behaviour.
struct Server {
    tasks: Tasks,
    url: String,
    ca: Vec<u8>,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    /// The connections that live now end with this group.
    connections: Mutex<Tasks>,
}

/// How a server is reached.
#[derive(Default)]
struct Tls {
    protocols: Vec<Vec<u8>>,
    client_ca: Option<String>,
}

fn certificate(name: &str) -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed([name.to_owned()]).unwrap()
}

impl Server {
    async fn http2() -> Arc<Self> {
        Self::start(Tls { protocols: vec![b"h2".to_vec()], client_ca: None }).await
    }

    async fn start(tls: Tls) -> Arc<Self> {
        let CertifiedKey { cert, signing_key } = certificate("localhost");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match tls.client_ca {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let roots = Arc::new(runtime::tls::roots("ca", ca.as_bytes()).unwrap());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = runtime::tls::private_key("key", signing_key.serialize_pem().as_bytes()).unwrap();
        let mut config = builder.with_single_cert(vec![cert.der().clone()], key).unwrap();
        config.alpn_protocols = tls.protocols;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tasks = Tasks::new();
        let server = Arc::new(Self {
            url: format!("https://127.0.0.1:{}/prefix/", listener.local_addr().unwrap().port()),
            ca: cert.pem().into_bytes(),
            accepted: Arc::default(),
            open: Arc::default(),
            connections: Mutex::new(tasks.child()),
            tasks: tasks.clone(),
        });
        let this = Arc::clone(&server);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tasks.spawn("server", async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                this.accepted.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                let open = Arc::clone(&this.open);
                open.fetch_add(1, Ordering::SeqCst);
                let group = this.connections.lock().clone();
                group.spawn("connection", async move {
                    if let Ok(tls) = acceptor.accept(tcp).await {
                        let builder = auto::Builder::new(TokioExecutor::new());
                        let _ = builder.serve_connection(TokioIo::new(tls), service_fn(answer)).await;
                    }
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        server
    }

    fn access(&self) -> ClusterAccess {
        let mut access = ClusterAccess::new(&self.url).unwrap();
        access.trust = Trust::Roots(self.ca.clone());
        access.server_name = Some(String::from("localhost"));
        access
    }

    fn direct(&self) -> Direct {
        Direct::new(self.access(), &self.tasks).unwrap()
    }

    /// Connections made so far.
    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Ends all connections at once, as a killed process does.
    fn cut(&self) {
        let old = std::mem::replace(&mut *self.connections.lock(), self.tasks.child());
        old.cancel();
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let body = match request.uri().path().trim_start_matches("/prefix") {
        "/silent" => {
            StreamBody::new(stream::pending::<Result<Frame<Bytes>, crate::BoxError>>()).boxed_unsync()
        }
        "/endless" => {
            let chunk = stream::repeat(Bytes::from_static(&[b' '; 16 * 1024]));
            StreamBody::new(chunk.map(|bytes| Ok(Frame::data(bytes)))).boxed_unsync()
        }
        _ => {
            let header = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
            let text = format!(
                "{:?} {} {:?} {}",
                request.version(),
                request.uri().path_and_query().unwrap(),
                header(header::AUTHORIZATION),
                header(header::USER_AGENT),
            );
            http_body_util::Full::from(text).map_err(|never| match never {}).boxed_unsync()
        }
    };
    Ok(Response::new(body))
}

async fn send(direct: &Direct, path: &str, lane: Lane) -> Result<Response<Body>, Error> {
    Transport::send(direct, Request::get(path).body(Bytes::new()).unwrap(), lane).await
}

/// The server's description of a request.
async fn describe(direct: &Direct) -> Result<String, Error> {
    let body = read(send(direct, "/api?limit=5", Lane::Short).await?.into_body(), 10_000).await?;
    Ok(String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_request_carries_the_credential_to_its_path_below_the_servers() {
    let server = Server::http2().await;
    let mut access = server.access();
    access.authorization = Authorization::Bearer(Secret::from("t"));
    let direct = Direct::new(access, &server.tasks).unwrap();
    let text = describe(&direct).await.unwrap();
    assert_eq!(text, format!("HTTP/2.0 /prefix/api?limit=5 \"Bearer t\" {}", USER_AGENT.to_str().unwrap()));
}

#[tokio::test]
async fn watches_share_connections_and_leave_the_others_alone() {
    let server = Server::http2().await;
    let direct = server.direct();
    let watches = join_all((0..100).map(|_| send(&direct, "/silent", Lane::Watch))).await;
    assert!(watches.iter().all(Result::is_ok));
    assert_eq!(server.accepted(), 2);
    join_all((0..50).map(|_| describe(&direct))).await;
    assert_eq!(server.accepted(), 3);
    // Whoever leaves makes room.
    drop(watches);
    let watches = join_all((0..64).map(|_| send(&direct, "/silent", Lane::Watch))).await;
    assert!(watches.iter().all(Result::is_ok));
    assert_eq!(server.accepted(), 3);
}

#[tokio::test]
async fn answers_that_nobody_reads_hold_up_no_other() {
    let server = Server::http2().await;
    let direct = server.direct();
    let unread = join_all((0..63).map(|_| send(&direct, "/endless", Lane::Short))).await;
    assert!(unread.iter().all(Result::is_ok));
    for _ in 0..50 {
        describe(&direct).await.unwrap();
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn a_server_without_http2_gets_a_connection_for_each_request_under_way() {
    for protocols in [vec![b"http/1.1".to_vec()], Vec::new()] {
        let server = Server::start(Tls { protocols, client_ca: None }).await;
        let direct = server.direct();
        assert!(describe(&direct).await.unwrap().starts_with("HTTP/1.1 /prefix/api?limit=5"));
        describe(&direct).await.unwrap();
        assert_eq!(server.accepted(), 1);
        let silent = join_all((0..5).map(|_| send(&direct, "/silent", Lane::Watch))).await;
        assert!(silent.iter().all(Result::is_ok));
        assert_eq!(server.accepted(), 6);
    }
}

#[tokio::test]
async fn a_server_with_another_certificate_gets_no_request_unless_anybody_will_do() {
    let server = Server::http2().await;
    let mut access = server.access();
    access.trust = Trust::Roots(certificate("localhost").cert.pem().into_bytes());
    let direct = Direct::new(access.clone(), &server.tasks).unwrap();
    let Err(Error::Unreachable(message)) = describe(&direct).await else { panic!() };
    assert!(message.contains("TLS"), "{message}");

    access.trust = Trust::Roots(server.ca.clone());
    access.server_name = None;
    let direct = Direct::new(access.clone(), &server.tasks).unwrap();
    assert!(matches!(describe(&direct).await, Err(Error::Unreachable(_))));

    access.trust = Trust::Insecure;
    let direct = Direct::new(access, &server.tasks).unwrap();
    describe(&direct).await.unwrap();
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let CertifiedKey { cert, signing_key } = certificate("admin");
    let tls = Tls { protocols: vec![b"h2".to_vec()], client_ca: Some(cert.pem()) };
    let server = Server::start(tls).await;
    assert!(describe(&server.direct()).await.is_err());
    let mut access = server.access();
    access.certificate = Some(ClientCertificate {
        chain: cert.pem().into_bytes(),
        key: Secret::from(signing_key.serialize_pem().as_str()),
    });
    describe(&Direct::new(access, &server.tasks).unwrap()).await.unwrap();
}

#[test]
fn certificates_that_are_none_are_refused_before_anything_is_connected() {
    let mut access = ClusterAccess::new("https://a").unwrap();
    access.trust = Trust::Roots(b"no PEM".to_vec());
    let refused = Direct::new(access.clone(), &Tasks::new()).unwrap_err();
    assert!(matches!(refused, AccessError::Credential { what: "the CA", .. }), "{refused}");
    access.trust = Trust::Insecure;
    access.certificate = Some(ClientCertificate { chain: b"no".to_vec(), key: Secret::from("PEM") });
    let refused = Direct::new(access, &Tasks::new()).unwrap_err();
    assert!(matches!(refused, AccessError::Credential { what: "the client certificate", .. }), "{refused}");
}

#[tokio::test]
async fn a_connection_that_ended_is_replaced_without_the_caller_knowing() {
    let server = Server::http2().await;
    let direct = server.direct();
    for connections in 1..5 {
        describe(&direct).await.unwrap();
        assert_eq!(server.accepted(), connections);
        server.cut();
    }
}

#[tokio::test]
async fn a_watch_ends_with_its_connection() {
    let server = Server::http2().await;
    let direct = server.direct();
    let response = send(&direct, "/silent", Lane::Watch).await.unwrap();
    server.cut();
    assert!(matches!(read(response.into_body(), 10).await, Err(Error::Unreachable(_))));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let access = ClusterAccess::new(&format!("http://{free}")).unwrap();
    let direct = Direct::new(access, &Tasks::new()).unwrap();
    let answers = join_all((0..10).map(|_| describe(&direct))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Unreachable(_)))));
}

#[tokio::test(start_paused = true)]
async fn many_who_wait_for_a_dead_server_wait_for_one_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let access = ClusterAccess::new(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    let direct = Direct::new(access, &Tasks::new()).unwrap();
    let began = Instant::now();
    let answers = join_all((0..100).map(|_| describe(&direct))).await;
    let Err(Error::Unreachable(message)) = &answers[99] else { panic!() };
    assert!(message.contains("TLS handshake took longer"), "{message}");
    assert!(began.elapsed() < Duration::from_secs(21), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_after_a_while() {
    let server = Server::http2().await;
    let direct = server.direct();
    describe(&direct).await.unwrap();
    assert_eq!(server.open.load(Ordering::SeqCst), 1);
    tokio::time::pause();
    while server.open.load(Ordering::SeqCst) > 0 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
    describe(&direct).await.unwrap();
    assert_eq!(server.accepted(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_leaves_a_ping_unanswered_is_given_up() {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let switch = Switch::default();
    let tasks = Tasks::new();
    tasks.spawn("server", async move {
        let builder = auto::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(theirs), service_fn(answer)).await;
    });
    let opened = connection::http2(Link::new(ours, &switch), &tasks).await.unwrap();
    let connection = Arc::new(opened.connection);
    tasks.spawn("connection", async move {
        let _ = opened.driver.await;
    });
    let request = Request::get("http://server/silent").body(http_body_util::Full::default()).unwrap();
    let mut response = connection.take().send(request).await.unwrap();
    switch.set(Fault::Swallow);
    let began = Instant::now();
    assert!(response.body_mut().frame().await.unwrap().is_err());
    assert!(began.elapsed() <= Duration::from_secs(26), "{:?}", began.elapsed());
    assert!(connection.is_closed());
}

/// A server that repeats what it is sent: as its answer, or after switching protocols.
fn echo(tasks: &Tasks, mut request: Request<Incoming>) -> Response<Body> {
    if request.headers().contains_key(header::UPGRADE) {
        let upgraded = hyper::upgrade::on(&mut request);
        tasks.spawn("echo", async move {
            let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded.await.unwrap()));
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
        let response = response.header("connection", "Upgrade").header("upgrade", "SPDY/3.1");
        return response
            .body(http_body_util::Empty::new().map_err(|never| match never {}).boxed_unsync())
            .unwrap();
    }
    let (parts, body) = request.into_parts();
    let mut response = Response::new(body.map_err(Into::into).boxed_unsync());
    *response.headers_mut() = parts.headers;
    response.headers_mut().insert("path", parts.uri.to_string().parse().unwrap());
    response
}

/// The way to a server of [`echo`].
async fn to_echo(tasks: &Tasks) -> crate::ClusterAccess {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prefix", listener.local_addr().unwrap());
    let connections = tasks.clone();
    tasks.spawn("echo", async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let tasks = connections.clone();
            connections.spawn("connection", async move {
                let service =
                    service_fn(|request| std::future::ready(Ok::<_, Infallible>(echo(&tasks, request))));
                let connection = hyper::server::conn::http1::Builder::new();
                let _ = connection.serve_connection(TokioIo::new(tcp), service).with_upgrades().await;
            });
        }
    });
    let mut access = crate::ClusterAccess::new(&url).unwrap();
    access.authorization = Authorization::Bearer(Secret::from("t"));
    access
}

fn body(text: &'static str) -> Body {
    http_body_util::Full::from(text).map_err(|never| match never {}).boxed_unsync()
}

#[tokio::test]
async fn an_exchange_passes_a_request_on_with_the_credential_of_the_access() {
    let tasks = Tasks::new();
    let exchange = Exchange::new(to_echo(&tasks).await, &tasks).unwrap();
    let request = Request::post("/api/v1?x=%20y").header("authorization", "Bearer of-the-caller");
    let request = request.header("x-kept", "1").body(body("sent")).unwrap();
    let response = exchange.send(request).await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("path"), "/prefix/api/v1?x=%20y");
    assert_eq!((header("authorization"), header("x-kept")), ("Bearer t".into(), "1".into()));
    assert_eq!(read(response.into_body(), 100).await.unwrap(), "sent");
}

#[tokio::test]
async fn an_exchange_may_switch_protocols() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let tasks = Tasks::new();
    let exchange = Exchange::new(to_echo(&tasks).await, &tasks).unwrap();
    let request = Request::get("/exec").header("connection", "Upgrade").header("upgrade", "SPDY/3.1");
    let mut response = exchange.send(request.body(body("")).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut io = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    io.write_all(b"ping").await.unwrap();
    let mut answer = [0; 4];
    io.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping");
}
