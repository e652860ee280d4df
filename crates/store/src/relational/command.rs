//! What a back end's one writer is asked to do, and the queue that leads to it.
//!
//! Everything that changes a database goes through here, in order. The queue is bounded: whoever has more waits, and so
//! does the cluster that sends it. The writer is a thread of the back end; it ends with the last [`Commands`].

use std::sync::Arc;

use meta::FieldPath;
use tokio::sync::{
    mpsc::{self, Receiver, Sender, WeakSender},
    oneshot,
};

use super::{fields::Paths, plan::Plan, prepared::Prepared};
use crate::{Applied, Batch, ClusterName, Error, Generation, ObjectName, Resource};

/// Where the answer to a command goes. Nobody need be waiting for it any more.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What the writer is asked to do.
pub(crate) enum Command {
    Apply(Prepared, Reply<Applied>),
    Begin(ClusterName, Resource, Reply<Generation>),
    Sweep(Sweep),
    Remove(ClusterName, Option<Resource>, Reply<()>),
    Describe(ClusterName, Resource, String, Reply<()>),
    /// A query has used this field of this resource.
    Register(Resource, FieldPath),
}

/// A sweep on its way.
pub(crate) struct Sweep {
    pub(crate) generation: Generation,
    pub(crate) checkpoint: Option<String>,
    /// The last object looked at.
    pub(crate) after: ObjectName,
    pub(crate) deleted: u64,
    pub(crate) reply: Reply<u64>,
}

/// The way to the writer, with the answers it gives.
pub(crate) struct Commands(Sender<Command>);

impl Commands {
    /// A queue of `places`; a batch in it is a few megabytes at most.
    pub(crate) fn new(places: usize) -> (Self, Receiver<Command>) {
        let (commands, queue) = mpsc::channel(places);
        (Self(commands), queue)
    }

    /// Compresses and reads out a batch apart from the writer, which has enough to do, and has it written. `paths` are
    /// the indexed fields of the moment.
    pub(crate) async fn apply(&self, batch: Batch, paths: Arc<Paths>) -> Result<Applied, Error> {
        let prepared = tokio::task::spawn_blocking(move || Prepared::new(batch, paths))
            .await
            .map_err(|_| Error::Failed("preparing a batch has panicked".into()))??;
        self.ask(|reply| Command::Apply(prepared, reply)).await
    }

    pub(crate) async fn begin(&self, cluster: ClusterName, resource: Resource) -> Result<Generation, Error> {
        self.ask(|reply| Command::Begin(cluster, resource, reply)).await
    }

    pub(crate) async fn sweep(
        &self,
        generation: Generation,
        checkpoint: Option<String>,
    ) -> Result<u64, Error> {
        let after = ObjectName::default();
        self.ask(|reply| Command::Sweep(Sweep { generation, checkpoint, after, deleted: 0, reply })).await
    }

    /// Removes one resource of a cluster, or all.
    pub(crate) async fn remove(&self, cluster: ClusterName, resource: Option<Resource>) -> Result<(), Error> {
        self.ask(|reply| Command::Remove(cluster, resource, reply)).await
    }

    pub(crate) async fn describe(
        &self,
        cluster: ClusterName,
        resource: Resource,
        text: String,
    ) -> Result<(), Error> {
        self.ask(|reply| Command::Describe(cluster, resource, text, reply)).await
    }

    async fn ask<T>(&self, make: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let ended = || Error::Failed("the writer has ended".into());
        let (reply, answer) = oneshot::channel();
        self.0.send(make(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// For queries, which tell of fields they would like indexed and do not keep the writer from ending.
    pub(crate) fn wishes(&self) -> Wishes {
        Wishes(self.0.downgrade())
    }
}

/// A way to the writer for what can wait.
#[derive(Clone)]
pub(crate) struct Wishes(WeakSender<Command>);

impl Wishes {
    /// Tells the writer of fields that a query would like indexed. If the writer is busy, the next query does.
    pub(crate) fn register(&self, plan: &mut Plan<'_>) {
        let Some(commands) = self.0.upgrade() else { return };
        for (resource, path) in plan.unindexed.drain(..) {
            let _ = commands.try_send(Command::Register(resource, path));
        }
    }
}
