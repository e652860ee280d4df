//! The writer: one thread that owns the only connection that writes.
//!
//! Commands come through a bounded channel. Those that wait there together become one transaction, so that a flood is
//! written in large transactions and a single change at once. When nothing waits, and between transactions when
//! something does, one small step of background work is done: sweeping, deleting what was removed, filling the index
//! of a field.

use std::{
    collections::VecDeque,
    fs::File,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::mpsc::{Receiver, error::TryRecvError};

use super::{
    change::{self, Doomed, Memory, Scope, Upserted},
    error::Sorted as _,
    paths,
};
use crate::{
    Applied, ClusterName, Error, Generation, ObjectName, Resource,
    relational::{
        body::Bodies,
        command::{Command, Reply, Sweep},
        fields::Paths,
        prepared::{Prepared, PreparedChange},
    },
};

/// Rows and time after which a transaction takes no further batches.
const TRANSACTION_ROWS: usize = 500;
const TRANSACTION_TIME: Duration = Duration::from_millis(50);
/// Objects looked at in one step of background work.
const STEP_ROWS: i64 = 500;

pub(super) struct Writer {
    connection: Connection,
    commands: Receiver<Command>,
    memory: Memory,
    bodies: Bodies,
    /// Shared with those who prepare batches.
    paths: Arc<Mutex<Arc<Paths>>>,
    sweeps: VecDeque<Sweep>,
    /// Whether there may be background work in the file.
    work_left: bool,
    /// Held while the file is open; the lock ends with it.
    _lock: File,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        commands: Receiver<Command>,
        paths: Arc<Mutex<Arc<Paths>>>,
        lock: File,
    ) -> Result<Self, Error> {
        *paths.lock() = paths::load(&connection)?;
        Ok(Self {
            memory: Memory::load(&connection)?,
            bodies: Bodies::new()?,
            connection,
            commands,
            paths,
            sweeps: VecDeque::new(),
            work_left: true,
            _lock: lock,
        })
    }

    /// Runs until nobody can send commands any more.
    pub(super) fn run(mut self) {
        loop {
            let command = if self.work_left || !self.sweeps.is_empty() {
                match self.commands.try_recv() {
                    Ok(command) => Some(command),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => return,
                }
            } else {
                match self.commands.blocking_recv() {
                    Some(command) => Some(command),
                    None => return,
                }
            };
            if let Some(command) = command {
                self.execute(command);
            }
            self.step();
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Apply(batch, reply) => self.apply_all(batch, reply),
            Command::Sweep(sweep) => self.sweeps.push_back(sweep),
            Command::Begin(cluster, resource, reply) => {
                let begun = self.transaction(|connection, _| begin(connection, cluster, resource));
                let _ = reply.send(begun);
            }
            Command::Remove(cluster, resource, reply) => {
                let removed = self.transaction(|connection, memory| {
                    remove(connection, memory, &cluster, resource.as_ref())
                });
                self.work_left = true;
                let _ = reply.send(removed);
            }
            Command::Describe(cluster, resource, text, reply) => {
                let told = self.transaction(|connection, _| {
                    let scope = change::ensure_scope(connection, &cluster, &resource)?;
                    let sql = "UPDATE scope SET description = ? WHERE id = ?";
                    connection.execute(sql, params![text, scope.id]).sorted().map(drop)
                });
                let _ = reply.send(told);
            }
            Command::Register(resource, path) => {
                let registered = self.transaction(|connection, _| {
                    let resource = change::ensure_resource(connection, &resource)?;
                    paths::register(connection, resource, &path)?;
                    paths::load(connection)
                });
                match registered {
                    Ok(paths) => *self.paths.lock() = paths,
                    Err(error) => tracing::warn!(%error, "a field could not be registered for indexing"),
                }
                self.work_left = true;
            }
        }
    }

    /// Writes a batch and those that wait behind it in one transaction; if that fails, each in its own, so that one
    /// cannot spoil another.
    fn apply_all(&mut self, mut first: Prepared, reply: Reply<Applied>) {
        let paths = self.paths.lock().clone();
        first.refresh(&paths);
        let began = Instant::now();
        let mut waiting = vec![(first, reply)];
        let mut other = None;
        let commands = &mut self.commands;
        let connection = &mut self.connection;
        let memory = &mut self.memory;
        let together = in_transaction(connection, memory, |connection, memory| {
            let mut rows = waiting[0].0.changes.len();
            let mut applied = vec![apply(connection, memory, &waiting[0].0)?];
            while rows < TRANSACTION_ROWS && began.elapsed() < TRANSACTION_TIME {
                match commands.try_recv() {
                    Ok(Command::Apply(mut batch, reply)) => {
                        batch.refresh(&paths);
                        rows += batch.changes.len();
                        waiting.push((batch, reply));
                        applied.push(apply(connection, memory, &waiting[waiting.len() - 1].0)?);
                    }
                    Ok(command) => {
                        other = Some(command);
                        break;
                    }
                    Err(_) => break,
                }
            }
            Ok(applied)
        });
        match together {
            Ok(applied) => {
                for ((_, reply), applied) in waiting.into_iter().zip(applied) {
                    let _ = reply.send(Ok(applied));
                }
                // What failed before may go now.
                self.work_left = true;
            }
            Err(error) if waiting.len() == 1 => {
                for (_, reply) in waiting {
                    let _ = reply.send(Err(error.clone()));
                }
            }
            Err(_) => {
                for (batch, reply) in waiting {
                    let _ =
                        reply.send(self.transaction(|connection, memory| apply(connection, memory, &batch)));
                }
            }
        }
        if let Some(command) = other {
            self.execute(command);
        }
    }

    /// One step of background work, if there is any.
    fn step(&mut self) {
        if let Some(mut sweep) = self.sweeps.pop_front() {
            match self.transaction(|connection, memory| sweep_step(connection, memory, &mut sweep)) {
                Ok(false) => self.sweeps.push_back(sweep),
                Ok(true) => drop(sweep.reply.send(Ok(sweep.deleted))),
                Err(error) => drop(sweep.reply.send(Err(error))),
            }
            return;
        }
        if !self.work_left {
            return;
        }
        let bodies = &mut self.bodies;
        let worked = in_transaction(&mut self.connection, &mut self.memory, |connection, _| {
            Ok(empty_garbage(connection)? || paths::fill(connection, bodies)?)
        });
        self.work_left = worked.unwrap_or_else(|error| {
            tracing::warn!(%error, "background work of the store failed, it goes on after the next write");
            false
        });
    }

    fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Memory) -> Result<T, Error>,
    ) -> Result<T, Error> {
        in_transaction(&mut self.connection, &mut self.memory, work)
    }
}

