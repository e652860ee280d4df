//! Who a request is in the cluster.

use api::names::{
    headers::CHILD_AUTHORIZATION,
    search::headers::{PROXY_CA, PROXY_CLIENT_CERT, PROXY_CLIENT_KEY, PROXY_TOKEN},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, Method};
use kubeio::{Authorization, ClientCertificate, ClusterAccess, Secret, Trust};
use meta::Status;
use reach::Identity;
use store::ClusterName;

use super::Way;

/// What a caller handed over for the cluster.
#[derive(Default)]
pub(super) struct Credential {
    /// A bearer token.
    token: Option<String>,
    /// A client certificate and its key, both base64 of PEM.
    certificate: Option<(String, String)>,
    /// The CA certificates of the cluster, PEM.
    ca: Option<Vec<u8>>,
}

/// The way to a cluster, and who goes it.
#[derive(Debug)]
pub(super) enum Route {
    Tunnel { id: String, identity: Identity },
    Address(Box<ClusterAccess>),
}

impl Credential {
    /// Takes the caller's credential for the cluster out of the headers, and with it everything else there that is for
    /// the hub only. `None` if there is none.
    ///
    /// # Errors
    /// 400 for two credentials, for half a certificate, and for what cannot be understood; the text repeats nothing.
    pub(super) fn take(headers: &mut HeaderMap) -> Result<Option<Self>, Status> {
        let authorization = single(headers, CHILD_AUTHORIZATION)?;
        let mut token = single(headers, PROXY_TOKEN)?;
        let certificate = single(headers, PROXY_CLIENT_CERT)?;
        let key = single(headers, PROXY_CLIENT_KEY)?;
        let ca = single(headers, PROXY_CA)?;
        let ours = |name: &HeaderName| {
            let name = name.as_str().replace('_', "-");
            name.starts_with("x-clusterpedia-") || name.starts_with("clusterway-")
        };
        if headers.keys().any(|name| name.as_str().starts_with("clusterway-child-impersonate-")) {
            return Err(Status::bad_request(
                "The headers Clusterway-Child-Impersonate-* are not taken here; visit the cluster through its socket.",
            ));
        }
        let doomed: Vec<HeaderName> = headers.keys().filter(|name| ours(name)).cloned().collect();
        for name in doomed {
            headers.remove(name);
        }
        let mut certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(Status::bad_request(
                    "X-Clusterpedia-Proxy-Client-Cert and X-Clusterpedia-Proxy-Client-Key are only useful together; one \
                     is missing.",
                ));
            }
        };
        if authorization.is_some() && (token.is_some() || certificate.is_some()) {
            return Err(Status::bad_request(
                "The request carries more than one credential for the cluster: send Clusterway-Child-Authorization or the \
                 headers X-Clusterpedia-Proxy-*.",
            ));
        }
        if let Some(text) = authorization {
            let pair = text.strip_prefix("Certificate ").and_then(|pair| pair.split_once(':'));
            match (text.strip_prefix("Bearer "), pair) {
                (Some(given), _) => token = Some(given.to_owned()),
                (_, Some((chain, key))) => certificate = Some((chain.to_owned(), key.to_owned())),
                _ => {
                    return Err(Status::bad_request(
                        "Clusterway-Child-Authorization is neither Bearer TOKEN nor Certificate BASE64(PEM):BASE64(KEY PEM).",
                    ));
                }
            }
        }
        token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        if token.is_none() && certificate.is_none() {
            return match ca {
                None => Ok(None),
                Some(_) => Err(Status::bad_request(
                    "X-Clusterpedia-Proxy-Ca goes with a credential of the caller's, and there is none.",
                )),
            };
        }
        let ca = ca.map(|ca| decoded("X-Clusterpedia-Proxy-Ca", &ca)).transpose()?;
        Ok(Some(Self { token, certificate, ca }))
    }
}

/// A header that may be there once.
fn single(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Status> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Status::bad_request(format!("The header {name} is there more than once.")));
    }
    let text = first.map(|value| value.to_str().map(str::to_owned)).transpose();
    text.map_err(|_| Status::bad_request(format!("The header {name} holds characters outside ASCII.")))
}

fn decoded(what: &str, text: &str) -> Result<Vec<u8>, Status> {
    STANDARD.decode(text.trim()).map_err(|_| Status::bad_request(format!("{what} is not base64.")))
}

