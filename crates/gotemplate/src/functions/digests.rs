//! Digests.

use sha2::Digest;

use super::{Function, Type};

pub(super) const TABLE: &[Function] = &[
    Function::new(&["sha1sum"], &[Type::Text], |cx, args| cx.text(hex(&sha1::Sha1::digest(args.bytes(0))))),
    Function::new(&["sha256sum"], &[Type::Text], |cx, args| {
        cx.text(hex(&sha2::Sha256::digest(args.bytes(0))))
    }),
    Function::new(&["sha512sum"], &[Type::Text], |cx, args| {
        cx.text(hex(&sha2::Sha512::digest(args.bytes(0))))
    }),
    Function::new(&["adler32sum"], &[Type::Text], |cx, args| cx.text(adler32(args.bytes(0)).to_string())),
];

pub(super) fn hex(digest: &[u8]) -> String {
    let digits: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

fn adler32(bytes: &[u8]) -> u32 {
    let (low, high) = bytes.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16) | low
}
