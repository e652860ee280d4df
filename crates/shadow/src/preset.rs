//! The kinds whose objects the parent tries out before they are stored.

/// A resource that the hub may create in the reserved namespace, as a dry run and not otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DryRun {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The plural names.
    pub plurals: &'static [&'static str],
}

/// What applications are made of. The same list stands in the hub's Role in the reserved namespace and in the admission
/// policy that fences it to dry runs (`deploy/hub`).
///
/// Absent on purpose: kinds without namespaces and those of RBAC, for which the hub would need the rights it is to try out;
/// and Pods, in which the parent would write its own tokens and defaults.
pub const DRY_RUN: [DryRun; 6] = [
    DryRun {
        group: "",
        plurals: &[
            "configmaps",
            "endpoints",
            "limitranges",
            "persistentvolumeclaims",
            "podtemplates",
            "replicationcontrollers",
            "resourcequotas",
            "secrets",
            "serviceaccounts",
            "services",
        ],
    },
    DryRun { group: "apps", plurals: &["daemonsets", "deployments", "replicasets", "statefulsets"] },
    DryRun { group: "autoscaling", plurals: &["horizontalpodautoscalers"] },
    DryRun { group: "batch", plurals: &["cronjobs", "jobs"] },
    DryRun { group: "networking.k8s.io", plurals: &["ingresses", "networkpolicies"] },
    DryRun { group: "policy", plurals: &["poddisruptionbudgets"] },
];

/// Whether the parent tries out objects of this resource.
pub(crate) fn is_tried(group: &str, plural: &str) -> bool {
    DRY_RUN.iter().any(|known| known.group == group && known.plurals.contains(&plural))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use serde_json::{Value, json};

    use super::*;

    /// `plural.group` of everything the hub tries out.
    fn preset() -> BTreeSet<String> {
        DRY_RUN
            .iter()
            .flat_map(|known| known.plurals.iter().map(|plural| format!("{plural}.{}", known.group)))
            .collect()
    }

    /// One object of a shipped file.
    fn shipped(file: &str, kind: &str, name: &str) -> Value {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/hub").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        objects.iter().find(is_it).unwrap().clone()
    }

    fn resources(rules: &Value) -> BTreeSet<String> {
        let list = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
        };
        let of_rule = |rule: &Value| {
            let group = list(&rule["apiGroups"]).join(",");
            list(&rule["resources"]).into_iter().map(move |plural| format!("{plural}.{group}"))
        };
        rules.as_array().unwrap().iter().flat_map(of_rule).collect()
    }

    #[test]
    fn the_hubs_role_holds_exactly_these_kinds_and_only_to_create() {
        let role = shipped("47-rbac-shadow.yaml", "Role", "clusterway:hub:dry-run");
        assert_eq!(resources(&role["rules"]), preset());
        assert_eq!(role["metadata"]["namespace"], api::names::apps::RESERVED_NAMESPACE);
        assert!(role["rules"].as_array().unwrap().iter().all(|rule| rule["verbs"] == json!(["create"])));
    }

    #[test]
    fn the_policy_fences_exactly_these_kinds_to_dry_runs() {
        let policy = shipped("22-policy-shadow.yaml", "ValidatingAdmissionPolicy", "clusterway-shadow");
        assert_eq!(resources(&policy["spec"]["matchConstraints"]["resourceRules"]), preset());
        let text = policy.to_string();
        for word in [api::names::apps::RESERVED_NAMESPACE, api::names::HUB_SERVICE_ACCOUNT, "request.dryRun"]
        {
            assert!(text.contains(word), "{word}");
        }
    }

    #[test]
    fn the_role_for_people_holds_these_kinds_in_the_group_shadow() {
        let role = shipped("47-rbac-shadow.yaml", "ClusterRole", "clusterway:shadow-editor");
        let held = resources(&json!([role["rules"][0]]));
        let plain = |name: &String| format!("{}.shadow", name.split('.').next().unwrap());
        let expected: BTreeSet<String> =
            preset().iter().map(plain).chain(["namespaces.shadow".to_owned()]).collect();
        assert_eq!(held, expected);
    }
}
