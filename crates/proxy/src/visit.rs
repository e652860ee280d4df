//! `sockets/<id>/proxy/…`: a caller visits a child.

use std::sync::Arc;

use api::names::headers::strip_hop_by_hop;
use apiserver::{Body, Context};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use meta::Status;
use reach::{Error, Target, Upgraded, Visit};
use tokio::time::Instant;
use tracing::debug;

use crate::{
    audit::{Open, Record},
    caller,
    sockets::Inner,
};

/// Serves one visit from the first header to the last byte.
pub(crate) async fn serve(
    inner: Arc<Inner>,
    context: Context,
    cluster: String,
    request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let open = Open::new(record(&context, &cluster, request.method()), &inner.metrics);
    let visit = match plan(&inner, &context, &cluster, &request) {
        Ok(visit) => visit,
        Err(status) => {
            open.end(status.code);
            return Err(status);
        }
    };
    let outcome = if wants_upgrade(&request) {
        switch(&inner, &context, &visit, request, open).await
    } else {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, body.map_err(Into::into).boxed_unsync());
        match inner.reach.send(&visit, request).await {
            Ok(response) => return Ok(open.follow(response)),
            Err(error) => Err((error, open)),
        }
    };
    outcome.map_err(|(error, open)| {
        let status = explain(&error);
        open.end(status.code);
        status
    })
}

fn record(context: &Context, cluster: &str, method: &Method) -> Record {
    Record {
        audit_id: context.audit_id.clone(),
        user: context.user.name.clone(),
        cluster: cluster.to_owned(),
        verb: method.as_str().to_owned(),
        // Queries may hold what is nobody's business (tokens of web pages behind http targets): only the path.
        path: format!("{}{}", context.info.subresource.as_deref().unwrap_or_default(), context.info.tail),
        started: Instant::now(),
    }
}

/// Everything that is decided before the child is asked.
fn plan(
    inner: &Inner,
    context: &Context,
    cluster: &str,
    request: &Request<Incoming>,
) -> Result<Visit, Status> {
    let info = &context.info;
    let alias = info.subresource.as_deref().filter(|name| *name != "proxy");
    let tail = alias.map_or_else(|| info.tail.clone(), |alias| format!("/{alias}{}", info.tail));
    let (target, path) = Target::parse(&tail).map_err(|error| Status::bad_request(error.to_string()))?;
    let query = request.uri().query();
    let runs_long = wants_upgrade(request) || follows(query);
    if alias.is_some() && runs_long {
        return Err(Status::bad_request(format!(
            "Watches, followed logs and upgrades need the path that the parent lets run for long: \
             /apis/{}/{}/sockets/{cluster}/proxy{tail}",
            api::proxies::GROUP,
            api::proxies::VERSION,
        )));
    }
    let path_and_query = query.map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    Ok(Visit {
        cluster: cluster.to_owned(),
        target,
        identity: caller::identity(&context.user, request.headers())?,
        path_and_query,
        deadline: (!runs_long).then_some(inner.options.visit_deadline),
    })
}

/// Whether the caller wants to switch protocols; the server has left the header only where the connection can.
fn wants_upgrade(request: &Request<Incoming>) -> bool {
    request.headers().contains_key(header::UPGRADE)
}

/// Whether the query asks for an answer without an end: a watch or a followed log.
fn follows(query: Option<&str>) -> bool {
    query.is_some_and(|query| {
        query.split('&').filter_map(|pair| pair.split_once('=').or(Some((pair, "true")))).any(
            |(key, value)| {
                matches!(key, "watch" | "follow")
                    && matches!(value, "" | "1" | "t" | "T" | "true" | "TRUE" | "True")
            },
        )
    })
}

/// Carries an upgrade: the child's 101 goes to the caller, then bytes go both ways until one side ends.
async fn switch(
    inner: &Arc<Inner>,
    context: &Context,
    visit: &Visit,
    mut request: Request<Incoming>,
    open: Open,
) -> Result<Response<Body>, (Error, Open)> {
    let caller = hyper::upgrade::on(&mut request);
    let (parts, _) = request.into_parts();
    let (response, mut stream) = match inner.reach.upgrade(visit, Request::from_parts(parts, ())).await {
        Ok(Upgraded::Switched { response, stream }) => (response, stream),
        Ok(Upgraded::Answered(mut response)) => {
            // The caller wanted another protocol on this connection and must not go on as if it had got it.
            response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
            return Ok(open.follow(response));
        }
        Err(error) => return Err((error, open)),
    };
    let place = context.permit.clone();
    inner.tasks.spawn("visit stream", async move {
        let _place = place;
        let Ok(caller) = caller.await else { return open.end(499) };
        match tokio::io::copy_bidirectional(&mut TokioIo::new(caller), &mut stream.io).await {
            Ok((_, to_caller)) => open.end_stream(to_caller),
            Err(error) => {
                debug!(%error, "upgraded stream broke off");
                open.end_stream(0);
            }
        }
    });
    let mut switched = Response::new(apiserver::empty());
    *switched.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *switched.headers_mut() = upgrade_headers(response.headers());
    Ok(switched)
}

/// The headers of the child's 101, with the two that belong to our own connection.
fn upgrade_headers(child: &HeaderMap) -> HeaderMap {
    let mut headers = child.clone();
    let protocol = headers.get(header::UPGRADE).cloned();
    strip_hop_by_hop(&mut headers);
    headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = protocol {
        headers.insert(header::UPGRADE, protocol);
    }
    headers
}

/// What a failed visit says to its caller (contract 4.3).
fn explain(error: &Error) -> Status {
    let text = match error {
        Error::UnknownCluster(id) => format!(
            "No cluster with id {id:?} is registered; kubectl get managedclusters -A shows those that are."
        ),
        Error::NotReady => String::from("The hub has just started and does not know the clusters yet."),
        Error::Disconnected(id) => format!(
            "The agent of cluster {id:?} is disconnected: it holds no tunnel to this hub. kubectl get managedclusters -A \
             -l {}={id} shows when it reported last.",
            api::names::labels::CLUSTER_ID
        ),
        Error::Busy { cluster, limit } => {
            format!("Cluster {cluster:?} already serves {limit} requests of this hub, its limit.")
        }
        Error::Timeout(id) => format!("Cluster {id:?} did not answer in time."),
        Error::Redirect(location) => format!(
            "The server in the child answered with a redirect to {location:?}. Redirects are not followed; ask for that \
             address if it is the right one."
        ),
        Error::Path => String::from("The path or query of the request is not valid."),
        Error::Tunnel { cluster, source } => {
            format!("The connection to cluster {cluster:?} failed: {source}.")
        }
    };
    match error {
        Error::UnknownCluster(_) | Error::Path => Status::bad_request(text),
        Error::Disconnected(_) => Status::bad_request(text).retry_after(5),
        Error::Busy { .. } => Status::too_many_requests(text).retry_after(1),
        Error::Timeout(_) => Status::timeout(text),
        Error::Redirect(_) => Status::bad_gateway(text),
        Error::NotReady | Error::Tunnel { .. } => Status::unavailable(text).retry_after(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_and_followed_logs_are_told_from_short_requests() {
        for (query, long) in [
            ("watch=1", true),
            ("watch=true&x=y", true),
            ("follow=true&tailLines=5", true),
            ("watch", true),
            ("watch=false", false),
            ("watch=0", false),
            ("labelSelector=watch%3D1", false),
            ("", false),
        ] {
            assert_eq!(follows(Some(query)), long, "{query}");
        }
    }
}
