//! Bodies: JSON compressed by zstd at its fastest level, with a checksum: what the disk has changed is noticed.

use bytes::Bytes;
use rusqlite::Row;
use zstd::bulk::{Compressor, Decompressor};

use super::error::Sorted as _;
use crate::{Content, Error, field};

/// Compresses many bodies with one context.
pub(super) fn compressor() -> Result<Compressor<'static>, Error> {
    let failed = |error: std::io::Error| Error::Failed(format!("zstd: {error}"));
    let mut compressor = Compressor::new(1).map_err(failed)?;
    compressor.include_checksum(true).map_err(failed)?;
    Ok(compressor)
}

/// Reads bodies with one context.
pub(super) struct Bodies(Decompressor<'static>);

impl Bodies {
    pub(super) fn new() -> Result<Self, Error> {
        Decompressor::new().map(Self).map_err(|error| Error::Failed(format!("zstd: {error}")))
    }

    /// The body in the columns `size`, `json` of `row`, of which `size` is at `at`.
    pub(super) fn read(&mut self, row: &Row<'_>, at: usize) -> Result<Vec<u8>, Error> {
        let size: usize = row.get(at).sorted()?;
        let packed = row.get_ref(at + 1).sorted()?.as_blob().map_err(|_| damaged())?;
        let json = self.0.decompress(packed, size.max(1)).map_err(|_| damaged())?;
        if json.len() == size { Ok(json) } else { Err(damaged()) }
    }
}

/// As much of a body as is wanted.
pub(super) fn cut(json: Vec<u8>, content: Content) -> Result<Bytes, Error> {
    match content {
        Content::Keys => Ok(Bytes::new()),
        Content::Whole => Ok(json.into()),
        Content::Metadata => field::metadata_only(&json).map(Bytes::from).ok_or_else(damaged),
    }
}

fn damaged() -> Error {
    Error::Corrupt("an object's body".into())
}
