//! How somebody lets the hub read what a policy needs. Pure.

use api::names::policy::AGGREGATE_LABEL;

use crate::recipe::kubectl_resource;

/// The commands that grant it to the hub in `hub_namespace`: everywhere, or in one namespace only.
pub(crate) fn line(
    policy: &str,
    group: &str,
    plural: &str,
    namespace: Option<&str>,
    hub_namespace: &str,
) -> String {
    let resource = kubectl_resource(group, plural);
    let role = format!("clusterway-policy-{policy}-{resource}");
    let rights = format!("{role} --verb=get,list,watch --resource={resource}");
    match namespace {
        Some(namespace) => format!(
            "kubectl -n {namespace} create role {rights} && kubectl -n {namespace} create rolebinding {role} --role={role} \
             --serviceaccount={hub_namespace}:{}",
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
            line("mcp", "cluster.mcp.io", "clusters", None, "hub"),
            "kubectl create clusterrole clusterway-policy-mcp-clusters.cluster.mcp.io --verb=get,list,watch \
             --resource=clusters.cluster.mcp.io && kubectl label clusterrole clusterway-policy-mcp-clusters.cluster.mcp.io \
             policy.clusterway.io/aggregate-to-hub=true"
        );
        assert_eq!(
            line("p", "", "secrets", Some("vela-system"), "hub"),
            "kubectl -n vela-system create role clusterway-policy-p-secrets --verb=get,list,watch --resource=secrets && \
             kubectl -n vela-system create rolebinding clusterway-policy-p-secrets --role=clusterway-policy-p-secrets \
             --serviceaccount=hub:clusternet-hub"
        );
    }
}
