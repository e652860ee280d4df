//! What every back end must do, as cases that run against any [`Store`].
//!
//! ```text
//! #[tokio::test]
//! async fn it_conforms() {
//!     store::conformance::check(|| MyPlace::new()).await;
//! }
//! ```
//!
//! Every sentence of [`Store`] and every condition of the search language is a case with a name; random data and
//! random queries are compared with an evaluator that filters and sorts in memory. The evaluator knows nothing of any
//! index, and is slow.

#![expect(clippy::unwrap_used, reason = "a case that fails panics")]
#![expect(clippy::panic, reason = "so does the suite")]

mod concurrency;
mod conditions;
mod data;
mod paging;
mod random;
mod reference;
mod writes;

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::{FutureExt as _, future::BoxFuture};

use crate::{Error, Query, Row, Store, Token};

/// A place where the data of one store lie, empty at first. They are there until it is dropped.
pub trait Place: Send + Sync + 'static {
    /// Opens the store at this place. It is called again after all earlier ones were dropped, without any of them
    /// having been closed: whatever they had acknowledged must be there.
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn Store>, Error>>;
}

type Case = fn(Arc<dyn Place>) -> BoxFuture<'static, ()>;

/// Runs every case, each in a new place.
///
/// # Panics
/// If a case fails, with the names of all that did.
pub async fn check<P: Place>(new_place: impl Fn() -> P) {
    let mut failed = Vec::new();
    let parts = [writes::CASES, concurrency::CASES, conditions::CASES, paging::CASES, random::CASES];
    for (name, case) in parts.concat() {
        let place: Arc<dyn Place> = Arc::new(new_place());
        if AssertUnwindSafe(case(place)).catch_unwind().await.is_err() {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "these cases failed: {failed:#?}");
}

/// Opens a place, the writer of the store before may still be on its way out.
async fn open(place: &Arc<dyn Place>) -> Arc<dyn Store> {
    for _ in 0..1000 {
        match place.open().await {
            Err(Error::Held(_)) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            opened => return opened.unwrap(),
        }
    }
    panic!("the store before does not let go");
}

/// All rows of an answer, and its token.
async fn all(store: &Arc<dyn Store>, query: &Query) -> (Vec<Row>, Option<Token>) {
    let mut rows = store.select(query.clone()).await.unwrap();
    let mut all = Vec::new();
    while let Some(row) = rows.next().await.unwrap() {
        all.push(row);
    }
    (all, rows.continue_token().cloned())
}

/// `cluster/namespace/name` of all rows of an answer.
async fn names(store: &Arc<dyn Store>, query: &Query) -> Vec<String> {
    let (rows, _) = all(store, query).await;
    assert_eq!(store.count(query.clone()).await.unwrap(), rows.len() as u64, "count differs: {query:?}");
    rows.iter().map(name_of).collect()
}

fn name_of(row: &Row) -> String {
    let position = &row.position;
    format!("{}/{}/{}", position.cluster, position.namespace, position.name)
}

/// The cases of a part: their names are those of their functions.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(super) const CASES: &[(&str, super::Case)] =
            &[$((stringify!($name), |place| futures_util::FutureExt::boxed($name(place)))),*];
    };
}
use cases;
