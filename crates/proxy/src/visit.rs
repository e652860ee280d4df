//! `sockets/<id>/proxy/…`: a caller visits a child.

use std::sync::Arc;

use apiserver::{Body, Context};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use meta::Status;
use reach::{Error, Open, Record, Target, Upgraded, Visit, follows, wants_upgrade};
use tokio::time::Instant;
use tracing::debug;

use crate::{caller, sockets::Inner};

/// Serves one visit from the first header to the last byte.
pub(crate) async fn serve(
    inner: Arc<Inner>,
    context: Context,
    cluster: String,
    request: Request<Incoming>,
) -> Result<Response<Body>, Status> {
    let open = inner.reach.record(record(&context, &cluster, request.method()));
    let visit = match plan(&inner, &context, &cluster, &request) {
        Ok(visit) => visit,
        Err(status) => {
            open.end(status.code);
            return Err(status);
        }
    };
    let outcome = if wants_upgrade(request.headers()) {
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
        let status = error.status();
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
    let runs_long = wants_upgrade(request.headers()) || follows(query);
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
    *switched.headers_mut() = reach::upgrade_headers(response.headers());
    Ok(switched)
}
