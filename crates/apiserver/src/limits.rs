//! How much one caller may ask at once, how long an answer may take, how big a body may be.

use std::{
    collections::HashMap,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use meta::Status;
use parking_lot::Mutex;
use tokio::time::{Instant, Sleep};

use crate::{Body, BoxError};

/// The limits of a server. The defaults suit a hub with ten thousand agents.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Requests of one user in flight, watches and upgraded connections included; more are answered 429.
    pub in_flight_per_caller: usize,
    /// Requests in flight altogether; more are answered 429.
    pub in_flight: usize,
    /// How long a request may take, answer included, unless it is a watch, an upgrade or declared long-running.
    pub request_deadline: Duration,
    /// Request line and headers, bytes; more are answered 431.
    pub header_bytes: usize,
    /// How long a client may take to send its headers, or keep an HTTP/1.1 connection idle.
    pub header_timeout: Duration,
    /// How long a connection may stay open without anybody who can be named.
    pub nameless_deadline: Duration,
    /// Connections; more wait to be accepted.
    pub connections: usize,
    /// How long a TLS handshake may take.
    pub handshake_deadline: Duration,
    /// HTTP/2 streams of the parent, which sends everything over one connection.
    pub streams_of_front_proxy: u32,
    /// HTTP/2 streams of every other connection.
    pub streams_per_connection: u32,
    /// How long requests in flight may go on after the server was told to end.
    pub drain_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight_per_caller: 1_000,
            in_flight: 20_000,
            request_deadline: Duration::from_secs(60),
            header_bytes: 64 * 1024,
            // Above the 90 s after which Go's clients close an idle connection themselves.
            header_timeout: Duration::from_secs(120),
            nameless_deadline: Duration::from_secs(30),
            connections: 20_000,
            handshake_deadline: Duration::from_secs(10),
            streams_of_front_proxy: 10_000,
            streams_per_connection: 2_000,
            drain_deadline: Duration::from_secs(30),
        }
    }
}

/// Reads a request body of at most `limit` bytes within `deadline`.
///
/// # Errors
/// 413 for a longer body, 408 for a slow one, 400 for one that breaks off.
pub async fn collect<B>(body: B, limit: usize, deadline: Duration) -> Result<Bytes, Status>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let too_large = || {
        Status::too_large(format!(
            "The request body is longer than the limit of {limit} bytes; send less at once."
        ))
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let slow = || {
        Status::new(
            408,
            "Timeout",
            format!("The request body did not arrive within {} s.", deadline.as_secs()),
        )
    };
    let collected =
        tokio::time::timeout(deadline, Limited::new(body, limit).collect()).await.map_err(|_| slow())?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Status::bad_request("The request body broke off; send the request again.")),
    }
}

/// Counts requests in flight, per caller and altogether.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    per_caller: usize,
    altogether: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    callers: HashMap<Arc<str>, usize>,
}

/// A place among the requests in flight, given back when the last clone is dropped.
#[derive(Clone)]
pub struct Permit {
    _place: Arc<Place>,
}

impl std::fmt::Debug for Permit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Permit")
    }
}

struct Place {
    caller: Arc<str>,
    counts: Arc<Mutex<Counts>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.total = counts.total.saturating_sub(1);
        if let Some(count) = counts.callers.get_mut(&self.caller) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.callers.remove(&self.caller);
            }
        }
    }
}

impl InFlight {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (per_caller, altogether) = (limits.in_flight_per_caller, limits.in_flight);
        Self { per_caller, altogether, counts: Arc::default() }
    }

    /// A place for one more request of `caller`, or the 429 that refuses it.
    pub(crate) fn admit(&self, caller: &str) -> Result<Permit, Status> {
        let mut counts = self.counts.lock();
        if counts.total >= self.altogether {
            let message = "The server has as many requests in flight as it may have. Try again in a moment.";
            return Err(Status::too_many_requests(message).retry_after(1));
        }
        let caller: Arc<str> =
            counts.callers.get_key_value(caller).map_or_else(|| caller.into(), |(key, _)| key.clone());
        let count = counts.callers.entry(caller.clone()).or_default();
        if *count >= self.per_caller {
            let message = format!(
                "User {caller:?} has {count} requests in flight, which is the limit. Wait for some of them to end."
            );
            return Err(Status::too_many_requests(message).retry_after(1));
        }
        *count += 1;
        counts.total += 1;
        Ok(Permit { _place: Arc::new(Place { caller, counts: self.counts.clone() }) })
    }

    #[cfg(test)]
    pub(crate) fn total(&self) -> usize {
        self.counts.lock().total
    }
}

