//! The headers by which HTTP/1.1 turns into a WebSocket (RFC 6455 section 4).

use base64::Engine as _;
use http::{HeaderMap, HeaderValue, header};
use sha1::{Digest as _, Sha1};

/// A fresh `Sec-WebSocket-Key`.
pub(crate) fn key() -> String {
    base64::engine::general_purpose::STANDARD.encode(rand::random::<[u8; 16]>())
}

/// The `Sec-WebSocket-Accept` that answers `key`.
pub(crate) fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.trim());
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::engine::general_purpose::STANDARD.encode(hash.finalize())
}

/// Whether a comma-separated header names `token`.
pub(crate) fn names(headers: &HeaderMap, name: header::HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// Asks for a WebSocket.
pub(crate) fn ask(headers: &mut HeaderMap, key: &str) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
    }
}

/// The key of a request for a WebSocket; `None` if it is not one.
pub(crate) fn asked(headers: &HeaderMap) -> Option<&str> {
    let version = headers.get(header::SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let upgrade =
        names(headers, header::CONNECTION, "upgrade") && names(headers, header::UPGRADE, "websocket");
    let key = headers.get(header::SEC_WEBSOCKET_KEY)?.to_str().ok()?;
    (version && upgrade && !key.is_empty() && key.len() <= 128).then_some(key)
}

/// Grants the WebSocket that was asked for with `key`.
pub(crate) fn grant(headers: &mut HeaderMap, key: &str) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept(key)) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
}

/// Whether the headers of a 101 answer the request made with `key`.
pub(crate) fn granted(headers: &HeaderMap, key: &str) -> bool {
    names(headers, header::UPGRADE, "websocket")
        && headers
            .get(header::SEC_WEBSOCKET_ACCEPT)
            .is_some_and(|value| value.as_bytes() == accept(key).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn what_is_asked_is_understood_and_what_is_granted_is_believed() {
        let key = key();
        let mut request = HeaderMap::new();
        ask(&mut request, &key);
        assert_eq!(asked(&request), Some(key.as_str()));
        let mut response = HeaderMap::new();
        grant(&mut response, &key);
        assert!(granted(&response, &key));
        assert!(!granted(&response, "another key"));
    }
}
