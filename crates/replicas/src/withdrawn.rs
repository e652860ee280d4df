//! Answers end soon after the store they are read from is taken back.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use apiserver::{Body, BoxError};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::keep::Passing;

/// How long an answer may go on after that: another process is waiting for the store.
pub(crate) const ANSWERS_END_WITHIN: Duration = Duration::from_secs(2);

/// The body, cut off when the store has been gone for a moment. One that is cut never looks complete.
pub(crate) fn until_withdrawn(body: Body, mut stores: Passing) -> Body {
    let withdrawn = async move {
        if stores.wait_for(Option::is_none).await.is_err() {
            // The process ends, and lets its answers end first.
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(ANSWERS_END_WITHIN).await;
    };
    Until { body, withdrawn: Box::pin(withdrawn) }.boxed_unsync()
}

struct Until {
    body: Body,
    withdrawn: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.withdrawn.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err("another hub has the store now; ask again".into())));
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
