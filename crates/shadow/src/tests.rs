//! The API against a parent that keeps Manifests.

mod parent;
mod reads;
mod writes;
