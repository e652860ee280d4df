//! The connections of one kind of requests.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use parking_lot::Mutex;
use runtime::Tasks;
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep},
};
use tracing::debug;

use super::{
    connection::{Connection, Opened, Slot},
    dial::Dialer,
};
use crate::{Body, Error, error::chain};

/// A connection without requests is closed after this time.
const IDLE: Duration = Duration::from_secs(60);

/// Connections to one server, as many as the requests under way need.
pub(super) struct Pool {
    dialer: Arc<Dialer>,
    tasks: Tasks,
    open: Arc<Open>,
    /// One at a time connects: what it connects has room for those who wait behind it.
    dialling: Semaphore,
    /// The server speaks HTTP/1.1: nobody finds room on a connection of somebody else.
    single: AtomicBool,
    /// When connecting failed last, and why.
    failure: Mutex<Option<(Instant, Error)>>,
}

#[derive(Default)]
struct Open(Mutex<Vec<Arc<Connection>>>);

impl Pool {
    pub(super) fn new(dialer: Arc<Dialer>, tasks: Tasks) -> Self {
        Self {
            dialer,
            tasks,
            open: Arc::default(),
            dialling: Semaphore::new(1),
            single: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Sends `request` on a connection with room. A GET that got no answer because the connection ended is sent once
    /// more.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, Error> {
        let request = request.map(Full::new);
        let again = (request.method() == Method::GET).then(|| request.clone());
        let answer = match (self.try_send(request).await, again) {
            (Err(Failed::Lost(cause)), Some(again)) => {
                debug!(%cause, "a connection to a cluster ended under a request");
                self.try_send(again).await
            }
            (answer, _) => answer,
        };
        answer.map_err(|failed| match failed {
            Failed::Lost(cause) => Error::Unreachable(cause),
            Failed::NotConnected(error) => error,
        })
    }

    async fn try_send(&self, request: Request<Full<Bytes>>) -> Result<Response<Body>, Failed> {
        let slot = self.slot().await.map_err(Failed::NotConnected)?;
        slot.send(request).await.map_err(|error| Failed::Lost(chain(&error)))
    }

    /// A place for a request, on a new connection if need be.
    async fn slot(&self) -> Result<Slot, Error> {
        if let Some(slot) = self.open.slot() {
            return Ok(slot);
        }
        let asked = Instant::now();
        let _turn =
            if self.single.load(Ordering::Relaxed) { None } else { self.dialling.acquire().await.ok() };
        if let Some(slot) = self.open.slot() {
            return Ok(slot);
        }
        // Somebody else tried while this one waited: a dead server costs everybody one time-out, not one each.
        if let Some((when, error)) = &*self.failure.lock()
            && *when > asked
        {
            return Err(error.clone());
        }
        match self.dialer.dial().await {
            Ok(opened) => Ok(self.enter(opened)),
            Err(error) => {
                *self.failure.lock() = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// Takes a place on a new connection before anybody else can, and lets it live in a task of its own.
    fn enter(&self, opened: Opened) -> Slot {
        let Opened { connection, driver } = opened;
        let connection = Arc::new(connection);
        self.single.store(connection.capacity() == 1, Ordering::Relaxed);
        let slot = connection.take();
        let in_flight = connection.follow();
        let this = Arc::downgrade(&connection);
        let open = Arc::downgrade(&self.open);
        self.tasks.spawn("connection to a cluster", async move {
            let mut driver = driver;
            let ended = tokio::select! {
                ended = &mut driver => ended,
                // Nobody can send on it any more: it ends by itself, after what runs on it.
                () = unused(in_flight, &open, &this) => driver.await,
            };
            if let Err(error) = ended {
                debug!(error = chain(&error), "a connection to a cluster ended");
            }
            if let Some(open) = open.upgrade() {
                open.remove(&this);
            }
        });
        self.open.0.lock().push(connection);
        slot
    }
}

/// Why a request got no answer.
enum Failed {
    /// There was no connection to send it on.
    NotConnected(Error),
    /// The connection ended, or the server gave the request up.
    Lost(String),
}

impl Open {
    /// A place on the fullest connection that has one: the others become idle and are closed.
    fn slot(&self) -> Option<Slot> {
        let mut all = self.0.lock();
        all.retain(|connection| !connection.is_closed());
        let with_room = all.iter().filter(|connection| connection.in_flight() < connection.capacity());
        with_room.max_by_key(|connection| connection.in_flight()).map(Connection::take)
    }

    fn remove(&self, connection: &Weak<Connection>) {
        self.0.lock().retain(|other| !std::ptr::eq(Arc::as_ptr(other), connection.as_ptr()));
    }

    /// Takes the connection out if there is still nothing on it.
    fn remove_unused(&self, connection: &Weak<Connection>) -> bool {
        let mut all = self.0.lock();
        let before = all.len();
        all.retain(|other| !std::ptr::eq(Arc::as_ptr(other), connection.as_ptr()) || other.in_flight() > 0);
        all.len() < before
    }
}

/// Returns when the connection had no request for [`IDLE`] and is out of the pool, or the pool is gone.
async fn unused(mut in_flight: watch::Receiver<usize>, open: &Weak<Open>, connection: &Weak<Connection>) {
    loop {
        if in_flight.wait_for(|number| *number == 0).await.is_err() {
            return;
        }
        tokio::select! {
            busy = in_flight.wait_for(|number| *number > 0) => {
                if busy.is_err() {
                    return;
                }
            }
            () = sleep(IDLE) => {
                let Some(open) = open.upgrade() else { return };
                if open.remove_unused(connection) {
                    return;
                }
            }
        }
    }
}
