//! `sockets/<id>/attach`: an agent opens its tunnel.

use api::names;
use apiserver::{Body, Context};
use http::{Request, Response};
use hyper::body::Incoming;
use meta::Status;
use reach::Registered;
use tracing::{info, warn};

use crate::sockets::Inner;

/// Checks that the caller is the agent of `cluster` and hands the connection to the registry of tunnels.
pub(crate) fn serve(
    inner: &Inner,
    context: &Context,
    cluster: &str,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let registered = belongs(inner, context, cluster)?;
    match inner.registry.accept(cluster, &mut request) {
        Ok(switched) => {
            info!(%cluster, user = %context.user.name, "tunnel accepted");
            Ok(switched)
        }
        Err(refused) => {
            warn!(%cluster, reason = refused.reason(), %refused, "tunnel refused");
            inner.refusals.tell(&inner.tasks, &registered, &refused);
            Err(refused.status())
        }
    }
}

/// The parent's RBAC has already said yes; this says it a second time in code: the tunnel of a cluster is opened by the
/// ServiceAccount of the cluster's own namespace and by nobody else, administrators included.
fn belongs(inner: &Inner, context: &Context, cluster: &str) -> Result<Registered, Status> {
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
        return Ok(registered);
    }
    Err(Status::forbidden(format!(
        "The tunnel of cluster {cluster:?} is opened by {expected:?}, not by {:?}.",
        context.user.name
    )))
}
