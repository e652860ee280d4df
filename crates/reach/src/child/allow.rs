//! The agent's allow-list of targets beside the API server (`--allow-target`).

use std::str::FromStr;

/// One entry: `[http://|https://]HOST[:PORT]`. Without a scheme both are allowed, without a port every port.
///
/// A host is compared as written: an entry for a name does not allow the address behind it. `*.suffix` allows every
/// name that ends in `.suffix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedTarget {
    tls: Option<bool>,
    host: Host,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Exactly(String),
    Below(String),
}

/// The text is not an entry of the allow-list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "--allow-target {0:?} is not of the form [http://|https://]HOST[:PORT], where HOST may begin with *."
)]
pub struct InvalidTarget(String);

impl FromStr for AllowedTarget {
    type Err = InvalidTarget;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || InvalidTarget(text.to_owned());
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(false), rest),
            Some(("https", rest)) => (Some(true), rest),
            Some(_) => return Err(error()),
            None => (None, text),
        };
        let rest = rest.to_ascii_lowercase();
        let (below, rest) = rest.strip_prefix("*.").map_or((false, rest.as_str()), |rest| (true, rest));
        let authority: http::uri::Authority = rest.parse().map_err(|_| error())?;
        let host = authority.host().to_owned();
        let written_port = rest.len() > host.len();
        if host.is_empty()
            || rest.contains('@')
            || host.contains('*')
            || (written_port && authority.port_u16().is_none())
        {
            return Err(error());
        }
        let port = authority.port_u16();
        Ok(Self {
            tls,
            host: if below { Host::Below(format!(".{host}")) } else { Host::Exactly(host) },
            port,
        })
    }
}

impl AllowedTarget {
    /// Whether `authority` (as in [`crate::Target::Host`]) may be visited.
    pub(crate) fn covers(&self, tls: bool, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<http::uri::Authority>() else { return false };
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let host = match &self.host {
            Host::Exactly(host) => authority.host() == host,
            Host::Below(suffix) => {
                authority.host().len() > suffix.len() && authority.host().ends_with(suffix.as_str())
            }
        };
        host && self.tls.is_none_or(|wanted| wanted == tls) && self.port.is_none_or(|wanted| wanted == port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_allows_what_it_names_and_nothing_beside_it() {
        for (entry, tls, authority, allowed) in [
            ("dashboard.tools", true, "dashboard.tools:8443", true),
            ("dashboard.tools", false, "dashboard.tools", true),
            ("dashboard.tools:8443", true, "dashboard.tools:8443", true),
            ("dashboard.tools:8443", true, "dashboard.tools", false),
            ("https://dashboard.tools", false, "dashboard.tools", false),
            ("https://dashboard.tools", true, "dashboard.tools", true),
            ("*.tools", true, "a.tools", true),
            ("*.tools", true, "tools", false),
            ("*.tools", true, "evil-tools", false),
            ("dashboard.tools", true, "dashboard.tools.evil", false),
            ("10.0.0.7:80", false, "10.0.0.7", true),
        ] {
            let parsed: AllowedTarget = entry.parse().unwrap();
            assert_eq!(parsed.covers(tls, authority), allowed, "{entry} {authority}");
        }
    }

    #[test]
    fn a_bad_entry_is_refused_with_the_form_expected() {
        for bad in ["", "*", "*.", "ftp://x", "a@b", "host:", "host:x", "a b"] {
            let error = bad.parse::<AllowedTarget>().unwrap_err().to_string();
            assert!(error.contains("HOST"), "{error}");
        }
    }
}
