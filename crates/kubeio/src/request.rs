//! A request, and an answer that is what was asked for.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use meta::Status;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{Body, Error, Lane, Transport};

/// The headers of an answer come within this time: an API server itself gives a request up after 60 s.
pub(crate) const ANSWER: Duration = Duration::from_secs(65);
/// An answer that stops for so long has ended.
pub(crate) const IDLE: Duration = Duration::from_secs(30);
/// What is read of a refusal.
const REFUSAL: usize = 64 * 1024;

pub(crate) const JSON: &str = "application/json";

/// The body of a small answer to GET `path` (with its query), in JSON if the server has a choice: a version, a probe.
///
/// More than `limit` bytes are [`Error::Broken`].
pub async fn get(transport: &dyn Transport, path: &str, limit: usize) -> Result<Bytes, Error> {
    let accept = "application/json, */*";
    read(open(transport, path, accept, Lane::Short).await?.into_body(), limit).await
}

/// Sends GET and returns the answer if it is a success that was not encoded on the way.
pub(crate) async fn open(
    transport: &dyn Transport,
    path: &str,
    accept: &str,
    lane: Lane,
) -> Result<Response<Body>, Error> {
    let request = Request::get(path)
        .header(header::ACCEPT, accept)
        // Watches come compressed event by event if they may be, and a list gains nothing on a fast network.
        .header(header::ACCEPT_ENCODING, "identity")
        .body(Bytes::new())
        .map_err(|_| Error::Broken(String::from("the path of the request is not valid")))?;
    let answer = timeout(ANSWER, transport.send(request, lane)).await;
    let response = answer.map_err(|_| no_answer())??;
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    match text(response.headers(), header::CONTENT_ENCODING) {
        "" | "identity" => Ok(response),
        other => Err(Error::Broken(format!("it is encoded as {other:?}, which was not asked for"))),
    }
}

pub(crate) fn no_answer() -> Error {
    Error::Unreachable(format!("no answer for {} s", ANSWER.as_secs()))
}

/// [`open`], for an answer that has to be JSON.
pub(crate) async fn open_json(
    transport: &dyn Transport,
    path: &str,
    accept: &str,
    lane: Lane,
) -> Result<Response<Body>, Error> {
    let response = open(transport, path, accept, lane).await?;
    let content_type = text(response.headers(), header::CONTENT_TYPE);
    if content_type.split(';').next().is_some_and(|media| media.trim() == JSON) {
        return Ok(response);
    }
    Err(Error::Broken(format!("it is {content_type:?} and not JSON: another server may stand in between")))
}

/// The whole body, if it is not longer than `limit`.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, Error> {
    let mut chunks = Chunks::new(body);
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunks.next(Instant::now() + IDLE).await? {
        if whole.len() + chunk.len() > limit {
            return Err(Error::Broken(format!("it is longer than {limit} bytes")));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

/// The bytes of a body as they come.
#[derive(Debug)]
pub(crate) struct Chunks(Body);

impl Chunks {
    pub(crate) fn new(body: Body) -> Self {
        Self(body)
    }

    /// The next bytes, which have to come before `deadline`; nothing at the end. May be cancelled and asked again.
    pub(crate) async fn next(&mut self, deadline: Instant) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = timeout_at(deadline, self.0.frame()).await;
            let frame = frame.map_err(|_| Error::Unreachable(String::from("the answer stopped coming")))?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(Error::Unreachable(format!(
                        "the answer broke off: {}",
                        crate::error::chain(&*error)
                    )));
                }
            }
        }
    }
}

/// What an answer other than success means.
async fn refusal(response: Response<Body>) -> Error {
    if response.status().is_redirection() {
        return Error::Broken(format!("it is a redirect ({}), which is not followed", response.status()));
    }
    status_of(response).await.into()
}

/// What an answer other than success says, for whoever has to know more than what it means: which fields are wrong, who
/// denies. At most 64 KiB of it are read. Kubernetes quotes what it refuses: nothing of it is for logs.
pub async fn status_of(response: Response<Body>) -> Status {
    let (parts, body) = response.into_parts();
    let retry_after = text(&parts.headers, header::RETRY_AFTER).parse::<u32>().ok();
    // What cannot be read is as good as empty: the number says enough.
    let body = read(body, REFUSAL).await.unwrap_or_default();
    let mut status = serde_json::from_slice::<Status>(&body).unwrap_or_else(|_| no_status(parts.status));
    // The number on the outside is what a server in between may have changed.
    status.code = parts.status.as_u16();
    if let Some(seconds) = retry_after {
        status = status.retry_after(seconds);
    }
    status
}

/// For a server, or something before it, that says no more than a number.
fn no_status(code: StatusCode) -> Status {
    let text = code.canonical_reason().unwrap_or("an unknown status");
    Status::new(code.as_u16(), "", format!("the server answered {} {text}", code.as_u16()))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// How often a request that failed in passing is sent again, and how long to wait before.
#[derive(Debug)]
pub(crate) struct Patience {
    backoff: runtime::Backoff,
}

/// Times a request is sent again.
const RETRIES: u32 = 4;
/// The longest wait before that.
const WAIT: Duration = Duration::from_secs(30);

impl Patience {
    pub(crate) fn new() -> Self {
        Self { backoff: runtime::Backoff::new(Duration::from_millis(500), WAIT) }
    }

    /// When to send again after `error`; nothing if it will not help, or was tried often enough, or the server wants
    /// a longer rest than is waited for here.
    pub(crate) fn again(&mut self, error: &Error) -> Option<Instant> {
        if !error.is_passing() || self.backoff.failures() >= RETRIES {
            return None;
        }
        let wait = self.backoff.next();
        let wait = match error.retry_after() {
            Some(asked) if asked > WAIT => return None,
            // Not all of those who were told the same come back in the same moment.
            Some(asked) => asked + wait.min(asked.max(Duration::from_secs(1)) / 4),
            None => wait,
        };
        Some(Instant::now() + wait)
    }
}
