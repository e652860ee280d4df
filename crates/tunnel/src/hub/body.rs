//! Bodies of requests and answers that know that they belong together.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use prometheus_client::metrics::gauge::Gauge;
use runtime::CancellationToken;
use tokio_util::{
    sync::{DropGuard, WaitForCancellationFutureOwned},
    task::task_tracker::TaskTrackerToken,
};

use crate::{Body, BoxError};

/// One request under way, from its beginning to the end of its answer. Dropping it gives the request up: what is
/// still being sent is reset.
#[derive(Debug)]
pub(super) struct Flight {
    _counted: TaskTrackerToken,
    gauge: Gauge,
    _gives_up: Option<DropGuard>,
}

impl Flight {
    pub(super) fn new(counted: TaskTrackerToken, gauge: Gauge) -> Self {
        gauge.inc();
        Self { _counted: counted, gauge, _gives_up: None }
    }

    /// Ties the request's body to this flight: an answer nobody waits for any more needs no upload either.
    pub(super) fn tie(&mut self, body: Body) -> Body {
        if body.is_end_stream() {
            return body;
        }
        let token = CancellationToken::new();
        let given_up = Box::pin(token.clone().cancelled_owned());
        self._gives_up = Some(token.drop_guard());
        Body::new(Tied { body, given_up })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

struct Tied {
    body: Body,
    given_up: Pin<Box<WaitForCancellationFutureOwned>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the caller gave the request up")]
struct GivenUp;

impl http_body::Body for Tied {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.given_up.poll_unpin(cx).is_ready() {
            return Poll::Ready(Some(Err(GivenUp.into())));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The streamed body of an answer. Dropping it before its end resets the stream: the agent stops at once.
#[derive(Debug)]
pub struct ResponseBody {
    body: Incoming,
    _flight: Flight,
}

impl ResponseBody {
    pub(super) fn new(body: Incoming, flight: Flight) -> Self {
        Self { body, _flight: flight }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
