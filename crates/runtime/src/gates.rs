//! Feature gates: `--feature-gates=SocketConnection=true,AppPusher=false` (contract section 2.6).

use std::{collections::BTreeMap, str::FromStr};

/// Every gate a program of ours knows by name.
const KNOWN: [&str; 17] = [
    "AllowProxyRequestToClusters",
    "AllowSyncAllCustomResources",
    "AllowSyncAllResources",
    "AppPusher",
    "ClusterAuthenticationFromSecret",
    "ClusterInit",
    "Deployer",
    "FailOver",
    "FeasibleClustersToleration",
    "FeedInUseProtection",
    "FeedInventory",
    "MultiClusterService",
    "Predictor",
    "Recovery",
    "SearchReader",
    "ShadowAPI",
    "SocketConnection",
];

/// Which gates were switched, on or off. What was not mentioned keeps the program's own default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeatureGates(BTreeMap<String, bool>);

impl FeatureGates {
    /// Whether `gate` is on, `default` if nobody switched it.
    pub fn enabled(&self, gate: &str, default: bool) -> bool {
        self.0.get(gate).copied().unwrap_or(default)
    }
}

impl FromStr for FeatureGates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut gates = BTreeMap::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (name, value) = item
                .split_once('=')
                .ok_or_else(|| format!("feature gate {item:?} is not of the form NAME=true|false"))?;
            if !KNOWN.contains(&name) {
                return Err(format!(
                    "feature gate {name:?} is not known; the known ones are {}",
                    KNOWN.join(", ")
                ));
            }
            let value =
                value.parse().map_err(|_| format!("feature gate {name} is {value:?}, not true or false"))?;
            gates.insert(name.to_owned(), value);
        }
        Ok(Self(gates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_read_and_mistakes_are_named() {
        let gates: FeatureGates = "SocketConnection=false, AppPusher=true".parse().unwrap();
        assert!(!gates.enabled("SocketConnection", true));
        assert!(gates.enabled("AppPusher", false));
        assert!(gates.enabled("Recovery", true));
        let of_the_search = "AllowSyncAllResources=true,AllowSyncAllCustomResources=true,ClusterAuthenticationFromSecret=false";
        assert!(of_the_search.parse::<FeatureGates>().unwrap().enabled("AllowSyncAllResources", false));
        for (bad, part) in [
            ("Sockets=true", "\"Sockets\" is not known"),
            ("AppPusher=yes", "not true or false"),
            ("AppPusher", "NAME=true"),
        ] {
            assert!(bad.parse::<FeatureGates>().unwrap_err().contains(part), "{bad}");
        }
    }
}
