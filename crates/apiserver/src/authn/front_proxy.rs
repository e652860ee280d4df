//! Identity in the headers of a front proxy: the parent's API server tells us who its caller is.
//!
//! Nothing here is believed before the connection's certificate chain ends in the requestheader CA and its common
//! name is allowed ([`super::certificate`]).

use std::collections::BTreeMap;

use http::HeaderMap;
use meta::Status;
use percent_encoding::percent_decode_str;

use crate::User;

/// How a front proxy is known, and in which headers it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHeader {
    /// The authority of its client certificate, PEM.
    pub ca: String,
    /// Common names its certificate may have; none means any.
    pub allowed_names: Vec<String>,
    /// Headers with the user name; the first that is there counts.
    pub username_headers: Vec<String>,
    /// Headers with the user's uid. None means that the front proxy does not set any, and then a header of that name
    /// is the client's own and not believed.
    pub uid_headers: Vec<String>,
    /// Headers with groups, one value per group.
    pub group_headers: Vec<String>,
    /// Beginnings of headers with extras; the rest of the name is the percent-encoded key.
    pub extra_prefixes: Vec<String>,
}

impl RequestHeader {
    /// The usual header names, for the authority `ca` (PEM) and the names it may give.
    pub fn usual(ca: impl Into<String>, allowed_names: &[&str]) -> Self {
        let one = |name: &str| vec![name.to_owned()];
        Self {
            ca: ca.into(),
            allowed_names: allowed_names.iter().map(|&name| name.to_owned()).collect(),
            username_headers: one("x-remote-user"),
            uid_headers: one("x-remote-uid"),
            group_headers: one("x-remote-group"),
            extra_prefixes: one("x-remote-extra-"),
        }
    }

    /// Whether a certificate with this common name may speak for others.
    pub(crate) fn allows(&self, common_name: &str) -> bool {
        self.allowed_names.is_empty() || self.allowed_names.iter().any(|name| name == common_name)
    }

    /// Every header (or beginning of one) that carries identity, folded for [`crate::headers::strip_identity`].
    pub(super) fn names(&self) -> Vec<String> {
        [&self.username_headers, &self.uid_headers, &self.group_headers, &self.extra_prefixes]
            .into_iter()
            .flatten()
            .map(|name| crate::headers::fold(name).into_owned())
            .collect()
    }

    /// The user in the headers, or `None` if the proxy names nobody.
    pub(super) fn user(&self, headers: &HeaderMap) -> Result<Option<User>, Status> {
        let Some(name) = single(headers, &self.username_headers)? else { return Ok(None) };
        Ok(Some(User {
            name,
            uid: single(headers, &self.uid_headers)?.unwrap_or_default(),
            groups: self.groups(headers)?,
            extra: self.extra(headers)?,
        }))
    }

    fn groups(&self, headers: &HeaderMap) -> Result<Vec<String>, Status> {
        let values = self.group_headers.iter().flat_map(|name| headers.get_all(name));
        let mut groups = Vec::new();
        for value in values {
            let group = text(value)?;
            if !group.is_empty() {
                groups.push(group);
            }
        }
        Ok(groups)
    }

    fn extra(&self, headers: &HeaderMap) -> Result<BTreeMap<String, Vec<String>>, Status> {
        let mut extra = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in headers {
            let key = self.extra_prefixes.iter().find_map(|prefix| {
                let prefix = prefix.to_ascii_lowercase();
                name.as_str().strip_prefix(prefix.as_str()).filter(|key| !key.is_empty())
            });
            let Some(key) = key else { continue };
            extra.entry(extra_key(key)).or_default().push(text(value)?);
        }
        Ok(extra)
    }
}

/// Extra keys are percent-encoded, because header names cannot hold every character. What does not decode is kept as
/// it is. Lower case once more after decoding, so that no spelling gets past a comparison.
fn extra_key(encoded: &str) -> String {
    percent_decode_str(encoded).decode_utf8().map_or_else(|_| encoded.to_owned(), |key| key.to_lowercase())
}

/// The only value of the first of these headers that is there. Two values are never honest: the front proxy removes
/// what its client sent before it sets its own.
fn single(headers: &HeaderMap, names: &[String]) -> Result<Option<String>, Status> {
    for name in names {
        let mut values = headers.get_all(name).iter();
        let Some(first) = values.next() else { continue };
        if values.next().is_some() {
            return Err(Status::unauthorized("The request names its user more than once."));
        }
        let value = text(first)?;
        if !value.is_empty() {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

fn text(value: &http::HeaderValue) -> Result<String, Status> {
    std::str::from_utf8(value.as_bytes())
        .map(str::to_owned)
        .map_err(|_| Status::unauthorized("An identity header of the request is not UTF-8."))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn user(pairs: &[(&str, &str)]) -> Result<Option<User>, Status> {
        let headers = pairs
            .iter()
            .map(|(name, value)| {
                let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
                (HeaderName::from_bytes(name.as_bytes()).unwrap(), value)
            })
            .collect();
        RequestHeader::usual("", &[]).user(&headers)
    }

    #[test]
    fn user_groups_uid_and_decoded_extras_are_read() {
        let user = user(&[
            ("X-Remote-User", "jäne"),
            ("X-Remote-Uid", "42"),
            ("X-Remote-Group", "dev"),
            ("X-Remote-Group", "ops"),
            ("X-Remote-Extra-Example.com%2fProject", "one"),
            ("X-Remote-Extra-Example.com%2FProject", "two"),
            ("X-Remote-Extra-%43lusternet-Token", "t"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!((user.name.as_str(), user.uid.as_str()), ("jäne", "42"));
        assert_eq!(user.groups, ["dev", "ops"]);
        assert_eq!(user.extra["example.com/project"], ["one", "two"]);
        assert_eq!(user.extra["clusternet-token"], ["t"]);
    }

    #[test]
    fn a_user_named_twice_is_refused() {
        assert_eq!(user(&[("X-Remote-User", "a"), ("X-Remote-User", "b")]).unwrap_err().code, 401);
        let twice = [("X-Remote-User", "a"), ("X-Remote-Uid", "1"), ("X-Remote-Uid", "2")];
        assert_eq!(user(&twice).unwrap_err().code, 401);
    }

    #[test]
    fn groups_without_a_user_are_nobody() {
        assert_eq!(user(&[("X-Remote-Group", "system:masters"), ("X-Remote-User", "")]).unwrap(), None);
    }

    #[test]
    fn a_uid_is_not_believed_unless_the_front_proxy_is_known_to_set_it() {
        let config = RequestHeader { uid_headers: Vec::new(), ..RequestHeader::usual("", &[]) };
        let headers = [("x-remote-user", "jane"), ("x-remote-uid", "forged")]
            .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)));
        assert_eq!(config.user(&headers.into_iter().collect()).unwrap().unwrap().uid, "");
    }
}
