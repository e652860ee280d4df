//! An API that says what reached it.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::BoxFuture, stream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use meta::Status;
use runtime::Tasks;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::{
    Api, Attributes, Body, BoxError, Context, RequestInfo, Resource, collect, empty, full, json_response,
};

/// Serves `things` in `example.io/v1`; what it does depends on the name of the thing.
#[derive(Default)]
pub(crate) struct Echo {
    pub(crate) handled: AtomicUsize,
    tasks: Tasks,
}

impl Api for Echo {
    fn group(&self) -> &'static str {
        "example.io"
    }

    fn version(&self) -> &'static str {
        "v1"
    }

    fn resources(&self) -> Vec<Resource> {
        let thing = |name: &str, verbs: &[&str]| Resource {
            name: name.to_owned(),
            kind: "Thing".to_owned(),
            verbs: verbs.iter().map(|&verb| verb.to_owned()).collect(),
            ..Resource::default()
        };
        let things = Resource {
            singular: "thing".to_owned(),
            short_names: vec!["th".to_owned()],
            categories: vec!["all".to_owned()],
            ..thing("things", &["get", "list"])
        };
        vec![things, thing("things/attach", &[]), thing("things/proxy", &[])]
    }

    fn openapi(&self) -> serde_json::Value {
        json!({
            "paths": { "/apis/example.io/v1/things": {} },
            "components": { "schemas": { "io.example.v1.Thing": { "type": "object" } } },
        })
    }

    fn attributes(&self, info: &RequestInfo) -> Attributes {
        let mut attributes = Attributes::of(info);
        if attributes.subresource == "alias" {
            attributes.subresource = String::from("proxy");
        }
        attributes
    }

    fn long_running(&self, info: &RequestInfo) -> bool {
        info.tail == "/follow"
    }

    fn takes_relayed(&self) -> bool {
        true
    }

    fn handle(
        &self,
        context: Context,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        self.handled.fetch_add(1, Ordering::SeqCst);
        let tasks = self.tasks.clone();
        async move {
            match context.info.name.as_deref() {
                Some("panic") => panic!("the handler broke"),
                Some("refused") => Err(Status::conflict("The thing is taken.")),
                Some("slow") => std::future::pending().await,
                Some("endless") => Ok(Response::new(endless())),
                Some("unread") => {
                    let _body = request.into_body();
                    std::future::pending().await
                }
                Some("body") => {
                    Ok(Response::new(full(collect(request.into_body(), 16, Duration::from_secs(5)).await?)))
                }
                Some("upgrade") => Ok(upgrade(context, request, &tasks)),
                _ => Ok(mirror(&context, &request)),
            }
        }
        .boxed()
    }
}

fn endless() -> Body {
    let frames = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Some((Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"x"))), ()))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Switches protocols, says `hello`, then sends back what it gets.
fn upgrade(context: Context, mut request: Request<Incoming>, tasks: &Tasks) -> Response<Body> {
    let protocol = request.headers()[header::UPGRADE].clone();
    let upgraded = hyper::upgrade::on(&mut request);
    let _running = tasks.spawn("upgraded", async move {
        let _permit = context.permit;
        let mut io = TokioIo::new(upgraded.await.unwrap());
        io.write_all(b"hello").await.unwrap();
        let (mut read, mut write) = tokio::io::split(io);
        let _ = tokio::io::copy(&mut read, &mut write).await;
        let _ = write.shutdown().await;
    });
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::UPGRADE, protocol);
    response
}

fn mirror(context: &Context, request: &Request<Incoming>) -> Response<Body> {
    let mut headers = BTreeMap::<&str, Vec<&str>>::new();
    for (name, value) in request.headers() {
        headers.entry(name.as_str()).or_default().push(value.to_str().unwrap_or("?"));
    }
    let Context { user, info, audit_id, peer, .. } = context;
    json_response(&json!({
        "user": user.name,
        "uid": user.uid,
        "groups": user.groups,
        "extra": user.extra,
        "verb": info.verb,
        "resource": info.resource,
        "name": info.name,
        "subresource": info.subresource,
        "tail": info.tail,
        "auditId": audit_id,
        "frontProxy": peer.front_proxy,
        "relayed": peer.relayed,
        "headers": headers,
    }))
}
