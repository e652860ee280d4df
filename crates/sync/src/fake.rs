//! A parent, a way to a cluster and a store for tests.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use api::pedia::{CaKind, PediaClusterStatus};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use kubeio::{Body, Error, Lane, Transport};
use parking_lot::Mutex;
use store::{
    Answer, Applied, Batch, Checkpoint, ClusterName, Generation, ObjectName, Query, Resource, Row, Rows,
    SqliteStore, Store, StoredVersion,
};
use testkit::apiserver::ApiServer;
use tokio::sync::Notify;

use crate::parent::{Parent, ParentError};

/// A parent that remembers what was written.
#[derive(Default)]
pub(crate) struct FakeParent {
    values: Mutex<HashMap<String, Vec<u8>>>,
    pub(crate) statuses: Mutex<Vec<PediaClusterStatus>>,
    pub(crate) finalizers: Mutex<Vec<bool>>,
    /// What the Leases of shards say.
    pub(crate) leases: Mutex<HashMap<String, String>>,
    /// The shards from which the cluster was taken.
    pub(crate) taken: Mutex<Vec<String>>,
}

impl FakeParent {
    pub(crate) fn set(&self, kind: CaKind, name: &str, key: &str, value: &str) {
        self.values.lock().insert(format!("{kind:?}/{name}/{key}"), value.as_bytes().to_vec());
    }

    /// The status that was written last, in short.
    pub(crate) fn conditions(&self) -> Vec<String> {
        let statuses = self.statuses.lock();
        let conditions = statuses.last().map(|status| status.conditions.clone()).unwrap_or_default();
        conditions.iter().map(|c| format!("{} {}", c.type_, c.reason)).collect()
    }
}

impl Parent for FakeParent {
    fn value<'a>(
        &'a self,
        kind: CaKind,
        name: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Vec<u8>, ParentError>> {
        let id = format!("{kind:?}/{name}/{key}");
        let value = self.values.lock().get(&id).cloned();
        Box::pin(async move { value.ok_or(ParentError::Missing(id)) })
    }

    fn write_status<'a>(
        &'a self,
        _: &'a str,
        status: &'a PediaClusterStatus,
    ) -> BoxFuture<'a, Result<(), ParentError>> {
        self.statuses.lock().push(status.clone());
        Box::pin(async { Ok(()) })
    }

    fn sign_of_life<'a>(&'a self, shard: &'a str) -> BoxFuture<'a, Result<Option<String>, ParentError>> {
        let sign = self.leases.lock().get(shard).cloned();
        Box::pin(async move { Ok(sign) })
    }

    fn take_from<'a>(&'a self, _: &'a str, shard: &'a str) -> BoxFuture<'a, Result<(), ParentError>> {
        self.taken.lock().push(shard.to_owned());
        Box::pin(async { Ok(()) })
    }

    fn set_finalizer<'a>(&'a self, _: &'a str, wanted: bool) -> BoxFuture<'a, Result<(), ParentError>> {
        self.finalizers.lock().push(wanted);
        Box::pin(async { Ok(()) })
    }
}

/// A transport to an API server in the same process, where the clock of a test may stand still.
pub(crate) struct To(pub(crate) Arc<ApiServer>);

impl Transport for To {
    fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let answer = self.0.answer(&request.uri().to_string());
        Box::pin(async { answer.ok_or_else(|| Error::Unreachable("connection refused".into())) })
    }
}

/// A tunnel to an API server: who waits for it is told when it opens.
pub(crate) struct Tunnelled(pub(crate) To, pub(crate) Arc<Notify>);

impl Transport for Tunnelled {
    fn send(&self, request: Request<Bytes>, lane: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        self.0.send(request, lane)
    }

    fn opened(&self) -> BoxFuture<'static, ()> {
        Box::pin(Arc::clone(&self.1).notified_owned())
    }
}

/// A store that can be made to fail, except for searches.
pub(crate) struct FlakyStore {
    inner: Arc<SqliteStore>,
    fails: AtomicBool,
}

impl FlakyStore {
    pub(crate) fn new(inner: Arc<SqliteStore>) -> Arc<Self> {
        Arc::new(Self { inner, fails: AtomicBool::new(false) })
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    fn unless_it_fails<'a, T: Send + 'a>(&self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if self.fails.load(Ordering::Relaxed) {
            return Box::pin(async { Err(store::Error::Retry("disk full".into())) });
        }
        answer
    }
}

impl Store for FlakyStore {
    fn apply(&self, batch: Batch) -> Answer<'_, Applied> {
        self.unless_it_fails(self.inner.apply(batch))
    }

    fn begin_generation(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, Generation> {
        self.unless_it_fails(self.inner.begin_generation(cluster, resource))
    }

    fn sweep(&self, generation: Generation, checkpoint: Option<String>) -> Answer<'_, u64> {
        self.unless_it_fails(self.inner.sweep(generation, checkpoint))
    }

    fn remove_resource(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, ()> {
        self.unless_it_fails(self.inner.remove_resource(cluster, resource))
    }

    fn remove_cluster(&self, cluster: &ClusterName) -> Answer<'_, ()> {
        self.unless_it_fails(self.inner.remove_cluster(cluster))
    }

    fn checkpoints(&self, cluster: &ClusterName) -> Answer<'_, Vec<Checkpoint>> {
        self.unless_it_fails(self.inner.checkpoints(cluster))
    }

    fn clusters(&self) -> Answer<'_, Vec<ClusterName>> {
        self.inner.clusters()
    }

    fn resources(&self, clusters: Option<&[ClusterName]>) -> Answer<'_, Vec<Resource>> {
        self.inner.resources(clusters)
    }

    fn versions(
        &self,
        cluster: &ClusterName,
        resource: &Resource,
        after: Option<ObjectName>,
        limit: usize,
    ) -> Answer<'_, Vec<StoredVersion>> {
        self.inner.versions(cluster, resource, after, limit)
    }

    fn get(&self, cluster: &ClusterName, resource: &Resource, name: &ObjectName) -> Answer<'_, Option<Row>> {
        self.inner.get(cluster, resource, name)
    }

    fn head(&self) -> Answer<'_, u64> {
        self.inner.head()
    }

    fn describe(&self, cluster: &ClusterName, resource: &Resource, text: String) -> Answer<'_, ()> {
        self.unless_it_fails(self.inner.describe(cluster, resource, text))
    }

    fn description(
        &self,
        clusters: Option<&[ClusterName]>,
        resource: &Resource,
    ) -> Answer<'_, Option<String>> {
        self.inner.description(clusters, resource)
    }

    fn select(&self, query: Query) -> Answer<'_, Rows> {
        self.inner.select(query)
    }

    fn count(&self, query: Query) -> Answer<'_, u64> {
        self.inner.count(query)
    }
}
