//! Bodies: JSON compressed by zstd at its fastest level, with a checksum: what the disk has changed is noticed.

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

use crate::{Content, Error, field};

/// Compresses many bodies with one context.
pub(crate) struct Packer(Compressor<'static>);

impl Packer {
    pub(crate) fn new() -> Result<Self, Error> {
        let mut compressor = Compressor::new(1).map_err(failed)?;
        compressor.include_checksum(true).map_err(failed)?;
        Ok(Self(compressor))
    }

    pub(crate) fn pack(&mut self, json: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.compress(json).map_err(failed)
    }
}

/// Reads bodies with one context.
pub(crate) struct Bodies(Decompressor<'static>);

impl Bodies {
    pub(crate) fn new() -> Result<Self, Error> {
        Decompressor::new().map(Self).map_err(failed)
    }

    /// The JSON of `size` bytes that was packed.
    pub(crate) fn unpack(&mut self, packed: &[u8], size: usize) -> Result<Vec<u8>, Error> {
        let json = self.0.decompress(packed, size.max(1)).map_err(|_| damaged())?;
        if json.len() == size { Ok(json) } else { Err(damaged()) }
    }
}

/// As much of a body as is wanted.
pub(crate) fn cut(json: Vec<u8>, content: Content) -> Result<Bytes, Error> {
    match content {
        Content::Keys => Ok(Bytes::new()),
        Content::Whole => Ok(json.into()),
        Content::Metadata => field::metadata_only(&json).map(Bytes::from).ok_or_else(damaged),
    }
}

pub(crate) fn damaged() -> Error {
    Error::Corrupt("an object's body".into())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: std::io::Error) -> Error {
    Error::Failed(format!("zstd: {error}"))
}
