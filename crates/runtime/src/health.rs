//! A small plain-HTTP server for probes and metrics, for programs that serve nothing else.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{OnError, Tasks, metrics::Metrics};

/// Says whether the program is ready, or why not.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Connections served at once; more wait in the listener's queue.
const CONNECTIONS: usize = 16;

/// Serves `/healthz`, `/livez`, `/readyz` and `/metrics` on `address` until the group ends. Meant for a loopback
/// address or a Pod's own: there is no login, and nothing secret is shown.
pub async fn serve(
    tasks: &Tasks,
    address: SocketAddr,
    ready: Ready,
    metrics: Metrics,
) -> std::io::Result<SocketAddr> {
    let listener = Arc::new(TcpListener::bind(address).await?);
    let bound = listener.local_addr()?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let group = tasks.clone();
    tasks.supervise("health server", OnError::Restart, move || {
        let (listener, places, group) = (listener.clone(), places.clone(), group.clone());
        let (ready, metrics) = (ready.clone(), metrics.clone());
        async move {
            loop {
                let place = places.clone().acquire_owned().await?;
                let (connection, _) = listener.accept().await?;
                let (ready, metrics) = (ready.clone(), metrics.clone());
                group.spawn("health connection", async move {
                    let answer = service_fn(|request| {
                        std::future::ready(Ok::<_, Infallible>(answer(&request, &ready, &metrics)))
                    });
                    // A prober that breaks off is no news.
                    let _ = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(std::time::Duration::from_secs(5))
                        .serve_connection(TokioIo::new(connection), answer)
                        .await;
                    drop(place);
                });
            }
        }
    });
    Ok(bound)
}

fn answer(request: &Request<Incoming>, ready: &Ready, metrics: &Metrics) -> Response<Full<bytes::Bytes>> {
    let (status, kind, text) = match request.uri().path() {
        "/healthz" | "/livez" => (StatusCode::OK, "text/plain", String::from("ok")),
        "/readyz" => match ready() {
            Ok(()) => (StatusCode::OK, "text/plain", String::from("ok")),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", why),
        },
        "/metrics" => (StatusCode::OK, Metrics::CONTENT_TYPE, metrics.encode()),
        _ => (StatusCode::NOT_FOUND, "text/plain", String::from("not found")),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
