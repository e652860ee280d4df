//! Which headers say who somebody is, and end here.

use api::names::headers::strip_hop_by_hop;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Removes every header by which somebody outside could say who they are, in any spelling a server behind us might
/// fold to the real one (`X_Remote_User`).
pub fn strip_identity(headers: &mut HeaderMap) {
    let doomed: Vec<HeaderName> =
        headers.keys().filter(|name| speaks_of_identity(name.as_str())).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
}

/// Whether the caller wants to switch protocols; the server has left the header only where the connection can.
pub fn wants_upgrade(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

/// The headers of a child's 101, with the two that belong to our own connection.
pub fn upgrade_headers(child: &HeaderMap) -> HeaderMap {
    let mut headers = child.clone();
    let protocol = headers.get(header::UPGRADE).cloned();
    strip_hop_by_hop(&mut headers);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = protocol {
        headers.insert(header::UPGRADE, protocol);
    }
    headers
}

/// Whether the query asks for an answer without an end: a watch or a followed log.
pub fn follows(query: Option<&str>) -> bool {
    query.is_some_and(|query| {
        query.split('&').filter_map(|pair| pair.split_once('=').or(Some((pair, "true")))).any(
            |(key, value)| {
                matches!(key, "watch" | "follow")
                    && matches!(value, "" | "1" | "t" | "T" | "true" | "TRUE" | "True")
            },
        )
    })
}

fn speaks_of_identity(name: &str) -> bool {
    let name = name.replace('_', "-");
    ["authorization", "proxy-authorization"].contains(&name.as_str())
        || ["impersonate-", "x-remote-", "clusterway-", "x-forwarded-"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn no_spelling_of_an_identity_header_survives() {
        let mut headers = map(&[
            ("Authorization", "Bearer x"),
            ("Impersonate-User", "admin"),
            ("impersonate_user", "admin"),
            ("Impersonate-Extra-Scopes", "x"),
            ("X-Remote-User", "admin"),
            ("x_remote_group", "system:masters"),
            ("Clusterway-Identity", "caller"),
            ("Clusterway-Child-Authorization", "Bearer y"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("user-agent", "kubectl"),
        ]);
        strip_identity(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["user-agent"]);
    }

    #[test]
    fn watches_and_followed_logs_are_told_from_short_requests() {
        for (query, long) in [
            ("watch=1", true),
            ("watch=true&x=y", true),
            ("follow=true&tailLines=5", true),
            ("watch", true),
            ("watch=false", false),
            ("watch=0", false),
            ("labelSelector=watch%3D1", false),
            ("", false),
        ] {
            assert_eq!(follows(Some(query)), long, "{query}");
        }
    }
}
