//! The life of one tunnel in the hub.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::FusedFuture};
use h2::{RecvStream, client::SendRequest};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tracing::{info, warn};

use super::{
    Ticket,
    metrics::Metrics,
    tunnel::{Parts, Tunnel, open_session},
};
use crate::{
    Error, limits,
    ws::{self, Meter, Role, Stream, Totals},
};

/// Counts an open tunnel for as long as it lives, however it ends.
struct Counted<'a>(&'a Metrics);

impl<'a> Counted<'a> {
    fn new(metrics: &'a Metrics) -> Self {
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

/// The HTTP/2 connection: a tunnel lives as long as this is polled. Nobody else holds its bytes.
type Connection = Pin<Box<dyn FusedFuture<Output = ()> + Send>>;

/// An agent that has shown that it serves.
struct Proven {
    connection: Connection,
    sender: SendRequest<Bytes>,
    /// The stream whose end tells that the agent drains.
    session: RecvStream,
    meter: Arc<Meter>,
}

/// Proves the tunnel, registers it, waits for a reason to end it, drains it.
pub(super) async fn run(ticket: Ticket, io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let registry = &ticket.registry.clone();
    let metrics = &registry.inner.metrics;
    let group = registry.inner.tasks.token();
    let proven = tokio::select! {
        proven = prove(io, metrics.bytes.clone()) => proven,
        () = group.cancelled() => return,
    };
    let Proven { mut connection, sender, mut session, meter } = match proven {
        Ok(proven) => proven,
        Err(error) => {
            warn!(%error, "a tunnel could not be set up");
            return;
        }
    };
    let parts = Parts {
        tasks: registry.inner.tasks.clone(),
        requests: metrics.requests.clone(),
        streams: metrics.streams.clone(),
    };
    let (cluster, hello) = (ticket.cluster.clone(), ticket.hello.clone());
    let tunnel = Tunnel::new(registry.next_id(), cluster, hello, sender, meter, parts);
    let entered = registry.enter(&tunnel);
    drop(ticket);
    match entered {
        Ok(Some(old)) => old.retire(),
        Ok(None) => {}
        Err(refused) => {
            metrics.refused(&refused);
            warn!(reason = refused.reason(), "a tunnel lost a race");
            return drain(&tunnel, connection, session).await;
        }
    }
    let counted = Counted::new(metrics);
    info!(agent_version = tunnel.hello().agent_version, "tunnel opened");
    let reason = tokio::select! {
        () = &mut connection => "the connection broke",
        () = tunnel.retired() => "replaced, or the hub drains",
        () = group.cancelled() => "the hub shuts down",
        () = ended(&mut session) => "the agent drains",
    };
    registry.leave(&tunnel);
    drain(&tunnel, connection, session).await;
    drop(counted);
    let (cause, lifetime) = (tunnel.meter().cause(), tunnel.since().elapsed());
    metrics.ended(cause.map_or("drained", ws::Error::reason), lifetime);
    let cause = cause.map(tracing::field::display);
    info!(reason, cause, seconds = lifetime.as_secs(), "tunnel closed");
}

/// Sets the connection up and has the agent answer once: by that its settings are known, and that it serves.
async fn prove(
    io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    totals: Totals,
) -> Result<Proven, Error> {
    let (stream, meter) = Stream::new(io, Role::Server, totals);
    let handshake = limits::client().handshake(stream).await;
    let (sender, connection) = handshake.map_err(|error| Error::Protocol(error.to_string()))?;
    let mut connection: Connection = Box::pin(connection.map(|_| ()).fuse());
    let session = tokio::select! {
        session = timeout(limits::READY_TIMEOUT, open_session(sender.clone())) => {
            session.unwrap_or_else(|_| Err(Error::Protocol(String::from("the agent did not answer in time"))))
        }
        () = &mut connection => Err(Error::Protocol(String::from("the connection ended at once"))),
    };
    match session {
        Ok(session) => Ok(Proven { connection, sender, session, meter }),
        Err(error) => Err(meter.cause().map_or(error, |cause| Error::Lost(cause.clone()))),
    }
}

/// Takes no new requests, lets the running ones finish and closes the connection, each within its limit of time.
async fn drain(tunnel: &Tunnel, mut connection: Connection, session: RecvStream) {
    tunnel.retire();
    let drained = async {
        let _ = timeout(limits::DRAIN_DEADLINE, tunnel.idle()).await;
        // The last stream; without it h2 says good-bye and ends the connection.
        drop(session);
        tokio::time::sleep(limits::CLOSE_TIMEOUT).await;
    };
    tokio::select! {
        () = &mut connection => {}
        () = drained => {}
    }
}

/// The session's body never carries anything; its end is the message.
async fn ended(session: &mut RecvStream) {
    while let Some(Ok(_)) = session.data().await {}
}
