//! Subresources that a cluster can be asked for.

use std::fmt;

use http::Method;
use meta::Status;

/// A subresource of a resource of the core group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subresource {
    pub(crate) parent: &'static str,
    pub(crate) name: &'static str,
}

const fn of(parent: &'static str, name: &'static str) -> Subresource {
    Subresource { parent, name }
}

impl Subresource {
    pub(super) const ALL: [Self; 7] = [
        of("pods", "log"),
        of("pods", "exec"),
        of("pods", "attach"),
        of("pods", "portforward"),
        of("pods", "proxy"),
        of("services", "proxy"),
        of("nodes", "proxy"),
    ];

    /// Those that a flag names: `pods/log`, or the last word alone, which may be several.
    pub(super) fn named(text: &str) -> Vec<Self> {
        let (parent, name) = text.split_once('/').map_or((None, text), |(parent, name)| (Some(parent), name));
        // As it was spelt for years.
        let name = if name == "portfowrd" { "portforward" } else { name };
        let fits = |known: &Self| known.name == name && parent.is_none_or(|parent| parent == known.parent);
        Self::ALL.into_iter().filter(fits).collect()
    }

    fn switches_protocols(self) -> bool {
        ["exec", "attach", "portforward"].contains(&self.name)
    }

    /// Refuses a method that the subresource does not have, and one of those that need an upgrade without it.
    pub(super) fn check(self, method: &Method, upgrade: bool) -> Result<(), Status> {
        let methods: &[&str] = match self.name {
            "log" => &["GET", "HEAD"],
            "proxy" => &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
            _ => &["GET", "POST"],
        };
        if !methods.contains(&method.as_str()) {
            return Err(Status::method_not_allowed(format!("{self} does not take {method}.")));
        }
        if self.switches_protocols() && !upgrade {
            return Err(Status::bad_request(format!(
                "{self} switches protocols: the request must ask for an upgrade, over HTTP/1.1."
            )));
        }
        Ok(())
    }

    /// The verbs of its methods, as discovery lists them.
    pub(crate) fn verbs(self) -> &'static [&'static str] {
        match self.name {
            "log" => &["get"],
            "proxy" => &["create", "delete", "get", "patch", "update"],
            _ => &["create", "get"],
        }
    }

    /// The kind of what is sent to it or answered.
    pub(crate) fn kind(self) -> &'static str {
        match (self.parent, self.name) {
            ("pods", "exec") => "PodExecOptions",
            ("pods", "attach") => "PodAttachOptions",
            ("pods", "portforward") => "PodPortForwardOptions",
            ("pods", "proxy") => "PodProxyOptions",
            ("services", _) => "ServiceProxyOptions",
            ("nodes", _) => "NodeProxyOptions",
            _ => "Pod",
        }
    }
}

impl fmt::Display for Subresource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.parent, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_switches_protocols_needs_an_upgrade_and_a_log_is_only_read() {
        let check =
            |name, method, upgrade| of("pods", name).check(&method, upgrade).map_err(|status| status.code);
        assert_eq!(check("log", Method::GET, false), Ok(()));
        assert_eq!(check("log", Method::POST, false), Err(405));
        assert_eq!(check("exec", Method::POST, true), Ok(()));
        assert_eq!(check("exec", Method::GET, true), Ok(()));
        assert_eq!(check("exec", Method::GET, false), Err(400));
        assert_eq!(check("exec", Method::DELETE, true), Err(405));
        assert_eq!(check("proxy", Method::OPTIONS, false), Ok(()));
    }
}
