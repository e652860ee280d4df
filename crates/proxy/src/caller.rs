//! From what the caller handed over to the one identity in the child (contract 2.5, 4.4).

use api::names::{extras, headers};
use apiserver::User;
use http::{HeaderMap, HeaderName};
use meta::Status;
use reach::Identity;

/// The identity a request has in the child.
///
/// The credential comes in the header `Clusterway-Child-Authorization` or in the extras of an impersonating client,
/// never in both. Without one the child sees nobody: `system:anonymous`.
pub(crate) fn identity(user: &User, request: &HeaderMap) -> Result<Identity, Status> {
    let header = single(request, headers::CHILD_AUTHORIZATION)?;
    let token = extra(user, extras::TOKEN)?;
    let certificate = extra(user, extras::CERTIFICATE)?;
    let key = extra(user, extras::PRIVATE_KEY)?;
    let given = [header.is_some(), token.is_some(), certificate.is_some() || key.is_some()];
    if given.iter().filter(|given| **given).count() > 1 {
        return Err(Status::bad_request(
            "The request carries more than one credential for the child: use the header Clusterway-Child-Authorization, \
             or the extra clusternet-token, or clusternet-certificate with clusternet-privatekey.",
        ));
    }
    let identity = match (header, token, certificate, key) {
        (Some(header), ..) => Identity::authorization(header),
        (_, Some(token), ..) => Identity::bearer(token),
        (_, _, Some(certificate), Some(key)) => Identity::certificate(certificate, key),
        (_, _, None, None) => Ok(Identity::anonymous()),
        _ => {
            return Err(Status::bad_request(
                "The extras clusternet-certificate and clusternet-privatekey are only useful together; one is missing.",
            ));
        }
    };
    let bad = |error: reach::InvalidCredential| Status::bad_request(error.to_string());
    let wanted = impersonation(user, request)?;
    identity.map_err(bad)?.impersonate(wanted.user, wanted.uid, &wanted.groups).map_err(bad)
}

struct Impersonation<'a> {
    user: Option<&'a str>,
    uid: Option<&'a str>,
    groups: Vec<String>,
}

fn impersonation<'a>(user: &'a User, request: &'a HeaderMap) -> Result<Impersonation<'a>, Status> {
    let groups = request
        .get_all(HeaderName::from_static(headers::CHILD_IMPERSONATE_GROUP))
        .iter()
        .filter_map(|value| value.to_str().ok())
        .chain(user.extra.get(extras::IMPERSONATE_GROUP).into_iter().flatten().map(String::as_str))
        .map(str::to_owned)
        .collect();
    Ok(Impersonation {
        user: single(request, headers::CHILD_IMPERSONATE_USER)?.or(extra(user, extras::IMPERSONATE_USER)?),
        uid: single(request, headers::CHILD_IMPERSONATE_UID)?.or(extra(user, extras::IMPERSONATE_UID)?),
        groups,
    })
}

/// A header that may be there once.
fn single<'a>(request: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Status> {
    let mut values = request.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Status::bad_request(format!("The header {name} is there more than once.")));
    }
    first
        .map(|value| {
            value.to_str().map_err(|_| {
                Status::bad_request(format!("The header {name} holds characters outside ASCII."))
            })
        })
        .transpose()
}

/// An extra that may have one value.
fn extra<'a>(user: &'a User, key: &'static str) -> Result<Option<&'a str>, Status> {
    match user.extra.get(key).map(Vec::as_slice) {
        None | Some([]) => Ok(None),
        Some([value]) => Ok(Some(value)),
        Some(_) => Err(Status::bad_request(format!("The extra {key} has more than one value."))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn user(pairs: &[(&str, &str)]) -> User {
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in pairs {
            extra.entry((*key).to_owned()).or_default().push((*value).to_owned());
        }
        User { name: "clusternet".to_owned(), uid: String::new(), groups: Vec::new(), extra }
    }

    fn header(name: &'static str, value: &str) -> HeaderMap {
        [(HeaderName::from_static(name), value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn nothing_handed_over_means_anonymous() {
        assert!(identity(&user(&[]), &HeaderMap::new()).unwrap().is_anonymous());
    }

    #[test]
    fn a_token_comes_by_header_or_by_extra() {
        let by_header = identity(&user(&[]), &header(headers::CHILD_AUTHORIZATION, "Bearer t")).unwrap();
        let by_extra = identity(&user(&[(extras::TOKEN, "t")]), &HeaderMap::new()).unwrap();
        assert!(!by_header.is_anonymous() && !by_extra.is_anonymous());
    }

    #[test]
    fn two_credentials_are_refused_not_chosen_from() {
        let both =
            identity(&user(&[(extras::TOKEN, "t")]), &header(headers::CHILD_AUTHORIZATION, "Bearer t"));
        assert_eq!(both.unwrap_err().code, 400);
        let twice = identity(&user(&[(extras::TOKEN, "a"), (extras::TOKEN, "b")]), &HeaderMap::new());
        assert_eq!(twice.unwrap_err().code, 400);
    }

    #[test]
    fn a_broken_certificate_is_a_bad_request() {
        let broken = user(&[(extras::CERTIFICATE, "%%%"), (extras::PRIVATE_KEY, "%%%")]);
        assert_eq!(identity(&broken, &HeaderMap::new()).unwrap_err().code, 400);
        let half = user(&[(extras::CERTIFICATE, "YQ==")]);
        assert_eq!(identity(&half, &HeaderMap::new()).unwrap_err().code, 400);
    }
}
