//! How to write a back end for the store: one that keeps everything in memory and writes all of it into a file with
//! every change. It is made to be read, not to be used.
//!
//! 1. Implement [`Store`]. Its documentation is the contract: durability, sequence numbers, what a reader may see.
//! 2. Answer [`Query`] as its documentation says. Conditions and order are values; [`store::field`] reads fields and
//!    compares them, [`Position::compare`] orders, [`Token`] says where a page ended. Call [`Query::validate`] first.
//! 3. Let the suite judge: `tests/conformance.rs` hands `store::conformance::check` an empty place for every case.
//! 4. Register it in the program that uses it: `backends.register("example", store_example::open)`. The
//!    configuration names it by `type: example`.

mod select;
mod state;

use std::{path::PathBuf, sync::Arc};

use futures_util::{FutureExt as _, StreamExt as _, future, stream};
use parking_lot::RwLock;
use store::{
    Answer, Applied, Batch, Change, Checkpoint, ClusterName, Config, Error, Generation, ObjectName, Piece,
    Query, Resource, Row, Rows, Start, Store, StoredVersion, Token,
};

use crate::state::{State, stored_version};

/// Everything in memory, and in a file.
#[derive(Debug)]
pub struct ExampleStore {
    path: PathBuf,
    /// What readers see: replaced as a whole once it is in the file.
    state: RwLock<Arc<State>>,
    /// One writer at a time.
    writing: parking_lot::Mutex<()>,
}

/// For [`store::Backends::register`]: `dsn` is the path of the file.
pub fn open(config: &Config) -> Answer<'_, Arc<dyn Store>> {
    let opened = match &config.dsn {
        Some(path) => ExampleStore::open(path).map(|store| Arc::new(store) as Arc<dyn Store>),
        None => Err(Error::config("dsn", "is required: the path of the file")),
    };
    future::ready(opened).boxed()
}

impl ExampleStore {
    /// Opens the file, or begins with nothing.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let state = match std::fs::read(&path) {
            Ok(json) => serde_json::from_slice(&json).map_err(|_| Error::Corrupt("the file".into()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => State::default(),
            Err(error) => return Err(Error::Retry(error.to_string())),
        };
        Ok(Self { path, state: RwLock::new(Arc::new(state)), writing: parking_lot::Mutex::default() })
    }

    /// Changes a copy, writes it, and only then lets readers see it: what failed has not happened, and numbers become
    /// visible in order.
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Answer<'static, T> {
        let _one = self.writing.lock();
        let mut state = State::clone(&self.state.read());
        let written = change(&mut state).and_then(|done| {
            let json = serde_json::to_vec(&state).map_err(|error| Error::Failed(error.to_string()))?;
            let beside = self.path.with_extension("new");
            std::fs::write(&beside, json)
                .and_then(|()| std::fs::rename(&beside, &self.path))
                .map_err(|error| Error::Retry(error.to_string()))?;
            *self.state.write() = Arc::new(state);
            Ok(done)
        });
        // A back end with more to do would do it on a blocking thread.
        future::ready(written).boxed()
    }

    fn read<T: Send + 'static>(&self, read: impl FnOnce(&State) -> Result<T, Error>) -> Answer<'static, T> {
        let state = Arc::clone(&self.state.read());
        future::ready(read(&state)).boxed()
    }
}

