//! JSON of lists and watches, cut into objects while it arrives.
//!
//! [`ListScanner`] and [`WatchScanner`] are fed with whatever the network gives and hand out every object as soon as
//! its last byte is there. They find where values end and nothing more: an object's bytes are what stands between its
//! braces, and that they are well-formed JSON inside is seen by who decodes them
//! ([`RawObject::from_json`](crate::RawObject::from_json)). What stands around the objects is checked.
//!
//! Memory: what has been pushed and not taken, and the one object that has begun in an earlier chunk. Nothing here is
//! recursive.

mod cursor;
mod fields;
mod list;
#[cfg(test)]
mod tests;
mod watch;

pub use list::{ListMeta, ListScanner};
pub use watch::{Bookmark, WatchEvent, WatchScanner};

/// Bytes that one object may have if nobody says otherwise. A Kubernetes store takes 1.5 MB by default, and JSON may
/// write one byte of a text as six: this is more than a real server can show.
pub const DEFAULT_OBJECT_LIMIT: usize = 16 << 20;

/// Why a list or a watch cannot be read on. A scanner that has failed gives the same error for ever.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The other side does not speak JSON, or this is no list or watch. Asking again may help, reading on does not.
    #[error("malformed JSON at byte {offset}: expected {expected}")]
    Malformed {
        /// Bytes from the beginning of the stream to about where it went wrong.
        offset: u64,
        /// What should have stood there.
        expected: &'static str,
    },
    /// The bytes ended in the middle. Asking again may help.
    #[error("the JSON ends too early, after {offset} bytes")]
    Truncated {
        /// Bytes that have been read.
        offset: u64,
    },
    /// One object is above the limit given to the scanner.
    #[error("an object that ends after byte {offset} is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Bytes from the beginning of the stream to where the limit was passed.
        offset: u64,
        /// Bytes one object may have.
        limit: usize,
    },
}
