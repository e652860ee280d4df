//! A hub and an agent joined by a link, and the agent's service that the tests talk to.

mod dialling;
mod faults;
mod lifecycle;
mod requests;
mod upgrades;

use std::{convert::Infallible, sync::Arc, time::Duration};

use crate::{
    Body, Features, Hello, Version,
    agent::{self, Connection},
    hub::{Registry, Tunnel},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use runtime::{Tasks, metrics::Metrics};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};

/// Long enough for a busy machine, short enough to fail in.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn hello(instance: &str, epoch: u64) -> Hello {
    Hello {
        version: Version::OURS,
        features: Features::ours(),
        instance: instance.to_owned(),
        epoch,
        agent_version: String::from("0.1.0"),
    }
}

pub(super) fn registry(tasks: &Tasks) -> Registry {
    Registry::new(tasks.clone(), &Metrics::default(), "hub-1")
}

/// What happened in the child.
#[derive(Clone, Default)]
pub(super) struct Events {
    pub(super) cancelled: Arc<tokio::sync::Notify>,
    pub(super) started: Arc<tokio::sync::Notify>,
    pub(super) go_on: Arc<tokio::sync::Notify>,
}

struct Tells(Arc<tokio::sync::Notify>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// The child: a path per behaviour.
#[derive(Clone)]
pub(super) struct Child {
    pub(super) events: Events,
    pub(super) tasks: Tasks,
}

impl hyper::service::Service<Request<Incoming>> for Child {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let child = self.clone();
        Box::pin(async move { Ok(child.answer(request).await) })
    }
}

impl Child {
    async fn answer(self, mut request: Request<Incoming>) -> Response<Body> {
        let events = self.events.clone();
        match request.uri().path().to_owned().as_str() {
            "/echo" => {
                let body = request.into_body().map_err(crate::BoxError::from).boxed_unsync();
                Response::new(body)
            }
            "/describe" => {
                let text = format!("{} {}", request.method(), request.uri().path_and_query().unwrap());
                Response::new(crate::full(text))
            }
            "/broken" => {
                let frames =
                    [Ok(Frame::data(Bytes::from_static(b"half"))), Err(crate::BoxError::from("no more"))];
                Response::new(Body::new(StreamBody::new(futures_util::stream::iter(frames))))
            }
            "/headers" => {
                let names: Vec<&str> = request.headers().keys().map(http::HeaderName::as_str).collect();
                Response::new(crate::full(names.join(" ")))
            }
            "/head" => Response::builder().header("content-length", "12345").body(crate::empty()).unwrap(),
            "/bulk" => Response::new(endless(Bytes::from(vec![7_u8; 64 * 1024]))),
            "/hash" => {
                let mut hash = Sha256::new();
                let mut body = request.into_body();
                while let Some(frame) = body.frame().await {
                    hash.update(frame.unwrap().into_data().unwrap_or_default());
                }
                Response::new(crate::full(hash.finalize().to_vec()))
            }
            "/wait" => {
                let _tells = Tells(events.cancelled.clone());
                events.started.notify_one();
                std::future::pending().await
            }
            "/slow" => {
                events.started.notify_one();
                events.go_on.notified().await;
                Response::new(crate::full("done"))
            }
            "/watch" => {
                let tells = Tells(events.cancelled.clone());
                let stream =
                    futures_util::stream::once(async { Ok(Frame::data(Bytes::from_static(b"event"))) });
                let rest = futures_util::stream::once(async move {
                    let _tells = tells;
                    std::future::pending().await
                });
                Response::new(Body::new(StreamBody::new(futures_util::StreamExt::chain(stream, rest))))
            }
            "/exec" => {
                assert_eq!(request.headers()["connection"], "Upgrade");
                let protocol = request.headers()["upgrade"].clone();
                let upgrade = hyper::upgrade::on(&mut request);
                self.tasks.spawn("echo behind an upgrade", async move {
                    let _tells = Tells(events.cancelled.clone());
                    let mut io = TokioIo::new(upgrade.await.unwrap());
                    let mut buffer = vec![0; 8 * 1024];
                    while let Ok(n @ 1..) = io.read(&mut buffer).await {
                        io.write_all(&buffer[..n]).await.unwrap();
                    }
                    let _ = io.shutdown().await;
                });
                let response = Response::builder().status(101).header("Connection", "Upgrade");
                response.header("Upgrade", protocol).body(crate::empty()).unwrap()
            }
            "/exec/burst" => {
                let upgrade = hyper::upgrade::on(&mut request);
                self.tasks.spawn("burst behind an upgrade", async move {
                    let mut io = TokioIo::new(upgrade.await.unwrap());
                    io.write_all(&vec![5; 1_000_000]).await.unwrap();
                });
                Response::builder().status(101).header("Upgrade", "SPDY/3.1").body(crate::empty()).unwrap()
            }
            "/exec/forbidden" => {
                Response::builder().status(403).body(crate::full("pods \"p\" is forbidden")).unwrap()
            }
            "/exec/ignored" => Response::new(crate::full("no upgrade here")),
            "/big-header" => {
                Response::builder().header("x-big", "x".repeat(100_000)).body(crate::empty()).unwrap()
            }
            _ => Response::builder().status(StatusCode::NOT_FOUND).body(crate::empty()).unwrap(),
        }
    }
}