impl Store for ExampleStore {
    fn apply(&self, batch: Batch) -> Answer<'_, Applied> {
        self.write(|state| {
            let Batch { cluster, resource, changes, checkpoint } = batch;
            let mut applied = Applied::default();
            state.scope(&cluster, &resource).checkpoint(checkpoint);
            for change in changes {
                match change {
                    Change::Upsert(object) => state.upsert(&cluster, &resource, &object, &mut applied),
                    Change::Delete(name) => state.delete(&cluster, &resource, &name, &mut applied),
                }
            }
            Ok(applied)
        })
    }

    fn begin_generation(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, Generation> {
        self.write(|state| {
            let scope = state.scope(cluster, resource);
            scope.generation += 1;
            Ok(Generation { cluster: cluster.clone(), resource: resource.clone(), number: scope.generation })
        })
    }

    fn sweep(&self, generation: Generation, checkpoint: Option<String>) -> Answer<'_, u64> {
        self.write(|state| state.sweep(&generation, checkpoint))
    }

    fn remove_resource(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, ()> {
        self.write(|state| {
            state.remove(|scope| (&scope.cluster, &scope.resource) == (cluster, resource));
            Ok(())
        })
    }

    fn remove_cluster(&self, cluster: &ClusterName) -> Answer<'_, ()> {
        self.write(|state| {
            state.remove(|scope| scope.cluster == *cluster);
            Ok(())
        })
    }

    fn checkpoints(&self, cluster: &ClusterName) -> Answer<'_, Vec<Checkpoint>> {
        self.read(|state| {
            let of_cluster = state.scopes.iter().filter(|scope| scope.cluster == *cluster);
            let checkpoint = |scope: &state::Scope| Checkpoint {
                resource: scope.resource.clone(),
                resource_version: scope.checkpoint.clone(),
                objects: scope.objects.len() as u64,
            };
            let mut checkpoints: Vec<Checkpoint> = of_cluster.map(checkpoint).collect();
            checkpoints.sort_by(|a, b| a.resource.cmp(&b.resource));
            Ok(checkpoints)
        })
    }

    fn clusters(&self) -> Answer<'_, Vec<ClusterName>> {
        self.read(|state| {
            let mut clusters: Vec<_> = state.scopes.iter().map(|scope| scope.cluster.clone()).collect();
            clusters.sort();
            clusters.dedup();
            Ok(clusters)
        })
    }

    fn resources(&self, clusters: Option<&[ClusterName]>) -> Answer<'_, Vec<Resource>> {
        self.read(|state| {
            let wanted = |scope: &&state::Scope| {
                !scope.objects.is_empty() && clusters.is_none_or(|clusters| clusters.contains(&scope.cluster))
            };
            let mut resources: Vec<_> =
                state.scopes.iter().filter(wanted).map(|scope| scope.resource.clone()).collect();
            resources.sort();
            resources.dedup();
            Ok(resources)
        })
    }

    fn versions(
        &self,
        cluster: &ClusterName,
        resource: &Resource,
        after: Option<ObjectName>,
        limit: usize,
    ) -> Answer<'_, Vec<StoredVersion>> {
        self.read(|state| {
            let objects = state.find(cluster, resource).into_iter().flat_map(|scope| &scope.objects);
            let mut versions: Vec<StoredVersion> = objects.map(stored_version).collect();
            versions.sort_by(|a, b| a.name.cmp(&b.name));
            versions.retain(|version| after.as_ref().is_none_or(|after| version.name > *after));
            versions.truncate(limit);
            Ok(versions)
        })
    }

    fn get(&self, cluster: &ClusterName, resource: &Resource, name: &ObjectName) -> Answer<'_, Option<Row>> {
        self.read(|state| {
            let mut objects = state.find(cluster, resource).into_iter().flat_map(|scope| &scope.objects);
            let found = objects.find(|object| object.is_named(name));
            Ok(found.map(|object| select::row(object, store::Content::Whole)))
        })
    }

    fn head(&self) -> Answer<'_, u64> {
        self.read(|state| Ok(state.sequence))
    }

    fn describe(&self, cluster: &ClusterName, resource: &Resource, text: String) -> Answer<'_, ()> {
        self.write(|state| {
            state.scope(cluster, resource).description = Some(text);
            Ok(())
        })
    }

    fn description(
        &self,
        clusters: Option<&[ClusterName]>,
        resource: &Resource,
    ) -> Answer<'_, Option<String>> {
        self.read(|state| {
            let wanted = |scope: &&state::Scope| {
                scope.resource == *resource
                    && scope.description.is_some()
                    && clusters.is_none_or(|clusters| clusters.contains(&scope.cluster))
            };
            let first = state.scopes.iter().filter(wanted).min_by_key(|scope| &scope.cluster);
            Ok(first.and_then(|scope| scope.description.clone()))
        })
    }

    fn select(&self, query: Query) -> Answer<'_, Rows> {
        self.read(|state| {
            query.validate()?;
            let mut found = select::all(state, &query);
            match &query.start {
                Start::Beginning => {}
                Start::Offset(offset) => drop(found.drain(..found.len().min(*offset as usize))),
                Start::After(token) => {
                    let (after, order) = (token.position(&query)?, query.total_order());
                    found.retain(|object| object.position.compare(&after, &order).is_gt());
                }
            }
            let limit = query.limit.map_or(usize::MAX, |limit| limit.get() as usize);
            let more = found.len() > limit;
            found.truncate(limit);
            let token = found.last().filter(|_| more).map(|last| Token::new(&query, &last.position));
            let rows = found.into_iter().map(|object| select::row(object, query.content)).collect();
            // A back end with much to say would make many pieces, each when it is asked for.
            let pieces = [Piece::Rows(rows), Piece::End(token)];
            Ok(Rows::new(stream::iter(pieces.map(Ok)).boxed()))
        })
    }

    fn count(&self, query: Query) -> Answer<'_, u64> {
        self.read(|state| {
            query.validate()?;
            Ok(select::all(state, &query).len() as u64)
        })
    }
}
