//! Requests that the cluster itself answers (contract 4.9).
//!
//! ```text
//! request ─► Wanted (why: subresource, marker, path) ─► rights ─► Way ─► Credential ─► tunnel or address ─► stream
//! ```
//!
//! Nothing of this is there unless the hub's flags say so, all behind one gate: see [`Forwarding`]. A request that goes
//! to a cluster goes with one credential: the caller's for that cluster, or, where the flags allow it, the one with
//! which the cluster is synchronised. The caller's own `Authorization` never leaves the hub, and nobody is anonymous.
//!
//! # Rights
//!
//! The path was allowed before anything here runs. On top of that the caller needs, by the cluster's name:
//!
//! | request | right |
//! |---|---|
//! | any | the verb of its method on `resources/proxy`; `create` for an upgrade, whatever its method |
//! | one without a credential of the caller's | the same verb on `resources/credentials` |
//!
//! So who may search a cluster does not read it with the hub's eyes by that alone.

mod credential;
mod forwarding;
mod send;
mod subresource;
mod wanted;

use api::search::{GROUP, Resources, VERSION};
use apiserver::{Attributes, Authorizer, Body, Permit, RequestInfo, User};
use futures_util::future::BoxFuture;
use http::{Method, Request, Response};
use kubeio::ClusterAccess;
use meta::Status;
use reach::{Reach, wants_upgrade};
use runtime::Tasks;
use store::ClusterName;
use tokio::time::Instant;

use self::{credential::Credential, send::Visit};
pub use forwarding::{Flags, Forwarding};
pub(crate) use subresource::Subresource;
pub(crate) use wanted::{Signs, Wanted};

/// How a cluster is reached.
#[derive(Debug, Clone)]
pub enum Way {
    /// Through the tunnel of the registered cluster with this id.
    Tunnel(String),
    /// At an address, with the credentials its PediaCluster has, if any.
    Address(Box<ClusterAccess>),
}

/// Who knows the ways to clusters.
pub trait Ways: Send + Sync + 'static {
    /// The way to a cluster, now.
    ///
    /// # Errors
    /// What the caller is told.
    fn of<'a>(&'a self, cluster: &'a ClusterName) -> BoxFuture<'a, Result<Way, Status>>;
}

/// Everything that requests to clusters need.
pub struct Live {
    ways: Box<dyn Ways>,
    reach: Reach,
    tasks: Tasks,
    forwarding: Forwarding,
}

/// Who asks, beside the request.
pub(crate) struct Asker<'a> {
    pub(crate) user: &'a User,
    pub(crate) info: &'a RequestInfo,
    pub(crate) audit_id: &'a str,
    /// The caller's place among the requests in flight, kept as long as an upgraded stream.
    pub(crate) permit: Option<Permit>,
}

impl Live {
    /// Requests go over `reach` to registered clusters, and to the addresses that `ways` tells; upgraded streams run in
    /// `tasks`.
    pub fn new(ways: impl Ways, reach: Reach, tasks: Tasks, forwarding: Forwarding) -> Self {
        Self { ways: Box::new(ways), reach, tasks, forwarding }
    }

    pub(crate) fn forwarding(&self) -> &Forwarding {
        &self.forwarding
    }

    /// Sends a request to its cluster and streams the answer.
    pub(crate) async fn serve(
        &self,
        authorizer: &Authorizer,
        cluster: &ClusterName,
        path_and_query: String,
        asker: &Asker<'_>,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Status> {
        let path = path_and_query.split('?').next().unwrap_or_default().to_owned();
        let open = self.reach.record(reach::Record {
            audit_id: asker.audit_id.to_owned(),
            user: asker.user.name.clone(),
            cluster: cluster.as_str().to_owned(),
            verb: request.method().as_str().to_owned(),
            path,
            started: Instant::now(),
        });
        let planned = async {
            let upgrade = wants_upgrade(request.headers());
            let verb = if upgrade { "create" } else { verb(request.method()) };
            require(authorizer, asker.user, verb, "proxy", cluster).await?;
            let given = Credential::take(request.headers_mut())?;
            if given.is_none() {
                self.forwarding.may_lend(cluster)?;
                require(authorizer, asker.user, verb, "credentials", cluster).await?;
            }
            let way = self.ways.of(cluster).await?;
            let route = credential::enter(way, given, request.method(), upgrade, cluster)?;
            let lasts = upgrade || reach::follows(path_and_query.split_once('?').map(|(_, query)| query));
            let deadline = (!lasts).then(|| Instant::now() + self.forwarding.deadline);
            Ok::<_, Status>(Visit {
                route,
                cluster: cluster.as_str().to_owned(),
                path_and_query,
                deadline,
                upgrade,
            })
        };
        match planned.await {
            Ok(visit) => send::send(self, visit, asker.permit.clone(), request, open).await,
            Err(status) => {
                open.end(status.code);
                Err(status)
            }
        }
    }
}

/// The parent's RBAC knows methods as verbs; it knows none for OPTIONS.
fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" | "HEAD" => "get",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}

async fn require(
    authorizer: &Authorizer,
    user: &User,
    verb: &str,
    subresource: &str,
    cluster: &ClusterName,
) -> Result<(), Status> {
    let attributes = Attributes {
        verb: verb.to_owned(),
        group: GROUP.to_owned(),
        version: VERSION.to_owned(),
        resource: Resources::PLURAL.to_owned(),
        subresource: subresource.to_owned(),
        name: cluster.as_str().to_owned(),
        ..Attributes::default()
    };
    authorizer.require(user, &attributes).await
}
