//! End-to-end tests on a fleet.

pub mod rights;
