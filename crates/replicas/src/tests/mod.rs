//! Replicas in this process: real TLS and HTTP on loopback, a scripted parent behind them.

mod keep;
mod relay;
mod world;

use std::{future::Future, sync::Arc, time::Duration};

use store::{SqliteOptions, SqliteStore, Store};

/// A store in a directory.
async fn open(directory: &std::path::Path) -> Result<Arc<dyn Store>, store::Error> {
    let options = SqliteOptions::new(directory.join("search.db"));
    Ok(Arc::new(SqliteStore::open(options).await?))
}

/// Waits until something holds; fails after twenty seconds.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(20), wait).await.is_ok(), "never happened: {what}");
}
