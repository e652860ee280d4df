//! Which headers say who somebody is, and end here.

use http::{HeaderMap, HeaderName};

/// Removes every header by which somebody outside could say who they are, in any spelling a server behind us might
/// fold to the real one (`X_Remote_User`).
pub(crate) fn strip_identity(headers: &mut HeaderMap) {
    let doomed: Vec<HeaderName> =
        headers.keys().filter(|name| speaks_of_identity(name.as_str())).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
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
}
