//! Where in the child a request goes: the contract's URL grammar (section 4.3).

use std::fmt;

use percent_encoding::percent_decode_str;

/// What a visit is aimed at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The child's API server.
    ApiServer,
    /// Another HTTP server in the child's network; the agent has the last word on it.
    Host {
        /// `http` or `https`.
        tls: bool,
        /// `host` or `host:port`, lower case.
        authority: String,
    },
}

/// The path is not of the grammar; the text says what is wrong and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(String);

impl Target {
    /// Reads `/direct[/path]` or `/(http|https)/host[:port][/path]`, still percent-encoded, into the target and the
    /// path to send there. The path keeps its encoding and its trailing slash; repeated slashes collapse to one.
    ///
    /// Refused: an empty target, another scheme, credentials in the host, and every form of `.` or `..` segment,
    /// encoded ones included: the target's server and we could disagree on what they mean.
    ///
    /// ```
    /// use reach::Target;
    /// let (target, path) = Target::parse("/https/dashboard.tools:8443/a//b%20c/")?;
    /// assert_eq!(target, Target::Host { tls: true, authority: "dashboard.tools:8443".into() });
    /// assert_eq!(path, "/a/b%20c/");
    /// # Ok::<(), reach::TargetError>(())
    /// ```
    pub fn parse(tail: &str) -> Result<(Self, String), TargetError> {
        let rest = tail.trim_start_matches('/');
        let (kind, rest) = rest.split_once('/').map_or((rest, ""), |(kind, rest)| (kind, rest));
        match kind {
            "direct" => Ok((Self::ApiServer, clean_path(rest)?)),
            "http" | "https" => {
                let rest = rest.trim_start_matches('/');
                let (authority, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
                let authority = clean_authority(authority)?;
                Ok((Self::Host { tls: kind == "https", authority }, clean_path(path)?))
            }
            other => Err(TargetError(format!(
                "The target {other:?} is not known: the path behind the cluster id is /proxy/direct/PATH for the API \
                 server, or /proxy/http/HOST/PATH or /proxy/https/HOST/PATH for another server."
            ))),
        }
    }
}

impl fmt::Display for Target {
    /// The form the agent reads again with [`std::str::FromStr`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiServer => f.write_str("direct"),
            Self::Host { tls, authority } => {
                write!(f, "{}://{authority}", if *tls { "https" } else { "http" })
            }
        }
    }
}

impl std::str::FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (tls, authority) = match (text, text.strip_prefix("https://"), text.strip_prefix("http://")) {
            ("direct", _, _) => return Ok(Self::ApiServer),
            (_, Some(authority), _) => (true, authority),
            (_, _, Some(authority)) => (false, authority),
            _ => return Err(TargetError(format!("The target {text:?} is not known."))),
        };
        Ok(Self::Host { tls, authority: clean_authority(authority)? })
    }
}

fn clean_authority(authority: &str) -> Result<String, TargetError> {
    let error = || {
        TargetError(format!(
            "The host {authority:?} cannot be used: expected HOST or HOST:PORT, with neither credentials nor \
             percent-encoding."
        ))
    };
    if authority.is_empty() || authority.contains(['@', '%', '\\']) {
        return Err(error());
    }
    let parsed: http::uri::Authority = authority.parse().map_err(|_| error())?;
    let port_is_written = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    if parsed.host().is_empty() || (port_is_written && parsed.port_u16().is_none_or(|port| port == 0)) {
        return Err(error());
    }
    Ok(authority.to_ascii_lowercase())
}

/// `a//b/` becomes `/a/b/`; refuses dot segments in any encoding.
fn clean_path(rest: &str) -> Result<String, TargetError> {
    let mut path = String::with_capacity(rest.len() + 1);
    for segment in rest.split('/').filter(|s| !s.is_empty()) {
        let decoded = percent_decode_str(segment).collect::<Vec<u8>>();
        // An encoded slash may hide a dot segment from us that the target's server would see.
        if decoded.split(|b| matches!(b, b'/' | b'\\')).any(|part| part == b"." || part == b"..") {
            return Err(TargetError(String::from(
                "The path holds a . or .. segment; write the path it should lead to instead.",
            )));
        }
        if decoded.iter().any(u8::is_ascii_control) {
            return Err(TargetError(String::from("The path holds a control character.")));
        }
        path.push('/');
        path.push_str(segment);
    }
    if path.is_empty() || rest.ends_with('/') {
        path.push('/');
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_contracts_grammar() {
        let host = |tls, authority: &str| Target::Host { tls, authority: authority.to_owned() };
        for (given, target, path) in [
            ("/direct", Target::ApiServer, "/"),
            ("/direct/", Target::ApiServer, "/"),
            ("/direct/api/v1/nodes", Target::ApiServer, "/api/v1/nodes"),
            ("/direct//api///v1/", Target::ApiServer, "/api/v1/"),
            ("/http/10.0.0.7:8080/a/b", host(false, "10.0.0.7:8080"), "/a/b"),
            ("/http/demo1.cluster.net", host(false, "demo1.cluster.net"), "/"),
            ("/https/[fd00::1]:443/x%2Fy", host(true, "[fd00::1]:443"), "/x%2Fy"),
            ("/https/KUBERNETES.default.svc/version", host(true, "kubernetes.default.svc"), "/version"),
        ] {
            assert_eq!(Target::parse(given), Ok((target, path.to_owned())), "{given}");
        }
    }

    #[test]
    fn attacks_by_path_are_refused() {
        for attack in [
            "",
            "/",
            "/direct/../../api",
            "/direct/%2e%2e/secrets",
            "/direct/.%2E/x",
            "/direct/a%2f..%2fb",
            "/direct/a/./b",
            "/direct/a%00b",
            "/ftp/host/x",
            "/file/etc/passwd",
            "/http/",
            "/http/user:secret@host/x",
            "/http/host%2f@evil/x",
            "/http/host:99999/x",
            "/http/host:0/x",
            "/http/host:/x",
            "/http/a\\b/x",
        ] {
            assert!(Target::parse(attack).is_err(), "{attack} was accepted");
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_no_dot_segment_and_one_leading_slash(tail in "/(direct|http/h|https/h:1)(/[a-z.%2e/]{0,20})?") {
            if let Ok((_, path)) = Target::parse(&tail) {
                prop_assert!(path.starts_with('/') && !path.contains("//"));
                let decoded = percent_decode_str(&path).decode_utf8_lossy().into_owned();
                prop_assert!(!decoded.split('/').any(|s| s == "." || s == ".."));
            }
        }

        #[test]
        fn a_target_is_read_again_as_it_was_written(authority in "[a-z][a-z0-9.]{0,10}(:[1-9][0-9]{0,3})?", tls: bool) {
            let target = Target::Host { tls, authority };
            prop_assert_eq!(target.to_string().parse::<Target>().ok(), Some(target));
        }
    }
}
