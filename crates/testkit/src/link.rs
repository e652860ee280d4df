//! Links that misbehave: what a network does to a connection and a real server never will.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a link does to its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// Passes them on.
    #[default]
    None,
    /// Takes everything and delivers nothing, in either direction: a network that lost its way.
    Swallow,
    /// Takes nothing and delivers what comes: a peer that does not read.
    Stall,
    /// Ends without a word: a process that was killed.
    Cut,
}

/// One end of a connection, over an honest one.
#[derive(Debug)]
pub struct Link<Io> {
    io: Io,
    switch: Switch,
}

/// Changes the fault of a [`Link`] while it is in use.
#[derive(Debug, Clone, Default)]
pub struct Switch {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    fault: Fault,
    waiting: Vec<Waker>,
}

impl<Io> Link<Io> {
    /// A link that is honest until its switch says otherwise. Several links may share a switch.
    pub fn new(io: Io, switch: &Switch) -> Self {
        Self { io, switch: switch.clone() }
    }
}

impl Switch {
    /// From now on the link does this.
    pub fn set(&self, fault: Fault) {
        let waiting = {
            let mut state = self.state.lock();
            state.fault = fault;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// The fault now; whoever waits is woken when it changes.
    fn look(&self, cx: &Context<'_>) -> Fault {
        let mut state = self.state.lock();
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        state.fault
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Link<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.switch.look(cx) {
            Fault::None | Fault::Stall => Pin::new(&mut self.io).poll_read(cx, out),
            Fault::Swallow => Poll::Pending,
            Fault::Cut => Poll::Ready(Ok(())),
        }
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Link<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.switch.look(cx) {
            Fault::None => Pin::new(&mut self.io).poll_write(cx, bytes),
            Fault::Swallow => Poll::Ready(Ok(bytes.len())),
            Fault::Stall => Poll::Pending,
            Fault::Cut => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.switch.look(cx) {
            Fault::None => Pin::new(&mut self.io).poll_flush(cx),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.switch.look(cx) {
            Fault::None => Pin::new(&mut self.io).poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}
