//! Whether the inputs of a decision have changed since it was made.

use api::apps::SubscriptionSpec;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The hash of a Subscription's spec, for `status.specHash`: 32 bits, which say nothing else than that the spec differs.
pub fn spec_hash(spec: &SubscriptionSpec) -> i64 {
    let digest = digest(spec);
    i64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]))
}

/// A short text that is another one when the inputs are others. What is a map has one order, so equal inputs are equal.
///
/// ```
/// use placement::fingerprint::fingerprint;
/// assert_eq!(fingerprint(&["a", "b"]), fingerprint(&["a", "b"]));
/// assert_ne!(fingerprint(&["a", "b"]), fingerprint(&["ab"]));
/// ```
pub fn fingerprint<T: Serialize>(inputs: &T) -> String {
    use std::fmt::Write as _;

    digest(inputs).iter().take(16).fold(String::with_capacity(32), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn digest<T: Serialize>(inputs: &T) -> [u8; 32] {
    struct Hasher(Sha256);
    impl std::io::Write for Hasher {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut hasher = Hasher(Sha256::new());
    // Neither the hasher nor any of our types fails; a map with keys that are no texts would, and then what is before it
    // counts.
    let _ = serde_json::to_writer(&mut hasher, inputs);
    hasher.0.finalize().into()
}
