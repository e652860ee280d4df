//! What a store can do: the trait every back end implements.

use futures_util::future::BoxFuture;
use meta::RawObject;

use crate::{ClusterName, Error, Query, Resource, Row, Rows};

/// The answer of a store, some time later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A store of objects of many clusters. `store::conformance` says in tests what is said here in words.
///
/// **Durability.** An operation that has succeeded survives the end of the process; one that has failed with
/// [`Error::Retry`] can be repeated: it has not happened at all, except for a sweep, which goes in steps. A power failure may undo the
/// latest operations, but only whole and from the end: rows and the checkpoint that speaks of them never part.
///
/// **Sequence numbers.** Every change of one object (made, changed, deleted) has a number, greater than all numbers
/// that any reader has seen before. A back end with one writer gets that for nothing; one with several must hand a
/// reader only the state below the lowest number that is not yet committed. An upsert with the uid and the
/// resourceVersion that are stored already is no change. Forgetting a resource of a cluster is one change.
///
/// **Deletes** take a number too, so that a back end can keep a trace of them and serve "what changed since" later
/// without another meaning of the numbers.
pub trait Store: Send + Sync + 'static {
    /// Writes some changes of one resource of one cluster and the checkpoint they lead to, all or nothing.
    ///
    /// # Errors
    /// [`Error::Superseded`] if another process has taken over writing the resource of the cluster since this one read
    /// its checkpoint or wrote it last. [`Store::begin_generation`] takes it back.
    fn apply(&self, batch: Batch) -> Answer<'_, Applied>;

    /// Begins a relist: what is upserted from now on, changed or not, is marked as seen. An earlier generation of
    /// the same cluster and resource is superseded.
    fn begin_generation(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, Generation>;

    /// Ends a relist: deletes what was not seen since `generation` began, in transactions of bounded size, and
    /// stores `checkpoint` in the last of them. The answer is the number of deleted objects. Interrupted, it can be
    /// called again.
    ///
    /// # Errors
    /// [`Error::Superseded`] if another generation has begun since, here or in another process.
    fn sweep(&self, generation: Generation, checkpoint: Option<String>) -> Answer<'_, u64>;

    /// Forgets a resource of a cluster, its checkpoint too. Readers see it gone at once; the space is reclaimed
    /// behind. Forgetting what is not there is no error.
    fn remove_resource(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, ()>;

    /// Forgets everything of a cluster, like [`Store::remove_resource`].
    fn remove_cluster(&self, cluster: &ClusterName) -> Answer<'_, ()>;

    /// What is stored of a cluster: its resources, with the checkpoint of each and the number of objects.
    fn checkpoints(&self, cluster: &ClusterName) -> Answer<'_, Vec<Checkpoint>>;

    /// The names of all clusters of which something is stored, sorted.
    fn clusters(&self) -> Answer<'_, Vec<ClusterName>>;

    /// The resources of which some cluster of `clusters` (all, if `None`) has objects, sorted.
    fn resources(&self, clusters: Option<&[ClusterName]>) -> Answer<'_, Vec<Resource>>;

    /// The stored versions of a resource of a cluster, by namespace and name: up to `limit` of them behind `after`.
    /// Fewer than `limit` are the last.
    fn versions(
        &self,
        cluster: &ClusterName,
        resource: &Resource,
        after: Option<ObjectName>,
        limit: usize,
    ) -> Answer<'_, Vec<StoredVersion>>;

    /// One object, whole.
    fn get(&self, cluster: &ClusterName, resource: &Resource, name: &ObjectName) -> Answer<'_, Option<Row>>;

    /// The number of the last change that readers see; 0 before the first. An answer that is asked for after this one
    /// has every change up to that number, so that a list can say from where to go on: it may know more, never less.
    fn head(&self) -> Answer<'_, u64>;

    /// Keeps a text about a resource of a cluster, which may have no objects yet, in place of the one before. It goes
    /// when the resource is forgotten, and means nothing here: it is no change and takes no number.
    fn describe(&self, cluster: &ClusterName, resource: &Resource, text: String) -> Answer<'_, ()>;

    /// What [`Store::describe`] was told of a resource, of the first of `clusters` (all, if `None`) that has a text, by
    /// their names.
    fn description(
        &self,
        clusters: Option<&[ClusterName]>,
        resource: &Resource,
    ) -> Answer<'_, Option<String>>;

    /// The objects that satisfy a query.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what [`Query::validate`] refuses. Later errors come from [`Rows::next`].
    fn select(&self, query: Query) -> Answer<'_, Rows>;

    /// How many objects satisfy a query, whatever its start and limit.
    fn count(&self, query: Query) -> Answer<'_, u64>;
}

/// The name of an object within a resource of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// The namespace; empty for a kind without namespaces.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectName {
    /// ```
    /// let name = store::ObjectName::new("default", "web");
    /// assert_eq!((name.namespace.as_str(), name.name.as_str()), ("default", "web"));
    /// ```
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// Changes of one resource of one cluster that belong into one transaction.
///
/// A caller keeps batches to a few hundred changes: one batch is one piece of memory and one step of the writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Whose objects.
    pub cluster: ClusterName,
    /// Of which resource.
    pub resource: Resource,
    /// In order: of two changes of one object the later counts.
    pub changes: Vec<Change>,
    /// The resourceVersion of the list or watch event that the store has reached with this batch, if it moves.
    pub checkpoint: Option<String>,
}

/// A change of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all changes are upserts")]
pub enum Change {
    /// It is like this now.
    Upsert(RawObject),
    /// It is gone. No error if it was not there.
    Delete(ObjectName),
}

/// What a batch did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Objects made or changed.
    pub upserted: u64,
    /// Objects that were stored in this version already.
    pub unchanged: u64,
    /// Objects deleted.
    pub deleted: u64,
    /// The number of the last change of the batch; 0 if there was none.
    pub sequence: u64,
}

/// A relist that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Whose.
    pub cluster: ClusterName,
    /// Of what.
    pub resource: Resource,
    /// Its number, from the back end that began it.
    pub number: u64,
}

/// How far a resource of a cluster is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The resource.
    pub resource: Resource,
    /// The resourceVersion to watch on from; `None` before the first complete list.
    pub resource_version: Option<String>,
    /// How many objects are stored.
    pub objects: u64,
}

/// Which version of an object is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVersion {
    /// The object.
    pub name: ObjectName,
    /// Its `metadata.resourceVersion`.
    pub resource_version: String,
}
