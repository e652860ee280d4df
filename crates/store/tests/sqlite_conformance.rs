//! SQLite passes the conformance suite.

use std::sync::Arc;

use futures_util::{FutureExt as _, future::BoxFuture};
use store::{Error, SqliteOptions, SqliteStore, Store, conformance::Place};

struct Directory(tempfile::TempDir);

impl Place for Directory {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Error>> {
        let options = SqliteOptions::new(self.0.path().join("store.db"));
        async move { SqliteStore::open(options).await.map(|store| Arc::new(store) as Arc<dyn Store>) }.boxed()
    }
}

#[tokio::test]
async fn sqlite_conforms() {
    store::conformance::check(|| Directory(tempfile::tempdir().unwrap())).await;
}
