//! The life of one tunnel in the hub.

use futures_util::FutureExt as _;
use h2::RecvStream;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, timeout},
};
use tracing::{info, warn};

use super::{
    Registry, Ticket,
    tunnel::{Parts, Tunnel, open_session},
};
use crate::{
    Error, limits,
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
    let (stream, meter) = Stream::new(io, Role::Server, metrics.bytes.clone());
    let (sender, connection) = match limits::client().handshake(stream).await {
        Ok(both) => both,
        Err(error) => {
            warn!(%cluster, %error, "a tunnel could not be set up");
            return;
        }
    };
    // The connection lives and dies with this function: nobody else holds the bytes.
    let mut connection = Box::pin(connection.map(|_| ()).fuse());
    let session = tokio::select! {
        session = timeout(limits::READY_TIMEOUT, open_session(sender.clone())) => {
            session.unwrap_or_else(|_| Err(Error::Protocol(String::from("the agent did not answer in time"))))
        }
        () = &mut connection => Err(Error::Protocol(String::from("the connection ended at once"))),
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

    let parts =
        Parts { tasks: tasks.clone(), requests: metrics.requests.clone(), streams: metrics.streams.clone() };
    let tunnel = Tunnel::new(registry.next_id(), cluster, hello, sender, meter.clone(), parts);
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
        () = &mut connection => "the connection broke",
        () = tunnel.retired() => "replaced, or the hub drains",
        () = group.cancelled() => "the hub shuts down",
        () = ended(&mut session) => "the agent drains",
    };
    tunnel.retire();
    registry.leave(&tunnel);
    let drained = async {
        tokio::select! {
            () = tunnel.idle() => {}
            () = tokio::time::sleep(limits::DRAIN_DEADLINE) => {}
        }
        // The last stream; without it h2 says good-bye and ends the connection.
        drop(session);
        tokio::time::sleep(limits::CLOSE_TIMEOUT).await;
    };
    tokio::select! {
        () = &mut connection => {}
        () = drained => {}
    }
    drop(connection);
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
async fn ended(session: &mut RecvStream) {
    while let Some(Ok(_)) = session.data().await {}
}
