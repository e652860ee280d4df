//! The readers: a few connections, each used by one blocking job at a time, first come, first served.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::Semaphore;

use super::{SqliteOptions, error::Sorted as _, schema};
use crate::{Error, relational::body::Bodies};

/// What a job works with.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) bodies: Bodies,
}

#[derive(Clone)]
pub(super) struct Readers {
    options: Arc<SqliteOptions>,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl Readers {
    /// Opens no connection yet; the first jobs do.
    pub(super) fn new(options: Arc<SqliteOptions>) -> Self {
        Self { turns: Arc::new(Semaphore::new(options.readers)), idle: Arc::default(), options }
    }

    /// Runs `job` on a blocking thread, in one snapshot of the file.
    pub(super) async fn run<T, J>(&self, job: J) -> Result<T, Error>
    where
        T: Send + 'static,
        J: FnOnce(&Connection, &mut Bodies) -> Result<T, Error> + Send + 'static,
    {
        let turn = self.turns.clone().acquire_owned().await.map_err(|_| closed())?;
        let readers = self.clone();
        let work = move || {
            // The turn ends with the work, even when nobody waits for the result any more.
            let _turn = turn;
            let idle = readers.idle.lock().pop();
            let mut session = match idle {
                Some(session) => session,
                None => {
                    Session { connection: schema::open_reader(&readers.options)?, bodies: Bodies::new()? }
                }
            };
            let Session { connection, bodies } = &mut session;
            let snapshot = connection.transaction_with_behavior(TransactionBehavior::Deferred).sorted()?;
            let result = job(&snapshot, bodies);
            drop(snapshot);
            // After an error the connection may be at fault: the next job opens another.
            if matches!(result, Ok(_) | Err(Error::Invalid { .. })) {
                readers.idle.lock().push(session);
            }
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Failed("a reader has panicked".into()))?
    }

    /// Waits for the running jobs and closes all connections.
    pub(super) async fn close(&self) {
        let all = u32::try_from(self.options.readers).unwrap_or(u32::MAX);
        let _turns = self.turns.acquire_many(all).await;
        self.turns.close();
        self.idle.lock().clear();
    }
}

fn closed() -> Error {
    Error::Failed("the store is closed".into())
}
