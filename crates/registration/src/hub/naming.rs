//! Names: which are allowed, and which are derived from a cluster id.
//!
//! Derived names look random but are not: the same cluster id always gives the same candidates in the same order. So two
//! hubs, or one hub before and after a crash, try to create the same object instead of two.

use sha2::{Digest as _, Sha256};

/// How long a ManagedCluster's name may be.
pub(crate) const CLUSTER_NAME_LENGTH: usize = 30;
/// How long a namespace's name may be.
pub(crate) const NAMESPACE_LENGTH: usize = 63;
/// How many derived names are tried. That all are taken does not happen.
pub(crate) const CANDIDATES: u32 = 32;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
const SUFFIX_LENGTH: usize = 5;

/// Whether the text is a UUID in lower case: such an id fits into every name and label it becomes part of.
pub(crate) fn is_cluster_id(text: &str) -> bool {
    let groups = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    let hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    groups.iter().all(|length| parts.next().is_some_and(|part| part.len() == *length && hex(part)))
        && parts.next().is_none()
}

/// Whether the text is a DNS label (RFC 1123) of at most `length` characters.
pub(crate) fn is_dns_label(text: &str, length: usize) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let outer = |byte: Option<u8>| byte.is_some_and(|byte| inner(byte) && byte != b'-');
    text.len() <= length
        && text.bytes().all(inner)
        && outer(text.bytes().next())
        && outer(text.bytes().next_back())
}

/// The names to try for a cluster, in order: the prefix, a hyphen and five letters or digits.
pub(crate) fn candidates(prefix: &str, id: &str) -> impl Iterator<Item = String> {
    (0..CANDIDATES).map(move |attempt| {
        let digest = Sha256::new().chain_update(id).chain_update(attempt.to_be_bytes()).finalize();
        let suffix = digest.iter().take(SUFFIX_LENGTH);
        let suffix: String =
            suffix.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect();
        format!("{prefix}-{suffix}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0fd3cbbb-8a0f-4a5b-9e1c-1d2e3f405162";

    #[test]
    fn a_cluster_id_is_a_uuid_in_lower_case_and_nothing_around_it() {
        assert!(is_cluster_id(ID));
        for text in
            ["", "x", &ID.to_uppercase(), &format!("{ID}x"), &format!("x{ID}"), &format!("{ID}-0"), &ID[1..]]
        {
            assert!(!is_cluster_id(text), "{text}");
        }
    }

    #[test]
    fn a_dns_label_has_no_capitals_dots_or_outer_hyphens() {
        for text in ["a", "0", "a-b", "edge-1"] {
            assert!(is_dns_label(text, 30), "{text}");
        }
        for text in ["", "-a", "a-", "A", "a.b", "a_b", "ä", &"a".repeat(31)] {
            assert!(!is_dns_label(text, 30), "{text}");
        }
    }

    #[test]
    fn a_cluster_always_has_the_same_candidates() {
        let once: Vec<_> = candidates("clusternet-cluster", ID).collect();
        let again: Vec<_> = candidates("clusternet-cluster", ID).collect();
        assert_eq!(once, again);
        assert!(once.iter().all(|name| is_dns_label(name, CLUSTER_NAME_LENGTH)));
        let distinct: std::collections::BTreeSet<_> = once.iter().collect();
        assert_eq!(distinct.len(), once.len());
    }

    #[test]
    fn other_clusters_have_other_candidates() {
        let other = ID.replace('0', "1");
        assert_ne!(candidates("clusternet", ID).next(), candidates("clusternet", &other).next());
    }
}
