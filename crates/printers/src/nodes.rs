//! Nodes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Condition, Error, List, Text, TextMap, cells, decode, fields},
    duration::age,
    text::{NONE, UNKNOWN, join},
};

fields! { Node<'a> { metadata: Metadata<'a>, spec: Spec, status: Status<'a>, }}

fields! { Metadata<'a> { name: Text<'a>, creation_timestamp: Text<'a>, labels: TextMap<'a>, }}

fields! { Spec { unschedulable: bool, }}

fields! { Status<'a> {
    conditions: List<Condition<'a>>,
    addresses: List<Address<'a>>,
    node_info: Info<'a>,
}}

fields! { Address<'a> {
    #[serde(rename = "type")]
    type_: Text<'a>,
    address: Text<'a>,
}}

fields! { Info<'a> {
    kubelet_version: Text<'a>,
    os_image: Text<'a>,
    kernel_version: Text<'a>,
    architecture: Text<'a>,
    container_runtime_version: Text<'a>,
}}

/// Name, Status, Roles, Age, Version; Internal-IP, External-IP, OS-Image, Kernel-Version, Container-Runtime.
pub(crate) fn nodes(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let node: Node<'_> = decode(object)?;
    let Info { kubelet_version, os_image, kernel_version, architecture, container_runtime_version } =
        &node.status.node_info;
    let kernel = kernel_version.or(UNKNOWN);
    let kernel = match &**architecture {
        "" => kernel.to_owned(),
        architecture => format!("{kernel} ({architecture})"),
    };
    Ok(cells![
        &*node.metadata.name,
        node.readiness(),
        node.roles(),
        age(&node.metadata.creation_timestamp, now),
        &**kubelet_version,
        node.address("InternalIP"),
        node.address("ExternalIP"),
        os_image.or(UNKNOWN),
        kernel,
        container_runtime_version.or(UNKNOWN),
    ])
}

impl Node<'_> {
    fn readiness(&self) -> String {
        let ready = self.status.conditions.iter().rfind(|condition| &*condition.type_ == "Ready");
        let ready = match ready {
            None => "Unknown",
            Some(condition) if &*condition.status == "True" => "Ready",
            Some(_) => "NotReady",
        };
        format!("{ready}{}", if self.spec.unschedulable { ",SchedulingDisabled" } else { "" })
    }

    fn roles(&self) -> String {
        let role = |(key, value): (&'_ Text<'_>, &'_ Text<'_>)| -> Option<String> {
            match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role.to_owned()),
                None => (&**key == "kubernetes.io/role").then(|| value.to_string()),
            }
        };
        let roles: BTreeSet<_> =
            self.metadata.labels.iter().filter_map(role).filter(|r| !r.is_empty()).collect();
        if roles.is_empty() { NONE.into() } else { join(roles, ",") }
    }

    fn address(&self, type_: &str) -> &str {
        let address = self.status.addresses.iter().find(|address| &*address.type_ == type_);
        address.map_or(NONE, |address| &address.address)
    }
}
