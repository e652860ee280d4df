//! No role we ship is wider than it says, no manifest turns verification off or lets strangers in.

use serde_json::{Value, json};

use crate::manifests::{self, Manifest};

/// What is wrong with a rule of a role, if anything. `cluster` tells whether the role may be bound cluster-wide.
fn faults(rule: &Value, cluster: bool) -> Vec<String> {
    let list = |key: &str| -> Vec<String> {
        let items = rule[key].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
    };
    let (groups, resources, verbs) = (list("apiGroups"), list("resources"), list("verbs"));
    let named = !list("resourceNames").is_empty();
    let mut faults = Vec::new();
    for key in ["apiGroups", "resources", "verbs", "resourceNames", "nonResourceURLs"] {
        if list(key).iter().any(|item| item.contains('*')) {
            faults.push(format!("a wildcard in {key}"));
        }
    }
    if verbs.iter().any(|verb| verb == "escalate") {
        faults.push("the verb escalate".to_owned());
    }
    // The name of an extra of ours is its value: there is nothing left to name.
    let value_is_named = resources.iter().all(|resource| resource.starts_with("userextras/clusternet-"));
    for verb in ["bind", "impersonate"] {
        if verbs.iter().any(|v| v == verb) && !named && !value_is_named {
            faults.push(format!("the verb {verb} without resourceNames"));
        }
    }
    if groups.iter().any(String::is_empty) {
        for resource in &resources {
            let only_create = verbs.iter().all(|verb| verb == "create");
            match resource.as_str() {
                "secrets" if cluster => faults.push("Secrets of the whole cluster".to_owned()),
                "secrets" if !named && !only_create => {
                    faults.push("Secrets without resourceNames".to_owned());
                }
                "serviceaccounts/token" if !named => faults.push("tokens without resourceNames".to_owned()),
                "nodes/proxy" | "pods/exec" | "pods/attach" | "pods/portforward" => {
                    faults.push(format!("{resource}, a way around every other rule"));
                }
                _ => {}
            }
        }
    }
    faults
}

