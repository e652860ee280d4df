//! What the hub tells the agent about a request, in headers of the tunnel's own request.
//!
//! Both ends live in this file, so that they cannot drift apart.

use api::names::headers::strip_hop_by_hop;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    headers::strip_identity,
    identity::{Credential, Identity},
    target::Target,
};

const TARGET: HeaderName = HeaderName::from_static("clusterway-target");
const CERTIFICATE: HeaderName = HeaderName::from_static("clusterway-certificate");
const KEY: HeaderName = HeaderName::from_static("clusterway-key");
/// Which of its own identities the agent shall take.
const IDENTITY: HeaderName = HeaderName::from_static("clusterway-identity");

/// One of the accounts of the agent, in whose name a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agents {
    /// Who reads for the search.
    Reader,
    /// Who applies what the parent deploys.
    Deployer,
}

impl Agents {
    const ALL: [Self; 2] = [Self::Reader, Self::Deployer];

    fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Deployer => "deployer",
        }
    }
}

/// Hub: makes the headers of a foreign request those of a request to the child. Whatever said who the caller is goes
/// first; then the one chosen identity is written.
pub(crate) fn write(headers: &mut HeaderMap, target: &Target, identity: &Identity) {
    strip_hop_by_hop(headers);
    strip_identity(headers);
    headers.remove(header::HOST);
    headers.remove(header::EXPECT);
    // The parent's aggregator asks for gzip on its own account and inflates for nobody.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Ok(value) = HeaderValue::from_str(&target.to_string()) {
        headers.insert(TARGET, value);
    }
    match identity.credential() {
        None => {}
        Some(Credential::Authorization(value)) => {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        Some(Credential::Certificate { certificate, key }) => {
            headers.insert(CERTIFICATE, certificate.clone());
            headers.insert(KEY, key.clone());
        }
        Some(Credential::Agents(account)) => {
            headers.insert(IDENTITY, HeaderValue::from_static(account.name()));
        }
    }
    for (name, value) in identity.impersonation() {
        headers.append(*name, value.clone());
    }
}

/// What [`write`] said.
pub(crate) struct Order {
    /// Where to; `None` when the hub named no target this version knows.
    pub(crate) target: Option<Target>,
    /// Base64 of a client certificate and its key, both PEM.
    pub(crate) certificate: Option<(HeaderValue, HeaderValue)>,
    /// Which account of the agent asks, if one does. There is no other credential then.
    pub(crate) agents: Option<Agents>,
}

/// Agent: takes the hub's orders out of the headers; what stays goes to the child.
pub(crate) fn read(headers: &mut HeaderMap) -> Order {
    let target = headers.remove(TARGET).and_then(|value| value.to_str().ok()?.parse().ok());
    let certificate = headers.remove(CERTIFICATE).zip(headers.remove(KEY));
    let named = headers.remove(IDENTITY);
    let agents = named.and_then(|name| Agents::ALL.into_iter().find(|account| name == account.name()));
    let ours: Vec<HeaderName> =
        headers.keys().filter(|n| n.as_str().starts_with("clusterway-")).cloned().collect();
    for name in ours {
        headers.remove(name);
    }
    strip_hop_by_hop(headers);
    Order { target, certificate, agents }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_reads_what_the_hub_wrote_and_the_child_sees_one_identity() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_static("Bearer of-the-parent"));
        headers.insert("impersonate-user", HeaderValue::from_static("clusternet"));
        headers.insert("clusterway-target", HeaderValue::from_static("http://evil"));
        headers.insert("connection", HeaderValue::from_static("impersonate-user"));
        let identity = Identity::bearer("t").unwrap().impersonate(Some("bob"), None, &[]).unwrap();
        write(&mut headers, &Target::ApiServer, &identity);
        let order = read(&mut headers);
        assert_eq!(order.target, Some(Target::ApiServer));
        assert!(order.certificate.is_none() && order.agents.is_none());
        assert_eq!(headers.get("authorization").unwrap(), "Bearer t");
        assert_eq!(headers.get_all("impersonate-user").iter().collect::<Vec<_>>(), ["bob"]);
    }

    #[test]
    fn only_the_hub_can_make_an_account_of_the_agent_ask() {
        let claimed = || {
            let mut headers = HeaderMap::new();
            headers.insert("clusterway-identity", HeaderValue::from_static("reader"));
            headers.insert("clusterway_identity", HeaderValue::from_static("reader"));
            headers
        };
        let mut headers = claimed();
        write(&mut headers, &Target::ApiServer, &Identity::bearer("t").unwrap());
        assert_eq!(read(&mut headers).agents, None);
        assert_eq!(headers.get("authorization").unwrap(), "Bearer t");
        for (identity, account) in
            [(Identity::reader(), Agents::Reader), (Identity::deployer(), Agents::Deployer)]
        {
            let mut headers = claimed();
            headers.insert("authorization", HeaderValue::from_static("Bearer of-the-parent"));
            write(&mut headers, &Target::ApiServer, &identity);
            assert_eq!(read(&mut headers).agents, Some(account));
            assert!(!headers.contains_key("authorization") && !headers.contains_key("clusterway-identity"));
        }
    }
}
