//! One request's HTTP/2 stream: the upload, the answer's body, and the bytes behind an upgrade.
//!
//! This is done on h2 itself and not on hyper's client, for one reason: giving a request up must reset its stream at
//! once, also while an upload is waiting for room in a window that nobody will open any more.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use h2::{Reason, RecvStream, SendStream};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use prometheus_client::metrics::gauge::Gauge;
use runtime::CancellationToken;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::{sync::DropGuard, task::task_tracker::TaskTrackerToken};

use crate::{Body, BoxError};

/// The most that is copied at once for an upgrade.
const PIECE: usize = 16 * 1024;

/// One request under way, from its beginning to the end of its answer. Dropping it gives the request up.
pub(super) struct Flight {
    _counted: TaskTrackerToken,
    gauge: Gauge,
    gives_up: Option<DropGuard>,
}

impl Flight {
    pub(super) fn new(counted: TaskTrackerToken, gauge: Gauge) -> Self {
        gauge.inc();
        Self { _counted: counted, gauge, gives_up: None }
    }

    /// What ends when the request is given up.
    pub(super) fn given_up(&mut self) -> CancellationToken {
        let token = CancellationToken::new();
        self.gives_up = Some(token.clone().drop_guard());
        token
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}

/// Sends a request's body, as fast as the agent takes it, until its end or until the request is given up.
pub(super) async fn upload(body: Body, mut to: SendStream<Bytes>, given_up: CancellationToken) {
    let sent = given_up.run_until_cancelled(send_body(body, &mut to)).await;
    if !matches!(sent, Some(Ok(()))) {
        to.send_reset(Reason::CANCEL);
    }
}

async fn send_body(mut body: Body, to: &mut SendStream<Bytes>) -> Result<(), BoxError> {
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(mut data) => {
                let last = body.is_end_stream();
                while data.has_remaining() {
                    to.reserve_capacity(data.len());
                    let room = poll_fn(|cx| poll_room(to, cx)).await?;
                    let piece = data.split_to(room.min(data.len()));
                    to.send_data(piece, last && data.is_empty())?;
                }
                if last {
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    to.reserve_capacity(0);
                    return Ok(to.send_trailers(trailers)?);
                }
            }
        }
    }
    Ok(to.send_data(Bytes::new(), true)?)
}

/// Waits for some of the capacity that was reserved.
fn poll_room(to: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Poll<Result<usize, h2::Error>> {
    loop {
        // Room that is there already is never announced again.
        let room = to.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room));
        }
        match ready!(to.poll_capacity(cx)) {
            Some(announced) => announced?,
            None => return Poll::Ready(Err(Reason::STREAM_CLOSED.into())),
        };
    }
}

/// The streamed body of an answer. Dropping it before its end resets the stream: the agent stops at once.
pub struct ResponseBody {
    body: RecvStream,
    data_ended: bool,
    /// Bytes still to come, if the answer's headers said.
    length: Option<u64>,
    _flight: Flight,
}

impl ResponseBody {
    pub(super) fn new(body: RecvStream, length: Option<u64>, flight: Flight) -> Self {
        Self { body, data_ended: false, length, _flight: flight }
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.data_ended {
            match ready!(self.body.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Whoever took the bytes took them: the agent may send as many again.
                    let _ = self.body.flow_control().release_capacity(data.len());
                    self.length = self.length.map(|length| length.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                // The agent has said everything; an upload it did not want to the end is no failure (RFC 9113, 8.1).
                Some(Err(error))
                    if error.reason() == Some(Reason::NO_ERROR) && self.length.unwrap_or(0) == 0 =>
                {
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => self.data_ended = true,
            }
        }
        let trailers = ready!(self.body.poll_trailers(cx))?;
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").field("length", &self.length).finish_non_exhaustive()
    }
}

/// The bytes behind a granted upgrade. Dropping it ends the stream on both sides.
pub struct UpgradedIo {
    sending: SendStream<Bytes>,
    receiving: RecvStream,
    /// Received and not read yet.
    unread: Bytes,
    shut: bool,
    _flight: Flight,
}

impl UpgradedIo {
    pub(super) fn new(sending: SendStream<Bytes>, receiving: RecvStream, flight: Flight) -> Self {
        Self { sending, receiving, unread: Bytes::new(), shut: false, _flight: flight }
    }
}

impl AsyncRead for UpgradedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.receiving.poll_data(cx)) {
                Some(Ok(data)) => self.unread = data,
                Some(Err(error)) => {
                    let ended = matches!(error.reason(), Some(Reason::NO_ERROR | Reason::CANCEL));
                    return Poll::Ready(if ended { Ok(()) } else { Err(io_error(error)) });
                }
                None => return Poll::Ready(Ok(())),
            }
        }
        let taken = self.unread.len().min(out.remaining());
        out.put_slice(&self.unread[..taken]);
        self.unread.advance(taken);
        let _ = self.receiving.flow_control().release_capacity(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for UpgradedIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let wanted = bytes.len().min(PIECE);
        self.sending.reserve_capacity(wanted);
        let room = ready!(poll_room(&mut self.sending, cx)).map_err(io_error)?;
        let piece = &bytes[..wanted.min(room)];
        self.sending.send_data(Bytes::copy_from_slice(piece), false).map_err(io_error)?;
        Poll::Ready(Ok(piece.len()))
    }

    /// The tunnel's own task sends what was written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shut {
            self.shut = true;
            self.sending.send_data(Bytes::new(), true).map_err(io_error)?;
        }
        Poll::Ready(Ok(()))
    }
}

fn io_error(error: h2::Error) -> io::Error {
    let kind = match (error.get_io(), error.reason()) {
        (Some(cause), _) => cause.kind(),
        (None, Some(Reason::STREAM_CLOSED | Reason::CANCEL | Reason::NO_ERROR)) => io::ErrorKind::BrokenPipe,
        (None, _) => io::ErrorKind::ConnectionReset,
    };
    io::Error::new(kind, error)
}
