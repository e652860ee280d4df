//! The search API over the store, if this process has one.

use std::sync::Arc;

use apiserver::{Api, Authorizer};
use kube::Client;
use runtime::Tasks;
use search::{Catalogue, Search};
use store::Store;

/// The APIServices of the search.
pub(crate) const API_SERVICES: [&str; 2] = ["v1beta1.clusterpedia.io", "v1alpha1.pedia.clusterpedia.io"];

/// What serves them.
pub(crate) fn apis(
    tasks: &Tasks,
    client: Client,
    store: Option<Arc<dyn Store>>,
    authorizer: Authorizer,
) -> Vec<Arc<dyn Api>> {
    let search = match store {
        Some(store) => Search::new(store, Catalogue::follow(tasks, client), authorizer),
        None => Search::without_store(),
    };
    search.apis()
}
