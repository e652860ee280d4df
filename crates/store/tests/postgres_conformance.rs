//! PostgreSQL passes the conformance suite, on a server of its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use store::{Error, PostgresOptions, PostgresStore, Store, conformance::Place};
use testkit::postgres::Postgres;
use tokio::sync::OnceCell;

/// A database.
struct Database {
    server: Arc<Postgres>,
    number: usize,
    dsn: OnceCell<String>,
    most_looked_up: Option<u64>,
}

impl Place for Database {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Error>> {
        async move {
            let dsn = self.dsn.get_or_init(async || {
                self.server.create_database(&format!("case{}", self.number)).await.unwrap()
            });
            let mut options = PostgresOptions::new(dsn.await)?;
            options.most_looked_up = self.most_looked_up.unwrap_or(options.most_looked_up);
            Ok(Arc::new(PostgresStore::open(options).await?) as Arc<dyn Store>)
        }
        .boxed()
    }
}

async fn check(most_looked_up: Option<u64>) {
    let server = Arc::new(Postgres::start().await.unwrap());
    let numbers = AtomicUsize::new(0);
    store::conformance::check(|| Database {
        server: Arc::clone(&server),
        number: numbers.fetch_add(1, Ordering::Relaxed),
        dsn: OnceCell::new(),
        most_looked_up,
    })
    .await;
}

#[tokio::test]
async fn postgres_conforms() {
    check(None).await;
}

#[tokio::test]
async fn postgres_conforms_when_it_goes_through_everything_in_order() {
    check(Some(0)).await;
}
