//! The life of one tunnel in the hub.

use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use runtime::CancellationToken;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tracing::{info, warn};

use super::{
    Registry, Ticket,
    tunnel::{Tunnel, open_session},
};
use crate::{
    Error,
    error::chain,
    limits,
    streams::Executor,
    ws::{Role, Stream},
};

/// Counts an open tunnel for as long as it lives, however it ends.
struct Counted<'a>(&'a super::metrics::Metrics);

impl<'a> Counted<'a> {
    fn new(metrics: &'a super::metrics::Metrics) -> Self {
        metrics.connections.inc();
        metrics.opened.inc();
        Self(metrics)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// Proves the tunnel, registers it, waits for a reason to end it, drains it.
pub(super) async fn run(
    registry: Registry,
    ticket: Ticket,
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) {
    let Ticket { cluster, hello } = ticket;
    let metrics = &registry.inner.metrics;
    let tasks = &registry.inner.tasks;
    let group = tasks.token();
    // Whatever happens here, nothing of this tunnel outlives this function.
    let kill = CancellationToken::new();
    let _killed = kill.clone().drop_guard();

    let (stream, meter) = Stream::new(io, Role::Server, metrics.bytes.clone());
    let builder = limits::client(Executor::new(tasks.clone(), kill));
    let (mut sender, connection) = match builder.handshake(TokioIo::new(stream)).await {
        Ok(both) => both,
        Err(error) => {
            warn!(%cluster, error = chain(&error), "a tunnel could not be set up");
            return;
        }
    };
    // hyper's half that hands requests over; its other half runs in the executor until the last stream has ended.
    let mut driver = Box::pin(connection.map(|_| ()).fuse());
    let session = tokio::select! {
        session = timeout(limits::READY_TIMEOUT, open_session(&mut sender)) => {
            session.unwrap_or_else(|_| Err(Error::Protocol(String::from("the agent did not answer in time"))))
        }
        () = &mut driver => Err(Error::Protocol(String::from("the connection ended at once"))),
        () = group.cancelled() => return,
    };
    let mut session = match session {
        Ok(session) => session,
        Err(error) => {
            let error = meter.cause().map_or(error, |cause| Error::Lost(cause.clone()));
            warn!(%cluster, instance = hello.instance, %error, "a tunnel could not be set up");
            return;
        }
    };

    let counters = (metrics.requests.clone(), metrics.streams.clone());
    let tunnel = Tunnel::new(registry.next_id(), cluster, hello, sender, meter.clone(), counters);
    let started = Instant::now();
    match registry.enter(&tunnel) {
        Ok(Some(old)) => old.retire(),
        Ok(None) => {}
        Err(refused) => {
            metrics.refused(&refused);
            info!(
                cluster = tunnel.cluster(),
                instance = tunnel.hello().instance,
                reason = refused.reason(),
                "a tunnel lost a race"
            );
            return;
        }
    }
    let counted = Counted::new(metrics);
    info!(
        cluster = tunnel.cluster(),
        instance = tunnel.hello().instance,
        epoch = tunnel.hello().epoch,
        agent_version = tunnel.hello().agent_version,
        "tunnel opened"
    );

    let reason = tokio::select! {
        () = meter.closed() => "the connection broke",
        () = tunnel.retired() => "replaced, or the hub drains",
        () = group.cancelled() => "the hub shuts down",
        () = ended(&mut session) => "the agent drains",
        () = &mut driver => "the agent closes",
    };
    tunnel.retire();
    registry.leave(&tunnel);
    {
        let driving = async {
            (&mut driver).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = meter.closed() => {}
            () = tunnel.idle() => {}
            () = tokio::time::sleep(limits::DRAIN_DEADLINE) => {}
            () = driving => {}
        }
    }
    // Without the driver hyper closes the connection in order as soon as no stream is left; what is left then is
    // killed at the end of this function.
    drop((session, driver));
    let _ = timeout(limits::CLOSE_TIMEOUT, meter.closed()).await;
    drop(counted);
    let cause = meter.cause();
    metrics.ended(cause.map_or("drained", crate::ws::Error::reason), started.elapsed());
    info!(
        cluster = tunnel.cluster(),
        instance = tunnel.hello().instance,
        reason,
        cause = cause.map(tracing::field::display),
        seconds = started.elapsed().as_secs(),
        "tunnel closed"
    );
}

/// The session's body never carries anything; its end is the message.
async fn ended(session: &mut Incoming) {
    while let Some(Ok(_)) = session.frame().await {}
}
