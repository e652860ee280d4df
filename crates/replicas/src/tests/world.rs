//! Two replicas, `a` and `b`, a parent that knows their tokens, and a client.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use apiserver::{
    Api, Authenticator, Authorizer, Body, Context, Limits, Resource, ServerBuilder, Tokens, Trust,
    TrustStore, full, json_response,
};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use kubeio::{Authorization, ClusterAccess, Direct, Lane, Transport as _};
use meta::Status;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use runtime::{Tasks, metrics::Metrics};
use rustls::{
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use serde_json::{Value, json};
use store::Store;
use tokio::sync::watch;
use tower::service_fn;

use crate::{Holder, Relay, RelayOptions, Relayed};

/// The name in the replicas' certificate.
const SERVICE: &str = "hub.hubs.svc";
/// The replicas' account.
const ACCOUNT: &str = "system:serviceaccount:hubs:hub";
const THING: &str = "/apis/example.io/v1/things";

pub(super) struct World {
    pub(super) tasks: Tasks,
    pub(super) holder: watch::Sender<Option<Holder>>,
    pub(super) stores: [watch::Sender<Option<Arc<dyn Store>>>; 2],
    pub(super) addresses: [SocketAddr; 2],
    pub(super) metrics: [Metrics; 2],
    /// The users in SubjectAccessReviews.
    pub(super) reviewed: Arc<Mutex<Vec<String>>>,
    authority: String,
    pub(super) directory: tempfile::TempDir,
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) retry_after: Option<u32>,
    pub(super) json: Value,
}

