//! The writer: one thread with one connection, which is made when it is needed and again after it broke.
//!
//! Commands come through a bounded channel. Batches that wait there together become one transaction, so that a flood is
//! written in large transactions and a single change at once. When nothing waits, and between transactions when
//! something does, one small step of background work is done.
//!
//! Other hubs write to the same database in the same way. `apply.rs` says what keeps them apart.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, error::TryRecvError};

use super::{
    PostgresOptions, apply, background,
    error::Sorted as _,
    scope,
    session::{Channel, Session},
};
use crate::{
    Applied, Error, Resource,
    relational::{
        command::{Command, Reply, Sweep},
        fields::Paths,
        prepared::Prepared,
    },
};

/// What the writer and those who prepare for it both know.
#[derive(Default)]
pub(super) struct Shared {
    /// The indexed paths, and the number in `counter.fields` that they are of.
    pub(super) paths: Mutex<(i64, Arc<Paths>)>,
    /// By whom each scope was written when this store first saw it, or since it has written it itself.
    pub(super) claims: Mutex<HashMap<i32, i64>>,
}

/// What the writer knows beside the database.
pub(super) struct Memory {
    /// The number of this opening.
    pub(super) writer: i64,
    pub(super) shared: Arc<Shared>,
    /// The numbers of label keys. They never change.
    pub(super) keys: HashMap<String, i64>,
}

/// Rows after which a transaction takes no further batches.
const TRANSACTION_ROWS: usize = 500;
/// How often background work is looked for that others have left.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How long background work rests after it failed.
const REST: Duration = Duration::from_secs(5);

pub(super) struct Writer {
    options: Arc<PostgresOptions>,
    session: Option<Session>,
    commands: Receiver<Command>,
    memory: Memory,
    sweeps: VecDeque<Sweep>,
    /// From when on there may be background work.
    work_from: Instant,
}

impl Writer {
    pub(super) fn new(options: Arc<PostgresOptions>, commands: Receiver<Command>, memory: Memory) -> Self {
        let work_from = Instant::now();
        Self { options, session: None, commands, memory, sweeps: VecDeque::new(), work_from }
    }

    /// Runs until nobody can send commands any more.
    pub(super) async fn run(mut self) {
        loop {
            let command = if self.sweeps.is_empty() && self.work_from > Instant::now() {
                let at = tokio::time::Instant::from_std(self.work_from);
                match tokio::time::timeout_at(at, self.commands.recv()).await {
                    Ok(Some(command)) => Some(command),
                    Ok(None) => return,
                    Err(_) => None,
                }
            } else {
                match self.commands.try_recv() {
                    Ok(command) => Some(command),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => return,
                }
            };
            if let Some(command) = command {
                self.execute(command).await;
            }
            self.step().await;
        }
    }

    async fn execute(&mut self, command: Command) {
        let mut next = Some(command);
        while let Some(command) = next.take() {
            match command {
                Command::Apply(batch, reply) => next = self.apply_all(batch, reply).await,
                Command::Sweep(sweep) => self.sweeps.push_back(sweep),
                Command::Begin(cluster, resource, reply) => {
                    let begin = async |channel: &Channel, memory: &mut Memory| {
                        scope::begin(channel, memory, cluster.clone(), resource.clone()).await
                    };
                    let begun = self.attempt(begin).await;
                    let _ = reply.send(begun);
                }
                Command::Remove(cluster, resource, reply) => {
                    let remove = async |channel: &Channel, memory: &mut Memory| {
                        scope::remove(channel, memory, &cluster, resource.as_ref()).await
                    };
                    let removed = self.attempt(remove).await;
                    self.work_from = Instant::now();
                    let _ = reply.send(removed);
                }
                Command::Describe(cluster, resource, text, reply) => {
                    let describe = async |channel: &Channel, memory: &mut Memory| {
                        scope::describe(channel, memory, &cluster, &resource, &text).await
                    };
                    let told = self.attempt(describe).await;
                    let _ = reply.send(told);
                }
                Command::Register(resource, path) => {
                    let register = async |channel: &Channel, memory: &mut Memory| {
                        background::register(channel, memory, &resource, &path).await
                    };
                    if let Err(error) = self.attempt(register).await {
                        tracing::warn!(%error, "a field could not be registered for indexing");
                    }
                    self.work_from = Instant::now();
                }
            }
        }
    }