/// Makes a way and a credential one. Without a credential of the caller's it is the cluster's own, as its
/// synchronisation has it.
///
/// The agent verifies its API server itself, so a CA says nothing on the way through a tunnel. An address is verified
/// with the CA that came along, or else as the PediaCluster says: a missing CA is no reason not to look.
///
/// # Errors
/// 400 for a credential that cannot be one; 403 where there is none that may do this.
pub(super) fn enter(
    way: Way,
    given: Option<Credential>,
    method: &Method,
    upgrade: bool,
    cluster: &ClusterName,
) -> Result<Route, Status> {
    let invalid = |error: reach::InvalidCredential| Status::bad_request(error.to_string());
    match (way, given) {
        (Way::Tunnel(id), Some(Credential { token, certificate, .. })) => {
            let identity = match (token, certificate) {
                (Some(_), Some(_)) => {
                    return Err(Status::bad_request(
                        "The request carries a token and a client certificate for the cluster; send one of them.",
                    ));
                }
                (Some(token), None) => Identity::bearer(&token),
                (None, Some((chain, key))) => Identity::certificate(&chain, &key),
                (None, None) => Ok(Identity::anonymous()),
            };
            Ok(Route::Tunnel { id, identity: identity.map_err(invalid)? })
        }
        (Way::Tunnel(id), None) => {
            if upgrade || ![Method::GET, Method::HEAD].contains(method) {
                return Err(Status::forbidden(format!(
                    "The cluster {:?} lets the hub read and nothing else: send a credential of your own in the header \
                     Clusterway-Child-Authorization.",
                    cluster.as_str()
                )));
            }
            Ok(Route::Tunnel { id, identity: Identity::reader() })
        }
        (Way::Address(mut access), Some(Credential { token, certificate, ca })) => {
            access.authorization =
                token.map_or(Authorization::None, |token| Authorization::Bearer(Secret::from(&*token)));
            access.certificate = certificate
                .map(|(chain, key)| {
                    Ok::<_, Status>(ClientCertificate {
                        chain: decoded("The client certificate", &chain)?,
                        key: Secret::from(decoded("The private key", &key)?),
                    })
                })
                .transpose()?;
            if let Some(ca) = ca {
                access.trust = Trust::Roots(ca);
            }
            Ok(Route::Address(access))
        }
        (Way::Address(access), None) => {
            if access.authorization == Authorization::None && access.certificate.is_none() {
                return Err(Status::forbidden(format!(
                    "The PediaCluster {:?} has no credentials, and none came along.",
                    cluster.as_str()
                )));
            }
            Ok(Route::Address(access))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn refused(pairs: &[(&'static str, &str)]) -> Status {
        Credential::take(&mut headers(pairs)).err().unwrap()
    }

    fn cluster() -> ClusterName {
        ClusterName::new("c1")
    }

    #[test]
    fn a_credential_is_taken_out_with_everything_that_is_for_the_hub() {
        let mut given = headers(&[
            (PROXY_TOKEN, "t"),
            ("x-clusterpedia-forward", "true"),
            ("x_clusterpedia_proxy_token", "x"),
            ("clusterway-identity", "reader"),
            ("accept", "*/*"),
        ]);
        assert_eq!(Credential::take(&mut given).unwrap().unwrap().token.as_deref(), Some("t"));
        assert_eq!(given.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
        assert!(Credential::take(&mut given).unwrap().is_none());
    }

    #[test]
    fn two_credentials_or_half_of_one_are_refused() {
        assert_eq!(refused(&[(CHILD_AUTHORIZATION, "Bearer a"), (PROXY_TOKEN, "b")]).code, 400);
        assert_eq!(refused(&[(PROXY_CLIENT_CERT, "YQ==")]).code, 400);
        let secret = refused(&[(CHILD_AUTHORIZATION, "Basic c2VjcmV0")]);
        assert!(secret.code == 400 && !secret.message.contains("c2VjcmV0"));
        assert_eq!(refused(&[(PROXY_CA, "YQ==")]).code, 400);
        assert_eq!(refused(&[("clusterway-child-impersonate-user", "x")]).code, 400);
    }

    #[test]
    fn an_address_is_verified_with_the_ca_that_came_along_or_as_before() {
        let mut access = ClusterAccess::new("https://a").unwrap();
        access.authorization = Authorization::Bearer(Secret::from("the-cluster's"));
        let route = |pairs: &[(&'static str, &str)]| {
            let given = Credential::take(&mut headers(pairs)).unwrap();
            let way = Way::Address(Box::new(access.clone()));
            match enter(way, given, &Method::POST, false, &cluster()).unwrap() {
                Route::Address(access) => access,
                Route::Tunnel { .. } => panic!(),
            }
        };
        let with_ca = route(&[(PROXY_TOKEN, "mine"), (PROXY_CA, "UEVN")]);
        assert_eq!(with_ca.trust, Trust::Roots(b"PEM".to_vec()));
        assert_eq!(with_ca.authorization, Authorization::Bearer(Secret::from("mine")));
        assert_eq!(route(&[(PROXY_TOKEN, "mine")]).trust, Trust::System);
        assert_eq!(*route(&[]), access);
    }

    #[test]
    fn nobody_is_anonymous_and_the_reader_only_reads() {
        let open = Way::Address(Box::new(ClusterAccess::new("https://a").unwrap()));
        assert_eq!(enter(open, None, &Method::GET, false, &cluster()).unwrap_err().code, 403);
        let tunnel = |method, upgrade| {
            enter(Way::Tunnel("id".into()), None, &method, upgrade, &cluster()).map_err(|status| status.code)
        };
        assert!(
            matches!(tunnel(Method::GET, false), Ok(Route::Tunnel { identity, .. }) if !identity.is_anonymous())
        );
        assert_eq!(tunnel(Method::POST, false).unwrap_err(), 403);
        assert_eq!(tunnel(Method::GET, true).unwrap_err(), 403);
    }
}
