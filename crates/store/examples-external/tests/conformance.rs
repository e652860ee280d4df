//! The example is registered, opened by its configuration, and passes the suite.

use std::sync::Arc;

use futures_util::FutureExt as _;
use store::{Answer, Backends, Config, Store, conformance::Place};

struct Directory(tempfile::TempDir);

impl Place for Directory {
    fn open(&self) -> Answer<'_, Arc<dyn Store>> {
        async move {
            let mut backends = Backends::default();
            backends.register("example", store_example::open);
            let text = format!("type: example\ndsn: {}\n", self.0.path().join("state.json").display());
            backends.open(&Config::parse(&text, |_| None)?).await
        }
        .boxed()
    }
}

#[tokio::test]
async fn the_example_conforms() {
    store::conformance::check(|| Directory(tempfile::tempdir().unwrap())).await;
}
