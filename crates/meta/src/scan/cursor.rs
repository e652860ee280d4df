//! A place in a stream of JSON, and the ends of values.

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr2;

use super::ScanError;

/// The bytes that have arrived and not been read, and the value that is being read.
#[derive(Debug)]
pub(super) struct Cursor {
    chunk: Bytes,
    /// The beginning of the value that is being read, from earlier chunks.
    begun: BytesMut,
    end: Option<ValueEnd>,
    limit: usize,
    offset: u64,
}

impl Cursor {
    pub(super) fn new(limit: usize) -> Self {
        Self { chunk: Bytes::new(), begun: BytesMut::new(), end: None, limit, offset: 0 }
    }

    /// More bytes. Free of copies if everything before them has been read.
    pub(super) fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.chunk = [self.chunk.as_ref(), chunk.as_ref()].concat().into();
        }
    }

    /// The next byte that is not white space; nothing if it has not arrived. Not within a value.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let blank = self.chunk.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.advance(blank);
        self.chunk.first().copied()
    }

    /// Past the byte that [`Self::peek`] has shown.
    pub(super) fn step(&mut self) {
        self.advance(1);
    }

    /// The value that stands here, to its end; nothing if that has not arrived: then ask again, for the same value.
    pub(super) fn value(&mut self) -> Result<Option<Bytes>, ScanError> {
        let Some(mut end) = self.end.take().or_else(|| self.peek().map(ValueEnd::of)) else {
            return Ok(None);
        };
        let found = end.find(&self.chunk);
        let taken = found.unwrap_or(self.chunk.len());
        if self.begun.len() + taken > self.limit {
            return Err(ScanError::TooLarge { offset: self.offset + taken as u64, limit: self.limit });
        }
        self.offset += taken as u64;
        let part = self.chunk.split_to(taken);
        if found.is_none() {
            self.begun.extend_from_slice(&part);
            self.end = Some(end);
            return Ok(None);
        }
        let whole = if self.begun.is_empty() {
            part
        } else {
            self.begun.extend_from_slice(&part);
            self.begun.split().freeze()
        };
        match (whole.first(), whole.last()) {
            (Some(b'{'), Some(b']')) => Err(self.expected("'}' instead of ']'")),
            (Some(b'['), Some(b'}')) => Err(self.expected("']' instead of '}'")),
            _ => Ok(Some(whole)),
        }
    }

    /// The error that something else stands here.
    pub(super) fn expected(&self, expected: &'static str) -> ScanError {
        ScanError::Malformed { offset: self.offset, expected }
    }

    /// The error that nothing stands here.
    pub(super) fn truncated(&self) -> ScanError {
        ScanError::Truncated { offset: self.offset + self.chunk.len() as u64 }
    }

    fn advance(&mut self, bytes: usize) {
        self.chunk.advance(bytes);
        self.offset += bytes as u64;
    }
}

/// Finds the end of a value in its bytes, given piece by piece.
#[derive(Debug)]
struct ValueEnd {
    kind: Kind,
    /// Open braces and brackets.
    depth: usize,
    in_text: bool,
    /// The last byte was a backslash within a text.
    escaped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Ends where its braces, brackets and quotes are closed.
    Enclosed,
    /// A number, `true`, `false` or `null`: ends before what cannot belong to it.
    Bare,
}

/// The bytes outside of texts that open or close something.
const STRUCTURAL: [bool; 256] = {
    let mut table = [false; 256];
    table[b'"' as usize] = true;
    table[b'{' as usize] = true;
    table[b'}' as usize] = true;
    table[b'[' as usize] = true;
    table[b']' as usize] = true;
    table
};

impl ValueEnd {
    /// For a value that begins with `first`.
    fn of(first: u8) -> Self {
        let kind = if matches!(first, b'"' | b'{' | b'[') { Kind::Enclosed } else { Kind::Bare };
        Self { kind, depth: 0, in_text: false, escaped: false }
    }

    /// How many of these bytes belong to the value, if it ends in them.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.kind == Kind::Bare {
            return bytes.iter().position(|byte| {
                matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b'{' | b'[') || byte.is_ascii_whitespace()
            });
        }
        let mut at = 0;
        loop {
            if self.in_text {
                at += self.text_end(&bytes[at..])?;
                self.in_text = false;
            } else {
                let next = bytes[at..].iter().position(|byte| STRUCTURAL[usize::from(*byte)])?;
                at += next + 1;
                match bytes[at - 1] {
                    b'"' => {
                        self.in_text = true;
                        continue;
                    }
                    b'{' | b'[' => self.depth += 1,
                    _ => self.depth = self.depth.saturating_sub(1),
                }
            }
            if self.depth == 0 {
                return Some(at);
            }
        }
    }

    /// How many of these bytes, the closing quote included, belong to the text that is open.
    fn text_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            if self.escaped {
                bytes.get(at)?;
                at += 1;
                self.escaped = false;
            }
            at += memchr2(b'"', b'\\', &bytes[at..])? + 1;
            if bytes[at - 1] == b'"' {
                return Some(at);
            }
            self.escaped = true;
        }
    }
}
