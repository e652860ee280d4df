//! SQLite passes the conformance suite.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use store::{Error, SqliteOptions, SqliteStore, Store, conformance::Place};

struct Directory {
    directory: tempfile::TempDir,
    most_looked_up: Option<u64>,
}

impl Directory {
    fn new(directory: tempfile::TempDir, most_looked_up: Option<u64>) -> Self {
        Self { directory, most_looked_up }
    }
}

impl Place for Directory {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Error>> {
        let mut options = SqliteOptions::new(self.directory.path().join("store.db"));
        options.most_looked_up = self.most_looked_up.unwrap_or(options.most_looked_up);
        async move { SqliteStore::open(options).await.map(|store| Arc::new(store) as Arc<dyn Store>) }.boxed()
    }
}

#[tokio::test]
async fn sqlite_conforms() {
    store::conformance::check(|| Directory::new(tempfile::tempdir().unwrap(), None)).await;
}

#[tokio::test]
async fn sqlite_conforms_when_it_goes_through_everything_in_order() {
    store::conformance::check(|| Directory::new(tempfile::tempdir().unwrap(), Some(0))).await;
}
