//! A connection to a cluster, whatever it is made of.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};

use crate::Error;

/// An error of whoever produces a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A streamed body. Dropping it cancels the request.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// How long a request is going to last. Watches do not share connections with requests whose answers are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Ends by itself in a short time: a list, discovery, a probe.
    Short,
    /// Lasts for minutes: a watch.
    Watch,
}

/// The way to the API server of one cluster.
///
/// [`Direct`](crate::Direct) goes to an address. A tunnel to the cluster is another one.
pub trait Transport: Send + Sync + 'static {
    /// Sends a request and returns the answer as soon as its headers are there, whatever its status.
    ///
    /// The URI of `request` is path and query at the API server (`/api/v1/pods?limit=500`). Credentials, `Host` and
    /// `User-Agent` are the transport's business. Redirects are not followed. Nothing is read of the body beyond the
    /// window of its stream until it is polled.
    ///
    /// Errors are [`Error::Unreachable`], [`Error::TooManyRequests`] if the way there is full, and
    /// [`Error::Unauthorized`] if the credential cannot be read.
    fn send(&self, request: Request<Bytes>, lane: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>>;

    /// Waits until a way that may be shut opens, from this call on (not from the first poll): a retry need not wait for its
    /// time then. An address never tells.
    fn opened(&self) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}
