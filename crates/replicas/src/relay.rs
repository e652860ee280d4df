//! The way to the replica that holds the store.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ::api::names::headers::{AUDIT_ID, strip_hop_by_hop};
use apiserver::{Body, Context, asks_to_watch, collect, write_identity};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use kubeio::{Authorization, ClusterAccess, Direct, Lane, Transport as _, Trust};
use meta::Status;
use parking_lot::Mutex;
use prometheus_client::metrics::{counter::Counter, family::Family};
use runtime::{Tasks, metrics::Metrics};
use tokio::sync::watch;
use tracing::warn;

use crate::Holder;

/// Searches have no bodies worth mentioning.
const LONGEST_BODY: usize = 64 * 1024;
const BODY_ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// How replicas reach each other.
#[derive(Debug)]
pub struct RelayOptions {
    /// This replica's identity in the Lease.
    pub identity: String,
    /// The name in the certificate of every replica.
    pub server_name: String,
    /// The authorities of these certificates, PEM; see [`apiserver::serving::ServingCertificate::bundle`].
    pub authorities: watch::Receiver<String>,
    /// The credential of the account that all replicas share.
    pub credential: Authorization,
}

/// Passes requests on to the replica that holds the store.
///
/// The caller has been authenticated and allowed the path here. The holder is told who it is, with the credential of the
/// replicas' own account, and asks for the caller's rights again.
pub struct Relay {
    tasks: Tasks,
    holder: watch::Receiver<Option<Holder>>,
    options: RelayOptions,
    /// The way to the last holder, and the authorities it was made with.
    way: Mutex<Option<(SocketAddr, String, Arc<Direct>)>>,
    requests: Family<Vec<(&'static str, &'static str)>, Counter>,
}

impl Relay {
    /// Relays to `holder`, whoever that is at the time; connections live in `tasks`.
    pub fn new(
        tasks: &Tasks,
        holder: watch::Receiver<Option<Holder>>,
        options: RelayOptions,
        metrics: &Metrics,
    ) -> Self {
        let help = "Requests relayed to the hub that has the store, by outcome";
        let requests = metrics.add("clusterway_relay_requests", help, Family::default());
        Self { tasks: tasks.clone(), holder, options, way: Mutex::default(), requests }
    }

    /// Sends a request to the holder and streams its answer, whatever that is.
    ///
    /// # Errors
    /// 503, with a time to come back, if there is no holder that can be reached.
    pub(crate) async fn pass_on(
        &self,
        context: &Context,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Status> {
        let relayed = self.ask(context, request).await;
        let outcome = if relayed.is_ok() { "answered" } else { "failed" };
        self.requests.get_or_create(&vec![("outcome", outcome)]).inc();
        relayed
    }

    async fn ask(&self, context: &Context, request: Request<Incoming>) -> Result<Response<Body>, Status> {
        let mut holders = self.holder.clone();
        let holder = holders.borrow_and_update().clone();
        let way = self.way(self.address(holder.as_ref())?)?;
        let watches = asks_to_watch(request.uri().query().unwrap_or_default());
        let lane = if watches { Lane::Watch } else { Lane::Short };
        let request = addressed(context, request).await?;
        let answer = tokio::select! {
            answer = way.send(request, lane) => answer,
            // One that has died without a word is not waited for longer than its Lease lasts.
            Ok(_) = holders.wait_for(|now| *now != holder) => return Err(Status::unavailable(
                "The store of the search has gone to another hub. Try again in a moment.",
            ).retry_after(1)),
        };
        let answer = answer.map_err(|error| {
            warn!(%error, "the hub that has the store of the search is not reached");
            Status::unavailable(
                "The hub that has the store of the search does not answer. If it has ended, another takes over when its \
                 Lease has expired. Try again in a few seconds.",
            )
            .retry_after(5)
        })?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            warn!("the hub that has the store of the search does not accept this hub's credential");
            return Err(Status::unavailable(
                "The hub that has the store of the search does not take this hub for one of its own: all hubs have to \
                 run as the ServiceAccount of deploy/hub.",
            )
            .retry_after(30));
        }
        let (mut parts, body) = answer.into_parts();
        strip_hop_by_hop(&mut parts.headers);
        Ok(Response::from_parts(parts, body))
    }

    /// Where to, or why there is nowhere to go.
    fn address(&self, holder: Option<&Holder>) -> Result<SocketAddr, Status> {
        let Some(holder) = holder else {
            return Err(Status::unavailable(
                "No hub has the store of the search at the moment. Try again in a few seconds; if this lasts, no hub was \
                 given one (--data-dir), or its log tells why it cannot be opened.",
            )
            .retry_after(2));
        };
        if holder.identity == self.options.identity {
            return Err(Status::unavailable(
                "This hub is about to open the store of the search. Try again in a moment; if this lasts, its log tells \
                 why.",
            )
            .retry_after(1));
        }
        holder.address.ok_or_else(|| {
            Status::unavailable(
                "The hub that has the store of the search does not say where the other hubs reach it: give every hub \
                 an --advertise-address.",
            )
            .retry_after(10)
        })
    }

    /// The connections to a holder; those to the one before end by themselves.
    fn way(&self, address: SocketAddr) -> Result<Arc<Direct>, Status> {
        let authorities = self.options.authorities.borrow().clone();
        let mut way = self.way.lock();
        if let Some((known, trusted, direct)) = &*way
            && (*known, trusted) == (address, &authorities)
        {
            return Ok(direct.clone());
        }
        let direct = self.connect(address, &authorities).map_err(|error| {
            warn!(%error, "nothing can be relayed to the hub that has the store of the search");
            Status::unavailable(
                "This hub cannot reach the one that has the store of the search; its log tells why.",
            )
            .retry_after(10)
        })?;
        *way = Some((address, authorities, direct.clone()));
        Ok(direct)
    }

    fn connect(&self, address: SocketAddr, authorities: &str) -> Result<Arc<Direct>, kubeio::AccessError> {
        let mut access = ClusterAccess::new(&format!("https://{address}"))?;
        access.trust = Trust::Roots(authorities.as_bytes().to_vec());
        access.server_name = Some(self.options.server_name.clone());
        access.authorization = self.options.credential.clone();
        Ok(Arc::new(Direct::new(access, &self.tasks)?))
    }
}

/// The request as the holder gets it: the same, in the caller's name.
async fn addressed(context: &Context, request: Request<Incoming>) -> Result<Request<Bytes>, Status> {
    let (mut parts, body) = request.into_parts();
    let body = collect(body, LONGEST_BODY, BODY_ARRIVES_WITHIN).await?;
    strip_hop_by_hop(&mut parts.headers);
    for name in [header::HOST, header::CONTENT_LENGTH, header::EXPECT] {
        parts.headers.remove(name);
    }
    write_identity(&context.user, &mut parts.headers)?;
    if let Ok(id) = HeaderValue::from_str(&context.audit_id) {
        parts.headers.insert(AUDIT_ID, id);
    }
    let mut relayed = Request::new(body);
    *relayed.method_mut() = parts.method;
    *relayed.uri_mut() = parts.uri;
    *relayed.headers_mut() = parts.headers;
    Ok(relayed)
}
