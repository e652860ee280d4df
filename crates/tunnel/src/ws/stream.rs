//! The byte stream over frames.

use std::{
    future::Future as _,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{
    DEAD_AFTER, Error, Meter, PING_AFTER, Role, Totals,
    frame::{self, Header, Kind, MAX_CONTROL, MAX_HEADER, MAX_SENT},
};

/// Frames without payload in a row after which other tasks get their turn.
const FRAMES_PER_TURN: u32 = 64;
/// With this much waiting to be sent, more must wait. A little above one frame: HTTP/2's own frame header would go out
/// alone otherwise.
const HIGH_WATER: usize = MAX_SENT + 1024;
/// The writing buffer is given back when it is empty and larger than this.
const KEPT_CAPACITY: usize = 4 * 1024;

/// A WebSocket over `io`, after its handshake, as a byte stream.
pub struct Stream<Io> {
    io: Io,
    role: Role,
    reading: Reading,
    /// After a data frame that said that its message goes on.
    in_message: bool,
    /// Whole frames on their way out.
    wire: BytesMut,
    /// The latest ping to answer. Only the latest: a peer that pings and does not read costs no memory.
    ping: Option<Control>,
    /// Whether bytes went to `io` that it has not flushed.
    unflushed: bool,
    /// Whether our Close frame is written.
    said_goodbye: bool,
    watch: Watch,
    meter: Arc<Meter>,
}

/// Where in the peer's frames we are.
enum Reading {
    Header {
        bytes: [u8; MAX_HEADER],
        have: usize,
    },
    Payload {
        left: u64,
        mask: Option<[u8; 4]>,
        offset: usize,
    },
    Control {
        kind: Kind,
        mask: Option<[u8; 4]>,
        length: usize,
        got: Control,
    },
    /// The peer said good-bye.
    Closed,
}

impl Reading {
    const START: Self = Self::Header { bytes: [0; MAX_HEADER], have: 0 };
}

/// Payload of a control frame.
#[derive(Clone, Copy)]
struct Control {
    bytes: [u8; MAX_CONTROL],
    have: usize,
}

/// Looks after the peer: when something last came from it, and since when it takes nothing.
struct Watch {
    heard: Instant,
    stuck_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Stream<Io> {
    /// The stream and what can be known of it from outside. `totals` is counted up too.
    pub fn new(io: Io, role: Role, totals: Totals) -> (Self, Arc<Meter>) {
        let meter = Arc::new(Meter::new(totals));
        let now = Instant::now();
        let watch = Watch {
            heard: now,
            stuck_since: None,
            timer: Box::pin(tokio::time::sleep_until(now + PING_AFTER)),
        };
        let stream = Self {
            io,
            role,
            reading: Reading::START,
            in_message: false,
            wire: BytesMut::new(),
            ping: None,
            unflushed: false,
            said_goodbye: false,
            watch,
            meter: meter.clone(),
        };
        (stream, meter)
    }

    #[cfg(test)]
    pub(super) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Ends the stream: notes the cause, tells the peer if that is possible at once.
    fn fail(&mut self, cx: &mut Context<'_>, cause: Error) -> io::Error {
        self.meter.failed(&cause);
        self.reading = Reading::Closed;
        self.goodbye(cause.close_code());
        let _ = self.poll_drain(cx);
        cause.into()
    }

    fn goodbye(&mut self, code: u16) {
        if !self.said_goodbye {
            self.said_goodbye = true;
            frame::write(&mut self.wire, self.role, Kind::Close, 2, [code.to_be_bytes().as_slice()]);
        }
    }

    /// Reads what the frame at hand still needs, through `into`; `Ok(0)` is the end of `io`.
    fn poll_fill(io: &mut Io, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Error>> {
        let mut buffer = ReadBuf::new(into);
        ready!(Pin::new(io).poll_read(cx, &mut buffer)).map_err(|cause| Error::Io(Arc::new(cause)))?;
        let got = buffer.filled().len();
        if got == 0 { Poll::Ready(Err(Error::Cut)) } else { Poll::Ready(Ok(got)) }
    }

    /// Payload into `out`, or its end: nothing more comes.
    fn poll_payload(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<Result<(), Error>> {
        for _ in 0..FRAMES_PER_TURN {
            match &mut self.reading {
                Reading::Closed => return Poll::Ready(Ok(())),
                Reading::Header { bytes, have } => {
                    let needed = if *have < 2 { 2 } else { frame::header_length([bytes[0], bytes[1]]) };
                    if *have < needed {
                        *have += ready!(Self::poll_fill(&mut self.io, cx, &mut bytes[*have..needed]))?;
                        self.watch.heard = Instant::now();
                        continue;
                    }
                    let header = frame::parse(&bytes[..needed], self.role, self.in_message)?;
                    self.begin(header);
                }
                Reading::Payload { left: 0, .. } => self.reading = Reading::START,
                Reading::Payload { left, mask, offset } => {
                    let room = out.remaining().min(*left as usize);
                    let into = out.initialize_unfilled_to(room);
                    let got = ready!(Self::poll_fill(&mut self.io, cx, into))?;
                    if let Some(mask) = *mask {
                        frame::apply_mask(&mut into[..got], mask, *offset);
                    }
                    *left -= got as u64;
                    *offset += got;
                    out.advance(got);
                    self.watch.heard = Instant::now();
                    self.meter.count_received(got);
                    return Poll::Ready(Ok(()));
                }
                Reading::Control { kind, mask, length, got } => {
                    if got.have < *length {
                        got.have +=
                            ready!(Self::poll_fill(&mut self.io, cx, &mut got.bytes[got.have..*length]))?;
                        self.watch.heard = Instant::now();
                        continue;
                    }
                    if let Some(mask) = *mask {
                        frame::apply_mask(&mut got.bytes[..*length], mask, 0);
                    }
                    let (kind, got) = (*kind, *got);
                    self.reading = Reading::START;
                    self.control(kind, got);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A header is complete.
    fn begin(&mut self, header: Header) {
        let Header { kind, length, mask, unfinished } = header;
        self.in_message = unfinished;
        self.reading = match kind {
            Kind::Data => Reading::Payload { left: length, mask, offset: 0 },
            kind => {
                let got = Control { bytes: [0; MAX_CONTROL], have: 0 };
                Reading::Control { kind, mask, length: length as usize, got }
            }
        };
    }

    /// A control frame is complete.
    fn control(&mut self, kind: Kind, content: Control) {
        match kind {
            Kind::Ping => self.ping = Some(content),
            Kind::Close => {
                // 1005: no code was given.
                let code = content.bytes[..content.have]
                    .first_chunk()
                    .map_or(1005, |code| u16::from_be_bytes(*code));
                self.meter.failed(&Error::Closed(code));
                self.reading = Reading::Closed;
                self.goodbye(1000);
            }
            Kind::Pong | Kind::Data => {}
        }
    }

    /// Sends what is waiting, as far as `io` takes it.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let io_failed = |cause| Error::Io(Arc::new(cause));
        loop {
            if self.wire.is_empty()
                && let Some(ping) = self.ping.take()
                && !self.said_goodbye
            {
                let content = &ping.bytes[..ping.have];
                frame::write(&mut self.wire, self.role, Kind::Pong, content.len(), [content]);
            }
            if self.wire.is_empty() {
                break;
            }
            match Pin::new(&mut self.io).poll_write(cx, &self.wire) {
                Poll::Pending => {
                    self.watch.stuck_since.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Error::Cut)),
                Poll::Ready(written) => {
                    self.wire.advance(written.map_err(io_failed)?);
                    self.watch.stuck_since = None;
                    self.unflushed = true;
                }
            }
        }
        if self.wire.capacity() > KEPT_CAPACITY {
            self.wire = BytesMut::new();
        }
        if self.unflushed {
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Pending => {
                    self.watch.stuck_since.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
                Poll::Ready(flushed) => flushed.map_err(io_failed)?,
            }
            self.watch.stuck_since = None;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Called before every wait: asks a silent peer for a sign of life, and gives a dead one up.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        while self.watch.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if self.watch.stuck_since.is_some_and(|since| now - since >= DEAD_AFTER) {
                return Err(Error::Stalled);
            }
            let silent = now - self.watch.heard;
            if silent >= DEAD_AFTER {
                return Err(Error::Silent);
            }
            let mut next = self.watch.heard + PING_AFTER;
            if silent >= PING_AFTER {
                next = self.watch.heard + DEAD_AFTER;
                // With bytes already waiting to be sent the peer has enough to show that it lives.
                if self.wire.is_empty() && !self.said_goodbye {
                    frame::write(&mut self.wire, self.role, Kind::Ping, 0, []);
                }
            }
            self.watch.timer.as_mut().reset(next);
        }
        Ok(())
    }

    /// What every operation does while it waits.
    fn waiting<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Err(cause) = self.poll_watch(cx) {
            return Poll::Ready(Err(self.fail(cx, cause)));
        }
        match self.poll_drain(cx) {
            Poll::Ready(Err(cause)) => Poll::Ready(Err(self.fail(cx, cause))),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// One frame with the beginning of `parts`.
    fn poll_send(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.said_goodbye {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.wire.len() >= HIGH_WATER {
            match self.poll_drain(cx) {
                Poll::Pending => return self.waiting(cx),
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(self.fail(cx, cause))),
                Poll::Ready(Ok(())) => {}
            }
        }
        let length = parts.iter().map(|part| part.len()).sum::<usize>().min(MAX_SENT);
        if length > 0 {
            frame::write(&mut self.wire, self.role, Kind::Data, length, parts.iter().map(|part| &**part));
            self.meter.count_sent(length);
        }
        Poll::Ready(Ok(length))
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<Io> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match this.poll_payload(cx, out) {
            Poll::Ready(Ok(())) => {
                if matches!(this.reading, Reading::Closed) {
                    // Our good-bye, as far as it goes; whoever reads the end may never write again.
                    let _ = this.poll_drain(cx);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(cause)) => Poll::Ready(Err(this.fail(cx, cause))),
            Poll::Pending => this.waiting(cx),
        }
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<Io> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.poll_drain(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(cause)) => Poll::Ready(Err(this.fail(cx, cause))),
            Poll::Pending => this.waiting(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.goodbye(1000);
        match this.poll_drain(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut this.io).poll_shutdown(cx),
            Poll::Ready(Err(cause)) => Poll::Ready(Err(this.fail(cx, cause))),
            Poll::Pending => this.waiting(cx),
        }
    }
}

impl<Io> Drop for Stream<Io> {
    fn drop(&mut self) {
        self.meter.dropped();
    }
}
