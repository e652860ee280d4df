//! The store in a SQLite file: one writer, many readers, a write-ahead log.
//!
//! ```text
//!  apply ─► compress, extract (blocking threads) ─► bounded channel ─► Writer (its own thread, its own connection)
//!  select, count, get ─► Readers (blocking threads, one connection each) ─► Plan ─► Driver: look up, sort
//!                                                                              └──► Lanes: merge scopes in order
//! ```
//!
//! How the file is laid out stands in `schema_v1.sql` and what follows it. The file belongs to one process, which holds a lock on
//! `<path>.lock`.
//!
//! # How conditions become cheap
//!
//! * cluster, resource: the scope, with which every index begins
//! * namespace, name, creation time, resourceVersion, sequence, owner: an index each
//! * labels: one row per label in `term`, by namespace; also encoded in the object's row, for objects at hand
//! * fields: as labels, once a query has used the path (`paths.rs`); until then from the body of each candidate
//! * offsets: leaps in the index (`leap.rs`)
//! * fuzzy names: a trigram index for texts of three characters and more; shorter ones look at every name

mod change;
mod driver;
mod error;
mod lane;
mod leap;
mod owners;
mod paths;
mod plan;
mod range;
mod readers;
mod schema;
mod select;
mod terms;
mod values;
mod writer;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use rusqlite::{Connection, params};

use self::{
    error::Sorted as _,
    plan::{COLUMNS, Reader},
    readers::Readers,
    select::Counting,
    writer::Writer,
};
use crate::{
    Answer, Applied, Batch, Checkpoint, ClusterName, Error, Generation, ObjectName, Query, Resource, Row,
    Rows, Store, StoredVersion,
    relational::{body::Bodies, command::Commands, fields::Paths, pieces, selection::Selection},
};

/// Where the file is and how much memory its connections take.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// The file. Its directory exists; the file and its `-wal`, `-shm` and `.lock` are made when missing.
    pub path: PathBuf,
    /// How many queries are worked on at a time.
    pub readers: usize,
    /// How many objects are looked up and sorted in memory for an answer at most; if its conditions leave more, it
    /// is found in order, object by object.
    pub most_looked_up: u64,
    /// Page cache of the writer, in KiB.
    pub writer_cache_kib: i64,
    /// Page cache of each reader, in KiB.
    pub reader_cache_kib: i64,
    /// The most pages of 8 KiB that the file may have; `None` leaves that to the disk.
    pub max_pages: Option<u32>,
}

impl SqliteOptions {
    /// Four readers, at most 96 MiB of page cache in all.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            most_looked_up: 20_000,
            writer_cache_kib: 32 << 10,
            reader_cache_kib: 16 << 10,
            max_pages: None,
        }
    }
}

/// A store in a SQLite file.
///
/// ```
/// # async fn example() -> Result<(), store::Error> {
/// use store::{ClusterName, Query, Resource, SqliteOptions, SqliteStore, Store as _};
///
/// let store = SqliteStore::open(SqliteOptions::new("/var/lib/clusterway/search.db")).await?;
/// let mut pods = store.select(Query::of(Resource::new("", "v1", "pods"))).await?;
/// while let Some(pod) = pods.next().await? {
///     tracing::debug!(cluster = %pod.position.cluster, name = pod.position.name, "a pod");
/// }
/// store.close().await;
/// # Ok(())
/// # }
/// ```
pub struct SqliteStore {
    commands: Commands,
    readers: Readers,
    paths: Arc<Mutex<Arc<Paths>>>,
    writer: JoinHandle<()>,
    most_looked_up: u64,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

/// Commands on their way to the writer.
const COMMANDS: usize = 8;

impl SqliteStore {
    /// Opens the file, makes it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Held`] if another process has it open, [`Error::Newer`] if a newer version wrote it,
    /// [`Error::Corrupt`] if it cannot be read, [`Error::Retry`] if the disk does not let us.
    pub async fn open(options: SqliteOptions) -> Result<Self, Error> {
        tokio::task::spawn_blocking(move || Self::open_blocking(options))
            .await
            .map_err(|_| Error::Failed("opening has panicked".into()))?
    }

    /// What cannot be read, with what to do about it.
    fn damaged(path: &Path, error: Error) -> Error {
        let Error::Corrupt(why) = error else { return error };
        let path = path.display();
        Error::Corrupt(format!(
            "{path}: {why}. If no other program needs it, delete {path}, {path}-wal and {path}-shm: everything is \
             collected from the clusters again"
        ))
    }