/// Does `work` wholly or not at all. After a failure the memory is what the file says.
fn in_transaction<T>(
    connection: &mut Connection,
    memory: &mut Memory,
    work: impl FnOnce(&Connection, &mut Memory) -> Result<T, Error>,
) -> Result<T, Error> {
    let attempt = || {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).sorted()?;
        let done = work(&transaction, memory)?;
        memory.save(&transaction)?;
        transaction.commit().sorted()?;
        Ok(done)
    };
    let result = attempt();
    if result.is_err() {
        memory.forget(connection);
    }
    result
}

fn apply(connection: &Connection, memory: &mut Memory, batch: &Prepared) -> Result<Applied, Error> {
    let scope = change::ensure_scope(connection, &batch.cluster, &batch.resource)?;
    let mut applied = Applied::default();
    let mut objects = 0_i64;
    let before = memory.sequence;
    for change in &batch.changes {
        match change {
            PreparedChange::Delete(name) => {
                if change::delete(connection, memory, scope, name)? {
                    applied.deleted += 1;
                    objects -= 1;
                }
            }
            PreparedChange::Upsert(upsert) => match change::upsert(connection, memory, scope, upsert)? {
                Upserted::Unchanged => applied.unchanged += 1,
                Upserted::Changed => applied.upserted += 1,
                Upserted::Made => {
                    applied.upserted += 1;
                    objects += 1;
                }
            },
        }
    }
    if memory.sequence != before {
        applied.sequence = memory.sequence as u64;
    }
    note(connection, scope.id, objects, batch.checkpoint.as_deref())?;
    Ok(applied)
}

/// Counts objects that came or went, and keeps a checkpoint.
fn note(connection: &Connection, scope: i64, objects: i64, checkpoint: Option<&str>) -> Result<(), Error> {
    if objects == 0 && checkpoint.is_none() {
        return Ok(());
    }
    let sql = "UPDATE scope SET objects = objects + ?, checkpoint = coalesce(?, checkpoint) WHERE id = ?";
    connection.prepare_cached(sql).sorted()?.execute(params![objects, checkpoint, scope]).sorted()?;
    Ok(())
}

