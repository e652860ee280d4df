//! Requests that one replica relays to another: the first has authenticated the caller, and says who that is.
//!
//! Both ends live in this file, so that they cannot drift apart. Whether the identity is believed is decided by who
//! sends it ([`super::Authenticator::with_replicas`]).

use std::sync::LazyLock;

use api::names::headers::{RELAYED_EXTRA_PREFIX, RELAYED_GROUP, RELAYED_PREFIX, RELAYED_UID, RELAYED_USER};
use http::{HeaderMap, HeaderName, HeaderValue};
use meta::Status;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::RequestHeader;
use crate::User;

/// The names of our own headers; the front proxy's are never used between replicas.
static NAMES: LazyLock<RequestHeader> = LazyLock::new(|| {
    let one = |name: &str| vec![name.to_owned()];
    RequestHeader {
        username_headers: one(RELAYED_USER),
        uid_headers: one(RELAYED_UID),
        group_headers: one(RELAYED_GROUP),
        extra_prefixes: one(RELAYED_EXTRA_PREFIX),
        ..RequestHeader::usual("", &[])
    }
});

/// What stands in a header's name as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.');

/// Says in `headers` for whom a replica asks another. Extras that hold credentials for a child stay behind.
///
/// # Errors
/// 400 if the identity cannot stand in headers.
pub fn write_identity(user: &User, headers: &mut HeaderMap) -> Result<(), Status> {
    let value = |text: &str| HeaderValue::from_bytes(text.as_bytes()).map_err(|_| unwritable());
    headers.insert(RELAYED_USER, value(&user.name)?);
    if !user.uid.is_empty() {
        headers.insert(RELAYED_UID, value(&user.uid)?);
    }
    for group in &user.groups {
        headers.append(RELAYED_GROUP, value(group)?);
    }
    for (key, values) in user.public_extra() {
        let name = format!("{RELAYED_EXTRA_PREFIX}{}", utf8_percent_encode(key, PLAIN));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unwritable())?;
        for text in values {
            headers.append(name.clone(), value(text)?);
        }
    }
    Ok(())
}

/// Whether a request claims to be relayed, in any spelling.
pub(super) fn names_somebody(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| crate::headers::fold(name.as_str()).starts_with(RELAYED_PREFIX))
}

/// What [`write_identity`] said.
pub(super) fn user(headers: &HeaderMap) -> Result<Option<User>, Status> {
    NAMES.user(headers)
}

pub(super) fn refused() -> Status {
    Status::unauthorized(
        "Only the hubs' own ServiceAccount may say for whom it asks. Send the request through the parent's API server.",
    )
}

fn unwritable() -> Status {
    Status::bad_request("The user's name, groups or extras hold characters that cannot be passed on.")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credentials_for_a_child_stay_behind() {
        let mut user = User::new("jane", &["dev"]);
        user.extra.insert("clusternet-token".into(), vec!["very-secret".into()]);
        user.extra.insert("example.com/project".into(), vec!["one".into(), "two".into()]);
        let mut headers = HeaderMap::new();
        write_identity(&user, &mut headers).unwrap();
        assert!(!format!("{headers:?}").contains("very-secret"), "{headers:?}");
        user.extra.remove("clusternet-token");
        assert_eq!(super::user(&headers).unwrap(), Some(user));
    }

    #[test]
    fn a_name_that_would_be_two_headers_is_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(write_identity(&User::new("a\r\nb: c", &[]), &mut headers).unwrap_err().code, 400);
    }

    proptest! {
        #[test]
        fn who_is_written_is_who_is_read(
            name in "[^\\p{Cc}]{1,20}",
            uid in "[a-z0-9-]{0,8}",
            groups in prop::collection::vec("[^\\p{Cc}]{1,12}", 0..4),
            extra in prop::collection::btree_map("[a-z0-9./:_%ü-]{1,12}", prop::collection::vec("[^\\p{Cc}]{0,8}", 1..3), 0..3),
        ) {
            let user = User { name, uid, groups, extra };
            prop_assume!(user.extra.keys().all(|key| !key.starts_with("clusternet-")));
            let mut headers = HeaderMap::new();
            write_identity(&user, &mut headers).unwrap();
            prop_assert!(names_somebody(&headers));
            prop_assert_eq!(super::user(&headers).unwrap(), Some(user));
        }
    }
}
