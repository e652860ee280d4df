//! Base64 and base32. Decoding what is not well formed gives, in sprig, the text of Go's error.

use super::{Function, Type};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["b64enc"], &[Type::Text], |cx, args| cx.text(base64(args.bytes(0)))),
    Function::new(&["b32enc"], &[Type::Text], |cx, args| cx.text(BASE32.encode(args.bytes(0)))),
    Function::new(&["b64dec"], &[Type::Text], |cx, args| cx.text(BASE64.decode(args.bytes(0)))),
    Function::new(&["b32dec"], &[Type::Text], |cx, args| cx.text(BASE32.decode(args.bytes(0)))),
];

const BASE64: Base = Base {
    name: "base64",
    alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    bits: 6,
    group: 4,
};

const BASE32: Base =
    Base { name: "base32", alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", bits: 5, group: 8 };

pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    BASE64.encode(bytes)
}

struct Base {
    name: &'static str,
    alphabet: &'static [u8],
    /// Of one character.
    bits: usize,
    /// Characters that stand for whole bytes.
    group: usize,
}

impl Base {
    fn encode(&self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len() * 8 / self.bits + self.group);
        let (mut value, mut bits) = (0_u32, 0);
        for byte in bytes {
            value = (value << 8) | u32::from(*byte);
            bits += 8;
            while bits >= self.bits {
                bits -= self.bits;
                text.push(self.character(value >> bits));
            }
        }
        if bits > 0 {
            text.push(self.character(value << (self.bits - bits)));
        }
        text.resize(text.len().next_multiple_of(self.group), b'=');
        text
    }

    fn character(&self, value: u32) -> u8 {
        self.alphabet[value as usize % self.alphabet.len()]
    }

    /// The bytes, or the error.
    fn decode(&self, text: &[u8]) -> Vec<u8> {
        self.try_decode(text)
            .unwrap_or_else(|at| format!("illegal {} data at input byte {at}", self.name).into_bytes())
    }

    /// Or where the text is wrong. New lines count for nothing.
    fn try_decode(&self, text: &[u8]) -> Result<Vec<u8>, usize> {
        let mut bytes = Vec::with_capacity(text.len() * self.bits / 8);
        let mut places = text.iter().enumerate().filter(|(_, b)| !matches!(b, b'\r' | b'\n'));
        loop {
            let (mut value, mut count) = (0_u64, 0);
            let mut padding = None;
            while count < self.group {
                let Some((at, byte)) = places.next() else {
                    return if count == 0 { Ok(bytes) } else { Err(text.len() - count) };
                };
                if *byte == b'=' {
                    padding = Some(at);
                    break;
                }
                let digit = self.alphabet.iter().position(|known| known == byte).ok_or(at)?;
                value = (value << self.bits) | digit as u64;
                count += 1;
            }
            let whole = count * self.bits / 8;
            let rest = count * self.bits % 8;
            if let Some(at) = padding
                && (count == 0
                    || whole * 8 / self.bits + usize::from(!(whole * 8).is_multiple_of(self.bits)) != count)
            {
                return Err(at);
            }
            let group = (value >> rest).to_be_bytes();
            bytes.extend_from_slice(&group[8 - whole..]);
            if padding.is_some() {
                let mut expected = self.group - count - 1;
                for (at, byte) in places.by_ref() {
                    if expected == 0 || *byte != b'=' {
                        return Err(if expected == 0 { at } else { at - 1 });
                    }
                    expected -= 1;
                }
                return if expected == 0 { Ok(bytes) } else { Err(text.len()) };
            }
        }
    }
}