fn begin(connection: &Connection, cluster: ClusterName, resource: Resource) -> Result<Generation, Error> {
    let scope = change::ensure_scope(connection, &cluster, &resource)?;
    connection.execute("UPDATE scope SET generation = generation + 1 WHERE id = ?", [scope.id]).sorted()?;
    Ok(Generation { cluster, resource, number: scope.generation as u64 + 1 })
}

/// Looks at the next objects; `true` when those were the last.
fn sweep_step(connection: &Connection, memory: &mut Memory, sweep: &mut Sweep) -> Result<bool, Error> {
    let Generation { cluster, resource, number } = &sweep.generation;
    let scope = change::find_scope(connection, cluster, resource)?
        .filter(|scope| scope.generation as u64 == *number)
        .ok_or(Error::Superseded)?;
    let sql = "SELECT id, name, terms, namespace, generation FROM object INDEXED BY object_key \
               WHERE scope = ? AND (namespace, name) > (?, ?) ORDER BY namespace, name LIMIT ?";
    let mut statement = connection.prepare_cached(sql).sorted()?;
    let mut rows =
        statement.query(params![scope.id, sweep.after.namespace, sweep.after.name, STEP_ROWS]).sorted()?;
    let (mut seen, mut doomed) = (0, Vec::new());
    while let Some(row) = rows.next().sorted()? {
        seen += 1;
        sweep.after = ObjectName { namespace: row.get(3).sorted()?, name: row.get(1).sorted()? };
        if row.get::<_, i64>(4).sorted()? < scope.generation {
            doomed.push(Doomed::read(row).sorted()?);
        }
    }
    for object in &doomed {
        memory.sequence += 1;
        object.delete(connection, scope.id)?;
    }
    let last = seen < STEP_ROWS;
    note(connection, scope.id, -(doomed.len() as i64), sweep.checkpoint.as_deref().filter(|_| last))?;
    sweep.deleted += doomed.len() as u64;
    Ok(last)
}

/// Takes scopes out of sight; their rows go step by step behind.
fn remove(
    connection: &Connection,
    memory: &mut Memory,
    cluster: &ClusterName,
    resource: Option<&Resource>,
) -> Result<(), Error> {
    let scopes: Vec<Scope> = match resource {
        Some(resource) => change::find_scope(connection, cluster, resource)?.into_iter().collect(),
        None => connection
            .prepare_cached("SELECT id, generation FROM scope WHERE cluster = ?")
            .sorted()?
            .query_map([cluster.as_str()], |row| Ok(Scope { id: row.get(0)?, generation: row.get(1)? }))
            .sorted()?
            .collect::<rusqlite::Result<_>>()
            .sorted()?,
    };
    for scope in scopes {
        memory.sequence += 1;
        connection.execute("DELETE FROM scope WHERE id = ?", [scope.id]).sorted()?;
        connection.execute("INSERT INTO garbage VALUES (?)", [scope.id]).sorted()?;
    }
    Ok(())
}

/// Deletes some rows of removed scopes; `false` if there are none.
fn empty_garbage(connection: &Connection) -> Result<bool, Error> {
    let sql = "SELECT o.id, o.name, o.terms, o.namespace, g.scope FROM garbage AS g LEFT JOIN object AS o \
               INDEXED BY object_key ON o.scope = g.scope LIMIT ?";
    let mut statement = connection.prepare_cached(sql).sorted()?;
    let mut rows = statement.query([STEP_ROWS]).sorted()?;
    let (mut doomed, mut empty) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next().sorted()? {
        let scope: i64 = row.get(4).sorted()?;
        if row.get_ref(0).sorted()? == rusqlite::types::ValueRef::Null {
            empty.push(scope);
        } else {
            doomed.push((scope, Doomed::read(row).sorted()?));
        }
    }
    for (scope, object) in &doomed {
        object.delete(connection, *scope)?;
    }
    for scope in &empty {
        connection.execute("DELETE FROM garbage WHERE scope = ?", [scope]).sorted()?;
    }
    Ok(!doomed.is_empty() || !empty.is_empty())
}
