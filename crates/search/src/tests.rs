//! The API over a store with a few objects, by the numbers of contract section 12 where it has one.

mod collections;
mod discovery;
mod lists;
mod live;
mod rights;
mod world;
