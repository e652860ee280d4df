//! The store in a PostgreSQL database: any number of hubs read and write it.
//!
//! ```text
//!  apply ─► compress, extract (blocking threads) ─► bounded channel ─► Writer (its own thread, its own connection)
//!  select, count, get ─► Readers (a few connections, one snapshot for each piece) ─► Plan ─► Driver: look up, sort
//!                                                                                       └──► Lanes: merge scopes in order
//! ```
//!
//! How the tables are laid out stands in `schema_v1.sql`, what keeps several writers apart in `apply.rs` and
//! `scope.rs`. Everything is in the schema `clusterway` of the database; the extension `pg_trgm` is needed.
//!
//! # How conditions become cheap
//!
//! * cluster, resource: the scope, with which every index begins
//! * namespace, name, creation time, resourceVersion, sequence, owner: an index each
//! * labels: one row per label in `term`, by namespace; also in the object's row, for objects at hand
//! * fields: as labels, once a query has used the path (`background.rs`); until then from the body of each candidate
//! * offsets: leaps in the index (`leap.rs`)
//! * fuzzy names: a trigram index for texts of three characters and more; shorter ones look at every name
//!
//! Deliberately absent: cursors and anything else that outlives a piece of an answer, because a slow reader would hold
//! back the database's cleaning; plans that depend on statistics (`session.rs`).

#![expect(clippy::format_push_string, reason = "a statement is put together once for many rows")]

mod apply;
mod background;
mod change;
mod driver;
mod error;
mod lanes;
mod leap;
mod options;
mod owners;
mod plan;
mod schema;
mod scope;
mod select;
mod session;
mod tls;
mod values;
mod writer;

use std::{collections::HashMap, sync::Arc, thread::JoinHandle};

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

pub use self::options::PostgresOptions;
use self::{
    error::Sorted as _,
    plan::{COLUMNS, Places},
    select::Counting,
    session::{Readers, Session},
    writer::{Memory, Shared, Writer},
};
use crate::{
    Answer, Applied, Batch, Checkpoint, ClusterName, Content, Error, Generation, ObjectName, Query, Resource,
    Row, Rows, Store, StoredVersion,
    relational::{command::Commands, pieces, selection::Selection},
};

/// A store in a PostgreSQL database.
///
/// ```no_run
/// # async fn example() -> Result<(), store::Error> {
/// use store::{PostgresOptions, PostgresStore, Query, Resource, Store as _};
///
/// let dsn = "host=db.example.com user=search dbname=clusterway sslmode=verify-full";
/// let store = PostgresStore::open(PostgresOptions::new(dsn)?).await?;
/// let mut pods = store.select(Query::of(Resource::new("", "v1", "pods"))).await?;
/// while let Some(pod) = pods.next().await? {
///     tracing::debug!(cluster = %pod.position.cluster, name = pod.position.name, "a pod");
/// }
/// # Ok(())
/// # }
/// ```
pub struct PostgresStore {
    commands: Commands,
    readers: Readers,
    shared: Arc<Shared>,
    writer: JoinHandle<()>,
    most_looked_up: u64,
}

impl std::fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore").finish_non_exhaustive()
    }
}

/// Commands on their way to the writer.
const COMMANDS: usize = 16;

impl PostgresStore {
    /// Connects, makes the schema if there is none, and brings it up to date.
    ///
    /// # Errors
    /// [`Error::Retry`] if the server cannot be reached or refuses us, [`Error::Newer`] if a newer version wrote the
    /// schema, [`Error::Config`] or [`Error::Failed`] if the database is not fit.
    pub async fn open(options: PostgresOptions) -> Result<Self, Error> {
        let options = Arc::new(options);
        let mut session = Session::open(&options).await?;
        let number = schema::open(&mut session).await?;
        let shared = Arc::<Shared>::default();
        session.run(async |channel| writer::load_paths(channel, &shared).await.map(drop)).await?;

        let failed = |error: std::io::Error| Error::Retry(format!("no thread for the writer: {error}"));
        // The writer has a connection of its own, made where it is used.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (commands, queue) = Commands::new(COMMANDS);
        let memory = Memory { writer: number, shared: Arc::clone(&shared), keys: HashMap::new() };
        let writer = Writer::new(Arc::clone(&options), queue, memory);
        let writer = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || runtime.block_on(writer.run()))
            .map_err(failed)?;
        let most_looked_up = options.most_looked_up;
        let readers = Readers::new(options);
        readers.keep(session);
        Ok(Self { commands, readers, shared, writer, most_looked_up })
    }

    /// Finishes what is under way and closes all connections.
    pub async fn close(self) {
        let Self { commands, readers, writer, .. } = self;
        readers.close().await;
        drop(commands);
        let _ = tokio::task::spawn_blocking(move || writer.join()).await;
    }
}

