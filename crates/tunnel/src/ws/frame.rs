//! Frames of RFC 6455: reading and writing their headers, masking. Pure.

use bytes::{BufMut as _, BytesMut};

use super::Error;

/// The largest frame we send: what a length of two bytes can say. Larger ones would keep small requests waiting behind
/// a bulk transfer.
pub(crate) const MAX_SENT: usize = u16::MAX as usize;
/// The largest frame we take. Payload is passed on as it arrives, so this is hygiene and not a matter of memory.
pub(crate) const MAX_TAKEN: u64 = 64 * 1024;
/// Control frames carry no more than this (RFC 6455 section 5.5).
pub(crate) const MAX_CONTROL: usize = 125;
/// The longest header: 2 bytes, 8 of length, 4 of mask.
pub(crate) const MAX_HEADER: usize = 14;

/// Which end of the connection we are: the client's frames are masked, the server's are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Dialled: masks what it sends.
    Client,
    /// Was dialled: sends in clear.
    Server,
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Payload of the byte stream (binary, or its continuation).
    Data,
    Close,
    Ping,
    Pong,
}

/// A frame's header, without its mask when there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Bytes of payload.
    pub(crate) length: u64,
    pub(crate) mask: Option<[u8; 4]>,
    /// Whether the message goes on in the next data frame. Messages mean nothing to a byte stream, but a
    /// continuation without a beginning is an error.
    pub(crate) unfinished: bool,
}

/// How many bytes the header that begins with `begin` has; `begin` holds at least two.
pub(crate) fn header_length(begin: [u8; 2]) -> usize {
    let length = match begin[1] & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    if begin[1] & 0x80 == 0 { length } else { length + 4 }
}

/// Reads a whole header (`bytes` is as long as [`header_length`] says) that `role` received, `in_message` after an
/// unfinished data frame.
pub(crate) fn parse(bytes: &[u8], role: Role, in_message: bool) -> Result<Header, Error> {
    let [first, second, rest @ ..] = bytes else { return Err(Error::Protocol("a header is too short")) };
    if first & 0x70 != 0 {
        return Err(Error::Protocol("reserved bits are set"));
    }
    let finished = first & 0x80 != 0;
    let (length, rest) = match second & 0x7f {
        126 => {
            let (length, rest) = rest.split_first_chunk().ok_or(Error::Protocol("a header is too short"))?;
            (u64::from(u16::from_be_bytes(*length)), rest)
        }
        127 => {
            let (length, rest) = rest.split_first_chunk().ok_or(Error::Protocol("a header is too short"))?;
            (u64::from_be_bytes(*length), rest)
        }
        short => (u64::from(short), rest),
    };
    let mask = match (second & 0x80 != 0, role) {
        (true, Role::Server) => Some(rest.try_into().map_err(|_| Error::Protocol("a header is too short"))?),
        (false, Role::Client) => None,
        (false, Role::Server) => return Err(Error::Protocol("a client's frame is not masked")),
        (true, Role::Client) => return Err(Error::Protocol("a server's frame is masked")),
    };
    let kind = match first & 0x0f {
        0x0 if in_message => Kind::Data,
        0x0 => return Err(Error::Protocol("a message goes on that has not begun")),
        0x2 if in_message => return Err(Error::Protocol("a message begins inside another")),
        0x2 => Kind::Data,
        0x1 => return Err(Error::NotBinary),
        0x8 => Kind::Close,
        0x9 => Kind::Ping,
        0xa => Kind::Pong,
        _ => return Err(Error::Protocol("a frame of an unknown kind")),
    };
    if kind == Kind::Data {
        if length > MAX_TAKEN {
            return Err(Error::FrameTooLarge(length));
        }
        return Ok(Header { kind, length, mask, unfinished: !finished });
    }
    if !finished || length > MAX_CONTROL as u64 {
        return Err(Error::Protocol("a control frame is too long or in parts"));
    }
    Ok(Header { kind, length, mask, unfinished: in_message })
}