/// A body that never ends.
pub(super) fn endless(chunk: Bytes) -> Body {
    let chunks = futures_util::stream::repeat_with(move || Ok(Frame::data(chunk.clone())));
    Body::new(StreamBody::new(chunks))
}

pub(super) fn get(path: &str) -> Request<Body> {
    Request::builder().uri(path).body(crate::empty()).unwrap()
}

pub(super) fn post(path: &str, body: Body) -> Request<Body> {
    Request::builder().method("POST").uri(path).body(body).unwrap()
}

pub(super) async fn text(body: impl http_body::Body<Data = Bytes, Error = crate::BoxError>) -> String {
    let bytes = body.collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A hub with one registry, and agents that tests connect to it.
pub(super) struct Pair {
    pub(super) tasks: Tasks,
    pub(super) registry: Registry,
    pub(super) events: Events,
}

impl Pair {
    pub(super) fn new() -> Self {
        let tasks = Tasks::new();
        Self { registry: registry(&tasks), tasks, events: Events::default() }
    }

    pub(super) fn child(&self) -> Child {
        Child { events: self.events.clone(), tasks: self.tasks.clone() }
    }

    /// Serves the agent's end of a link until it ends; the group ends the agent alone.
    pub(super) fn agent(&self, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Agent {
        let group = self.tasks.child();
        let (child, tasks, welcome) = (self.child(), group.clone(), self.registry.welcome());
        let (sender, ended) = tokio::sync::oneshot::channel();
        self.tasks.spawn_draining("agent", async move {
            let _ = sender.send(
                agent::serve(Connection::over(io, welcome), child, &agent::Metrics::default(), &tasks).await,
            );
        });
        Agent { group, ended }
    }

    /// Joins an agent to the registry in memory and waits until its tunnel is live.
    pub(super) async fn join(&self, cluster: &str, hello: &Hello) -> (Agent, Tunnel) {
        let (hub, agent) = link();
        let ticket = self.registry.admit(cluster, hello).unwrap();
        let agent = self.agent(agent);
        self.registry.serve(ticket, hub);
        let tunnel = until(|| self.registry.get(cluster).filter(|t| t.hello() == hello && t.is_open())).await;
        (agent, tunnel)
    }
}

pub(super) struct Agent {
    pub(super) group: Tasks,
    pub(super) ended: tokio::sync::oneshot::Receiver<Result<agent::Ended, crate::Error>>,
}

/// Both ends of a connection in memory.
pub(super) fn link() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(64 * 1024)
}

/// Waits until `look` finds something.
pub(super) async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("what was waited for did not happen")
}

/// `future`, or a failed test.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}
