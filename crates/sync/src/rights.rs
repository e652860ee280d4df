//! A missing right, and the command that grants it.

use store::Resource;

/// Who reads a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// The agent's ServiceAccount for reading, whose rights are the roles with a label.
    Agent,
    /// Whoever the credentials of the PediaCluster belong to.
    Credentials,
}

impl Reader {
    /// The `kubectl` command that grants listing and watching `resource`. `refusal` is the cluster's own message, which
    /// names who was refused.
    pub(crate) fn grant(self, resource: &Resource, refusal: &str) -> String {
        let Resource { group, resource, .. } = resource;
        let full = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
        let role = format!("clusterway-search-{full}");
        let create = format!("kubectl create clusterrole {role} --verb=get,list,watch --resource={full}");
        let label = api::names::reader::AGGREGATE_LABEL;
        match self {
            Self::Agent => format!(
                "To grant it, in the cluster: {create} && kubectl label clusterrole {role} {label}=true"
            ),
            Self::Credentials => format!(
                "To grant it, in the cluster: {create} && kubectl create clusterrolebinding {role} \
                 --clusterrole={role} --user={}",
                user(refusal).unwrap_or("USER")
            ),
        }
    }
}

/// The user a refusal names: `User "x" cannot list …`.
fn user(refusal: &str) -> Option<&str> {
    let name = refusal.split_once("User \"")?.1.split_once('"')?.0;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@/".contains(c);
    (!name.is_empty() && name.len() < 256 && name.chars().all(plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_was_refused_is_granted_the_right() {
        let refusal = r#"pods is forbidden: User "bob" cannot list resource "pods" in API group """#;
        assert_eq!(
            Reader::Credentials.grant(&Resource::new("", "v1", "pods"), refusal),
            "To grant it, in the cluster: kubectl create clusterrole clusterway-search-pods --verb=get,list,watch \
             --resource=pods && kubectl create clusterrolebinding clusterway-search-pods \
             --clusterrole=clusterway-search-pods --user=bob"
        );
    }

    #[test]
    fn the_agents_reader_is_granted_a_right_by_a_label() {
        let grant = Reader::Agent.grant(&Resource::new("apps", "v1", "deployments"), "");
        assert!(
            grant.ends_with(
                "clusterway-search-deployments.apps search.clusterway.io/aggregate-to-reader=true"
            )
        );
    }

    #[test]
    fn a_cluster_cannot_put_a_command_of_its_own_into_ours() {
        for hostile in [r#"User "a; rm -rf /" cannot"#, r#"User "$(id)" cannot"#, "User", r#"User "" cannot"#]
        {
            assert_eq!(user(hostile), None, "{hostile}");
        }
    }
}