/// Appends a whole frame whose payload is the first `length` bytes of `parts`, at most [`MAX_SENT`].
pub(crate) fn write<'a>(
    out: &mut BytesMut,
    role: Role,
    kind: Kind,
    length: usize,
    parts: impl IntoIterator<Item = &'a [u8]>,
) {
    let opcode = match kind {
        Kind::Data => 0x2,
        Kind::Close => 0x8,
        Kind::Ping => 0x9,
        Kind::Pong => 0xa,
    };
    let masked = if role == Role::Client { 0x80 } else { 0 };
    out.reserve(MAX_HEADER + length);
    out.put_u8(0x80 | opcode);
    match u16::try_from(length).unwrap_or(u16::MAX) {
        short @ 0..126 => out.put_u8(masked | short as u8),
        long => {
            out.put_u8(masked | 0x7e);
            out.put_u16(long);
        }
    }
    let mask: Option<[u8; 4]> = (role == Role::Client).then(rand::random);
    if let Some(mask) = mask {
        out.put_slice(&mask);
    }
    let start = out.len();
    let mut left = length;
    for part in parts {
        let part = &part[..part.len().min(left)];
        out.put_slice(part);
        left -= part.len();
    }
    if let Some(mask) = mask {
        apply_mask(&mut out[start..], mask, 0);
    }
}

/// Masks or unmasks `bytes`, which begin `offset` bytes into their frame's payload.
pub(crate) fn apply_mask(bytes: &mut [u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let word = u32::from_ne_bytes(mask);
    let wide = (u64::from(word) << 32) | u64::from(word);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Ok(chunk) = <&mut [u8; 8]>::try_from(chunk) {
            *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn receiver(of: Role) -> Role {
        if of == Role::Client { Role::Server } else { Role::Client }
    }

    proptest! {
        #[test]
        fn a_frame_is_read_as_it_was_written(payload in prop::collection::vec(any::<u8>(), 0..MAX_SENT), client: bool) {
            let role = if client { Role::Client } else { Role::Server };
            let mut wire = BytesMut::new();
            write(&mut wire, role, Kind::Data, payload.len(), [payload.as_slice()]);
            let length = header_length([wire[0], wire[1]]);
            let header = parse(&wire[..length], receiver(role), false).unwrap();
            prop_assert_eq!(header.length as usize, payload.len());
            prop_assert_eq!(header.mask.is_some(), client);
            let mut body = wire[length..].to_vec();
            if let Some(mask) = header.mask {
                apply_mask(&mut body, mask, 0);
            }
            prop_assert_eq!(body, payload);
        }

        #[test]
        fn masking_in_pieces_is_masking_at_once(payload in prop::collection::vec(any::<u8>(), 0..100), cut in 0_usize..100, mask: [u8; 4]) {
            let cut = cut.min(payload.len());
            let mut whole = payload.clone();
            apply_mask(&mut whole, mask, 0);
            let (mut head, mut tail) = (payload[..cut].to_vec(), payload[cut..].to_vec());
            apply_mask(&mut head, mask, 0);
            apply_mask(&mut tail, mask, cut);
            head.extend(tail);
            prop_assert_eq!(head, whole);
        }

        #[test]
        fn no_header_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..MAX_HEADER), server: bool, in_message: bool) {
            let role = if server { Role::Server } else { Role::Client };
            if let Ok(header) = parse(&bytes, role, in_message) {
                prop_assert!(header.length <= MAX_TAKEN);
            }
        }
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        for (what, bytes) in [
            ("reserved bit", vec![0xc2, 0x00]),
            ("masked by a server", vec![0x82, 0x80, 0, 0, 0, 0]),
            ("continuation of nothing", vec![0x80, 0x00]),
            ("unknown opcode", vec![0x83, 0x00]),
            ("ping in parts", vec![0x09, 0x00]),
            ("long ping", vec![0x89, 126, 0, 126]),
        ] {
            assert!(matches!(parse(&bytes, Role::Client, false), Err(Error::Protocol(_))), "{what}");
        }
        assert!(matches!(parse(&[0x82, 0x00], Role::Server, false), Err(Error::Protocol(_))));
        assert!(matches!(parse(&[0x81, 0x00], Role::Client, false), Err(Error::NotBinary)));
        let huge = [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert!(matches!(parse(&huge, Role::Client, false), Err(Error::FrameTooLarge(_))));
    }
}
