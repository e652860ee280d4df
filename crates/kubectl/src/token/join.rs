//! What to run in a cluster so that it registers, or comes back.

use api::names::SYSTEM_NAMESPACE;
use serde_json::json;

/// Where `deploy/agent` reads the parent's address and the token from.
const REGISTRATION_SECRET: &str = "clusternet-agent-cluster-registration";

/// The commands that let a new cluster register.
pub(super) fn join(parent: &str, token: &str) -> String {
    let (parent, token) = (json!(parent), json!(token));
    format!(
        "\
kubectl apply -f - <<'EOF'
apiVersion: v1
kind: Namespace
metadata:
  name: {SYSTEM_NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
---
apiVersion: v1
kind: Secret
metadata:
  name: {REGISTRATION_SECRET}
  namespace: {SYSTEM_NAMESPACE}
type: Opaque
stringData:
  parentURL: {parent}
  regToken: {token}
EOF
kubectl apply -f deploy/agent
"
    )
}

/// The commands that give a registered agent, whose credential has expired, a token to come back with. Its key has not
/// changed, so it gets its cluster id back.
pub(super) fn come_back(token: &str, parent: Option<&str>) -> String {
    let mut fields = json!({ "regToken": token });
    if let Some(parent) = parent {
        fields["parentURL"] = json!(parent);
    }
    let patch = json!({ "stringData": fields }).to_string().replace('\'', "'\\''");
    format!(
        "kubectl patch secret -n {SYSTEM_NAMESPACE} {REGISTRATION_SECRET} --type=merge -p '{patch}'\n\
         kubectl rollout restart deployment -n {SYSTEM_NAMESPACE} clusternet-agent\n"
    )
}

/// Whether an address means this very machine, wherever it is used.
pub(super) fn is_loopback(server: &str) -> bool {
    match url::Url::parse(server).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// What the here-document holds.
    fn applied(commands: &str) -> Vec<Value> {
        let inside = commands.split("<<'EOF'\n").nth(1).unwrap().split("EOF\n").next().unwrap();
        inside.split("---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect()
    }

    #[test]
    fn the_join_command_makes_what_the_agents_manifests_expect() {
        let objects = applied(&join("https://10.0.0.10:6443", "07401b.f395accd246ae52d"));
        let shipped: Value =
            serde_saphyr::from_str(include_str!("../../../../deploy/agent/00-namespace.yaml")).unwrap();
        assert_eq!(objects[0], shipped);
        assert_eq!(
            objects[1]["stringData"],
            json!({ "parentURL": "https://10.0.0.10:6443", "regToken": "07401b.f395accd246ae52d" })
        );
        let deployment = include_str!("../../../../deploy/agent/30-deployment.yaml");
        assert!(deployment.contains(&format!("name: {REGISTRATION_SECRET}, key: parentURL")));
        assert!(deployment.contains(&format!("name: {REGISTRATION_SECRET}, key: regToken")));
    }

    #[test]
    fn an_address_cannot_break_out_of_the_commands() {
        let odd = "https://p/'\nEOF\nrm -rf /";
        assert_eq!(applied(&join(odd, "t"))[1]["stringData"]["parentURL"], odd);
        assert!(come_back("t", Some("'; x")).contains(r#"'\''; x"#));
    }

    #[test]
    fn an_agent_comes_back_with_a_new_token_and_a_restart() {
        assert_eq!(
            come_back("07401b.f395accd246ae52d", None),
            "kubectl patch secret -n clusternet-system clusternet-agent-cluster-registration --type=merge \
             -p '{\"stringData\":{\"regToken\":\"07401b.f395accd246ae52d\"}}'\n\
             kubectl rollout restart deployment -n clusternet-system clusternet-agent\n"
        );
    }

    #[test]
    fn addresses_of_this_machine_are_known() {
        for (server, local) in [
            ("https://127.0.0.1:6443", true),
            ("https://localhost:6443", true),
            ("https://[::1]:6443", true),
            ("https://10.0.0.10:6443", false),
            ("https://parent.example.com", false),
        ] {
            assert_eq!(is_loopback(server), local, "{server}");
        }
    }
}