fn rules(manifest: &Manifest) -> Vec<Value> {
    match manifest.kind() {
        "Role" | "ClusterRole" => manifest.object["rules"].as_array().cloned().unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Off unless somebody applies it, and its file says what it costs.
const EVERY_SECRET_OF_THE_HUB: &str = "clusterway:hub:pediacluster-secrets";
/// In the parent, for import policies: takes in what the parent's administrator labels, and nothing else.
const POLICIES: &str = "clusterway:hub:policies";
/// In a child, for the search: takes in what the child's owner labels, and nothing else.
const READER: &str = "clusterway:reader";
/// In a child, for what the parent deploys: takes in what the child's owner labels, and nothing else.
const DEPLOYER: &str = "clusterway:deployer";

/// The one right on a Secret that a role which is bound by its name has: on the credentials of chart repositories in a dedicated
/// namespace. The hub writes them and never reads them back, the child reads its own. Role, file, verbs.
const CHART_CREDENTIALS: [(&str, &str, &[&str]); 2] = [
    ("clusterway:hub:namespace", "deploy/hub/41-rbac-namespaces.yaml", &["create", "patch"]),
    ("clusternet-managedcluster-role", "deploy/hub/41-rbac-namespaces.yaml", &["get"]),
];

/// Whether a rule is exactly what [`CHART_CREDENTIALS`] lets its role have.
fn is_of_chart_credentials(manifest: &Manifest, rule: &Value) -> bool {
    CHART_CREDENTIALS.iter().any(|(role, file, verbs)| {
        let allowed = json!({
            "apiGroups": [""], "resources": ["secrets"],
            "resourceNames": [api::names::helm::CREDENTIALS], "verbs": verbs,
        });
        manifest.kind() == "ClusterRole"
            && manifest.name() == *role
            && manifest.file == *file
            && *rule == allowed
    })
}

#[test]
fn no_shipped_role_is_wider_than_it_says() {
    let mut found = Vec::new();
    let (mut roles, mut credentials) = (0, 0);
    for manifest in manifests::all() {
        for rule in rules(&manifest) {
            roles += 1;
            let mut faults = faults(&rule, manifest.kind() == "ClusterRole");
            if manifest.name() == EVERY_SECRET_OF_THE_HUB && manifest.file.starts_with("deploy/compat/") {
                assert_eq!((rule["verbs"].clone(), manifest.kind()), (json!(["get"]), "Role"));
                faults.retain(|fault| fault != "Secrets without resourceNames");
            }
            if manifest.file.starts_with("deploy/policies/") {
                // Not applied unless somebody wants the policy; each file says what it costs.
                assert_eq!(rule["verbs"], json!(["get", "list", "watch"]), "{}", manifest.title());
                faults.retain(|fault| !fault.starts_with("Secrets"));
            }
            if is_of_chart_credentials(&manifest, &rule) {
                faults.retain(|fault| fault != "Secrets of the whole cluster");
                credentials += 1;
            }
            found.extend(faults.iter().map(|fault| format!("{}: {fault}: {rule}", manifest.title())));
        }
        let aggregates = !manifest.object["aggregationRule"].is_null();
        let known = [READER, POLICIES, DEPLOYER].contains(&manifest.name());
        assert!(!aggregates || known, "{} takes in foreign rules", manifest.title());
    }
    assert!(roles > 20, "only {roles} rules were seen");
    assert_eq!(credentials, CHART_CREDENTIALS.len(), "a right that is let through is there once");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_reader_of_a_child_only_reads_and_no_secrets() {
    let label = api::names::reader::AGGREGATE_LABEL;
    let all = manifests::all();
    let reader = all.iter().find(|m| m.kind() == "ClusterRole" && m.name() == READER).unwrap();
    let selector = &reader.object["aggregationRule"]["clusterRoleSelectors"];
    assert_eq!(*selector, json!([{ "matchLabels": { label: "true" } }]));
    let presets: Vec<&Manifest> =
        all.iter().filter(|m| !m.object["metadata"]["labels"][label].is_null()).collect();
    assert!(!presets.is_empty());
    for rule in presets.into_iter().flat_map(rules) {
        assert_eq!(rule["verbs"], json!(["get", "list", "watch"]), "{rule}");
        assert!(!rule["resources"].as_array().unwrap().contains(&json!("secrets")), "{rule}");
    }
}

#[test]
fn the_deployer_of_a_child_has_a_preset_of_applications_and_what_is_labelled() {
    let label = api::names::deployer::AGGREGATE_LABEL;
    let all = manifests::all();
    let deployer = all.iter().find(|m| m.kind() == "ClusterRole" && m.name() == DEPLOYER).unwrap();
    let selector = &deployer.object["aggregationRule"]["clusterRoleSelectors"];
    assert_eq!(*selector, json!([{ "matchLabels": { label: "true" } }]));
    let presets: Vec<&Manifest> =
        all.iter().filter(|m| !m.object["metadata"]["labels"][label].is_null()).collect();
    assert_eq!(presets.len(), 1);
    for rule in presets.into_iter().flat_map(rules) {
        assert_eq!(rule["verbs"], json!(["get", "list", "watch", "create", "patch", "delete"]), "{rule}");
        // With these it could give itself anything.
        for never in ["secrets", "roles", "rolebindings", "clusterroles", "clusterrolebindings"] {
            assert!(!rule["resources"].as_array().unwrap().contains(&json!(never)), "{rule}");
        }
    }
}

#[test]
fn the_hub_reads_for_policies_what_is_labelled_and_no_more() {
    let label = api::names::policy::AGGREGATE_LABEL;
    let all = manifests::all();
    let role = all.iter().find(|m| m.kind() == "ClusterRole" && m.name() == POLICIES).unwrap();
    let selector = &role.object["aggregationRule"]["clusterRoleSelectors"];
    assert_eq!(*selector, json!([{ "matchLabels": { label: "true" } }]));
    let labelled: Vec<_> = all.iter().filter(|m| !m.object["metadata"]["labels"][label].is_null()).collect();
    assert!(labelled.len() >= 3 && labelled.iter().all(|m| m.file.starts_with("deploy/policies/")));
    // What a platform's policy brings along: its clusters, and Secrets.
    for manifest in all.iter().filter(|m| m.file.starts_with("deploy/policies/")) {
        for rule in rules(manifest) {
            let rule = (rule["apiGroups"].clone(), rule["resources"].clone());
            let known =
                [("cluster.x-k8s.io", "clusters"), ("cluster.karmada.io", "clusters"), ("", "secrets")];
            assert!(
                known.iter().any(|(group, resource)| rule == (json!([group]), json!([resource]))),
                "{rule:?}"
            );
        }
    }
}

#[test]
fn the_check_of_roles_sees_each_kind_of_fault() {
    for bad in [
        json!({ "apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"] }),
        json!({ "apiGroups": [""], "resources": ["*"], "verbs": ["get"] }),
        json!({ "apiGroups": [""], "resources": ["*/scale"], "verbs": ["get"] }),
        json!({ "apiGroups": [""], "resources": ["pods"], "verbs": ["*"] }),
        json!({ "nonResourceURLs": ["/debug/*"], "verbs": ["get"] }),
        json!({ "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["escalate"] }),
        json!({ "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"], "verbs": ["bind"] }),
        json!({ "apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"] }),
        json!({ "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"], "verbs": ["impersonate"] }),
        json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] }),
        json!({ "apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"] }),
        json!({ "apiGroups": [""], "resources": ["nodes/proxy"], "verbs": ["get"] }),
    ] {
        assert!(!faults(&bad, true).is_empty(), "{bad}");
    }
    let extra = json!({ "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/clusternet-token"],
                        "verbs": ["impersonate"] });
    assert!(faults(&extra, true).is_empty());
    let own =
        json!({ "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["get"] });
    assert!(faults(&own, false).is_empty());
}

#[test]
fn nobody_gets_rights_for_being_anonymous_or_merely_logged_in() {
    for manifest in manifests::all() {
        let subjects = manifest.object["subjects"].as_array().cloned().unwrap_or_default();
        for subject in &subjects {
            let name = subject["name"].as_str().unwrap_or_default();
            assert!(
                ![
                    "system:anonymous",
                    "system:unauthenticated",
                    "system:authenticated",
                    "system:serviceaccounts"
                ]
                .contains(&name),
                "{} is bound to {name}",
                manifest.title()
            );
        }
        let role = manifest.object["roleRef"]["name"].as_str().unwrap_or_default();
        assert!(!["cluster-admin", "admin", "edit"].contains(&role), "{} binds {role}", manifest.title());
    }
}

#[test]
fn every_connection_of_the_manifests_is_verified() {
    // The policies speak of it to forbid it.
    for manifest in manifests::all().iter().filter(|m| m.kind() != "ValidatingAdmissionPolicy") {
        let text = manifest.object.to_string();
        for word in ["insecureSkipTLSVerify", "insecure-skip-tls-verify", "insecure-skip-verify"] {
            assert!(!text.contains(word), "{} uses {word}", manifest.title());
        }
    }
}

#[test]
fn the_policies_refuse_when_in_doubt() {
    let all = manifests::all();
    let of = |kind: &str| all.iter().filter(|m| m.kind() == kind).collect::<Vec<_>>();
    let names =
        |kind: &str| of(kind).iter().map(|m| m.name().to_owned()).collect::<std::collections::BTreeSet<_>>();
    for policy in of("ValidatingAdmissionPolicy") {
        assert_eq!(policy.object["spec"]["failurePolicy"], "Fail", "{}", policy.title());
    }
    for binding in of("ValidatingAdmissionPolicyBinding") {
        assert_eq!(binding.object["spec"]["validationActions"], json!(["Deny"]), "{}", binding.title());
        assert_eq!(binding.object["spec"]["policyName"], binding.name(), "{}", binding.title());
        assert!(binding.object["spec"]["matchResources"].is_null(), "{} is narrowed", binding.title());
    }
    let expected = [
        "clusterway-deployer",
        "clusterway-hub",
        "clusterway-registration",
        "clusterway-registration-requester",
        "clusterway-shadow",
    ];
    for kind in ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"] {
        assert_eq!(names(kind), expected.map(str::to_owned).into());
    }
}

