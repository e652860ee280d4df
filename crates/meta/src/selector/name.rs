//! What Kubernetes takes as a label key and as a label value.

const NAME_LIMIT: usize = 63;
const PREFIX_LIMIT: usize = 253;

pub(super) const QUALIFIED_NAME: &str = "a name of at most 63 letters, digits, '-', '_' and '.' that begins and ends with a letter or digit, \
     optionally after a DNS name and '/'";
pub(super) const LABEL_VALUE: &str = "nothing, or a value of at most 63 letters, digits, '-', '_' and '.' that begins and ends with a letter or digit";

/// Whether `text` is a qualified name, such as `app` or `app.kubernetes.io/name`.
pub(super) fn is_qualified_name(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_name(name),
        None => is_name(text),
    }
}

/// Whether `text` can be the value of a label: nothing, or up to 63 letters, digits, `-`, `_` and `.`.
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_name(text)
}

fn is_name(text: &str) -> bool {
    text.len() <= NAME_LIMIT
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && begins_and_ends(text, |byte| byte.is_ascii_alphanumeric())
}

/// Whether `text` is a DNS subdomain, as the names of most objects are: lower-case letters, digits, `-` and `.`, up to 253.
pub fn is_dns_subdomain(text: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.len() <= PREFIX_LIMIT
        && text
            .split('.')
            .all(|part| part.bytes().all(|byte| lower(byte) || byte == b'-') && begins_and_ends(part, lower))
}

fn begins_and_ends(text: &str, with: impl Fn(u8) -> bool) -> bool {
    let ends = [text.bytes().next(), text.bytes().next_back()];
    ends.iter().all(|byte| byte.is_some_and(&with))
}
