//! What a group version has to bring to be served.

use std::net::SocketAddr;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use meta::Status;

use crate::{Body, RequestInfo, User, limits::Permit};

/// One API group version.
///
/// The server has authenticated the caller, asked for authorisation of [`Api::attributes`], and removed hop-by-hop
/// and identity headers before [`Api::handle`] sees a request.
pub trait Api: Send + Sync + 'static {
    /// The API group.
    fn group(&self) -> &str;

    /// The API version.
    fn version(&self) -> &str;

    /// The resources and subresources, as discovery lists them.
    fn resources(&self) -> Vec<Resource>;

    /// Another number whenever [`Api::resources`] says something else than before.
    fn revision(&self) -> u64 {
        0
    }

    /// Whether its kinds are those of other APIs, by the same names. Their short names then stand only in the document of
    /// this group version, and not in the aggregated one: kubectl would warn of two meanings at every `kubectl get deploy`.
    fn mirrors(&self) -> bool {
        false
    }

    /// An OpenAPI 3 object with the `paths` and `components.schemas` of this group version.
    fn openapi(&self) -> serde_json::Value {
        serde_json::json!({ "paths": {}, "components": { "schemas": {} } })
    }

    /// What the caller must be allowed to do. The default asks for exactly what the path says.
    fn attributes(&self, info: &RequestInfo) -> Attributes {
        Attributes::of(info)
    }

    /// Whether a request may last: it is then exempt from the request deadline. Watches and upgrades always are.
    fn long_running(&self, info: &RequestInfo) -> bool {
        let _ = info;
        false
    }

    /// Whether another replica may ask in a caller's name. Whoever holds the replicas' token can then ask in any name.
    fn takes_relayed(&self) -> bool {
        false
    }

    /// Serves one request. For an upgrade, answer 101 and take the connection from `hyper::upgrade::on(&mut request)`;
    /// keep [`Context::permit`] as long as the upgraded connection lives.
    fn handle(
        &self,
        context: Context,
        request: Request<Incoming>,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>>;
}

/// What the server knows about a request beside the request itself.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who asks.
    pub user: User,
    /// For what.
    pub info: RequestInfo,
    /// The id under which the parent's audit log knows the request; made here for direct callers.
    pub audit_id: String,
    /// From where.
    pub peer: Peer,
    /// The caller's place among the requests in flight; given back when the last clone is dropped. An upgraded
    /// connection holds one for as long as it lives.
    pub permit: Permit,
}

/// The other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address; the parent's API server for aggregated requests.
    pub address: SocketAddr,
    /// Whether it is a trusted front proxy, that is, the parent's API server.
    pub front_proxy: bool,
    /// Whether it is another replica, which was asked first.
    pub relayed: bool,
}

/// What the authoriser is asked: a resource, or a path that is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// The verb, for example `get`.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Namespace; empty for cluster scope.
    pub namespace: String,
    /// Resource (plural); empty means that `path` is asked.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Name of the object, or empty.
    pub name: String,
    /// The path, for requests that are no resources.
    pub path: String,
}

impl Attributes {
    /// Exactly what a request says.
    pub fn of(info: &RequestInfo) -> Self {
        if !info.is_resource {
            return Self { verb: info.verb.clone(), path: info.path.clone(), ..Self::default() };
        }
        Self {
            verb: info.verb.clone(),
            group: info.group.clone(),
            version: info.version.clone(),
            namespace: info.namespace.clone().unwrap_or_default(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone().unwrap_or_default(),
            name: info.name.clone().unwrap_or_default(),
            path: String::new(),
        }
    }

    /// The right to `verb` on a path that is no resource.
    pub fn path(verb: &str, path: &str) -> Self {
        Self { verb: verb.to_owned(), path: path.to_owned(), ..Self::default() }
    }
}

/// A resource or subresource in discovery.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    /// `sockets`, or `sockets/proxy` for a subresource.
    pub name: String,
    /// `socket`; empty for subresources.
    pub singular: String,
    /// `Socket`.
    pub kind: String,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// Short names, for example `ss`.
    pub short_names: Vec<String>,
    /// Categories, for example `all`.
    pub categories: Vec<String>,
    /// The verbs; none for resources that can only be connected to.
    pub verbs: Vec<String>,
    /// Group and version of the kind, where they are not those of the API: a `scale` is `autoscaling`, `v1`.
    pub kind_from: Option<(String, String)>,
}
