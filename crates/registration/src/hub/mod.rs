//! The parent's side of registration and reporting.
