//! What tests of both back ends ask.

use store::{Content, Query, Resource, Store};

/// The resource that the tests store.
pub(crate) fn things() -> Resource {
    Resource::new("", "v1", "things")
}

/// How many things there are, counted and listed.
pub(crate) async fn stored(store: &impl Store) -> u64 {
    let query = Query { content: Content::Keys, ..Query::of(things()) };
    let count = store.count(query.clone()).await.unwrap();
    let mut rows = store.select(query).await.unwrap();
    let mut listed = 0;
    while rows.next().await.unwrap().is_some() {
        listed += 1;
    }
    assert_eq!(count, listed);
    count
}
