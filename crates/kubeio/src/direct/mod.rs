//! The transport that goes to an address: TLS, HTTP/2, a few connections, kept.
//!
//! ```text
//! Direct ─► Pool of short requests ─┐
//!        └► Pool of watches ────────┴► Dialer (TCP, TLS, HTTP/2 or HTTP/1.1) ─► Connection ─► Slot ─► body
//! ```

mod authorization;
mod connection;
mod dial;
mod exchange;
mod pool;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use runtime::Tasks;

pub use self::exchange::Exchange;
use self::{authorization::Credential, dial::Dialer, pool::Pool};
use crate::{AccessError, Body, ClusterAccess, Error, Lane, Transport};

/// The API server at an address.
///
/// Requests share HTTP/2 connections, [at most 64](connection) on each so that no unread answer can hold up another;
/// watches have connections of their own. A connection is made when it is needed, kept while it is used, closed after
/// a minute without requests, and given up when the server leaves a PING unanswered. A server that speaks no HTTP/2
/// gets HTTP/1.1, one connection for each request under way.
///
/// A GET that a dying connection left without an answer is sent once more over another. Nothing else is repeated.
pub struct Direct {
    access: ClusterAccess,
    credential: Credential,
    short: Pool,
    watches: Pool,
}

impl Direct {
    /// A transport to `access`; nothing is connected yet. The connections live in `tasks`.
    pub fn new(access: ClusterAccess, tasks: &Tasks) -> Result<Self, AccessError> {
        let credential = Credential::new(&access.authorization)?;
        let dialer = Arc::new(Dialer::new(&access, tasks.clone(), &tls::ANY_PROTOCOL)?);
        let pool = || Pool::new(Arc::clone(&dialer), tasks.clone());
        Ok(Self { short: pool(), watches: pool(), access, credential })
    }

    async fn deliver(&self, request: Request<Bytes>, lane: Lane) -> Result<Response<Body>, Error> {
        let request = self.addressed(request).await?;
        let pool = match lane {
            Lane::Short => &self.short,
            Lane::Watch => &self.watches,
        };
        let response = pool.send(request).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.credential.refused();
        }
        Ok(response)
    }

    /// Makes a request for a path one for this server.
    async fn addressed(&self, request: Request<Bytes>) -> Result<Request<Bytes>, Error> {
        let (mut parts, body) = request.into_parts();
        parts.uri = target(&self.access, &parts.uri)?.0;
        if let Some(value) = self.credential.header().await? {
            parts.headers.insert(header::AUTHORIZATION, value);
        }
        parts.headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
        Ok(Request::from_parts(parts, body))
    }
}

/// The whole URI of a path at the server, and the value of its `Host` header.
fn target(access: &ClusterAccess, path: &Uri) -> Result<(Uri, HeaderValue), Error> {
    let invalid = || Error::Broken(String::from("the path of the request is not valid"));
    let path = path.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let server = &access.server;
    let authority = server.authority().map_or("", http::uri::Authority::as_str);
    let uri = Uri::builder()
        .scheme(server.scheme_str().unwrap_or("https"))
        .authority(authority)
        .path_and_query(format!("{}{path}", access.prefix()))
        .build();
    Ok((uri.map_err(|_| invalid())?, HeaderValue::from_str(authority).map_err(|_| invalid())?))
}

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("clusterway/", env!("CARGO_PKG_VERSION")));

impl Transport for Direct {
    fn send(&self, request: Request<Bytes>, lane: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(self.deliver(request, lane))
    }
}

impl std::fmt::Debug for Direct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Direct").field("server", &self.access.server()).finish_non_exhaustive()
    }
}
