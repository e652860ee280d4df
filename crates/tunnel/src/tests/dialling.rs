//! From a URL to a tunnel, through a server that speaks HTTP/1.1, and the ways this fails.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::watch,
};
use tokio_rustls::TlsAcceptor;

use super::{Pair, hello, post, soon, text, until};
use crate::{
    Body, Version,
    agent::{Dial, DialError, Ended, Metrics, State, Untrusted, connect, keep, serve},
    hub::Registry,
};

/// What a parent answers to a request for a tunnel.
type Answer = Arc<dyn Fn(Request<Incoming>) -> Response<Body> + Send + Sync>;

/// The parent: passes requests for tunnels to the registry, as kube-apiserver and hub do together.
fn parent(registry: &Registry) -> Answer {
    let registry = registry.clone();
    Arc::new(move |mut request| {
        assert_eq!(request.headers()["authorization"], "Bearer let-me-in");
        assert_eq!(request.uri().path(), "/apis/proxies.clusternet.io/v1alpha1/sockets/c/attach");
        registry.accept("c", &mut request).unwrap_or_else(|refused| {
            let status = refused.status();
            let response = Response::builder().status(status.code);
            response.body(crate::full(status.to_json())).unwrap()
        })
    })
}

async fn serve_http(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, answer: Answer) {
    let service = hyper::service::service_fn(move |request| {
        let answer = answer(request);
        Box::pin(async { Ok::<_, std::convert::Infallible>(answer) }) as BoxFuture<'static, _>
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(io), service).with_upgrades().await;
}

/// Listens on a loopback port; returns the port.
async fn listen(pair: &Pair, tls: Option<TlsAcceptor>, answer: Answer) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tasks = pair.tasks.clone();
    pair.tasks.spawn("parent", async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (tls, answer) = (tls.clone(), answer.clone());
            tasks.spawn("connection to the parent", async move {
                match tls {
                    None => serve_http(tcp, answer).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(tcp).await {
                            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
                            serve_http(stream, answer).await;
                        }
                    }
                }
            });
        }
    });
    port
}

fn dial(scheme: &str, port: u16, roots: Option<rustls::RootCertStore>) -> Dial {
    let roots = roots.unwrap_or_else(rustls::RootCertStore::empty);
    Dial {
        url: format!("{scheme}://127.0.0.1:{port}/apis/proxies.clusternet.io/v1alpha1/sockets/c/attach")
            .parse()
            .unwrap(),
        tls: Arc::new(runtime::tls::client(roots, None).unwrap()),
        token: String::from("let-me-in"),
        hello: hello("a", 1),
        connect_timeout: Duration::from_secs(20),
    }
}