    fn open_blocking(options: SqliteOptions) -> Result<Self, Error> {
        let options = Arc::new(options);
        let lock = lock(&options)?;
        let connection =
            schema::open_writer(&options).map_err(|error| Self::damaged(&options.path, error))?;
        let (commands, queue) = Commands::new(COMMANDS);
        let paths = Arc::default();
        let writer = Writer::new(connection, queue, Arc::clone(&paths), lock)?;
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| Error::Retry(format!("no thread for the writer: {error}")))?;
        let most_looked_up = options.most_looked_up;
        Ok(Self { commands, readers: Readers::new(options), paths, writer, most_looked_up })
    }

    /// Finishes what is under way and closes the file; another process may open it then.
    pub async fn close(self) {
        let Self { commands, readers, writer, .. } = self;
        readers.close().await;
        drop(commands);
        let _ = tokio::task::spawn_blocking(move || writer.join()).await;
    }
}

/// Takes the lock that says the file is ours.
fn lock(options: &SqliteOptions) -> Result<File, Error> {
    let mut path = options.path.clone().into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    let failed = |error: std::io::Error| Error::Retry(format!("{}: {error}", path.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Held(options.path.display().to_string())),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

impl Store for SqliteStore {
    fn apply(&self, batch: Batch) -> Answer<'_, Applied> {
        let paths = self.paths.lock().clone();
        self.commands.apply(batch, paths).boxed()
    }

    fn begin_generation(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, Generation> {
        self.commands.begin(cluster.clone(), resource.clone()).boxed()
    }

    fn sweep(&self, generation: Generation, checkpoint: Option<String>) -> Answer<'_, u64> {
        self.commands.sweep(generation, checkpoint).boxed()
    }

    fn remove_resource(&self, cluster: &ClusterName, resource: &Resource) -> Answer<'_, ()> {
        self.commands.remove(cluster.clone(), Some(resource.clone())).boxed()
    }

    fn remove_cluster(&self, cluster: &ClusterName) -> Answer<'_, ()> {
        self.commands.remove(cluster.clone(), None).boxed()
    }

    fn checkpoints(&self, cluster: &ClusterName) -> Answer<'_, Vec<Checkpoint>> {
        let cluster = cluster.clone();
        self.readers
            .run(move |connection, _| {
                let sql = "SELECT r.api_group, r.version, r.resource, s.checkpoint, s.objects \
                           FROM scope AS s JOIN resource AS r ON r.id = s.resource WHERE s.cluster = ? \
                           ORDER BY r.api_group, r.version, r.resource";
                collect(connection, sql, [cluster.as_str()], |row| {
                    Ok(Checkpoint {
                        resource: resource(row)?,
                        resource_version: row.get(3)?,
                        objects: row.get(4)?,
                    })
                })
            })
            .boxed()
    }

    fn clusters(&self) -> Answer<'_, Vec<ClusterName>> {
        self.readers
            .run(|connection, _| {
                let sql = "SELECT DISTINCT cluster FROM scope ORDER BY cluster";
                collect(connection, sql, [], |row| row.get::<_, String>(0).map(ClusterName::new))
            })
            .boxed()
    }

    fn resources(&self, clusters: Option<&[ClusterName]>) -> Answer<'_, Vec<Resource>> {
        let clusters = clusters.map(json_list);
        self.readers
            .run(move |connection, _| {
                let sql = "SELECT r.api_group, r.version, r.resource FROM resource AS r WHERE EXISTS \
                           (SELECT 1 FROM scope AS s WHERE s.resource = r.id AND s.objects > 0 \
                            AND (?1 IS NULL OR s.cluster IN (SELECT value FROM json_each(?1)))) \
                           ORDER BY r.api_group, r.version, r.resource";
                collect(connection, sql, [clusters], resource)
            })
            .boxed()
    }

    fn versions(
        &self,
        cluster: &ClusterName,
        resource: &Resource,
        after: Option<ObjectName>,
        limit: usize,
    ) -> Answer<'_, Vec<StoredVersion>> {
        let (cluster, resource) = (cluster.clone(), resource.clone());
        self.readers
            .run(move |connection, _| {
                let Some(scope) = change::find_scope(connection, &cluster, &resource)? else {
                    return Ok(Vec::new());
                };
                let after = after.unwrap_or_default();
                let sql = "SELECT namespace, name, version FROM object INDEXED BY object_key \
                           WHERE scope = ? AND (namespace, name) > (?, ?) ORDER BY namespace, name LIMIT ?";
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                collect(connection, sql, params![scope.id, after.namespace, after.name, limit], |row| {
                    Ok(StoredVersion {
                        name: ObjectName { namespace: row.get(0)?, name: row.get(1)? },
                        resource_version: row.get::<_, crate::Version>(2)?.to_string(),
                    })
                })
            })
            .boxed()
    }

    fn get(&self, cluster: &ClusterName, resource: &Resource, name: &ObjectName) -> Answer<'_, Option<Row>> {
        let (cluster, resource, name) = (cluster.clone(), resource.clone(), name.clone());
        self.readers
            .run(move |connection, bodies| {
                let Some(scope) = change::find_scope(connection, &cluster, &resource)? else {
                    return Ok(None);
                };
                let sql = format!(
                    "SELECT {COLUMNS} FROM object AS o WHERE o.scope = ? AND o.namespace = ? AND o.name = ?"
                );
                let mut statement = connection.prepare_cached(&sql).sorted()?;
                let mut rows = statement.query(params![scope.id, name.namespace, name.name]).sorted()?;
                let Some(row) = rows.next().sorted()? else { return Ok(None) };
                let key = plan::key(0, row)?;
                let json = Reader::new(connection, bodies)?.json(key.id)?;
                Ok(json.map(|json| Row {
                    position: crate::Position {
                        cluster,
                        resource,
                        namespace: key.namespace,
                        name: key.name,
                        created: key.created,
                        version: key.version,
                        sequence: key.sequence as u64,
                    },
                    uid: key.uid.text(),
                    json: json.into(),
                }))
            })
            .boxed()
    }

    fn head(&self) -> Answer<'_, u64> {
        self.readers
            .run(|connection, _| {
                let sql = "SELECT sequence FROM counter";
                connection.prepare_cached(sql).sorted()?.query_row([], |row| row.get(0)).sorted()
            })
            .boxed()
    }

    fn describe(&self, cluster: &ClusterName, resource: &Resource, text: String) -> Answer<'_, ()> {
        self.commands.describe(cluster.clone(), resource.clone(), text).boxed()
    }

    fn description(
        &self,
        clusters: Option<&[ClusterName]>,
        resource: &Resource,
    ) -> Answer<'_, Option<String>> {
        let (clusters, resource) = (clusters.map(json_list), resource.clone());
        self.readers
            .run(move |connection, _| {
                let sql = "SELECT s.description FROM resource AS r JOIN scope AS s ON s.resource = r.id \
                           WHERE r.api_group = ?1 AND r.version = ?2 AND r.resource = ?3 \
                           AND s.description IS NOT NULL \
                           AND (?4 IS NULL OR s.cluster IN (SELECT value FROM json_each(?4))) \
                           ORDER BY s.cluster LIMIT 1";
                let Resource { group, version, resource } = resource;
                let texts =
                    collect(connection, sql, params![group, version, resource, clusters], |row| row.get(0))?;
                Ok(texts.into_iter().next())
            })
            .boxed()
    }

    fn select(&self, query: Query) -> Answer<'_, Rows> {
        async move {
            query.validate()?;
            let selection = Selection::new(query)?;
            let (readers, wishes, most) = (self.readers.clone(), self.commands.wishes(), self.most_looked_up);
            Ok(Rows::new(pieces::pieces(selection, move |mut selection, portions| {
                let (readers, wishes) = (readers.clone(), wishes.clone());
                async move {
                    let job = move |connection: &Connection, bodies: &mut Bodies| {
                        let query = selection.query.clone();
                        let mut plan = plan::plan(connection, &query, most)?;
                        wishes.register(&mut plan);
                        let found = selection.advance(connection, bodies, &plan, portions)?;
                        Ok((selection, found))
                    };
                    readers.run(job).await
                }
            })))
        }
        .boxed()
    }

    fn count(&self, query: Query) -> Answer<'_, u64> {
        async move {
            // What a page is limited to does not limit the count.
            let query = Query { limit: None, start: crate::Start::Beginning, ..query };
            query.validate()?;
            let query = Arc::new(query);
            let mut counting = Counting::default();
            loop {
                let (query, wishes, most) = (query.clone(), self.commands.wishes(), self.most_looked_up);
                let (counted, done) = self
                    .readers
                    .run(move |connection, bodies| {
                        let mut plan = plan::plan(connection, &query, most)?;
                        wishes.register(&mut plan);
                        let done = counting.advance(connection, bodies, &plan)?;
                        Ok((counting, done))
                    })
                    .await?;
                if done {
                    return Ok(counted.total);
                }
                counting = counted;
            }
        }
        .boxed()
    }
}

/// Names of clusters as one parameter of a statement.
fn json_list(clusters: &[ClusterName]) -> String {
    clusters.iter().map(ClusterName::as_str).collect::<serde_json::Value>().to_string()
}

fn resource(row: &rusqlite::Row<'_>) -> rusqlite::Result<Resource> {
    Ok(Resource { group: row.get(0)?, version: row.get(1)?, resource: row.get(2)? })
}

/// All rows of a statement.
fn collect<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare_cached(sql).sorted()?;
    let rows = statement.query_map(params, read).sorted()?;
    rows.collect::<rusqlite::Result<_>>().sorted()
}
