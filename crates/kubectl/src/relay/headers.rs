//! What of kubectl's headers goes on, and what the relay says in their place.

use api::names::headers::{self, strip_hop_by_hop};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use meta::Status;

/// Headers that say who somebody is. None of them comes from kubectl.
const IDENTITY_PREFIXES: [&str; 4] = ["clusterway-", "impersonate-", "x-remote-", "x-forwarded-"];

/// Turns the headers of a request from kubectl into those for the parent: kubectl's wish to impersonate becomes one
/// for the child, `child` is added, identities are taken out.
pub(super) fn outward(received: &HeaderMap, child: HeaderMap) -> Result<HeaderMap, Status> {
    let wish = wish(received)?;
    let mut sent = received.clone();
    strip_hop_by_hop(&mut sent);
    let upgrade = received.get(header::UPGRADE);
    if let Some(upgrade) = upgrade {
        sent.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        sent.insert(header::UPGRADE, upgrade.clone());
    }
    let identities: Vec<HeaderName> = sent
        .keys()
        .filter(|name| IDENTITY_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix)))
        .cloned()
        .collect();
    for name in identities.iter().chain(&[header::AUTHORIZATION, header::HOST, header::COOKIE]) {
        sent.remove(name);
    }
    let wished = !wish.is_empty();
    let own = child.into_iter().scan(None, |last: &mut Option<HeaderName>, (name, value)| {
        *last = name.or_else(|| last.take());
        last.clone().map(|name| (name, value))
    });
    for (name, value) in own {
        if !(wished && name.as_str().starts_with("clusterway-child-impersonate-")) {
            sent.append(name, value);
        }
    }
    for (name, value) in wish {
        sent.append(name, value);
    }
    Ok(sent)
}

/// The headers of an answer, as kubectl gets them.
pub(super) fn inward(received: &mut HeaderMap, switched: bool) {
    let upgrade = received.get(header::UPGRADE).cloned();
    strip_hop_by_hop(received);
    if let (true, Some(upgrade)) = (switched, upgrade) {
        received.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        received.insert(header::UPGRADE, upgrade);
    }
}

/// `kubectl … --as` after the verb: to kubectl this is the child, so whom it names is somebody in the child.
fn wish(received: &HeaderMap) -> Result<Vec<(HeaderName, HeaderValue)>, Status> {
    let mut wish = Vec::new();
    for (name, value) in received {
        let carried = match name.as_str() {
            "impersonate-user" => headers::CHILD_IMPERSONATE_USER,
            "impersonate-uid" => headers::CHILD_IMPERSONATE_UID,
            "impersonate-group" => headers::CHILD_IMPERSONATE_GROUP,
            other if other.starts_with("impersonate-") => {
                return Err(Status::bad_request(
                    "A user, a uid and groups can be impersonated in the child; extras (--as-user-extra) cannot.",
                ));
            }
            _ => continue,
        };
        wish.push((HeaderName::from_static(carried), value.clone()));
    }
    Ok(wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn no_identity_of_kubectls_goes_on() {
        let received = map(&[
            ("authorization", "Bearer one-time"),
            ("clusterway-child-authorization", "Bearer forged"),
            ("clusterway-anything", "x"),
            ("x-remote-user", "admin"),
            ("x-remote-extra-scopes", "all"),
            ("cookie", "a=b"),
            ("proxy-authorization", "Basic x"),
            ("x-hop", "1"),
            ("connection", "x-hop, keep-alive"),
            ("accept", "application/json"),
        ]);
        let sent = outward(&received, map(&[(headers::CHILD_AUTHORIZATION, "Bearer mine")])).unwrap();
        assert_eq!(
            sent,
            map(&[("accept", "application/json"), (headers::CHILD_AUTHORIZATION, "Bearer mine")])
        );
    }

    #[test]
    fn impersonation_by_kubectl_is_meant_for_the_child_and_replaces_ours() {
        let ours = map(&[
            (headers::CHILD_AUTHORIZATION, "Bearer mine"),
            (headers::CHILD_IMPERSONATE_USER, "a"),
            (headers::CHILD_IMPERSONATE_GROUP, "g1"),
            (headers::CHILD_IMPERSONATE_GROUP, "g2"),
        ]);
        assert_eq!(outward(&HeaderMap::new(), ours.clone()).unwrap(), ours);
        let sent = outward(&map(&[("impersonate-user", "b"), ("impersonate-group", "g")]), ours).unwrap();
        let wanted = map(&[
            (headers::CHILD_AUTHORIZATION, "Bearer mine"),
            (headers::CHILD_IMPERSONATE_USER, "b"),
            (headers::CHILD_IMPERSONATE_GROUP, "g"),
        ]);
        assert_eq!(sent, wanted);
        assert_eq!(outward(&map(&[("impersonate-extra-x", "b")]), HeaderMap::new()).unwrap_err().code, 400);
    }

    #[test]
    fn an_upgrade_is_asked_for_and_confirmed() {
        let sent =
            outward(&map(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1")]), HeaderMap::new()).unwrap();
        assert_eq!(
            (&sent["connection"], &sent["upgrade"]),
            (&"Upgrade".parse().unwrap(), &"SPDY/3.1".parse().unwrap())
        );
        let mut answer = map(&[("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), ("x-stream", "v4")]);
        inward(&mut answer, true);
        assert_eq!(answer.len(), 3);
        inward(&mut answer, false);
        assert_eq!(answer, map(&[("x-stream", "v4")]));
    }
}
