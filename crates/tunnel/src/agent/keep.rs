//! Staying connected.

use std::sync::Arc;

use http::{Request, Response};
use hyper::{body::Incoming, service::Service};
use runtime::Tasks;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{Dial, Ended, Metrics, connect, schedule::Schedule, serve};
use crate::{Body, BoxError};

/// What is known of the connection to the parent, for conditions, health checks and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Whether a tunnel is up.
    pub connected: bool,
    /// The hub process at its other end, while connected.
    pub hub_instance: Option<String>,
    /// Why there is none, or why the last one ended, in words for a person.
    pub last_error: Option<String>,
    /// Failures in a row, the loss of a tunnel included.
    pub failures: u32,
    /// Tunnels opened since the start.
    pub opened: u64,
    /// When the next try is due, while not connected.
    pub next_try: Option<Instant>,
}

/// Dials, serves and dials again until `tasks` ends, then drains.
///
/// Every try uses the newest value of `dial`; a new one (a fresh token, another address) ends a wait at once. After a
/// failure the next try is spread at random, never later than 60 s, and not before a Retry-After of the parent has
/// passed.
pub async fn keep<S>(
    mut dial: watch::Receiver<Arc<Dial>>,
    service: S,
    state: watch::Sender<State>,
    metrics: Metrics,
    tasks: &Tasks,
) where
    S: Service<Request<Incoming>, Response = Response<Body>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    let group = tasks.token();
    let mut schedule = Schedule::default();
    loop {
        let current = dial.borrow_and_update().clone();
        let connection = tokio::select! {
            connection = connect(&current) => connection,
            () = group.cancelled() => return,
        };
        let (error, wait) = match connection {
            Err(error) => (error.to_string(), schedule.failed(error.retry_after())),
            Ok(connection) => {
                let hub = connection.welcome.hub_instance.clone();
                info!(hub, "tunnel to the parent opened");
                state.send_modify(|state| {
                    let opened = state.opened + 1;
                    *state = State { connected: true, hub_instance: Some(hub), opened, ..State::default() };
                });
                metrics.opened.inc();
                metrics.connected.inc();
                let started = Instant::now();
                let ended = serve(connection, service.clone(), &metrics, tasks).await;
                metrics.connected.dec();
                let error = match ended {
                    Ok(Ended::Drained) => {
                        state
                            .send_modify(|state| *state = State { opened: state.opened, ..State::default() });
                        return;
                    }
                    Ok(Ended::ByHub) => String::from("the hub closed the tunnel"),
                    Err(error) => error.to_string(),
                };
                (error, schedule.lost(started.elapsed()))
            }
        };
        metrics.failures.inc();
        let failures = schedule.failures();
        warn!(error, failures, wait_ms = wait.as_millis() as u64, "no tunnel to the parent, trying again");
        state.send_modify(|state| {
            *state = State {
                last_error: Some(error),
                failures,
                opened: state.opened,
                next_try: Some(Instant::now() + wait),
                ..State::default()
            };
        });
        tokio::select! {
            () = sleep(wait) => {}
            () = changed(&mut dial) => {}
            () = group.cancelled() => return,
        }
    }
}

/// Resolves when there is another value; never if there will be none any more.
async fn changed(dial: &mut watch::Receiver<Arc<Dial>>) {
    if dial.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
