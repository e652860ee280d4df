//! kubectl's side of the relay: TLS, the one-time token, answers.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Either, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use meta::Status;
use runtime::Tasks;
use rustls::pki_types::PrivateKeyDer;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_rustls::TlsAcceptor;

use super::{forward::Forward, headers::inward};
use crate::{
    failure::chain,
    progress::{Progress, Watched},
};

/// kubectl opens a handful of connections; whoever else knocks shall not use up memory.
const CONNECTIONS: usize = 256;
const HANDSHAKE: Duration = Duration::from_secs(10);
const COPY_BUFFER: usize = 64 * 1024;
const STATUS: usize = 64 * 1024;

type Body = Either<Watched, Full<Bytes>>;

/// Forwards for whoever knows the token.
pub(super) struct Guarded {
    authorization: Vec<u8>,
    forward: Forward,
    progress: Option<Arc<Progress>>,
    refusal: OnceLock<Status>,
}

impl Guarded {
    pub(super) fn new(bearer: &str, forward: Forward, progress: Option<Arc<Progress>>) -> Self {
        let authorization = format!("Bearer {bearer}").into_bytes();
        Self { authorization, forward, progress, refusal: OnceLock::new() }
    }

    /// Why kubectl could not find out what the child has to offer, if that is so.
    pub(super) fn refusal(&self) -> Option<&Status> {
        self.refusal.get()
    }

    async fn answer(&self, tasks: &Tasks, mut request: Request<Incoming>) -> Response<Body> {
        let given = request.headers().get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
        if !given.is_some_and(|given| same(given, &self.authorization)) {
            return refuse(&Status::unauthorized(
                "This address serves one run of kubectl, which knows its token.",
            ));
        }
        // The first things kubectl asks for. It keeps to itself what a refusal says.
        let discovers = matches!(request.uri().path(), "/api" | "/apis");
        let kubectl = hyper::upgrade::on(&mut request);
        let mut response = match self.forward.send(request).await {
            Ok(response) if discovers && !response.status().is_success() => return self.keep(response).await,
            Ok(response) => response,
            Err(status) => {
                if discovers {
                    self.refusal.get_or_init(|| status.clone());
                }
                return refuse(&status);
            }
        };
        let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if switched {
            let parent = hyper::upgrade::on(&mut response);
            tasks.spawn("upgraded stream", async move {
                let Ok((kubectl, parent)) = tokio::try_join!(kubectl, parent) else { return };
                let (mut kubectl, mut parent) = (TokioIo::new(kubectl), TokioIo::new(parent));
                // How it ends is the business of the two ends.
                let _ = tokio::io::copy_bidirectional_with_sizes(
                    &mut kubectl,
                    &mut parent,
                    COPY_BUFFER,
                    COPY_BUFFER,
                )
                .await;
            });
        }
        inward(response.headers_mut(), switched);
        response.map(|body| Either::Left(Watched::new(body, self.progress.as_ref())))
    }

    /// Passes a refusal on and remembers its words.
    async fn keep(&self, response: Response<Incoming>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        let Ok(body) = Limited::new(body, STATUS).collect().await else {
            return refuse(&Status::bad_gateway("The parent's answer broke off."));
        };
        let body = body.to_bytes();
        if let Ok(status) = serde_json::from_slice::<Status>(&body) {
            self.refusal.get_or_init(|| status);
        }
        inward(&mut parts.headers, false);
        Response::from_parts(parts, Either::Right(Full::from(body)))
    }
}

/// Accepts connections until the group ends.
pub(super) async fn serve(tasks: Tasks, listener: TcpListener, tls: TlsAcceptor, guarded: Arc<Guarded>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: some will come back.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (tls, guarded, group) = (tls.clone(), guarded.clone(), tasks.clone());
        tasks.spawn("connection", async move {
            let _place = place;
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else { return };
            let service = service_fn(move |request| {
                let (guarded, group) = (guarded.clone(), group.clone());
                async move { Ok::<_, std::convert::Infallible>(guarded.answer(&group, request).await) }
            });
            // A broken connection is seen by kubectl, which says so.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}

/// A certificate for this run, and its PEM text for kubectl to verify it with.
pub(super) fn certificate() -> Result<(TlsAcceptor, String), String> {
    let words = |error: rcgen::Error| chain(&error);
    let key = rcgen::KeyPair::generate().map_err(words)?;
    let certificate = rcgen::CertificateParams::new([String::from("127.0.0.1")])
        .and_then(|params| params.self_signed(&key))
        .map_err(words)?;
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(str::to_owned)?;
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .map_err(|error| chain(&error))?;
    Ok((TlsAcceptor::from(Arc::new(config)), certificate.pem()))
}

fn refuse(status: &Status) -> Response<Body> {
    let mut response = Response::new(Either::Right(Full::from(status.to_json())));
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::BAD_GATEWAY);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Compares without telling by its time where the difference is.
fn same(given: &[u8], wanted: &[u8]) -> bool {
    given.len() == wanted.len() && given.iter().zip(wanted).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