/// How a world differs from the usual one.
pub(super) struct Unusual {
    /// The token that the replicas show each other.
    pub(super) token: &'static str,
    /// Whether `a` trusts another authority than that of the certificates.
    pub(super) distrust: bool,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(Unusual { token: "hub", distrust: false }).await
    }

    pub(super) async fn with(unusual: Unusual) -> Self {
        let (tasks, reviewed) = (Tasks::new(), Arc::default());
        let (authority, certificate) = certificate();
        let trusted = if unusual.distrust { self::certificate().0 } else { authority.clone() };
        let holder = watch::Sender::new(None);
        let stores = [watch::Sender::new(None), watch::Sender::new(None)];
        let metrics = [Metrics::default(), Metrics::default()];
        let mut addresses = Vec::new();
        for (index, name) in ["a", "b"].into_iter().enumerate() {
            let options = RelayOptions {
                identity: name.to_owned(),
                server_name: SERVICE.to_owned(),
                authorities: watch::channel(trusted.clone()).1,
                credential: Authorization::Bearer(unusual.token.into()),
            };
            let relay = Arc::new(Relay::new(&tasks, holder.subscribe(), options, &metrics[index]));
            let parent = parent(&reviewed);
            let trust = TrustStore::new(Trust::none());
            let server = ServerBuilder {
                listen: ([127, 0, 0, 1], 0).into(),
                apis: vec![Arc::new(Relayed::new(Arc::new(Echo(name)), stores[index].subscribe(), relay))],
                authenticator: Authenticator::new(trust, Some(Tokens::new(parent.clone())))
                    .with_replicas(ACCOUNT),
                authorizer: Authorizer::new(parent),
                certificate: Arc::new(Fixed(certificate.clone())),
                limits: Limits::default(),
                metrics: metrics[index].clone(),
                checks: Vec::new(),
                title: String::from("test"),
                version: String::from("1.2.3"),
            };
            let server = server.bind().await.unwrap();
            addresses.push(server.address().unwrap());
            tasks.spawn_draining("server", server.run(tasks.child()));
        }
        let addresses = [addresses[0], addresses[1]];
        let directory = tempfile::tempdir().unwrap();
        Self { tasks, holder, stores, addresses, metrics, reviewed, authority, directory }
    }

    /// `b` has the store, and the Lease says so.
    pub(super) async fn b_holds(&self) {
        self.stores[1].send_replace(Some(super::open(self.directory.path()).await.unwrap()));
        self.lease_says("b", Some(self.addresses[1]));
    }

    pub(super) fn lease_says(&self, identity: &str, address: Option<SocketAddr>) {
        self.holder.send_replace(Some(Holder { identity: identity.to_owned(), address }));
    }

    /// Asks the replica at `index` as jane.
    pub(super) async fn get(&self, index: usize, thing: &str) -> Answer {
        let response = self.send(index, thing, &[]).await;
        let code = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").map(|value| value.to_str().unwrap().parse().unwrap());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer { code, retry_after, json: serde_json::from_slice(&body).unwrap() }
    }

    pub(super) async fn send(
        &self,
        index: usize,
        thing: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Response<kubeio::Body> {
        let mut access = ClusterAccess::new(&format!("https://{}", self.addresses[index])).unwrap();
        access.trust = kubeio::Trust::Roots(self.authority.clone().into_bytes());
        access.server_name = Some(SERVICE.to_owned());
        access.authorization = Authorization::Bearer("jane".into());
        let direct = Direct::new(access, &self.tasks).unwrap();
        let mut request = Request::get(format!("{THING}/{thing}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        direct.send(request.body(Bytes::new()).unwrap(), Lane::Short).await.unwrap()
    }

    /// Whether the replica at `index` shows a line among its metrics.
    pub(super) fn shows(&self, index: usize, metric: &str) -> bool {
        self.metrics[index].encode().contains(metric)
    }

    pub(super) async fn end(self) {
        assert!(self.tasks.shutdown(Duration::from_secs(10)).await.is_none());
    }
}

/// An API that says who asked which replica.
struct Echo(&'static str);

impl Api for Echo {
    fn group(&self) -> &'static str {
        "example.io"
    }

    fn version(&self) -> &'static str {
        "v1"
    }

    fn resources(&self) -> Vec<Resource> {
        vec![Resource { name: String::from("things"), kind: String::from("Thing"), ..Resource::default() }]
    }

    fn handle(
        &self,
        context: Context,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>> {
        let replica = self.0;
        async move {
            match context.info.name.as_deref() {
                Some("slow") => std::future::pending().await,
                Some("endless") => Ok(Response::new(endless())),
                Some("missing") => Err(Status::not_found("There is no such thing.")),
                _ => Ok(json_response(&json!({
                    "replica": replica,
                    "user": context.user.name,
                    "groups": context.user.groups,
                    "extra": context.user.extra,
                    "relayed": context.peer.relayed,
                    "auditId": context.audit_id,
                    "query": request.uri().query(),
                    "accept": request.headers().get("accept").map(|value| value.to_str().unwrap()),
                }))),
            }
        }
        .boxed()
    }
}

fn endless() -> Body {
    let frames = stream::repeat(()).then(|()| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, apiserver::BoxError>(Frame::data(Bytes::from_static(b"x")))
    });
    StreamBody::new(frames).boxed_unsync()
}

/// A parent with two users, `jane` and the hub, who both may do everything but `forbidden`.
fn parent(reviewed: &Arc<Mutex<Vec<String>>>) -> kube::Client {
    let reviewed = reviewed.clone();
    let service = service_fn(move |request: Request<kube::client::Body>| {
        let reviewed = reviewed.clone();
        async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let review: Value = serde_json::from_slice(&body).unwrap();
            let spec = &review["spec"];
            let status = match (review["kind"].as_str(), spec["token"].as_str()) {
                (Some("TokenReview"), Some("hub")) => {
                    json!({"authenticated": true, "user": {"username": ACCOUNT}})
                }
                (Some("TokenReview"), Some("jane")) => json!({"authenticated": true, "user": {
                    "username": "jane", "groups": ["dev"],
                    "extra": {"scopes": ["view"], "clusternet-token": ["very-secret"]},
                }}),
                (Some("TokenReview"), _) => json!({"authenticated": false}),
                _ => {
                    assert!(!review.to_string().contains("very-secret"));
                    reviewed.lock().push(spec["user"].as_str().unwrap().to_owned());
                    json!({"allowed": spec["resourceAttributes"]["name"] != "forbidden"})
                }
            };
            Ok::<_, Infallible>(Response::new(full(json!({ "status": status }).to_string())))
        }
    });
    kube::Client::new(service, "default")
}

/// An authority (PEM) and a certificate of it for [`SERVICE`].
fn certificate() -> (String, Arc<CertifiedKey>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([SERVICE.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    (authority, Arc::new(CertifiedKey::new(vec![leaf.der().clone()], key)))
}

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}
