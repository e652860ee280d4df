//! Which request headers reach a handler.
//!
//! In this order, on every request: headers of the connection end here ([`end_hop_by_hop`]), the authenticator reads
//! identity, and then every header that could speak of identity goes ([`strip_identity`]). `Connection` cannot take
//! identity headers away: they were set by the front proxy, while `Connection` may be the client's own.

use std::borrow::Cow;

use api::names::headers::{HOP_BY_HOP, RELAYED_PREFIX};
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

/// Removes the headers that belong to one connection, and those that `Connection` names. Returns the protocol the
/// client wants to switch to, with the two headers of that wish put back, so that a handler can act on it.
pub(crate) fn end_hop_by_hop(version: Version, headers: &mut HeaderMap) -> Option<HeaderValue> {
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let wished = named.iter().any(|name| name == "upgrade") && version == Version::HTTP_11;
    let protocol = headers.get(header::UPGRADE).cloned().filter(|_| wished);
    for name in named.iter().filter(|name| !speaks_of_identity(name)) {
        headers.remove(name.as_str());
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    if let Some(protocol) = &protocol {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol.clone());
    }
    protocol
}

/// Removes every header by which anybody could say who they are, in any spelling that a server behind us might fold
/// to the real one (`X_Remote_User`), and those named in `also`.
pub(crate) fn strip_identity(headers: &mut HeaderMap, also: &[String]) {
    let doomed: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let folded = fold(name.as_str());
            speaks_of_identity(&folded) || also.iter().any(|prefix| folded.starts_with(prefix.as_str()))
        })
        .cloned()
        .collect();
    for name in doomed {
        headers.remove(name);
    }
    strip_websocket_token(headers);
}

/// Browsers, which cannot set headers on a WebSocket, send their token as if it were a protocol.
fn strip_websocket_token(headers: &mut HeaderMap) {
    const TOKEN: &str = "base64url.bearer.authorization.k8s.io.";
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let protocols: Vec<&str> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    let is_token = |protocol: &str| protocol.to_ascii_lowercase().starts_with(TOKEN);
    if !protocols.iter().any(|protocol| is_token(protocol)) {
        return;
    }
    let kept: Vec<&str> = protocols.into_iter().filter(|protocol| !is_token(protocol)).collect();
    let kept = HeaderValue::from_str(&kept.join(", ")).ok().filter(|kept| !kept.is_empty());
    headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    if let Some(kept) = kept {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, kept);
    }
}

/// Whether the caller asks to act as somebody else.
pub(crate) fn asks_to_impersonate(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| fold(name.as_str()).starts_with("impersonate-"))
}

/// The spelling by which headers are compared here. Costs nothing for the usual name, which is lower case already.
pub(crate) fn fold(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte == b'_' || byte.is_ascii_uppercase()) {
        return Cow::Owned(name.to_ascii_lowercase().replace('_', "-"));
    }
    Cow::Borrowed(name)
}

fn speaks_of_identity(name: &str) -> bool {
    let name = fold(name);
    name == "authorization"
        || ["x-remote-", "impersonate-", RELAYED_PREFIX].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_connection_names_ends_here_but_never_an_identity() {
        let mut headers = map(&[
            ("connection", "close, X-Hop, X-Remote-User"),
            ("connection", "x-remote-group,Authorization"),
            ("x-hop", "1"),
            ("te", "trailers"),
            ("x-remote-user", "jane"),
            ("x-remote-group", "dev"),
            ("authorization", "Bearer x"),
        ]);
        assert_eq!(end_hop_by_hop(Version::HTTP_11, &mut headers), None);
        assert_eq!(names(&headers), ["authorization", "x-remote-group", "x-remote-user"]);
    }

    #[test]
    fn a_wish_to_upgrade_survives_without_what_hides_beside_it() {
        let mut headers = map(&[
            ("Connection", "keep-alive, X-Hop"),
            ("Connection", "UPGRADE"),
            ("Upgrade", "SPDY/3.1"),
            ("X-Hop", "1"),
        ]);
        assert_eq!(end_hop_by_hop(Version::HTTP_11, &mut headers).unwrap(), "SPDY/3.1");
        assert_eq!(headers, map(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")]));
    }

    #[test]
    fn an_upgrade_header_that_connection_does_not_name_is_no_wish() {
        let mut headers = map(&[("upgrade", "websocket")]);
        assert_eq!(end_hop_by_hop(Version::HTTP_11, &mut headers), None);
        assert!(headers.is_empty());
    }

    #[test]
    fn a_token_that_poses_as_a_protocol_goes_and_the_protocols_stay() {
        let token = "base64url.bearer.authorization.k8s.io.c2VjcmV0";
        let mut headers = map(&[
            ("sec-websocket-protocol", &format!("v5.channel.k8s.io, {token}")),
            ("sec-websocket-protocol", "v4.channel.k8s.io"),
        ]);
        strip_identity(&mut headers, &[]);
        assert_eq!(headers, map(&[("sec-websocket-protocol", "v5.channel.k8s.io, v4.channel.k8s.io")]));
        let mut headers = map(&[("sec-websocket-protocol", token)]);
        strip_identity(&mut headers, &[]);
        assert!(headers.is_empty());
    }

    #[test]
    fn no_spelling_of_an_identity_header_survives() {
        let mut headers = map(&[
            ("X-Remote-User", "a"),
            ("x_remote_user", "a"),
            ("X-REMOTE-Extra-Scopes", "a"),
            ("x-remote_group", "a"),
            ("Impersonate-User", "a"),
            ("impersonate_extra_x", "a"),
            ("Clusterway-Relayed-User", "a"),
            ("clusterway_relayed_group", "a"),
            ("authorization", "Bearer x"),
            ("x-forwarded-user", "a"),
            ("clusterway-child-authorization", "Bearer y"),
            ("user-agent", "kubectl"),
        ]);
        strip_identity(&mut headers, &["x-forwarded-user".to_owned()]);
        assert_eq!(names(&headers), ["clusterway-child-authorization", "user-agent"]);
    }
}
