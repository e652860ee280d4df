//! A way into one child for a program that knows addresses only: a port on the loopback that is there for one operation.
//!
//! Whoever has the token that was made for it comes through, as whom the transport goes there; nobody else is answered. It goes
//! over TLS, because such programs give no token away without it. Nothing that comes through is logged.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use kubeio::{Body, Lane, Transport};
use meta::Status;
use runtime::Tasks;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::TlsAcceptor;

/// The largest object that is written; etcd takes 1.5 MiB.
const LARGEST: usize = 4 << 20;
/// Connections that are open at a time.
const CONNECTIONS: usize = 32;
/// How long a handshake, and the headers of a request, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A port on the loopback that leads to a child for whoever has its token, until it is dropped.
pub struct Door {
    address: SocketAddr,
    authority: String,
    token: String,
    tasks: Tasks,
}

impl Drop for Door {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

impl Door {
    /// Opens a door to what `child` leads to, as whom it goes there.
    ///
    /// # Errors
    /// When there is no port or no certificate to be had.
    pub async fn open(tasks: &Tasks, child: Arc<dyn Transport>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port on the loopback")?;
        let address = listener.local_addr()?;
        let (config, authority) = runtime::tls::loopback().context("no certificate for the loopback")?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let token = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let tasks = tasks.child();
        let house = Arc::new(House { child, expected: format!("Bearer {token}"), acceptor });
        tasks.spawn("door", serve(listener, house, tasks.clone()));
        Ok(Self { address, authority, token, tasks })
    }

    /// Where a program finds it.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Who vouches for its certificate, PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The bearer token that lets through. It is good for nothing else.
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// What is behind the door.
struct House {
    child: Arc<dyn Transport>,
    expected: String,
    acceptor: TlsAcceptor,
}

async fn serve(listener: TcpListener, house: Arc<House>, tasks: Tasks) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let house = Arc::clone(&house);
        tasks.spawn("connection", async move {
            let _place = place;
            if let Err(error) = talk(stream, house).await {
                tracing::debug!(%error, "a connection of a program in the loopback ended");
            }
        });
    }
}

async fn talk(stream: TcpStream, house: Arc<House>) -> anyhow::Result<()> {
    let stream = tokio::time::timeout(PATIENCE, house.acceptor.accept(stream)).await??;
    let service = service_fn(move |request| {
        let house = Arc::clone(&house);
        async move { Ok::<_, std::convert::Infallible>(house.answer(request).await) }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE * 30);
    Ok(connection.serve_connection(TokioIo::new(stream), service).await?)
}

impl House {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        match self.pass(request).await {
            Ok(response) => response,
            Err(status) => told(&status),
        }
    }

    async fn pass(&self, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        if !self.lets_in(request.headers()) {
            return Err(Status::unauthorized("This is the door of one operation, and it is not yours."));
        }
        if request.headers().contains_key(header::UPGRADE) {
            return Err(Status::bad_request("Nothing is upgraded here."));
        }
        let (mut parts, body) = request.into_parts();
        parts.headers.remove(header::AUTHORIZATION);
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(|_| Status::bad_request("The body cannot be read, or is too large."))?;
        // The length of what is passed on is set anew.
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::TRANSFER_ENCODING);
        let request = Request::from_parts(parts, body.to_bytes());
        let response = self.child.send(request, Lane::Watch).await;
        response.map_err(|error| Status::unavailable(error.to_string()))
    }

    /// Whether the request has the token, compared without telling by its time how much of it is right.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
        let expected = self.expected.as_bytes();
        let differences = given.iter().zip(expected).fold(0, |so_far, (one, other)| so_far | (one ^ other));
        given.len() == expected.len() && differences == 0
    }
}

fn told(status: &Status) -> Response<Body> {
    let body = serde_json::to_vec(status).unwrap_or_default();
    let mut response =
        Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use futures_util::future::BoxFuture;
    use kubeio::{ClusterAccess, Direct, Error, Trust};
    use parking_lot::Mutex;

    use super::*;

    /// A child that notes down what comes to it.
    #[derive(Default)]
    struct Child(Mutex<Vec<Request<Bytes>>>);

    impl Transport for Child {
        fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
            self.0.lock().push(request);
            let body = Full::new(Bytes::from_static(b"from the child"));
            Box::pin(async { Ok(Response::new(body.map_err(|never| match never {}).boxed_unsync())) })
        }
    }

    /// What somebody with an authorization gets, who trusts the door's certificate.
    async fn ask(door: &Door, authorization: Option<String>, tasks: &Tasks) -> (u16, String) {
        let mut access = ClusterAccess::new(&door.url()).unwrap();
        access.trust = Trust::Roots(door.authority().as_bytes().to_vec());
        let direct = Direct::new(access, tasks).unwrap();
        let mut request = Request::post("/api/v1/namespaces?fieldManager=helm");
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        let answer =
            direct.send(request.body(Bytes::from_static(b"{}")).unwrap(), Lane::Short).await.unwrap();
        let code = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (code, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn who_has_the_token_comes_through_without_it_and_nobody_else_does() {
        runtime::tls::install_crypto_provider();
        let (tasks, child) = (Tasks::new(), Arc::new(Child::default()));
        let door = Door::open(&tasks, child.clone()).await.unwrap();
        let other = Door::open(&tasks, child.clone()).await.unwrap();
        let bearer = |door: &Door| format!("Bearer {}", door.token());
        for wrong in [None, Some(String::from("Bearer ")), Some(bearer(&other)), Some(bearer(&door) + "0")] {
            assert_eq!(ask(&door, wrong, &tasks).await.0, 401);
        }
        assert!(child.0.lock().is_empty());
        assert_eq!(ask(&door, Some(bearer(&door)), &tasks).await, (200, String::from("from the child")));
        let came = child.0.lock().pop().unwrap();
        assert_eq!(came.uri().path_and_query().unwrap().as_str(), "/api/v1/namespaces?fieldManager=helm");
        assert_eq!((came.body().as_ref(), came.headers().get(header::AUTHORIZATION)), (&b"{}"[..], None));
        tasks.cancel();
    }

    #[tokio::test]
    async fn with_the_operation_its_door_is_gone() {
        let (tasks, child) = (Tasks::new(), Arc::new(Child::default()));
        let door = Door::open(&tasks, child).await.unwrap();
        let address = door.address;
        drop(door);
        let closed = async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.unwrap();
    }
}
