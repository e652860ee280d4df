//! `sockets/<id>/attach`: an agent opens its tunnel.

use std::str::FromStr as _;

use api::names;
use apiserver::{Body, Context};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use meta::Status;
use tracing::{info, warn};
use tunnel::Hello;

use crate::sockets::Inner;

/// Checks that the caller is the agent of `cluster`, answers the WebSocket upgrade and hands the connection to the
/// registry of tunnels.
pub(crate) async fn serve(
    inner: &Inner,
    context: &Context,
    cluster: &str,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    belongs(inner, context, cluster)?;
    let Some(accept) = tunnel::ws::accept_key(request.headers()) else {
        return Err(Status::bad_request(
            "A tunnel is a WebSocket: the request needs Connection: Upgrade, Upgrade: websocket, version 13 and a key.",
        ));
    };
    let hello = Hello::try_from(request.headers())
        .map_err(|error| Status::bad_request(sentence(&error.to_string())))?;
    let ticket = inner.registry.admit(cluster, &hello).map_err(|refused| {
        warn!(%cluster, instance = %hello.instance, epoch = hello.epoch, reason = %refused, "tunnel refused");
        Status::conflict(sentence(&refused.to_string()))
    })?;
    let upgrade = hyper::upgrade::on(&mut request);
    let registry = inner.registry.clone();
    let name = cluster.to_owned();
    inner.tasks.spawn(format!("tunnel handshake {cluster}"), async move {
        match upgrade.await {
            Ok(connection) => registry.serve(ticket, TokioIo::new(connection)),
            Err(error) => {
                warn!(cluster = %name, %error, "the connection of a tunnel was lost during its handshake")
            }
        }
    });
    info!(%cluster, instance = %hello.instance, epoch = hello.epoch, agent = %hello.agent_version, "tunnel accepted");
    let mut response = Response::new(apiserver::full(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    inner.registry.greet(headers);
    Ok(response)
}

/// The parent's RBAC has already said yes; this says it a second time in code: the tunnel of a cluster is opened by a
/// ServiceAccount of the cluster's own namespace and by nobody else, administrators included.
fn belongs(inner: &Inner, context: &Context, cluster: &str) -> Result<(), Status> {
    let directory = inner.reach.directory();
    let Some(registered) = directory.get(cluster) else {
        if !directory.is_complete() {
            return Err(Status::unavailable("The hub has just started and does not know the clusters yet.")
                .retry_after(1));
        }
        return Err(Status::bad_request(format!("No cluster with id {cluster:?} is registered.")));
    };
    let expected = format!("system:serviceaccount:{}:{}", registered.namespace, names::CHILD_SERVICE_ACCOUNT);
    if context.user.name == expected {
        return Ok(());
    }
    Err(Status::forbidden(format!(
        "The tunnel of cluster {cluster:?} is opened by {expected:?}, not by {:?}.",
        context.user.name
    )))
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let rest = String::from_str(chars.as_str()).unwrap_or_default();
    let end = if rest.ends_with('.') { "" } else { "." };
    format!("{first}{rest}{end}")
}
