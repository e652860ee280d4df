//! One request of somebody else's, over a connection of its own.

use http::{Request, Response, Uri, header};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use runtime::Tasks;

use super::{authorization::Credential, dial::Dialer, target};
use crate::{AccessError, Body, ClusterAccess, Error, error::chain};

/// A request to the API server at an address that passes bytes both ways and may switch protocols: what a person's
/// own request needs, and the requests of a program do not ([`Direct`](crate::Direct) is for those).
///
/// HTTP/1.1, and a connection for each: nothing of a credential outlives its request, and no answer holds up another.
pub struct Exchange {
    access: ClusterAccess,
    credential: Credential,
    dialer: Dialer,
    tasks: Tasks,
}

impl Exchange {
    /// Nothing is connected yet. The connection lives in `tasks`.
    pub fn new(access: ClusterAccess, tasks: &Tasks) -> Result<Self, AccessError> {
        let credential = Credential::new(&access.authorization)?;
        let dialer = Dialer::new(&access, tasks.clone(), &[b"http/1.1"])?;
        Ok(Self { access, credential, dialer, tasks: tasks.clone() })
    }

    /// Sends a request, whose URI is path and query at the API server, and returns the answer as soon as its headers are
    /// there. The `Authorization` header is replaced. Whatever else the caller sent stays, so hop-by-hop and identity
    /// headers are the caller's business, but for those of an upgrade: of an answer with status 101 the connection is to
    /// be taken by `hyper::upgrade::on`. Redirects are not followed.
    ///
    /// # Errors
    /// [`Error::Unreachable`], and [`Error::Broken`] for a path that is none.
    pub async fn send(self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let unreachable =
            |error: hyper::Error| Error::Unreachable(format!("{}: {}", self.access.server(), chain(&error)));
        let (uri, host) = target(&self.access, request.uri())?;
        *request.uri_mut() = uri.path_and_query().cloned().map_or_else(Uri::default, Uri::from);
        *request.version_mut() = http::Version::HTTP_11;
        let headers = request.headers_mut();
        headers.insert(header::HOST, host);
        headers.remove(header::AUTHORIZATION);
        if let Some(value) = self.credential.header().await? {
            headers.insert(header::AUTHORIZATION, value);
        }
        let io = self.dialer.connect().await?;
        let (mut sender, driver) = http1::handshake(TokioIo::new(io)).await.map_err(unreachable)?;
        self.tasks.spawn("request of a caller to a cluster", async move {
            if let Err(error) = driver.with_upgrades().await {
                tracing::debug!(%error, "a connection to a cluster broke off");
            }
        });
        let response = sender.send_request(request).await.map_err(unreachable)?;
        Ok(response.map(|body| body.map_err(Into::into).boxed_unsync()))
    }
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("server", &self.access.server()).finish_non_exhaustive()
    }
}
