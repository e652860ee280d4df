//! Connections, and the few that readers share.
//!
//! Nobody drives a connection but whoever works with it: there is no task behind it, and a job that is dropped takes
//! its connection along.

use std::{collections::HashMap, future::Future, pin::pin, sync::Arc, task::Poll, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::{Client, Connection, Row, Socket, Statement, types::ToSql};

use super::{PostgresOptions, error::Sorted as _, tls::TlsStream};
use crate::Error;

/// A parameter of a statement.
pub(super) type Param<'a> = &'a (dyn ToSql + Sync);

/// One connection and what was prepared on it.
pub(super) struct Session {
    channel: Channel,
    link: Link,
}

/// What statements are sent through, while the [`Link`] is driven.
pub(super) struct Channel {
    client: Client,
    statements: Mutex<HashMap<String, Statement>>,
}

/// The connection's other half.
struct Link(Box<Connection<Socket, TlsStream<Socket>>>);

/// How long a job may take that has no longer limit of its own. The server gives up before.
const PATIENCE: Duration = Duration::from_secs(45);
/// Prepared statements of a connection; with more of them it begins anew.
const MOST_STATEMENTS: usize = 200;

/// Plans are the same every time: every statement here is written for one index, and none is so large that another
/// plan could pay. A hub that hangs in a transaction, or has gone, holds up nobody for long.
const SETTINGS: &str = "SET client_min_messages = warning; SET jit = off; SET plan_cache_mode = force_generic_plan; \
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_sort = off; \
    SET statement_timeout = '40s'; SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '20s'; \
    SELECT set_config('client_connection_check_interval', '5s', false) \
    WHERE current_setting('server_version_num')::int >= 140000";

impl Session {
    pub(super) async fn open(options: &PostgresOptions) -> Result<Self, Error> {
        let connecting = options.server.connect(options.tls.clone());
        // The driver's own limit does not cover the handshake.
        let connected = tokio::time::timeout(PATIENCE, connecting).await;
        let (client, connection) = connected
            .map_err(|_| Error::Retry(format!("no answer from {}", options.place())))?
            .sorted()
            .map_err(|error| match error {
                Error::Retry(text) => Error::Retry(format!("{}: {text}", options.place())),
                other => other,
            })?;
        let channel = Channel { client, statements: Mutex::default() };
        let mut session = Self { channel, link: Link(Box::new(connection)) };
        session.run(async |channel| channel.batch(SETTINGS).await).await?;
        Ok(session)
    }

    /// Does some work with the connection. After an error other than [`Error::Invalid`] it is not to be used again.
    pub(super) async fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&Channel) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Self { channel, link } = self;
        let driven = link.drive(work(channel));
        tokio::time::timeout(PATIENCE, driven)
            .await
            .unwrap_or_else(|_| Err(Error::Retry("the database does not answer".into())))
    }

    /// Ends a connection that is not to be used again, so that the server rolls back at once what was begun on it.
    pub(super) async fn abandon(self) {
        let Self { channel, mut link } = self;
        drop(channel);
        let ended = link.drive(std::future::pending::<Result<(), Error>>());
        let _ = tokio::time::timeout(Duration::from_secs(1), ended).await;
    }

    /// Whether the server has ended the connection.
    pub(super) fn is_over(&mut self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        loop {
            match self.link.0.poll_message(&mut context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return true,
                Poll::Pending => return self.channel.client.is_closed(),
            }
        }
    }
}

impl Link {
    async fn drive<T>(&mut self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(done);
            }
            loop {
                match self.0.poll_message(context) {
                    Poll::Ready(Some(Ok(_))) => {}
                    Poll::Ready(Some(Err(error))) => {
                        return Poll::Ready(Err(super::error::of_postgres(error)));
                    }
                    Poll::Ready(None) => {
                        return Poll::Ready(Err(Error::Retry("the connection was closed".into())));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }
}

impl Channel {
    async fn prepared(&self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.lock().get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await.sorted()?;
        let mut statements = self.statements.lock();
        if statements.len() >= MOST_STATEMENTS {
            statements.clear();
        }
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) async fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(sql).await?;
        self.client.query(&statement, params).await.sorted()
    }

    /// The only row of an answer that has one.
    pub(super) async fn one(&self, sql: &str, params: &[Param<'_>]) -> Result<Row, Error> {
        let statement = self.prepared(sql).await?;
        self.client.query_one(&statement, params).await.sorted()
    }

    /// The rows as they come. No other statement answers until all are taken.
    pub(super) async fn stream(
        &self,
        sql: &str,
        params: &[Param<'_>],
    ) -> Result<BoxStream<'static, Result<Row, Error>>, Error> {
        let statement = self.prepared(sql).await?;
        let params = params.iter().copied();
        let rows = self.client.query_raw(&statement, params).await.sorted()?;
        Ok(rows.map_err(super::error::of_postgres).boxed())
    }

    pub(super) async fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<u64, Error> {
        let statement = self.prepared(sql).await?;
        self.client.execute(&statement, params).await.sorted()
    }

    /// Statements without parameters or answers.
    pub(super) async fn batch(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await.sorted()
    }
}

/// The connections of readers: a bounded number, each with one job at a time, first come, first served.
#[derive(Clone)]
pub(super) struct Readers {
    options: Arc<PostgresOptions>,
    turns: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Session>>>,
}

impl Readers {
    /// Opens no connection yet; the first jobs do.
    pub(super) fn new(options: Arc<PostgresOptions>) -> Self {
        let readers = options.connections.saturating_sub(1).max(1) as usize;
        Self { turns: Arc::new(Semaphore::new(readers)), idle: Arc::default(), options }
    }

    /// Does `work` in one snapshot of the database.
    pub(super) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&Channel) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _turn = self.turn().await?;
        let mut session = self.begun().await?;
        let result = session
            .run(async |channel| {
                let done = work(channel).await?;
                channel.batch("COMMIT").await?;
                Ok(done)
            })
            .await;
        match &result {
            Ok(_) => self.keep(session),
            // The connection is sound, but in a transaction: it is not worth a thought.
            Err(_) => drop(session),
        }
        result
    }

    async fn turn(&self) -> Result<OwnedSemaphorePermit, Error> {
        let closed = |_| Error::Failed("the store is closed".into());
        Arc::clone(&self.turns).acquire_owned().await.map_err(closed)
    }

    /// A connection with a snapshot. The answer to BEGIN says that the server has not ended it meanwhile.
    async fn begun(&self) -> Result<Session, Error> {
        let begin =
            async |channel: &Channel| channel.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await;
        loop {
            let idle = self.idle.lock().pop();
            let Some(mut session) = idle else { break };
            if !session.is_over() && session.run(begin).await.is_ok() {
                return Ok(session);
            }
        }
        let mut session = Session::open(&self.options).await?;
        session.run(begin).await?;
        Ok(session)
    }

    pub(super) fn keep(&self, session: Session) {
        let mut idle = self.idle.lock();
        if idle.len() < self.options.idle_connections as usize {
            idle.push(session);
        }
    }

    /// Waits for the running jobs and closes all connections.
    pub(super) async fn close(&self) {
        let all = self.options.connections.saturating_sub(1).max(1);
        let _turns = self.turns.acquire_many(all).await;
        self.turns.close();
        self.idle.lock().clear();
    }
}
