//! A cluster for tests: answers as it is told, and remembers what it was asked.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response, header};
use http_body::Frame;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;

use crate::{Body, BoxError, Error, Lane, Transport};

/// One answer of the fake.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    pieces: VecDeque<Piece>,
}

/// What a body does next.
enum Piece {
    Data(Bytes),
    Breaks,
    Stalls,
}

/// 200 with this JSON.
pub(crate) fn ok(body: impl Into<Bytes>) -> Answer {
    Answer { status: 200, headers: Vec::new(), pieces: VecDeque::new() }.then(body)
}

/// A failure with a `Status` of this code.
pub(crate) fn refused(status: u16) -> Answer {
    let body = meta::Status::new(status, "", "the fake says so").to_json();
    Answer { status, ..ok(body) }
}

impl Answer {
    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// More of the body.
    pub(crate) fn then(mut self, body: impl Into<Bytes>) -> Self {
        self.pieces.push_back(Piece::Data(body.into()));
        self
    }

    /// The connection breaks here.
    pub(crate) fn breaks(mut self) -> Self {
        self.pieces.push_back(Piece::Breaks);
        self
    }

    /// Nothing comes any more, and no end either.
    pub(crate) fn stalls(mut self) -> Self {
        self.pieces.push_back(Piece::Stalls);
        self
    }
}

/// What the fake was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) lane: Lane,
}

type Handler = dyn Fn(&Asked) -> Answer + Send + Sync;

pub(crate) struct Fake {
    handler: Box<Handler>,
    asked: Mutex<Vec<Asked>>,
    pieces_read: Arc<Mutex<usize>>,
}

impl Fake {
    /// Answers what `handler` says.
    pub(crate) fn new(handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { handler: Box::new(handler), asked: Mutex::default(), pieces_read: Arc::default() })
    }

    /// Gives these answers, one after the other, and after them 500.
    pub(crate) fn script(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        Self::new(move |_| answers.lock().pop_front().unwrap_or_else(|| refused(500)))
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// The paths that were asked for.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }

    /// Pieces of bodies that were read.
    pub(crate) fn pieces_read(&self) -> usize {
        *self.pieces_read.lock()
    }
}

impl Transport for Fake {
    fn send(&self, request: Request<Bytes>, lane: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let asked = Asked { path: request.uri().to_string(), headers: request.headers().clone(), lane };
        let answer = (self.handler)(&asked);
        self.asked.lock().push(asked);
        let mut response = Response::builder().status(answer.status);
        if !answer.headers.iter().any(|(name, _)| *name == "content-type") {
            response = response.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in answer.headers {
            response = response.header(name, value);
        }
        let body = Pieces { left: answer.pieces, read: Arc::clone(&self.pieces_read) };
        let response = response.body(body.boxed_unsync()).unwrap();
        Box::pin(async { Ok(response) })
    }
}

struct Pieces {
    left: VecDeque<Piece>,
    read: Arc<Mutex<usize>>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        *self.read.lock() += 1;
        match self.left.pop_front() {
            None => Poll::Ready(None),
            Some(Piece::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Piece::Breaks) => Poll::Ready(Some(Err("connection reset".into()))),
            Some(Piece::Stalls) => {
                self.left.push_front(Piece::Stalls);
                Poll::Pending
            }
        }
    }
}

/// A pod as JSON.
pub(crate) fn pod(name: &str, version: u64) -> String {
    format!(r#"{{"metadata":{{"name":"{name}","namespace":"default","resourceVersion":"{version}"}}}}"#)
}

/// A page of pods: as a server writes it, up to its end.
pub(crate) fn page(version: &str, token: &str, pods: &[&str]) -> String {
    let metadata = format!(r#"{{"resourceVersion":"{version}","continue":"{token}"}}"#);
    format!(r#"{{"kind":"PodList","apiVersion":"v1","metadata":{metadata},"items":[{}]}}"#, pods.join(","))
}

/// An event of a watch.
pub(crate) fn event(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}
