//! End-to-end tests on a fleet: scenarios as data, and tests in Rust.

pub mod charts;
pub mod runner;
pub mod scenario;
pub mod tests;