impl Store for PostgresStore {
    fn apply(&self, batch: Batch) -> Answer<'_, Applied> {
        let paths = self.shared.paths.lock().1.clone();
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
        async move {
            let sql = "SELECT r.api_group, r.version, r.resource, s.checkpoint, s.objects, s.id, s.writer \
                       FROM clusterway.scope AS s JOIN clusterway.resource AS r ON r.id = s.resource \
                       WHERE s.cluster = $1 ORDER BY r.api_group, r.version, r.resource";
            let rows =
                self.readers.run(async |channel| channel.query(sql, &[&cluster.as_str()]).await).await?;
            let read = |row: &tokio_postgres::Row| {
                // Who goes on from here must notice when another goes on too.
                self.shared.claims.lock().entry(row.try_get(5).sorted()?).or_insert(row.try_get(6).sorted()?);
                Ok(Checkpoint {
                    resource: resource(row)?,
                    resource_version: row.try_get(3).sorted()?,
                    objects: row.try_get::<_, i64>(4).sorted()? as u64,
                })
            };
            rows.iter().map(read).collect()
        }
        .boxed()
    }

    fn clusters(&self) -> Answer<'_, Vec<ClusterName>> {
        async move {
            let sql = "SELECT DISTINCT cluster FROM clusterway.scope ORDER BY cluster";
            let rows = self.readers.run(async |channel| channel.query(sql, &[]).await).await?;
            rows.iter().map(|row| row.try_get::<_, String>(0).sorted().map(ClusterName::new)).collect()
        }
        .boxed()
    }

    fn resources(&self, clusters: Option<&[ClusterName]>) -> Answer<'_, Vec<Resource>> {
        let clusters = clusters.map(names);
        async move {
            let sql = "SELECT r.api_group, r.version, r.resource FROM clusterway.resource AS r WHERE EXISTS \
                       (SELECT 1 FROM clusterway.scope AS s WHERE s.resource = r.id AND s.objects > 0 \
                        AND ($1::text[] IS NULL OR s.cluster = ANY($1))) ORDER BY r.api_group, r.version, r.resource";
            let rows = self.readers.run(async |channel| channel.query(sql, &[&clusters]).await).await?;
            rows.iter().map(resource).collect()
        }
        .boxed()
    }

    fn versions(
        &self,
        cluster: &ClusterName,
        resource: &Resource,
        after: Option<ObjectName>,
        limit: usize,
    ) -> Answer<'_, Vec<StoredVersion>> {
        let (cluster, resource, after) = (cluster.clone(), resource.clone(), after.unwrap_or_default());
        async move {
            let sql = "SELECT o.namespace, o.name, o.version FROM clusterway.object AS o WHERE o.scope = $1 \
                       AND (o.namespace, o.name) > ($2, $3) ORDER BY o.namespace, o.name LIMIT $4";
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = self
                .readers
                .run(async |channel| match scope::id(channel, &cluster, &resource).await? {
                    Some(scope) => channel.query(sql, &[&scope, &after.namespace, &after.name, &limit]).await,
                    None => Ok(Vec::new()),
                })
                .await?;
            let read = |row: &tokio_postgres::Row| {
                Ok(StoredVersion {
                    name: ObjectName { namespace: row.try_get(0).sorted()?, name: row.try_get(1).sorted()? },
                    resource_version: values::read_version(row.try_get(2).sorted()?)?.to_string(),
                })
            };
            rows.iter().map(read).collect()
        }
        .boxed()
    }

    fn get(&self, cluster: &ClusterName, resource: &Resource, name: &ObjectName) -> Answer<'_, Option<Row>> {
        let (cluster, resource, name) = (cluster.clone(), resource.clone(), name.clone());
        async move {
            if !values::storable(&name.namespace) || !values::storable(&name.name) {
                return Ok(None);
            }
            let found = self
                .readers
                .run(async |channel| {
                    let Some(scope) = scope::id(channel, &cluster, &resource).await? else { return Ok(None) };
                    let sql = format!(
                        "SELECT {COLUMNS} FROM clusterway.object AS o \
                         WHERE o.scope = $1 AND o.namespace = $2 AND o.name = $3"
                    );
                    let rows = channel.query(&sql, &[&scope, &name.namespace, &name.name]).await?;
                    let Some(row) = rows.first() else { return Ok(None) };
                    let Some(object) = plan::found(&Places::from([(scope, 0)]), row, 0)? else {
                        return Ok(None);
                    };
                    let json =
                        plan::unpacked(channel, std::slice::from_ref(&object), Content::Whole).await?.pop();
                    Ok(json.map(|json| (object.key, json)))
                })
                .await?;
            Ok(found.map(|(key, json)| Row {
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
                json,
            }))
        }
        .boxed()
    }

    fn head(&self) -> Answer<'_, u64> {
        async move {
            let sql = "SELECT sequence FROM clusterway.counter";
            let row = self.readers.run(async |channel| channel.one(sql, &[]).await).await?;
            row.try_get::<_, i64>(0).sorted().map(|number| number as u64)
        }
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
        let (clusters, resource) = (clusters.map(names), resource.clone());
        async move {
            let sql = "SELECT s.description FROM clusterway.resource AS r \
                       JOIN clusterway.scope AS s ON s.resource = r.id \
                       WHERE r.api_group = $1 AND r.version = $2 AND r.resource = $3 \
                       AND s.description IS NOT NULL AND ($4::text[] IS NULL OR s.cluster = ANY($4)) \
                       ORDER BY s.cluster LIMIT 1";
            let Resource { group, version, resource } = resource;
            let rows = self
                .readers
                .run(async |channel| channel.query(sql, &[&group, &version, &resource, &clusters]).await)
                .await?;
            rows.first().map(|row| row.try_get(0).sorted()).transpose()
        }
        .boxed()
    }

    fn select(&self, query: Query) -> Answer<'_, Rows> {
        async move {
            query.validate()?;
            let selection = Selection::new(query)?;
            check_place(&selection)?;
            let (readers, wishes, most) = (self.readers.clone(), self.commands.wishes(), self.most_looked_up);
            Ok(Rows::new(pieces::pieces(selection, move |mut selection, portions| {
                let (readers, wishes) = (readers.clone(), wishes.clone());
                let mut work = JoinSet::new();
                work.spawn(async move {
                    let found = readers
                        .run(async |channel| {
                            let query = selection.query.clone();
                            let mut plan = plan::plan(channel, &query, most).await?;
                            wishes.register(&mut plan);
                            select::advance(channel, &plan, &mut selection, portions).await
                        })
                        .await?;
                    Ok((selection, found))
                });
                async move {
                    let found = work.join_next().await.and_then(Result::ok);
                    found.unwrap_or_else(|| Err(Error::Failed("a reader has panicked".into())))
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
            let mut counting = Counting::default();
            loop {
                let done = self
                    .readers
                    .run(async |channel| {
                        let mut plan = plan::plan(channel, &query, self.most_looked_up).await?;
                        self.commands.wishes().register(&mut plan);
                        counting.advance(channel, &plan).await
                    })
                    .await?;
                if done {
                    return Ok(counting.total);
                }
            }
        }
        .boxed()
    }
}

/// Names of clusters as a parameter of a statement.
fn names(clusters: &[ClusterName]) -> Vec<String> {
    let names = clusters.iter().map(|cluster| cluster.as_str().to_owned());
    names.filter(|name| values::storable(name)).collect()
}

/// A forged token may lead to a place that cannot be.
fn check_place(selection: &Selection) -> Result<(), Error> {
    let Some(place) = &selection.after else { return Ok(()) };
    if values::storable(&place.namespace) && values::storable(&place.name) {
        Ok(())
    } else {
        Err(Error::invalid("continue", "is not a continue token"))
    }
}

fn resource(row: &tokio_postgres::Row) -> Result<Resource, Error> {
    Ok(Resource {
        group: row.try_get(0).sorted()?,
        version: row.try_get(1).sorted()?,
        resource: row.try_get(2).sorted()?,
    })
}
