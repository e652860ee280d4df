//! What a CustomResourceDefinition says about the kind it defines.

use std::{collections::BTreeMap, sync::Arc};

use meta::CrdColumns;
use serde::Deserialize;
use serde_json::Value;

use crate::scale::ScalePaths;

/// A kind by its definition; only versions that are served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Definition {
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) kind: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) namespaced: bool,
    /// The version it is shown in first.
    pub(crate) versions: Vec<String>,
    pub(crate) custom: BTreeMap<String, Custom>,
}

/// What belongs to one version of a custom resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Custom {
    pub(crate) columns: Option<Arc<CrdColumns>>,
    pub(crate) scale: Option<ScalePaths>,
}

#[derive(Deserialize)]
struct Read {
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Spec {
    group: String,
    names: Names,
    scope: String,
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Names {
    plural: String,
    kind: String,
    #[serde(default)]
    singular: String,
    #[serde(default, rename = "shortNames")]
    short: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    name: String,
    served: bool,
    storage: bool,
    #[serde(default)]
    additional_printer_columns: Value,
    #[serde(default)]
    subresources: Option<Subresources>,
}

#[derive(Deserialize)]
struct Subresources {
    scale: Option<Scale>,
}

#[derive(Deserialize)]
struct Scale {
    #[serde(rename = "specReplicasPath")]
    spec: String,
    #[serde(rename = "statusReplicasPath")]
    status: String,
    #[serde(default, rename = "labelSelectorPath")]
    selector: Option<String>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

impl Definition {
    /// Reads a CustomResourceDefinition; nothing for one that is not established, or is no definition.
    ///
    /// The version it is shown in is the stored one, if that is served, else the first that is.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        let Read { spec, status } = serde_json::from_slice(json).ok()?;
        let is = |condition: &Condition| condition.type_ == "Established" && condition.status == "True";
        if !status.conditions.iter().any(is) {
            return None;
        }
        let mut served: Vec<Version> = spec.versions.into_iter().filter(|version| version.served).collect();
        served.sort_by_key(|version| !version.storage);
        let versions: Vec<String> = served.iter().map(|version| version.name.clone()).collect();
        if versions.is_empty() {
            return None;
        }
        let custom = |version: Version| {
            let scale = version.subresources.and_then(|subresources| subresources.scale);
            let custom = Custom {
                columns: CrdColumns::from_json(&version.additional_printer_columns).ok().map(Arc::new),
                scale: scale.and_then(|scale| {
                    ScalePaths::of_definition(&scale.spec, &scale.status, scale.selector.as_deref())
                }),
            };
            (version.name, custom)
        };
        Some(Self {
            group: spec.group,
            plural: spec.names.plural,
            singular: match spec.names.singular {
                singular if singular.is_empty() => spec.names.kind.to_lowercase(),
                singular => singular,
            },
            kind: spec.names.kind,
            short_names: spec.names.short,
            namespaced: spec.scope == "Namespaced",
            versions,
            custom: served.into_iter().map(custom).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(established: &str) -> Value {
        json!({
            "spec": {
                "group": "demo.io", "scope": "Namespaced",
                "names": { "plural": "widgets", "kind": "Widget", "shortNames": ["wd"] },
                "versions": [
                    { "name": "v2", "served": true, "storage": false },
                    { "name": "v1", "served": true, "storage": true, "subresources": { "scale": {
                        "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size" } } },
                    { "name": "v0", "served": false, "storage": false },
                ],
            },
            "status": { "conditions": [{ "type": "Established", "status": established }] },
        })
    }

    #[test]
    fn the_stored_version_comes_first_and_what_is_not_served_is_left_out() {
        let read = Definition::read(definition("True").to_string().as_bytes()).unwrap();
        assert_eq!(read.versions, ["v1", "v2"]);
        assert_eq!((read.singular.as_str(), read.namespaced), ("widget", true));
        assert!(read.custom["v1"].scale.is_some() && read.custom["v2"].scale.is_none());
    }

    #[test]
    fn a_definition_that_is_not_established_defines_nothing() {
        assert_eq!(Definition::read(definition("False").to_string().as_bytes()), None);
        assert_eq!(Definition::read(b"{}"), None);
    }
}