    /// Writes a batch and those that wait behind it in one transaction; if that fails, each in its own, so that one
    /// cannot spoil another. The answer is a command of another kind that waited behind them.
    async fn apply_all(&mut self, first: Prepared, reply: Reply<Applied>) -> Option<Command> {
        let mut rows = first.changes.len();
        let (mut batches, mut replies) = (vec![first], vec![reply]);
        let mut other = None;
        while rows < TRANSACTION_ROWS {
            match self.commands.try_recv() {
                Ok(Command::Apply(batch, reply)) => {
                    rows += batch.changes.len();
                    batches.push(batch);
                    replies.push(reply);
                }
                Ok(command) => {
                    other = Some(command);
                    break;
                }
                Err(_) => break,
            }
        }
        let together =
            self.attempt(async |channel, memory| apply::apply(channel, memory, &mut batches).await).await;
        match together {
            Ok(applied) => {
                for (reply, applied) in replies.into_iter().zip(applied) {
                    let _ = reply.send(Ok(applied));
                }
            }
            Err(error) if batches.len() == 1 => {
                for reply in replies {
                    let _ = reply.send(Err(error.clone()));
                }
            }
            Err(_) => {
                for (batch, reply) in batches.into_iter().zip(replies) {
                    let mut one = [batch];
                    let applied = self
                        .attempt(async |channel, memory| apply::apply(channel, memory, &mut one).await)
                        .await;
                    let _ = reply.send(applied.map(|applied| applied.into_iter().next().unwrap_or_default()));
                }
            }
        }
        other
    }

    /// One step of background work, if there is any.
    async fn step(&mut self) {
        if let Some(mut sweep) = self.sweeps.pop_front() {
            let done =
                self.attempt(async |channel, memory| scope::sweep(channel, memory, &mut sweep).await).await;
            match done {
                Ok(false) => self.sweeps.push_back(sweep),
                Ok(true) => drop(sweep.reply.send(Ok(sweep.deleted))),
                Err(error) => drop(sweep.reply.send(Err(error))),
            }
            return;
        }
        if self.work_from > Instant::now() {
            return;
        }
        match self.attempt(async |channel, _| background::step(channel).await).await {
            Ok(true) => {}
            Ok(false) => self.work_from = Instant::now() + LOOK_AGAIN,
            Err(error) => {
                tracing::warn!(%error, "background work of the store failed, it goes on later");
                self.work_from = Instant::now() + REST;
            }
        }
    }

    /// Does some work on the connection. After an error the connection is at fault, or in a transaction that has
    /// failed: either way the next work gets another one.
    async fn attempt<T>(
        &mut self,
        work: impl AsyncFnOnce(&Channel, &mut Memory) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let kept = self.session.take().and_then(|mut session| (!session.is_over()).then_some(session));
        let mut session = match kept {
            Some(session) => session,
            None => Session::open(&self.options).await?,
        };
        let memory = &mut self.memory;
        let done = session.run(async |channel| work(channel, memory).await).await;
        if done.is_ok() {
            self.session = Some(session);
        } else {
            session.abandon().await;
        }
        done
    }
}

/// Reads the registered fields, if they are not those that are known.
pub(super) async fn load_paths(channel: &Channel, shared: &Shared) -> Result<(i64, Arc<Paths>), Error> {
    // The number first: what is registered in between is then loaded again.
    let fields: i64 = channel.one("SELECT fields FROM clusterway.counter", &[]).await?.try_get(0).sorted()?;
    let known = shared.paths.lock().clone();
    if known.0 == fields {
        return Ok(known);
    }
    let sql = "SELECT k.id, k.path, r.api_group, r.version, r.resource FROM clusterway.term_key AS k \
               JOIN clusterway.resource AS r ON r.id = k.resource ORDER BY k.id";
    let mut paths = Paths::default();
    for row in channel.query(sql, &[]).await? {
        let resource = Resource::new(
            row.try_get::<_, String>(2).sorted()?,
            row.try_get::<_, String>(3).sorted()?,
            row.try_get::<_, String>(4).sorted()?,
        );
        paths.add(resource, row.try_get::<_, i32>(0).sorted()?.into(), row.try_get(1).sorted()?)?;
    }
    let loaded = (fields, Arc::new(paths));
    *shared.paths.lock() = loaded.clone();
    Ok(loaded)
}