/// A CA, and a server configuration with a certificate of it for `name`.
fn certificate(change: impl FnOnce(&mut CertificateParams)) -> (rustls::RootCertStore, TlsAcceptor) {
    let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![String::from("127.0.0.1")]).unwrap();
    change(&mut params);
    let leaf = params.signed_by(&key, &ca).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    // As kube-apiserver: it would speak HTTP/2 if it were asked.
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (roots, TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn a_tunnel_through_tls_and_an_http1_upgrade() {
    let pair = Pair::new();
    let (roots, acceptor) = certificate(|_| ());
    let port = listen(&pair, Some(acceptor), parent(&pair.registry)).await;
    let connection = soon(connect(&dial("wss", port, Some(roots)))).await.unwrap();
    assert_eq!(connection.welcome.hub_instance, "hub-1");
    let (child, tasks) = (pair.child(), pair.tasks.clone());
    let agent = pair.tasks.spawn_draining("agent", async move {
        assert_eq!(serve(connection, child, &Metrics::default(), &tasks).await.unwrap(), Ended::ByHub);
    });
    let tunnel = until(|| pair.registry.get("c")).await;
    let answer = soon(tunnel.request(post("/echo", crate::full("over TLS")))).await.unwrap();
    assert_eq!(soon(text(answer.into_body())).await, "over TLS");
    soon(pair.registry.drain()).await;
    soon(agent).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_is_named_and_gets_no_token() {
    let pair = Pair::new();
    let never: Answer = Arc::new(|_| panic!("a request was sent to somebody untrusted"));
    let expired = |params: &mut CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let other = |params: &mut CertificateParams| {
        *params = CertificateParams::new(vec![String::from("elsewhere.example")]).unwrap();
    };
    for (known, change, expected) in [
        (false, Box::new(|_: &mut CertificateParams| ()) as Box<dyn FnOnce(&mut _)>, Untrusted::Issuer),
        (true, Box::new(expired), Untrusted::Time),
        (true, Box::new(other), Untrusted::Name),
    ] {
        let (roots, acceptor) = certificate(change);
        let port = listen(&pair, Some(acceptor), never.clone()).await;
        let error = soon(connect(&dial("wss", port, known.then_some(roots)))).await.unwrap_err();
        assert!(matches!(&error, DialError::Tls(found) if *found == expected), "{error}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart_by_what_can_be_done_about_them() {
    let pair = Pair::new();
    let answers: Vec<(u16, meta::Status)> = vec![
        (401, meta::Status::unauthorized("Unauthorized")),
        (403, meta::Status::forbidden("sockets \"c\" is forbidden")),
        (409, meta::Status::conflict("Another agent took over.")),
        (503, meta::Status::unavailable("Not now.").retry_after(7)),
    ];
    let mut errors = Vec::new();
    for (code, status) in answers {
        let answer: Answer =
            Arc::new(move |_| Response::builder().status(code).body(crate::full(status.to_json())).unwrap());
        let port = listen(&pair, None, answer).await;
        errors.push(soon(connect(&dial("ws", port, None))).await.unwrap_err());
    }
    assert!(matches!(&errors[0], DialError::Unauthorized(message) if message == "Unauthorized"));
    assert!(matches!(&errors[1], DialError::Forbidden(message) if message.contains("sockets")));
    assert!(matches!(&errors[2], DialError::Refused { status, retry_after: None, .. } if *status == 409));
    assert_eq!(
        errors[2].to_string(),
        "the parent refused the tunnel with 409 Conflict: Another agent took over."
    );
    assert_eq!(errors[3].retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_refusal_that_is_no_kubernetes_status_is_understood_too() {
    let pair = Pair::new();
    let answer: Answer = Arc::new(|_| {
        let response = Response::builder().status(429).header("Retry-After", "99999999");
        response.body(crate::full(vec![b'<'; 1_000_000])).unwrap()
    });
    let port = listen(&pair, None, answer).await;
    let error = soon(connect(&dial("ws", port, None))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the parent refused the tunnel with 429 Too Many Requests: Too Many Requests"
    );
    // No parent keeps an agent away for longer than this.
    assert_eq!(error.retry_after(), Some(Duration::from_mins(10)));
}

#[tokio::test]
async fn an_unknown_major_version_is_refused_with_both_versions_on_both_sides() {
    let pair = Pair::new();
    let registry = pair.registry.clone();
    let told = Arc::new(parking_lot::Mutex::new(String::new()));
    let answer: Answer = {
        let told = told.clone();
        Arc::new(move |mut request| {
            let status = registry.accept("c", &mut request).unwrap_err().status();
            told.lock().clone_from(&status.message);
            Response::builder().status(status.code).body(crate::full(status.to_json())).unwrap()
        })
    };
    let port = listen(&pair, None, answer).await;
    let mut dial = dial("ws", port, None);
    dial.hello.version = Version { major: 9, minor: 2 };
    let error = soon(connect(&dial)).await.unwrap_err();
    assert!(
        matches!(error, DialError::VersionMismatch { theirs: Version { major: 1, minor: 0 }, .. }),
        "{error}"
    );
    assert!(told.lock().contains("1.0") && told.lock().contains("9.2"), "{}", told.lock());
    assert_eq!(pair.registry.count(), 0);
}

#[tokio::test]
async fn what_is_no_hub_is_not_taken_for_one() {
    let pair = Pair::new();
    let page: Answer = Arc::new(|_| Response::new(crate::full("<html>Welcome to the portal</html>")));
    let port = listen(&pair, None, page).await;
    let error = soon(connect(&dial("ws", port, None))).await.unwrap_err();
    assert!(matches!(error, DialError::NotAHub(_)), "{error}");

    let other_websocket: Answer = Arc::new(|_| {
        let response = Response::builder().status(101).header("Connection", "Upgrade");
        let response = response.header("Upgrade", "websocket").header("Sec-WebSocket-Accept", "bm90IHlvdXJz");
        response.body(crate::empty()).unwrap()
    });
    let port = listen(&pair, None, other_websocket).await;
    let error = soon(connect(&dial("ws", port, None))).await.unwrap_err();
    assert!(matches!(error, DialError::NotAHub(_)), "{error}");
}

#[tokio::test]
async fn a_request_that_is_no_websocket_is_refused() {
    let pair = Pair::new();
    let mut request = Request::new(());
    hello("a", 1).write(request.headers_mut()).unwrap();
    let refused = pair.registry.accept("c", &mut request).unwrap_err();
    assert_eq!((refused.reason(), refused.status().code), ("WebSocketRequired", 400));
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = soon(connect(&dial("ws", port, None))).await.unwrap_err();
    assert!(matches!(error, DialError::Unreachable(_)), "{error}");
    assert!(!error.to_string().contains("let-me-in"));
    assert!(!format!("{:?}", dial("ws", port, None)).contains("let-me-in"));
}

#[tokio::test]
async fn somebody_who_does_not_answer_is_unreachable_after_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut dial = dial("ws", listener.local_addr().unwrap().port(), None);
    dial.connect_timeout = Duration::from_millis(50);
    let error = soon(connect(&dial)).await.unwrap_err();
    assert!(matches!(error, DialError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn a_lost_tunnel_is_dialled_again_and_a_new_address_or_token_ends_the_wait() {
    let pair = Pair::new();
    let port = listen(&pair, None, parent(&pair.registry)).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (dials, dial_receiver) = watch::channel(Arc::new(dial("ws", closed, None)));
    let (state_sender, state) = watch::channel(State::default());
    let (child, group) = (pair.child(), pair.tasks.child());
    let agent = {
        let group = group.clone();
        pair.tasks.spawn_draining("agent", async move {
            keep(dial_receiver, child, state_sender, Metrics::default(), &group).await;
        })
    };
    let failed = until(|| Some(state.borrow().clone()).filter(|state| state.failures == 1)).await;
    assert!(!failed.connected && failed.next_try.is_some());
    assert!(failed.last_error.unwrap().starts_with("the parent cannot be reached"));

    dials.send_replace(Arc::new(dial("ws", port, None)));
    let first = until(|| pair.registry.get("c")).await;
    let connected = until(|| Some(state.borrow().clone()).filter(|state| state.connected)).await;
    assert_eq!((connected.hub_instance.as_deref(), connected.opened), (Some("hub-1"), 1));
    assert_eq!((connected.failures, connected.last_error), (0, None));

    first.retire();
    let lost = until(|| Some(state.borrow().clone()).filter(|state| !state.connected)).await;
    assert_eq!(lost.last_error.as_deref(), Some("the hub closed the tunnel"));
    dials.send_modify(|_| ());
    until(|| pair.registry.get("c").filter(crate::hub::Tunnel::is_open)).await;
    assert_eq!(until(|| Some(state.borrow().clone()).filter(|state| state.connected)).await.opened, 2);

    group.cancel();
    soon(agent).await.unwrap();
    assert!(!state.borrow().connected);
}

#[tokio::test]
async fn a_parent_that_closes_in_the_middle_of_its_answer_is_unreachable() {
    let (ours, mut theirs) = super::link();
    let cut = async {
        theirs.write_all(b"HTTP/1.1 101 Switching").await.unwrap();
        drop(theirs);
    };
    let dial = dial("ws", 1, None);
    let (error, ()) = tokio::join!(crate::agent::connect_over(ours, &dial), cut);
    assert!(matches!(error.unwrap_err(), DialError::Unreachable(_)));
}
