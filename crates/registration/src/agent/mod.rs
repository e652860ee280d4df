//! The child's side of registration and reporting.