#[test]
fn the_policies_name_the_same_identities_as_the_program() {
    let all = manifests::all();
    let text = |name: &str| {
        all.iter()
            .find(|m| m.kind() == "ValidatingAdmissionPolicy" && m.name() == name)
            .map(|m| m.object.to_string())
            .unwrap_or_default()
    };
    let hub = text("clusterway-hub");
    let user =
        format!("system:serviceaccount:{}:{}", api::names::SYSTEM_NAMESPACE, api::names::HUB_SERVICE_ACCOUNT);
    for word in [
        user.as_str(),
        api::names::HUB_NAMESPACE_ROLE,
        api::names::CHILD_ROLE,
        api::names::CHILD_SERVICE_ACCOUNT,
        api::names::labels::CLUSTER_ID,
        api::names::labels::CREATED_BY,
        api::names::labels::AGENT,
    ] {
        assert!(hub.contains(word), "clusterway-hub does not know {word}");
    }
    let registration = text("clusterway-registration");
    for word in [
        api::names::annotations::PUBLIC_KEY,
        api::names::annotations::REQUESTER,
        api::names::CHILD_SERVICE_ACCOUNT,
    ] {
        assert!(registration.contains(word), "clusterway-registration does not know {word}");
    }
    let bootstrap = all.iter().filter(|m| m.object.to_string().contains(api::names::BOOTSTRAP_GROUP)).count();
    assert!(bootstrap >= 2, "the bootstrap group is bound and sampled");
}

#[test]
fn every_pod_runs_restricted_probed_and_bounded() {
    let all = manifests::all();
    let deployments: Vec<_> = all.iter().filter(|m| m.kind() == "Deployment").collect();
    assert_eq!(deployments.len(), 2, "hub and agent");
    for deployment in deployments {
        let title = deployment.title();
        let pod = &deployment.object["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{title}");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{title}");
        assert!(
            pod["hostNetwork"].is_null() && pod["volumes"].to_string().find("hostPath").is_none(),
            "{title}"
        );
        for container in pod["containers"].as_array().unwrap() {
            let security = &container["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{title}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{title}");
            assert_eq!(security["capabilities"]["drop"], json!(["ALL"]), "{title}");
            for probe in ["livenessProbe", "readinessProbe"] {
                assert!(container[probe].is_object(), "{title} has no {probe}");
            }
            assert!(container["resources"]["limits"]["memory"].is_string(), "{title} has no memory limit");
        }
    }
}
