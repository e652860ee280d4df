//! What may go to clusters, from the hub's flags.

use std::{collections::BTreeSet, time::Duration};

use meta::Status;
use store::ClusterName;

use super::subresource::Subresource;

/// The hub's flags as they were given (contract 4.1).
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--allowed-proxy-subresources`.
    pub subresources: Vec<String>,
    /// `--allow-pediacluster-config-for-proxy-request`.
    pub pediacluster_config: bool,
    /// `--enable-proxy-path-for-forward-request`.
    pub proxy_path: bool,
    /// `--allow-forward-unsync-resource-request`.
    pub unsynchronised: bool,
}

/// What may go to clusters. The forward marker may, wherever there is one of these.
#[derive(Debug, Clone)]
pub struct Forwarding {
    pub(super) subresources: BTreeSet<Subresource>,
    pub(super) proxy_path: bool,
    pub(super) unsynchronised: bool,
    pediacluster_config: bool,
    pub(super) deadline: Duration,
}

impl Forwarding {
    /// The feature gate without which nothing goes to a cluster.
    pub const GATE: &str = "AllowProxyRequestToClusters";

    /// What the flags say; nothing if the gate is off. `deadline` is for whole answers that are neither watches nor
    /// followed logs nor upgrades.
    ///
    /// # Errors
    /// In words for whoever started the hub: a flag without the gate, or a subresource that cannot be allowed.
    pub fn new(gate: bool, flags: &Flags, deadline: Duration) -> Result<Option<Self>, String> {
        let set = [
            ("--allowed-proxy-subresources", !flags.subresources.is_empty()),
            ("--allow-pediacluster-config-for-proxy-request", flags.pediacluster_config),
            ("--enable-proxy-path-for-forward-request", flags.proxy_path),
            ("--allow-forward-unsync-resource-request", flags.unsynchronised),
        ];
        if !gate {
            return match set.iter().find(|(_, set)| *set) {
                Some((flag, _)) => Err(format!("{flag} needs --feature-gates={}=true", Self::GATE)),
                None => Ok(None),
            };
        }
        let mut subresources = BTreeSet::new();
        for text in flags.subresources.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            let named = Subresource::named(text);
            if named.is_empty() {
                return Err(format!(
                    "--allowed-proxy-subresources: {text:?} is none of {}, nor the last word of one",
                    Subresource::ALL.map(|known| known.to_string()).join(", ")
                ));
            }
            subresources.extend(named);
        }
        Ok(Some(Self {
            subresources,
            proxy_path: flags.proxy_path,
            unsynchronised: flags.unsynchronised,
            pediacluster_config: flags.pediacluster_config,
            deadline,
        }))
    }

    /// Whether a request without a credential of its own may have that of the synchronisation.
    pub(super) fn may_lend(&self, cluster: &ClusterName) -> Result<(), Status> {
        if self.pediacluster_config {
            return Ok(());
        }
        Err(Status::forbidden(format!(
            "No credential for the cluster {:?} came along, and nobody is anonymous there: send one in the header \
             Clusterway-Child-Authorization or X-Clusterpedia-Proxy-Token, or a client certificate in \
             X-Clusterpedia-Proxy-Client-Cert and X-Clusterpedia-Proxy-Client-Key. The hub's flag \
             --allow-pediacluster-config-for-proxy-request lets requests use the cluster's own.",
            cluster.as_str()
        )))
    }

    /// Whether anything but reading may be asked of a cluster.
    pub(crate) fn writes(&self) -> bool {
        self.proxy_path || self.subresources.iter().any(|allowed| allowed.verbs().len() > 1)
    }

    /// Every subresource that is allowed.
    pub(crate) fn all(&self) -> impl Iterator<Item = Subresource> {
        self.subresources.iter().copied()
    }

    /// What is allowed of a resource of the core group.
    pub(crate) fn of(&self, resource: &str) -> impl Iterator<Item = Subresource> {
        self.subresources.iter().copied().filter(move |allowed| allowed.parent == resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(subresources: &str) -> Result<Vec<String>, String> {
        let subresources = subresources.split(',').map(str::to_owned).collect();
        let flags = Flags { subresources, ..Flags::default() };
        let forwarding = Forwarding::new(true, &flags, Duration::from_secs(1))?.unwrap();
        Ok(forwarding.subresources.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn number_82_subresources_are_those_that_can_be_passed_on() {
        assert_eq!(allowed("pods/log, exec").unwrap(), ["pods/exec", "pods/log"]);
        assert_eq!(allowed("proxy").unwrap(), ["nodes/proxy", "pods/proxy", "services/proxy"]);
        assert_eq!(allowed("pods/portfowrd").unwrap(), ["pods/portforward"]);
        assert_eq!(allowed("").unwrap(), Vec::<String>::new());
        for bad in ["pods/trace", "nodes/log", "deployments/scale", "pods/", "/log"] {
            assert!(allowed(bad).unwrap_err().contains("--allowed-proxy-subresources"), "{bad}");
        }
    }

    #[test]
    fn number_82_no_flag_means_anything_without_the_gate() {
        for (flags, name) in [
            (
                Flags { subresources: vec!["pods/log".into()], ..Flags::default() },
                "--allowed-proxy-subresources",
            ),
            (Flags { pediacluster_config: true, ..Flags::default() }, "--allow-pediacluster-config"),
            (Flags { proxy_path: true, ..Flags::default() }, "--enable-proxy-path"),
            (Flags { unsynchronised: true, ..Flags::default() }, "--allow-forward-unsync"),
        ] {
            let error = Forwarding::new(false, &flags, Duration::from_secs(1)).unwrap_err();
            assert!(error.contains(name) && error.contains(Forwarding::GATE), "{error}");
        }
        assert!(Forwarding::new(false, &Flags::default(), Duration::from_secs(1)).unwrap().is_none());
        assert!(Forwarding::new(true, &Flags::default(), Duration::from_secs(1)).unwrap().is_some());
    }
}
