//! End-to-end tests that need more than requests and answers.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::fleet::Fleet;

/// A test by name.
pub struct Test {
    /// Its name, a sentence with underscores.
    pub name: &'static str,
    /// When it has failed by not ending.
    pub deadline: Duration,
    /// The test.
    pub run: for<'a> fn(&'a Fleet) -> BoxFuture<'a, anyhow::Result<()>>,
}

/// Every test, in the order they run.
pub fn all() -> Vec<Test> {
    vec![]
}