/// A body that breaks off at `deadline`, and has its company with it until it ends.
pub fn held<T: Send + Unpin + 'static>(body: Body, deadline: Option<Instant>, company: T) -> Body {
    Held::new(body, deadline, company).boxed_unsync()
}

/// An answer's body on its way out: it is cut at the deadline, and its company is dropped when it ends.
pub(crate) struct Held<T> {
    inner: Option<Body>,
    timer: Option<Pin<Box<Sleep>>>,
    company: Option<T>,
}

impl<T> Held<T> {
    pub(crate) fn new(inner: Body, deadline: Option<Instant>, company: T) -> Self {
        let timer = deadline.map(|at| Box::pin(tokio::time::sleep_until(at)));
        let mut body = Self { inner: Some(inner), timer, company: Some(company) };
        body.finish_if_ended();
        body
    }

    fn finish_if_ended(&mut self) {
        if self.inner.as_ref().is_none_or(HttpBody::is_end_stream) {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.inner = None;
        self.timer = None;
        self.company = None;
    }
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(context).is_ready()
        {
            self.finish();
            return Poll::Ready(Some(Err("the answer took longer than the request deadline".into())));
        }
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_frame(context);
        match &polled {
            Poll::Ready(None | Some(Err(_))) => self.finish(),
            Poll::Ready(Some(Ok(_))) => self.finish_if_ended(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::full;

    #[test]
    fn a_caller_at_the_limit_is_told_when_to_come_back_and_others_are_not_disturbed() {
        let in_flight = InFlight::new(&Limits { in_flight_per_caller: 2, ..Limits::default() });
        let first = in_flight.admit("jane").unwrap();
        let _second = in_flight.admit("jane").unwrap();
        let refused = in_flight.admit("jane").unwrap_err();
        assert_eq!(refused.code, 429);
        assert_eq!(refused.details.unwrap().retry_after_seconds, Some(1));
        let _other = in_flight.admit("john").unwrap();
        let copy = first.clone();
        drop(first);
        assert!(in_flight.admit("jane").is_err(), "a clone holds the place");
        drop(copy);
        assert!(in_flight.admit("jane").is_ok());
    }

    #[test]
    fn nothing_is_remembered_of_callers_that_left() {
        let in_flight = InFlight::new(&Limits { in_flight: 3, ..Limits::default() });
        let permits: Vec<_> = (0..3).map(|n| in_flight.admit(&n.to_string()).unwrap()).collect();
        assert_eq!(in_flight.admit("one more").unwrap_err().code, 429);
        drop(permits);
        assert!(in_flight.counts.lock().callers.is_empty());
        assert_eq!(in_flight.total(), 0);
    }

    #[tokio::test]
    async fn a_body_above_the_limit_is_refused_whether_it_says_its_length_or_not() {
        let second = Duration::from_secs(1);
        assert_eq!(collect(full("12345"), 5, second).await.unwrap(), "12345");
        assert_eq!(collect(full("123456"), 5, second).await.unwrap_err().code, 413);
        let chunks = futures_util::stream::iter(
            ["123", "456"].map(|text| Ok::<_, BoxError>(Frame::data(Bytes::from(text)))),
        );
        assert_eq!(collect(http_body_util::StreamBody::new(chunks), 5, second).await.unwrap_err().code, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_a_408() {
        let never = futures_util::stream::pending::<Result<Frame<Bytes>, BoxError>>();
        let status =
            collect(http_body_util::StreamBody::new(never), 5, Duration::from_secs(3)).await.unwrap_err();
        assert_eq!(status.code, 408);
    }
}
