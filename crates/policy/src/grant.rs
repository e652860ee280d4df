//! How somebody lets the hub read what a policy needs. Pure.

use api::names::{SYSTEM_NAMESPACE, policy::AGGREGATE_LABEL};

use crate::recipe::kubectl_resource;

/// The commands that grant it: everywhere, or in one namespace only.
pub(crate) fn line(policy: &str, group: &str, plural: &str, namespace: Option<&str>) -> String {
    let resource = kubectl_resource(group, plural);
    let role = format!("clusterway-policy-{policy}-{plural}");
    let rights = format!("{role} --verb=get,list,watch --resource={resource}");
    match namespace {
        Some(namespace) => format!(
            "kubectl -n {namespace} create role {rights} && kubectl -n {namespace} create rolebinding {role} --role={role} \
             --serviceaccount={SYSTEM_NAMESPACE}:{}",
            api::names::HUB_SERVICE_ACCOUNT
        ),
        None => format!(
            "kubectl create clusterrole {rights} && kubectl label clusterrole {role} {AGGREGATE_LABEL}=true"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_can_be_pasted() {
        assert_eq!(
            line("mcp", "cluster.mcp.io", "clusters", None),
            "kubectl create clusterrole clusterway-policy-mcp-clusters --verb=get,list,watch \
             --resource=clusters.cluster.mcp.io && kubectl label clusterrole clusterway-policy-mcp-clusters \
             policy.clusterway.io/aggregate-to-hub=true"
        );
        assert!(
            line("p", "", "secrets", Some("vela-system"))
                .starts_with("kubectl -n vela-system create role clusterway-policy-p-secrets --verb=get,list,watch --resource=secrets &&")
        );
    }
}
